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

from offhook.facts import Facts
from offhook.flyingvoice.catalogue import find_model
from offhook.flyingvoice.keys import plan_key
from offhook.index import facts_of
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
from offhook.problem import Mark, Problem, unpack_problems
from offhook.secrets.names import SecretNames, link_names, no_names
from offhook.source import FLEET_FILE, INVENTORY, InventoryFile, Source
from offhook.store import Store

E = TypeVar("E", bound=Entity)
_NONE: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Loaded:
    """One file, read: its entities, the ids of those that were wrong, whether all of it could be read, its problems."""

    file: InventoryFile
    entities: list[Entity]
    wrong: list[str]
    broken: bool
    problems: list[Problem]


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything the fleet's files say, linked by id. Phones are keyed by MAC, sorted.

    `extensions` gives extension -> accounts (one a SIP server), in the order of files.
    `suspect` has, by kind, the ids that stand in the files but could not be understood. `broken` has the
    kinds of which a whole file could not be read: nothing can be said about what is missing there.
    """

    fleet: Fleet
    sites: Mapping[str, Site]
    profiles: Mapping[str, Profile]
    accounts: Mapping[str, Account]
    phones: Mapping[str, Phone]
    phonebooks: Mapping[str, Phonebook]
    extensions: Callable[[], Mapping[str, list[Account]]]
    secret_names: SecretNames
    suspect: Mapping[str, frozenset[str]]
    broken: frozenset[str]

    def is_known(self, kind: str, identifier: str) -> bool:
        """Tell whether `identifier` may be meant to exist although it is not among the entities of its kind."""
        return kind in self.broken or identifier in self.suspect.get(kind, ())


def load(source: Source, store: Store | None = None, *, processes: int = 1) -> tuple[Inventory, list[Problem]]:
    """Return the inventory of a source, and the problems of reading, validating and linking it.

    With a store, files that it knows are not read again.
    """
    problems = list(source.problems)
    files = [file for file in source.files if file.kind != "secret"]
    loaded = facts_of(files, store, keep=_loaded, processes=processes)
    for one in loaded:
        problems.extend(one.problems)
    fleet = next((one for file in loaded for one in file.entities if isinstance(one, Fleet)), None)
    if fleet is None and not any(file.kind == "fleet" for file in files):
        path = f"{INVENTORY}/{FLEET_FILE}"
        problems.append(Problem("no-fleet", Mark(path, 1, 1), f"there is no {path}"))
    names = no_names()
    if fleet is not None and is_sops(fleet):
        secret_files = [file for file in source.files if file.kind == "secret"]
        read = facts_of(secret_files, store, keep=lambda file, facts: (file.path, facts), processes=processes)
        problems.extend(problem for _, facts in read for problem in unpack_problems(facts.problems))
        names, more = link_names((path, facts.secrets()) for path, facts in read)
        problems.extend(more)
    inventory, more = _link(loaded, fleet, names)
    problems.extend(more)
    return inventory, problems


def _loaded(file: InventoryFile, facts: Facts) -> Loaded:
    entities = [build(file, key, body) for key, body in facts.entities.items()]
    return Loaded(file, entities, facts.wrong, facts.broken, unpack_problems(facts.problems))


def build(file: InventoryFile, key: str, body: Mapping[str, Any]) -> Entity:
    """Return the entity that a file has under a key, from its plain data."""
    return _BUILDERS[file.kind](file, key, body)


def no_fleet() -> Fleet:
    """Return the fleet of an inventory without fleet.yaml: nothing is said."""
    return _fleet(InventoryFile(f"{INVENTORY}/{FLEET_FILE}", "fleet", "", bytes), "fleet", _NONE)


def is_sops(fleet: Fleet) -> bool:
    """Tell whether some secrets come from SOPS files: the default, for the fleet or one of its environments."""
    providers = [fleet.secrets, *(one.secrets for one in fleet.environments.values() if one.secrets)]
    return any(one.get("provider", "sops") == "sops" for one in providers)


def _link(loaded: list[Loaded], fleet: Fleet | None, names: SecretNames) -> tuple[Inventory, list[Problem]]:
    problems: list[Problem] = []
    suspect: dict[str, set[str]] = {}
    broken = {one.file.kind for one in loaded if one.broken} | ({"fleet"} if fleet is None else set())
    for one in loaded:
        if one.wrong:
            suspect.setdefault(one.file.kind, set()).update(parse_mac(key) or key for key in one.wrong)
    accounts = _collect("account", Account, loaded, problems)
    phones = _collect("phone", Phone, loaded, problems)
    return Inventory(
        fleet=fleet or no_fleet(),
        sites=_collect("site", Site, loaded, problems),
        profiles=_collect("profile", Profile, loaded, problems),
        accounts=accounts,
        phones=dict(sorted(phones.items())),
        phonebooks=_collect("phonebook", Phonebook, loaded, problems),
        extensions=lambda: _by_extension(accounts),
        secret_names=names,
        suspect={kind: frozenset(ids) for kind, ids in suspect.items()},
        broken=frozenset(broken),
    ), problems


def _by_extension(accounts: Mapping[str, Account]) -> dict[str, list[Account]]:
    found: dict[str, list[Account]] = {}
    for one in accounts.values():
        found.setdefault(one.extension, []).append(one)
    return found


def _collect(kind: str, entity_type: type[E], loaded: Iterable[Loaded], problems: list[Problem]) -> dict[str, E]:
    """Every entity of a kind by its id; the first in the order of files wins, a second one is a problem."""
    entities: dict[str, E] = {}
    for one in loaded:
        if one.file.kind == kind:
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
        limits=get("limits", _NONE),
        notify=get("notify", _NONE),
        signing=get("signing", _NONE),
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
        publish=get("publish"),
        state=get("state"),
        worktree=get("worktree", False),
        limits=get("limits", _NONE),
        connection=get("connection", _NONE),
        notify=get("notify", _NONE),
        cache_control=get("cache_control", "no-cache"),
        cloudfront=get("cloudfront"),
        serve=get("serve", _NONE),
        rollout=get("rollout", _NONE),
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
        subnets=tuple(get("subnets", ())),
        maintenance=get("maintenance", _NONE),
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
