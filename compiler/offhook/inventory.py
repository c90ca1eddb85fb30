"""Validated documents become one typed Inventory; ids that stand twice are found here.

Comes in: a Source. Goes out: an Inventory of everything that could be understood, and the Problems of
everything that could not. An entity that is wrong is left out, but its id stays known (`suspect`), so
that one mistake is reported once and does not hide or cause others.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from offhook.document import parse
from offhook.flyingvoice.catalogue import find_model
from offhook.flyingvoice.keys import plan_key
from offhook.mac import parse_mac
from offhook.model import (
    Account,
    Contact,
    Entity,
    Environment,
    Fleet,
    KeyPlan,
    ModelLayer,
    Phone,
    Phonebook,
    Profile,
    Sip,
    Site,
    mark,
)
from offhook.parallel import map_in_processes
from offhook.problem import Mark, Problem, pack_problems, unpack_problems
from offhook.secrets.names import SecretNames, no_names, read_names
from offhook.source import FLEET_FILE, INVENTORY, InventoryFile, Source
from offhook.validate import validate

E = TypeVar("E", bound=Entity)
_NONE: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Loaded:
    """One file, read: its entities, the ids of those that were wrong, whether all of it could be read, its problems."""

    kind: str
    entities: list[Entity]
    wrong: list[str]
    broken: bool
    problems: list[Problem]


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything the fleet's files say, linked by id. Phones are keyed by MAC, sorted.

    `suspect` has, by kind, the ids that stand in the files but could not be understood. `broken` has the
    kinds of which a whole file could not be read: nothing can be said about what is missing there.
    """

    fleet: Fleet
    sites: dict[str, Site]
    profiles: dict[str, Profile]
    accounts: dict[str, Account]
    phones: dict[str, Phone]
    phonebooks: dict[str, Phonebook]
    secret_names: SecretNames
    suspect: Mapping[str, frozenset[str]]
    broken: frozenset[str]

    def is_known(self, kind: str, identifier: str) -> bool:
        """Tell whether `identifier` may be meant to exist although it is not among the entities of its kind."""
        return kind in self.broken or identifier in self.suspect.get(kind, ())


def load(source: Source, *, processes: int = 1) -> tuple[Inventory, list[Problem]]:
    """Return the inventory of a source, and the problems of reading, validating and linking it."""
    problems = list(source.problems)
    files = [file for file in source.files if file.kind != "secret"]
    numbered = list(enumerate(files))
    loaded = map_in_processes(_read, numbered, processes=processes, keep=lambda data: _build(files, data))
    for one in loaded:
        problems.extend(one.problems)
    inventory, more = _link(loaded, [file for file in source.files if file.kind == "secret"])
    problems.extend(more)
    return inventory, problems


def _read(numbered: tuple[int, InventoryFile]) -> Any:
    """Parse and validate one file: plain data, for whichever process wants it."""
    number, file = numbered
    document, problems = parse(file.path, file.content)
    entities, more = validate(file.kind, document)
    # where the reader refused something, what the schema says about the hole it left is no news
    refused = {problem.mark for problem in problems}
    has_merge = any(problem.id == "yaml-merge" for problem in problems)
    problems += [one for one in more if one.mark not in refused and not (has_merge and one.id == "missing-key")]
    wrong = [] if file.kind == "fleet" else [key for key in document.value if key not in entities]
    return number, entities, wrong, document.broken, pack_problems(problems)


def _build(files: list[InventoryFile], data: Any) -> Loaded:
    """The entities of one file, from what `_read` returned."""
    number, bodies, wrong, broken, problems = data
    file = files[number]
    build = _BUILDERS[file.kind]
    entities = [build(file, key, body) for key, body in bodies.items()]
    return Loaded(file.kind, entities, wrong, broken, unpack_problems(problems))


