"""Validated documents become one typed Inventory; ids that stand twice are found here.

Comes in: a Source. Goes out: an Inventory of everything that could be understood, and the Problems of
everything that could not. An entity that is wrong is left out, but its id stays known (`suspect`), so
that one mistake is reported once and does not hide or cause others.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from offhook.document import Document, parse
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
    """One file, parsed and validated: its document, its typed valid entities by id as spelled, its problems."""

    kind: str
    document: Document
    entities: dict[str, Any]
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
    loaded = map_in_processes(_load_file, files, processes=processes, pack=_pack, unpack=_unpack)
    for one in loaded:
        problems.extend(one.problems)
    inventory, more = _link(loaded, [file for file in source.files if file.kind == "secret"])
    problems.extend(more)
    return inventory, problems


def _load_file(file: InventoryFile) -> Loaded:
    document, problems = parse(file.path, file.content)
    entities, more = validate(file.kind, document)
    # where the reader refused something, what the schema says about the hole it left is no news
    refused = {problem.mark for problem in problems}
    return Loaded(file.kind, document, entities, problems + [one for one in more if one.mark not in refused])


def _link(loaded: list[Loaded], secret_files: list[InventoryFile]) -> tuple[Inventory, list[Problem]]:
    problems: list[Problem] = []
    suspect: dict[str, set[str]] = {}
    broken = {one.kind for one in loaded if one.document.broken}
    by_kind: dict[str, list[Loaded]] = {}
    for one in loaded:
        by_kind.setdefault(one.kind, []).append(one)
        if one.kind != "fleet" and len(one.entities) != len(one.document.value):
            wrong = one.document.value.keys() - one.entities.keys()
            suspect.setdefault(one.kind, set()).update(parse_mac(key) or key for key in wrong)

    def collect(kind: str, build: Callable[[Document, str, Mapping[str, Any]], E]) -> dict[str, E]:
        return _collect(kind, by_kind.get(kind, []), build, problems)

    fleet = _fleet(by_kind.get("fleet", []), problems)
    if not any(one.entities for one in by_kind.get("fleet", [])):
        broken.add("fleet")
    phones = collect("phone", _phone)
    is_sops = fleet.secrets.get("provider", "sops") == "sops" and "fleet" not in broken
    names, secret_problems = read_names(secret_files) if is_sops else (no_names(), [])
    problems.extend(secret_problems)
    return Inventory(
        fleet=fleet,
        sites=collect("site", _site),
        profiles=collect("profile", _profile),
        accounts=collect("account", _account),
        phones=dict(sorted(phones.items())),
        phonebooks=collect("phonebook", _phonebook),
        secret_names=names,
        suspect={kind: frozenset(ids) for kind, ids in suspect.items()},
        broken=frozenset(broken),
    ), problems


def _collect(
    kind: str,
    loaded: Iterable[Loaded],
    build: Callable[[Document, str, Mapping[str, Any]], E],
    problems: list[Problem],
) -> dict[str, E]:
    """Every entity of a kind by its id; the first in the order of files wins, a second one is a problem."""
    entities: dict[str, E] = {}
    is_phone = kind == "phone"
    for one in loaded:
        for key, body in one.entities.items():
            entity = build(one.document, key, body)
            identifier = entity.mac if is_phone else key  # type: ignore[attr-defined]
            if identifier in entities:
                problems.append(_twice(kind, identifier, first=entities[identifier], second=entity))
            else:
                entities[identifier] = entity
    return entities


def _twice(kind: str, identifier: str, *, first: Entity, second: Entity) -> Problem:
    return Problem(
        "duplicate-mac" if kind == "phone" else "duplicate-id",
        mark(second, key=True),
        f'{kind} "{identifier}" stands twice: first at {mark(first, key=True)}',
        path=second.key or "",
        hint="remove one of the two, or give it another id",
    )


def _fleet(loaded: list[Loaded], problems: list[Problem]) -> Fleet:
    if not loaded:
        problems.append(
            Problem("no-fleet", Mark(f"{INVENTORY}/{FLEET_FILE}", 1, 1), f"there is no {INVENTORY}/{FLEET_FILE}")
        )
        document, _ = parse(f"{INVENTORY}/{FLEET_FILE}", b"")
        body = _NONE
    else:
        document, body = loaded[0].document, loaded[0].entities.get("fleet", _NONE)
    get = body.get
    models = (_model_layer(document, name, layer or {}) for name, layer in get("models", _NONE).items())
    return Fleet(
        document,
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
        models={layer.name: layer for layer in models},
        environments={name: _environment(document, name, one) for name, one in get("environments", _NONE).items()},
        default_environment=get("default_environment"),
        secrets=get("secrets", _NONE),
        checks=get("checks", _NONE),
    )


def _model_layer(document: Document, name: str, body: Mapping[str, Any]) -> ModelLayer:
    model = find_model(name)
    return ModelLayer(
        document,
        None,
        name=model.name if model else name,
        dialect=body.get("dialect"),
        settings=body.get("settings", _NONE),
        unchecked=body.get("settings_unchecked", _NONE),
        spelled=name,
    )


def _environment(document: Document, name: str, body: Mapping[str, Any]) -> Environment:
    get = body.get
    return Environment(
        document,
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


def _site(document: Document, key: str, body: Mapping[str, Any]) -> Site:
    get = body.get
    return Site(
        document,
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


def _profile(document: Document, key: str, body: Mapping[str, Any]) -> Profile:
    get = body.get
    return Profile(
        document,
        key,
        id=key,
        language=get("language"),
        phonebooks=_optional_tuple(get("phonebooks")),
        keys=_keys(get("keys")),
        settings=get("settings", _NONE),
        unchecked=get("settings_unchecked", _NONE),
        vars=get("vars", _NONE),
    )


def _account(document: Document, key: str, body: Mapping[str, Any]) -> Account:
    get = body.get
    return Account(
        document,
        key,
        key,
        get("site"),
        body["extension"],
        get("display_name"),
        get("label"),
        get("auth_name"),
        body["password"],
        get("max_phones", 1),
        _sip(get("sip")),
    )


def _phone(document: Document, key: str, body: Mapping[str, Any]) -> Phone:
    get = body.get
    model = find_model(body["model"])
    return Phone(
        document,
        key,
        parse_mac(key) or key,
        model.name if model else body["model"],
        get("site"),
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


def _phonebook(document: Document, key: str, body: Mapping[str, Any]) -> Phonebook:
    accounts = body.get("from_accounts", False)
    return Phonebook(
        document,
        key,
        id=key,
        title=body.get("title"),
        from_accounts=accounts is not False,
        account_sites=tuple(accounts.get("sites", ())) if isinstance(accounts, dict) else (),
        contacts=tuple(Contact(one["name"], one["numbers"]) for one in body.get("contacts", ())),
    )


_NO_SIP = Sip()


def _sip(body: Mapping[str, Any] | None) -> Sip:
    return Sip(**body) if body else _NO_SIP


def _keys(body: Mapping[str, Mapping[str, Any]] | None) -> Mapping[int, KeyPlan]:
    return {int(number): plan_key(key) for number, key in body.items()} if body else {}


def _optional_tuple(value: list[str] | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(value)


def _pack(one: Loaded) -> Any:
    """A Loaded as plain data that marshal carries between processes. Entities are parts of the document's value."""
    document = one.document
    packed = (document.file, document.value, document.marks.tobytes(), document.starts.tobytes(), document.broken)
    valid = None if len(one.entities) == len(document.value) else list(one.entities)
    fleet = one.entities if one.kind == "fleet" else None
    return one.kind, packed, valid, fleet, pack_problems(one.problems)


def _unpack(data: Any) -> Loaded:
    kind, packed, valid, fleet, problems = data
    file, value, marks, starts, broken = packed
    document = Document(file, value, array("Q", marks), array("Q", starts), broken)
    entities = fleet if fleet is not None else value if valid is None else {key: value[key] for key in valid}
    return Loaded(kind, document, entities, unpack_problems(problems))
