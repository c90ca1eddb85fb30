"""What a diff means before it is read: how many phones change, come, go, restart and may be cut off, site by site."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from offhook.diff.change import ADDED, CHANGED, LIKELY, REMOVED, Diff, PhoneChange


class Impact(NamedTuple):
    """How many phones of a site are changed, added, removed, likely to restart, and perhaps cut off."""

    changed: int
    added: int
    removed: int
    restart: int
    cutoff: int


def by_site(diff: Diff) -> list[tuple[str, list[PhoneChange]]]:
    """Return the phones of each site, "" for those without one: the site with most phones first."""
    rows: dict[str, list[PhoneChange]] = {}
    for phone in diff.phones:
        rows.setdefault(phone.site or "", []).append(phone)
    return sorted(rows.items(), key=lambda row: (-len(row[1]), row[0]))


def impact(phones: Sequence[PhoneChange]) -> Impact:
    """Return how many of some phones are changed, added and so on."""
    return Impact(
        sum(phone.status == CHANGED for phone in phones),
        sum(phone.status == ADDED for phone in phones),
        sum(phone.status == REMOVED and not phone.is_unread for phone in phones),
        sum(phone.status == CHANGED and phone.restart == LIKELY for phone in phones),
        sum(phone.cutoff for phone in phones),
    )
