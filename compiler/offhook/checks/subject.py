"""What every check is given: the inventory, the environment, how phones resolve, and perhaps what was before."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from offhook.flyingvoice.catalogue import Model, models
from offhook.inventory import Inventory
from offhook.model import Account, Environment, Phone
from offhook.settings import Resolver
from offhook.source import InventoryFile


@dataclass(frozen=True, slots=True)
class Shape:
    """What phones can have in common. Checks of shared layers ask the few shapes, not the many phones."""

    dialect: str
    model: Model
    site: str | None
    profiles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """The inventory under check, and its files by path.

    `before` is the inventory at the base revision, None where nothing is compared.
    """

    inventory: Inventory
    environment: Environment | None
    resolver: Resolver
    before: Inventory | None
    files: Mapping[str, InventoryFile] = field(default_factory=dict)
    shapes: dict[Shape, int] = field(default_factory=dict)
    users: dict[str, list[Phone]] = field(default_factory=dict)

    def fill(self) -> None:
        """Count the phones of each shape, and list the phones of each account (retired ones use none); one pass."""
        known = models()
        shapes = self.shapes
        made: dict[tuple[object, ...], Shape] = {}
        users = self.users
        for phone in self.inventory.phones.values():
            key = (phone.dialect, phone.model, phone.site, phone.profiles)
            shape = made.get(key)
            if shape is None:
                model = known[phone.model]
                shape = made[key] = Shape(self.resolver.bases.dialect(phone), model, phone.site, phone.profiles)
            if self.is_understood(phone):
                shapes[shape] = shapes.get(shape, 0) + 1
            if not phone.retired:
                for identifier in phone.accounts:
                    users.setdefault(identifier, []).append(phone)

    def is_placed(self, site: str | None) -> bool:
        """Tell whether a site is known, or none is named: what an unknown one would say cannot be judged."""
        return site is None or site in self.inventory.sites

    def is_understood(self, phone: Phone) -> bool:
        """Tell whether everything that a phone inherits from is known."""
        return self.is_placed(phone.site) and all(name in self.inventory.profiles for name in phone.profiles)

    def is_whole(self, phone: Phone) -> bool:
        """Tell whether all that a phone refers to is known, so that what it is told can be judged."""
        inventory = self.inventory
        layers = (inventory.fleet, inventory.sites.get(phone.site or ""), *map(inventory.profiles.get, phone.profiles))
        books = {book for layer in (*layers, phone) if layer is not None for book in layer.phonebooks or ()}
        accounts = self.accounts_of(phone)
        return (
            self.is_understood(phone)
            and len(accounts) == len(phone.accounts)
            and all(self.is_placed(account.site) for account in accounts.values())
            and books <= inventory.phonebooks.keys()
        )

    def has_every_phone(self) -> bool:
        """Tell whether `shapes` has all phones: none of them was misread, or inherits from what is not known."""
        inventory = self.inventory
        is_read = not ("phone" in inventory.broken or inventory.suspect.get("phone"))
        return is_read and sum(self.shapes.values()) == len(inventory.phones)

    def accounts_of(self, phone: Phone) -> dict[int, Account]:
        """Return a phone's accounts by slot; unknown ones are left out."""
        known = self.inventory.accounts
        return {slot: known[one] for slot, one in enumerate(phone.accounts, start=1) if one in known}


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean "x"?)` for the nearest known word, "" where none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f' (did you mean "{near[0]}"?)' if near else ""


def shown(values: Iterable[str], *, limit: int = 3) -> str:
    """Return a short list for a message: "a, b, c and 4 more"."""
    every = list(values)
    head = ", ".join(every[:limit])
    return head if len(every) <= limit else f"{head} and {len(every) - limit} more"


def dotted(*parts: object) -> str:
    """Return a problem's path, "0021f2000001.keys.3"."""
    return ".".join(str(part) for part in parts if part is not None)
