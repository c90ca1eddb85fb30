"""Which secrets a tree needs, and where the inventory refers to each: known before any phone is resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from offhook.compile import Fleet
from offhook.model import Entity, Phone, mark
from offhook.problem import Mark
from offhook.secrets.reference import PREFIX
from offhook.settings import phones_of


class Place(NamedTuple):
    """Where a reference stands: the entity and the path inside it."""

    entity: Entity
    path: tuple[str | int, ...]


class Places(Mapping[str, Mark]):
    """Name of a secret -> where the inventory refers to it first; a place is looked up when it is asked for."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> Mark:
        place = self._places[name]
        return mark(place.entity, *place.path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def needed_secrets(fleet: Fleet) -> Places:
    """Return the names of the secrets that the phones of the environment are told, or more, but of no other phone."""
    found: dict[str, Place] = {}
    bases = fleet.resolver().bases
    seen: set[int] = set()
    for phone in phones_of(fleet.inventory, fleet.environment):
        for value, place in _own(fleet, phone):
            if value.startswith(PREFIX):
                found.setdefault(value[len(PREFIX) :], place)
        base = bases.of(phone)
        if id(base) not in seen:
            seen.add(id(base))
            for said in base.said.values():
                if said.value.startswith(PREFIX):
                    found.setdefault(said.value[len(PREFIX) :], Place(said.entity, said.path))
    environment = fleet.environment
    if environment is not None and environment.pin and environment.password:
        place = Place(environment, ("environments", environment.name, "password"))
        found.setdefault(environment.password[len(PREFIX) :], place)
    return Places(found)


def _own(fleet: Fleet, phone: Phone) -> Iterator[tuple[str, Place]]:
    for identifier in () if phone.retired else phone.accounts:
        account = fleet.inventory.accounts.get(identifier)
        if account is not None:
            yield account.password, Place(account, ("password",))
    for section, settings in (("settings", phone.settings), ("settings_unchecked", phone.unchecked)):
        for name, value in settings.items():
            yield value, Place(phone, (section, name))