def _link(loaded: list[Loaded], secret_files: list[InventoryFile]) -> tuple[Inventory, list[Problem]]:
    problems: list[Problem] = []
    suspect: dict[str, set[str]] = {}
    broken = {one.kind for one in loaded if one.broken}
    for one in loaded:
        if one.wrong:
            suspect.setdefault(one.kind, set()).update(parse_mac(key) or key for key in one.wrong)
    fleet = next((one for file in loaded for one in file.entities if isinstance(one, Fleet)), None)
    if fleet is None:
        broken.add("fleet")
        path = f"{INVENTORY}/{FLEET_FILE}"
        if not any(one.kind == "fleet" for one in loaded):
            problems.append(Problem("no-fleet", Mark(path, 1, 1), f"there is no {path}"))
        fleet = _fleet(InventoryFile(path, "fleet", b""), "fleet", _NONE)
    phones = _collect("phone", Phone, loaded, problems)
    providers = [fleet.secrets, *(one.secrets for one in fleet.environments.values() if one.secrets)]
    is_sops = any(one.get("provider", "sops") == "sops" for one in providers) and "fleet" not in broken
    names, secret_problems = read_names(secret_files) if is_sops else (no_names(), [])
    problems.extend(secret_problems)
    return Inventory(
        fleet=fleet,
        sites=_collect("site", Site, loaded, problems),
        profiles=_collect("profile", Profile, loaded, problems),
        accounts=_collect("account", Account, loaded, problems),
        phones=dict(sorted(phones.items())),
        phonebooks=_collect("phonebook", Phonebook, loaded, problems),
        secret_names=names,
        suspect={kind: frozenset(ids) for kind, ids in suspect.items()},
        broken=frozenset(broken),
    ), problems


def _collect(kind: str, entity_type: type[E], loaded: Iterable[Loaded], problems: list[Problem]) -> dict[str, E]:
    """Every entity of a kind by its id; the first in the order of files wins, a second one is a problem."""
    entities: dict[str, E] = {}
    for one in loaded:
        if one.kind == kind:
            for entity in one.entities:
                assert isinstance(entity, entity_type)
                identifier = entity.mac if isinstance(entity, Phone) else entity.key or ""
                first = entities.setdefault(identifier, entity)
                if first is not entity:
                    problems.append(_twice(kind, identifier, first=first, second=entity))
    return entities


def _twice(kind: str, identifier: str, *, first: Entity, second: Entity) -> Problem:
    return Problem(
        "duplicate-mac" if kind == "phone" else "duplicate-id",
        mark(second, key=True),
        f'{kind} "{identifier}" stands twice: first at {mark(first, key=True)}',
        path=second.key or "",
        hint="remove one of the two" + ("" if kind == "phone" else ", or give it another id"),
    )


def _fleet(file: InventoryFile, _: str, body: Mapping[str, Any]) -> Fleet:
    get = body.get
    layers = tuple(_model_layer(file, name, layer or {}) for name, layer in get("models", _NONE).items())
    return Fleet(
        file,
        None,
        dialect=get("dialect", "guide"),
        sip=_sip(get("sip")),
        language=get("language"),
        utc_offset=get("utc_offset"),
        phonebooks=_optional_tuple(get("phonebooks")),
        settings=get("settings", _NONE),
        unchecked=get("settings_unchecked", _NONE),
        retired=get("retired", _NONE),
        vars=get("vars", _NONE),
        models={layer.name: layer for layer in layers},
        model_layers=layers,
        environments={name: _environment(file, name, one) for name, one in get("environments", _NONE).items()},
        default_environment=get("default_environment"),
        secrets=get("secrets", _NONE),
        checks=get("checks", _NONE),
    )


def _model_layer(file: InventoryFile, name: str, body: Mapping[str, Any]) -> ModelLayer:
    model = find_model(name)
    return ModelLayer(
        file,
        None,
        name=model.name if model else name,
        dialect=body.get("dialect"),
        settings=body.get("settings", _NONE),
        unchecked=body.get("settings_unchecked", _NONE),
        spelled=name,
    )


