"""One revision's inventory, looked up by id: only the files that are asked about are opened.

Comes in: a Snapshot, and a Store that has all its files. Goes out: an `Inventory` like the one that
`offhook.inventory.load` makes, entity for entity; its mappings read when they are asked. Where an id stands
twice, the first in the order of files wins, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, TypeVar

from offhook.facts import WITH_ERRORS, Facts
from offhook.git.repository import Git
from offhook.index import complete, facts_of
from offhook.inventory import Inventory, build, no_fleet
from offhook.links import name_of
from offhook.mac import parse_mac
from offhook.model import Account, Entity, Fleet
from offhook.secrets.names import SecretFile, no_names
from offhook.source import FLEET_FILE, FOLDERS, INVENTORY, Snapshot, kind_of
from offhook.store import Place, Store

V = TypeVar("V")


class Lookup(Mapping[str, V]):
    """A mapping from id that finds a value when it is asked for it, and lists its ids only where somebody iterates."""

    def __init__(self, find: Callable[[str], V | None], ids: Callable[[], list[str]]) -> None:
        """Take how to find one value, and how to list all ids in order."""
        self._find = find
        self._ids = ids
        self._found: dict[str, V | None] = {}

    def __getitem__(self, key: str) -> V:
        """Return the value of an id. Raises KeyError."""
        if key not in self._found:
            self._found[key] = self._find(key)
        value = self._found[key]
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        """Yield every id."""
        return iter(self._ids())

    def __len__(self) -> int:
        """Return how many ids there are."""
        return len(self._ids())


class View:
    """An inventory at one snapshot. `inventory` resolves phones; `entities` and `sealed` answer for single ids."""

    def __init__(self, snapshot: Snapshot, store: Store, git: Git | None, *, processes: int = 1) -> None:
        """Bring the store up to the snapshot."""
        self.snapshot = snapshot
        self._store = store
        self._processes = processes
        self._entities: dict[tuple[Place, str], Entity] = {}
        complete(snapshot, store, git=git, processes=processes)

    @cached_property
    def inventory(self) -> Inventory:
        """Return the inventory. Secrets' names are not among it: `sealed` has those."""

        def lookup(kind: str) -> Lookup[Any]:
            return Lookup(lambda key: self._entity(kind, key), lambda: self._ids(kind))

        fleet = self._entity("fleet", "fleet")
        return Inventory(
            fleet=fleet if isinstance(fleet, Fleet) else no_fleet(),
            sites=lookup("site"),
            profiles=lookup("profile"),
            accounts=lookup("account"),
            phones=lookup("phone"),
            phonebooks=lookup("phonebook"),
            extensions=lambda: Lookup(self._at_extension, list),
            secret_names=no_names(),
            suspect={},
            broken=frozenset(),
        )

    def places(self, name: str) -> list[Place]:
        """Return the files of this snapshot that may define or use a name (see `Store.where`), sorted by path."""
        return sorted(place for place in self._store.where(name) if self.snapshot.blob_of(place[0]) == place[1])

    def facts(self, place: Place) -> Facts:
        """Return what a file of this snapshot says."""
        try:
            return self._store.facts(place)
        except KeyError:
            # a file with a password in the clear, which no store keeps
            return facts_of([self.snapshot.file(*place)], self._store, keep=lambda _, facts: facts)[0]

    def entity(self, place: Place, key: str) -> Entity:
        """Return the entity under a key, as spelled, of a file of this snapshot."""
        found = self._entities.get((place, key))
        if found is None:
            file = self.snapshot.file(*place)
            found = self._entities[place, key] = build(file, key, self.facts(place).entities[key])
        return found

    def body(self, kind: str, key: str) -> Mapping[str, Any] | None:
        """Return an entity as plain data, None where there is none. The fleet's key is "fleet"."""
        found = self._find(kind, key)
        return None if found is None else self.facts(found[0]).entities[found[1]]

    def sealed(self, name: str) -> tuple[str, SecretFile] | None:
        """Return the path and content of the secrets file that has a name, None where no file has it."""
        for place in self.places(f"=secret/{name}"):
            secrets = self.facts(place).secrets()
            if name in secrets.rows:
                return place[0], secrets
        return None

    def files_with_errors(self) -> list[Place]:
        """Return the files of this snapshot that could not be understood wholly, sorted by path."""
        return [place for place in self.places(WITH_ERRORS) if self.facts(place).has_errors]

    def fleet_place(self) -> Place | None:
        """Return where fleet.yaml stands, None where there is none."""
        path = f"{INVENTORY}/{FLEET_FILE}"
        blob = self.snapshot.blob_of(path)
        return None if blob is None else (path, blob)

    def _entity(self, kind: str, key: str) -> Entity | None:
        found = self._find(kind, key)
        return None if found is None else self.entity(*found)

    def _find(self, kind: str, key: str) -> tuple[Place, str] | None:
        """Where an entity stands, and its key as spelled there."""
        if kind == "fleet":
            place = self.fleet_place()
            return (place, kind) if place and self.facts(place).entities else None
        for place in self.places(f"={name_of(kind, key)}"):
            if kind_of(place[0]) != kind:
                continue
            for spelled in self.facts(place).entities:
                if spelled == key or (kind == "phone" and parse_mac(spelled) == key):
                    return place, spelled
        return None

    def _at_extension(self, extension: str) -> list[Account] | None:
        found: dict[str, Account] = {}
        for place in self.places(f"=watch/{extension}"):
            for key, body in self.facts(place).entities.items():
                account = self.inventory.accounts.get(key) if body.get("extension") == extension else None
                # where the id stands twice, only the first one is the account
                if account is not None and account.extension == extension:
                    found[key] = account
        return list(found.values()) or None

    def _ids(self, kind: str) -> list[str]:
        """Every id of a kind, in the order of files; phones sorted by MAC."""
        folder = next(name for name, one in FOLDERS.items() if one == kind)
        prefix = f"{INVENTORY}/{folder}/"
        places = sorted((path, blob) for path, blob in self.snapshot.entries() if blob and path.startswith(prefix))
        files = [self.snapshot.file(*place) for place in places if kind_of(place[0]) == kind]
        keys = [key for one in facts_of(files, self._store, keep=lambda _, facts: list(facts.entities)) for key in one]
        if kind == "phone":
            return sorted({parse_mac(key) or key for key in keys})
        return list(dict.fromkeys(keys))
