"""Two inventories of one phone, compared: every parameter that differs, and what that means for the phone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from offhook.diff.change import ADDED, CHANGED, REMOVED, UNKNOWN, Change, PhoneChange, Side
from offhook.flyingvoice.catalogue import find
from offhook.flyingvoice.cfg import in_order
from offhook.inventory import Inventory
from offhook.layers import Said
from offhook.model import Environment, Phone
from offhook.secrets.changes import secret_change
from offhook.secrets.reference import PREFIX
from offhook.settings import Resolver, belongs_to
from offhook.view import View


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


def compare_phone(old: SideOfDiff, new: SideOfDiff, mac: str, names: frozenset[str]) -> PhoneChange | None:
    """Return what differs on one phone, None where nothing does. `names` is what differs between the inventories."""
    before, after = old.phone(mac), new.phone(mac)
    shown = after or before
    if shown is None:
        return None
    was = old.resolver.resolve(before).values if before else {}
    now = new.resolver.resolve(after).values if after else {}
    secrets = _secret_changes(old, new, was, now, names)
    differing = {name for name in was.keys() | now.keys() if was.get(name) != now.get(name)} | secrets.keys()
    status = CHANGED if before and after else ADDED if after else REMOVED
    if status == CHANGED and not differing:
        return None
    said_before = old.resolver.trace(before) if before else {}
    said_after = new.resolver.trace(after) if after else {}
    changes = tuple(
        _change(name, said_before.get(name), said_after.get(name), secrets.get(name, ""))
        for name in in_order(differing)
    )
    was_off = _slots_off(was)
    return PhoneChange(
        mac,
        status,
        shown.model,
        shown.site,
        retires=bool(before and after and after.retired and not before.retired),
        was_retired=bool(before and before.retired),
        changes=tuple(_without_cutoff(one, was_off) for one in changes),
    )


def _secret_changes(
    old: SideOfDiff, new: SideOfDiff, was: dict[str, str], now: dict[str, str], names: frozenset[str]
) -> dict[str, str]:
    """Parameters whose secret kept its name, and not its sealed value."""
    found = {}
    for name, value in now.items():
        if not value.startswith(PREFIX) or was.get(name) != value:
            continue
        secret = value[len(PREFIX) :]
        if f"secret/{secret}" in names:
            state = secret_change(secret, old.view.sealed(secret), new.view.sealed(secret))
            if state:
                found[name] = state
    return found


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


def _slots_off(values: dict[str, str]) -> set[str]:
    """The prefixes of account slots that the phone does not use: what is said of them disconnects nothing."""
    enabled = {name.removesuffix(".enable"): value for name, value in values.items() if _is_slot_switch(name)}
    return {prefix for prefix, value in enabled.items() if value == "0"}


def _is_slot_switch(name: str) -> bool:
    return name.startswith("account.") and name.endswith(".enable") and name.count(".") == 2


def _without_cutoff(change: Change, slots_off: set[str]) -> Change:
    is_off = any(change.parameter.startswith(f"{prefix}.") for prefix in slots_off)
    return replace(change, cutoff=False) if is_off and change.cutoff else change


def kept(phone: PhoneChange) -> Iterator[Change]:
    """Yield what a phone keeps although nothing says it any more: there is no line that would clear it."""
    if phone.status == CHANGED:
        yield from (change for change in phone.changes if change.new is None)