def _environment(file: InventoryFile, name: str, body: Mapping[str, Any]) -> Environment:
    get = body.get
    return Environment(
        file,
        None,
        name=name,
        url=get("url"),
        layout=get("layout", "flat"),
        phones=get("phones", _NONE),
        pin=get("pin", False),
        username=get("username"),
        password=get("password"),
        secrets=get("secrets", _NONE),
        accept=frozenset(get("accept", ())),
    )


def _site(file: InventoryFile, key: str, body: Mapping[str, Any]) -> Site:
    get = body.get
    return Site(
        file,
        key,
        id=key,
        description=get("description"),
        time_zone=get("time_zone"),
        utc_offset=get("utc_offset"),
        language=get("language"),
        dialect=get("dialect"),
        sip=_sip(get("sip")),
        phonebooks=_optional_tuple(get("phonebooks")),
        settings=get("settings", _NONE),
        unchecked=get("settings_unchecked", _NONE),
        vars=get("vars", _NONE),
    )


def _profile(file: InventoryFile, key: str, body: Mapping[str, Any]) -> Profile:
    get = body.get
    return Profile(
        file,
        key,
        id=key,
        language=get("language"),
        phonebooks=_optional_tuple(get("phonebooks")),
        keys=_keys(get("keys")),
        settings=get("settings", _NONE),
        unchecked=get("settings_unchecked", _NONE),
        vars=get("vars", _NONE),
    )


def _account(file: InventoryFile, key: str, body: Mapping[str, Any]) -> Account:
    get = body.get
    return Account(
        file,
        key,
        key,
        _shared(get("site")),
        body["extension"],
        get("display_name"),
        get("label"),
        get("auth_name"),
        body["password"],
        get("max_phones", 1),
        _sip(get("sip")),
    )


def _phone(file: InventoryFile, key: str, body: Mapping[str, Any]) -> Phone:
    get = body.get
    model = find_model(body["model"])
    return Phone(
        file,
        key,
        key if _is_canonical(key) else parse_mac(key) or key,
        model.name if model else body["model"],
        _shared(get("site")),
        tuple(get("profiles", ())),
        get("label"),
        tuple(get("accounts", ())),
        _keys(get("keys")),
        get("settings", _NONE),
        get("settings_unchecked", _NONE),
        get("vars", _NONE),
        get("retired", False),
        get("dialect"),
        get("language"),
        _optional_tuple(get("phonebooks")),
    )


def _phonebook(file: InventoryFile, key: str, body: Mapping[str, Any]) -> Phonebook:
    accounts = body.get("from_accounts", False)
    return Phonebook(
        file,
        key,
        id=key,
        title=body.get("title"),
        from_accounts=accounts is not False,
        account_sites=tuple(accounts.get("sites", ())) if isinstance(accounts, dict) else (),
        contacts=tuple(Contact(one["name"], one["numbers"]) for one in body.get("contacts", ())),
    )


_is_canonical = re.compile("[0-9a-f]{12}").fullmatch


def _shared(text: str | None) -> str | None:
    """The one copy of a text that many entities have: at 100,000 phones copies are most of the memory."""
    return text if text is None else sys.intern(text)


_NO_SIP = Sip()
_NO_KEYS: Mapping[int, KeyPlan] = {}


def _sip(body: Mapping[str, Any] | None) -> Sip:
    return Sip(**body) if body else _NO_SIP


def _keys(body: Mapping[str, Mapping[str, Any]] | None) -> Mapping[int, KeyPlan]:
    return {int(number): plan_key(key) for number, key in body.items()} if body else _NO_KEYS


def _optional_tuple(value: list[str] | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(value)


_BUILDERS: Mapping[str, Callable[[InventoryFile, str, Mapping[str, Any]], Entity]] = {
    "fleet": _fleet,
    "site": _site,
    "profile": _profile,
    "account": _account,
    "phone": _phone,
    "phonebook": _phonebook,
}
