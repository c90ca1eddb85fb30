"""Non-interference: which phones, rules and shared files a change touches outside of what it may touch.

A scope is spelled as a layer is: `sites/berlin`, `profiles/desk`, `models/FIP14G`, `phones/0021f2000001`. A phone is
inside where a scope covers it on each side of the diff on which it is there: one that moves from one site to another
is inside of both together, of neither alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from offhook.diff.change import Outside, PhoneChange, Policy
from offhook.diff.compare import SideOfDiff, moved
from offhook.diff.names import concerns_all, dependent_phones
from offhook.flyingvoice.catalogue import find_model
from offhook.mac import parse_mac
from offhook.model import Phone
from offhook.problem import OffhookError

_KINDS = ("sites", "profiles", "models", "phones")


class Scope(NamedTuple):
    """What a change may touch: a kind (sites, profiles, models, phones) and a name of that kind."""

    kind: str
    name: str

    def covers(self, phone: Phone) -> bool:
        """Tell whether a phone is of this scope."""
        if self.kind == "profiles":
            return self.name in phone.profiles
        return self.name == {"sites": phone.site, "models": phone.model, "phones": phone.mac}[self.kind]


def parse_scope(text: str) -> Scope:
    """Return the scope that a person wrote. Raises OffhookError."""
    kind, slash, name = text.partition("/")
    if kind not in _KINDS or not slash or not name:
        raise OffhookError(
            f'"{text}" is no scope',
            hint="expected sites/ID, profiles/ID, models/NAME or phones/MAC, as diff shows them",
        )
    if kind == "models":
        model = find_model(name)
        if model is None:
            raise OffhookError(f'there is no model "{name}"', hint="docs/inventory.md lists the models")
        return Scope(kind, model.name)
    if kind == "phones":
        mac = parse_mac(name)
        if mac is None:
            raise OffhookError(f'"{name}" is no MAC address: 12 hex digits are expected')
        return Scope(kind, mac)
    return Scope(kind, name)


def check_scopes(scopes: Iterable[Scope], sides: Sequence[SideOfDiff]) -> None:
    """Raise OffhookError for a site or profile that neither side has: a slip, by which every phone would be outside."""
    for one in scopes:
        if one.kind not in ("sites", "profiles"):
            continue
        known = {name for side in sides for name in getattr(side.inventory, one.kind)}
        if one.name not in known:
            near = difflib.get_close_matches(one.name, known, n=3)
            hint = f"near: {', '.join(near)}" if near else ""
            raise OffhookError(f'neither side has "{one.kind}/{one.name}"', hint=hint)


def outside(
    scopes: Sequence[Scope],
    sides: Sequence[SideOfDiff],
    phones: Iterable[PhoneChange],
    *,
    touched: Iterable[str],
    rules: Iterable[Policy],
    common: bool,
    phonebooks: Iterable[str],
) -> Outside:
    """Return what changes outside of the scopes.

    `touched` are the MACs of phones that may differ: one that is inside on one side only goes over to somebody else,
    also where no setting of it changes. `rules` and `common` concern everybody: they are outside of any, but for
    the rules of a site that is a scope.
    `phonebooks` are those whose own entry differs; one is outside where a phone is that has it. What accounts put into
    a phonebook is theirs.
    """
    before, after = sides
    changed = {phone.mac: phone for phone in phones}
    still = [mac for mac in touched if mac not in changed]
    goes = [mac for mac in still if _is_inside(scopes, before, mac) != _is_inside(scopes, after, mac)]
    gone = {mac: phone for mac in goes if (phone := moved(before, after, mac)) is not None}
    every = sorted((changed | gone).items())
    found = tuple(phone for mac, phone in every if not all(_is_inside(scopes, side, mac) for side in sides))
    books = tuple(sorted(book for book in phonebooks if any(_reaches_out(scopes, side, book) for side in sides)))
    number = sum(not rule.site or Scope("sites", rule.site) not in scopes for rule in rules)
    return Outside(tuple(f"{one.kind}/{one.name}" for one in scopes), found, number, common, books)


def _reaches_out(scopes: Sequence[Scope], side: SideOfDiff, book: str) -> bool:
    """Tell whether a phone outside of the scopes has a phonebook; one that the fleet names, all are taken to have."""
    names = frozenset({f"phonebook/{book}"})
    chosen = side.environment.name if side.environment else None
    is_everybodys = concerns_all(side.view, names, chosen)
    macs = side.inventory.phones if is_everybodys else dependent_phones(side.view, names)
    return any(not _is_inside(scopes, side, mac) for mac in macs)


def _is_inside(scopes: Sequence[Scope], side: SideOfDiff, mac: str) -> bool:
    phone = side.phone(mac)
    return phone is None or any(one.covers(phone) for one in scopes)
