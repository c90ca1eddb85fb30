"""What happened to each line key of a phone between two revisions: the same, added, removed, edited or moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from offhook.flyingvoice.keys import Key
from offhook.flyingvoice.panels import Panel

SAME = "same"
ADDED = "added"
REMOVED = "removed"
EDITED = "edited"
MOVED = "moved"


class Fate(NamedTuple):
    """What happened to a key: SAME, ADDED, REMOVED, EDITED or MOVED, then with the number it has on the other side."""

    what: str
    other: int = 0


def fates(before: Panel | None, after: Panel | None) -> tuple[dict[int, Fate], dict[int, Fate]]:
    """Return what happened to each key before, and what to each key after.

    A key that left its place and stands at one other where it did not stand before has moved.
    """
    was = before.keys if before else {}
    now = after.keys if after else {}
    places: dict[Key, int] = {key: number for number, key in now.items() if was.get(number) != key}
    moved = {number: places.pop(key) for number, key in was.items() if now.get(number) != key and places.get(key)}
    arrived = {target: number for number, target in moved.items()}
    old = {number: _fate_before(number, was, now, moved, arrived) for number in was}
    new = {number: _fate_after(number, was, now, moved, arrived) for number in now}
    return old, new


def _fate_before(
    number: int, was: Mapping[int, Key], now: Mapping[int, Key], moved: Mapping[int, int], arrived: Mapping[int, int]
) -> Fate:
    if now.get(number) == was[number]:
        return Fate(SAME)
    if number in moved:
        return Fate(MOVED, moved[number])
    return Fate(EDITED if number in now and number not in arrived else REMOVED)


def _fate_after(
    number: int, was: Mapping[int, Key], now: Mapping[int, Key], moved: Mapping[int, int], arrived: Mapping[int, int]
) -> Fate:
    if was.get(number) == now[number]:
        return Fate(SAME)
    if number in arrived:
        return Fate(MOVED, arrived[number])
    return Fate(EDITED if number in was and number not in moved else ADDED)
