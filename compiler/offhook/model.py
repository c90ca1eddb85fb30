"""The inventory's nouns as frozen data: fleet, environment, site, profile, account, phone, phonebook.

Values are as the user wrote them (canonical types, schema-valid), not yet inherited or defaulted. Each
entity knows the file and the key it stands under, so that `mark` finds line and column of any value in it.
Settings keep the spelling the user chose; `offhook.flyingvoice.catalogue` knows both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from offhook.document import Document, mark_of, parse
from offhook.problem import Mark
from offhook.source import InventoryFile

Text = Mapping[str, str]


class KeyPlan(NamedTuple):
    """What one line key shall be, before the phone is known: its word, the word's value, and the options beside it."""

    word: str
    type: str
    value: str | None
    label: str | None
    line: int | None
    pickup: str | None


@dataclass(frozen=True, slots=True)
class Entity:
    """What every entity has: the file it stands in, and its key there (None for the fleet: the whole file)."""

    file: InventoryFile
    key: str | None


class Sip(NamedTuple):
    """The words under `sip:`; None where nothing is said. `transport` is udp, tcp, tls or dns-srv."""

    server: str | None = None
    port: int | None = None
    transport: str | None = None
    outbound_proxy: str | None = None
    outbound_proxy_port: int | None = None


@dataclass(frozen=True, slots=True)
class ModelLayer(Entity):
    """What the fleet says for one model. `name` is canonical (FIP14G); `spelled` is how fleet.yaml writes it."""

    name: str
    spelled: str
    dialect: str | None
    settings: Text
    unchecked: Text


@dataclass(frozen=True, slots=True)
class Environment(Entity):
    """Where a tree is for: the address phones fetch from, its layout, which phones belong to it, and where it goes.

    `publish` and `state` are addresses of roots; `connection` is how they are reached; `serve` is whom a lab server
    admits; `notify` is how its phones are told to fetch, empty where fleet.yaml's counts.
    """

    name: str
    url: str | None
    layout: str
    phones: Mapping[str, Any]
    pin: bool
    username: str | None
    password: str | None
    secrets: Mapping[str, Any]
    accept: frozenset[str]
    publish: str | None
    state: str | None
    worktree: bool
    limits: Mapping[str, Any]
    connection: Mapping[str, Any]
    notify: Mapping[str, Any]
    cache_control: str
    cloudfront: str | None
    serve: Mapping[str, Any]
    rollout: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fleet(Entity):
    """fleet.yaml: the defaults for every phone, and what differs by model and environment."""

    dialect: str
    sip: Sip
    language: str | None
    utc_offset: str | None
    phonebooks: tuple[str, ...] | None
    settings: Text
    unchecked: Text
    retired: Text
    vars: Text
    models: Mapping[str, ModelLayer]
    model_layers: tuple[ModelLayer, ...]
    environments: Mapping[str, Environment]
    default_environment: str | None
    secrets: Mapping[str, Any]
    checks: Text
    limits: Mapping[str, Any]
    notify: Mapping[str, Any]
    signing: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Site(Entity):
    """A place where phones stand; `subnets` are its phones' IPv4 networks, as written.

    `maintenance` is when they may be changed: days, from, to, in the site's time.
    """

    id: str
    description: str | None
    time_zone: str | None
    utc_offset: str | None
    language: str | None
    dialect: str | None
    sip: Sip
    phonebooks: tuple[str, ...] | None
    settings: Text
    unchecked: Text
    vars: Text
    subnets: tuple[str, ...]
    maintenance: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Profile(Entity):
    """Reusable settings and a key layout."""

    id: str
    language: str | None
    phonebooks: tuple[str, ...] | None
    keys: Mapping[int, KeyPlan]
    settings: Text
    unchecked: Text
    vars: Text


@dataclass(frozen=True, slots=True)
class Account(Entity):
    """A SIP account. `password` is a secret reference ("secret:berlin/alice")."""

    id: str
    site: str | None
    extension: str
    display_name: str | None
    label: str | None
    auth_name: str | None
    password: str
    max_phones: int
    sip: Sip


@dataclass(frozen=True, slots=True)
class Phone(Entity):
    """A desk phone. `mac` is canonical; `model` is canonical; `accounts` are slots 1, 2, ... in order."""

    mac: str
    model: str
    site: str | None
    profiles: tuple[str, ...]
    label: str | None
    accounts: tuple[str, ...]
    keys: Mapping[int, KeyPlan]
    settings: Text
    unchecked: Text
    vars: Text
    retired: bool
    dialect: str | None
    language: str | None
    phonebooks: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Contact:
    """A person or place in a phonebook. `numbers` is kind (office, mobile, other) -> number, in the order written."""

    name: str
    numbers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Phonebook(Entity):
    """Contacts of its own and, perhaps, the fleet's accounts: all of them, or those of `account_sites`."""

    id: str
    title: str | None
    from_accounts: bool
    account_sites: tuple[str, ...]
    contacts: tuple[Contact, ...]


def mark(entity: Entity, *path: str | int, key: bool = False) -> Mark:
    """Return where the value at `path` inside the entity stands, or with `key` the last mapping key of `path`.

    Where the path does not exist, the nearest value around it. `mark(entity, key=True)` is the entity's own id.
    """
    full = path if entity.key is None else (entity.key, *path)
    return mark_of(_document(entity.file), full, key=key)


@lru_cache(maxsize=64)
def _document(file: InventoryFile) -> Document:
    """A file's marks, read once more: few files are asked, and keeping every mark would double the memory."""
    return parse(file.path, file.content)[0]
