"""The line keys of changed phones, before and after: what pictures are made of."""

from __future__ import annotations

from offhook.diff.change import Panels, PhoneChange
from offhook.diff.compare import SideOfDiff
from offhook.flyingvoice.panels import Panel, panel_of

_KEYS = "linekey."


def panels(old: SideOfDiff, new: SideOfDiff, phone: PhoneChange) -> Panels | None:
    """Return a phone's keys on both sides, None where none of them differs."""
    if not any(change.parameter.startswith(_KEYS) for change in phone.changes):
        return None
    before, after = (_panel(side, phone.mac) for side in (old, new))
    if (before is None or not before.keys) and (after is None or not after.keys):
        return None
    return None if before == after else Panels(before, after)


def _panel(side: SideOfDiff, mac: str) -> Panel | None:
    phone = side.phone(mac)
    if phone is None:
        return None
    return panel_of(phone.model, side.resolver.bases.dialect(phone), side.resolver.resolve(phone).values)
