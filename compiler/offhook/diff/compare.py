"""Two inventories of one phone, compared: every parameter that differs, and what that means for the phone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from offhook.diff.change import ADDED, CHANGED, REMOVED, UNKNOWN, Change, Move, PhoneChange, Side
from offhook.flyingvoice.catalogue import find
from offhook.flyingvoice.cfg import in_order
from offhook.inventory import Inventory
from offhook.layers import Said
from offhook.model import Environment, Phone
from offhook.secrets.changes import secret_change
from offhook.secrets.reference import PREFIX
from offhook.settings import Resolver, belongs_to
from offhook.view import View

_SLOT = "account."


@dataclass(slots=True)
class SideOfDiff:
    """One of the two inventories, and the environment that its phones are resolved for.

    `exists` is False where the environment was asked for by name, and this inventory has none of that name.
    """

    view: View
    inventory: Inventory
    environment: Environment | None
    exists: bool
    resolver: Resolver

    def phone(self, mac: str) -> Phone | None:
        """Return a phone that belongs to the environment."""
        phone = self.inventory.phones.get(mac) if self.exists else None
        return phone if phone is not None and belongs_to(self.environment)(phone) else None


def make_side(view: View, inventory: Inventory, name: str | None) -> SideOfDiff:
    """Return one side, for the environment called `name`, or the default one."""
    environments = inventory.fleet.environments
    chosen = name if name is not None else inventory.fleet.default_environment
    if chosen is None and len(environments) == 1:
        chosen = next(iter(environments))
    environment = environments.get(chosen) if chosen else None
    exists = name is None or environment is not None
    return SideOfDiff(view, inventory, environment, exists, Resolver(inventory, environment))


def common_file_changes(old: SideOfDiff, new: SideOfDiff) -> list[str]:
    """Return the parameters that differ in the common file, which phones fetch that are not in the inventory."""
    sides = []
    for side in (old, new):
        layer = side.resolver.bases.layer(side.inventory.fleet.dialect, "fleet")
        sides.append(layer.shared_values() if layer is not None else {})
    was, now = sides
    return in_order({name for name in was.keys() | now.keys() if was.get(name) != now.get(name)})


class Difference(NamedTuple):
    """Which parameters differ on one phone: plain data, for whichever process wants it.

    `perhaps` are those whose secret kept its name, and may have another value.
    """

    mac: str
    parameters: list[str]
    perhaps: list[str]


def find_difference(old: SideOfDiff, new: SideOfDiff, mac: str, names: frozenset[str]) -> Difference | None:
    """Return which parameters differ on one phone, None where none does. `names` differ between the inventories."""
    before, after = old.phone(mac), new.phone(mac)
    if before is None and after is None:
        return None
    was = old.resolver.resolve(before).values if before else {}
    now = new.resolver.resolve(after).values if after else {}
    parameters = [name for name, value in was.items() if now.get(name) != value]
    parameters += [name for name in now if name not in was]
    perhaps = [
        name
        for name, value in now.items()
        if value.startswith(PREFIX) and was.get(name) == value and f"secret/{value[len(PREFIX) :]}" in names
    ]
    if before and after and not parameters and not perhaps:
        return None
    return Difference(mac, parameters, perhaps)


def describe(old: SideOfDiff, new: SideOfDiff, found: Difference) -> PhoneChange | None:
    """Return what a difference is: both values of each parameter, who says them, and what that means."""
    before, after = old.phone(found.mac), new.phone(found.mac)
    shown = after or before
    assert shown is not None
    parameters = in_order({*found.parameters, *found.perhaps})
    was = old.resolver.who_says(before, parameters) if before else {}
    now = new.resolver.who_says(after, parameters) if after else {}
    secrets = {name: sealed_change(old, new, now[name].value) for name in found.perhaps}
    changes = [
        _change(name, was.get(name), now.get(name), secrets.get(name, ""))
        for name in parameters
        if name not in secrets or secrets[name]
    ]
    status = CHANGED if before and after else ADDED if after else REMOVED
    if status == CHANGED and not changes:
        return None
    if before and any(change.cutoff and change.parameter.startswith(_SLOT) for change in changes):
        changes = _without_unused_slots(old, before, changes)
    return PhoneChange(
        found.mac,
        status,
        shown.model,
        shown.site,
        retires=bool(before and after and after.retired and not before.retired),
        was_retired=bool(before and before.retired),
        changes=tuple(changes),
        moves=_moves(before, after) if before and after else (),
    )


def moved(old: SideOfDiff, new: SideOfDiff, mac: str) -> PhoneChange | None:
    """Return a phone that is there on both sides, as one that no setting changes on; None where it is not."""
    before, after = old.phone(mac), new.phone(mac)
    if before is None or after is None:
        return None
    return PhoneChange(mac, CHANGED, after.model, after.site, False, before.retired, (), moves=_moves(before, after))


def _moves(before: Phone, after: Phone) -> tuple[Move, ...]:
    """What a phone is and where it stands, where that was something else."""
    found = (Move("model", before.model, after.model), Move("site", before.site or "", after.site or ""))
    return tuple(one for one in found if one.old != one.new)


def sealed_change(old: SideOfDiff, new: SideOfDiff, value: str) -> str:
    """Return whether the secret that a value names is another one: see `secret_change`."""
    secret = value[len(PREFIX) :]
    return secret_change(secret, old.view.sealed(secret), new.view.sealed(secret))


def _change(name: str, before: Said | None, after: Said | None, secret: str) -> Change:
    found = find(name)
    return Change(
        name,
        _side(before),
        _side(after),
        secret,
        restart=found.parameter.reboot if found else UNKNOWN,
        # what is no longer said stays as it is on the phone
        cutoff=bool(found and found.parameter.cutoff and after is not None),
    )


def _side(said: Said | None) -> Side | None:
    return None if said is None else Side(said.value, said.layer, said)


def _without_unused_slots(old: SideOfDiff, before: Phone, changes: list[Change]) -> list[Change]:
    """The changes; what is said of account slots that the phone did not use cuts nothing off."""
    used = {
        f"{_SLOT}{slot}."
        for slot, _ in enumerate(() if before.retired else before.accounts, start=1)
        if slot <= old.resolver.bases.of(before).model.accounts_max
    }
    return [
        replace(one, cutoff=False)
        if one.parameter.startswith(_SLOT) and not one.parameter.startswith(tuple(used))
        else one
        for one in changes
    ]
