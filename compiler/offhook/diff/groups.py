"""Equal changes are shown once: phones whose changes are the same form one group.

Two phones are alike where the same parameters change from the same values to the same values, said by the same layers,
and where they went the same way, if they are of another model or at another site; the phone's own layer and its
accounts' count as the same for all. `places_of` tells where they differ, so that the groups together hold all that the
diff does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from offhook.diff.change import CHANGED, Change, PhoneChange, Side

Origin = tuple[str, str, int]
"""A layer, and the file and line at which it speaks."""


@dataclass(frozen=True, slots=True)
class Group:
    """Phones with the same changes, sorted by MAC. `example` is the first of them."""

    phones: tuple[PhoneChange, ...]

    @property
    def example(self) -> PhoneChange:
        """Return the first phone."""
        return self.phones[0]


def groups(phones: Iterable[PhoneChange]) -> list[Group]:
    """Return the changed phones in groups: those that may be cut off first, then the largest first."""
    found: dict[object, list[PhoneChange]] = {}
    for phone in phones:
        if phone.status == CHANGED:
            key = (phone.retires, phone.moves, tuple(_likeness(change) for change in phone.changes))
            found.setdefault(key, []).append(phone)
    made = [Group(tuple(members)) for members in found.values()]
    return sorted(made, key=lambda group: (not group.example.cutoff, -len(group.phones), group.example.mac))


def families(every: Iterable[Group]) -> list[list[Group]]:
    """Return groups that change the same parameters, with values of their own, side by side; in the given order."""
    found: dict[object, list[Group]] = {}
    for group in every:
        changes = group.example.changes
        key = tuple(
            (change.parameter, _layer(change.old), _layer(change.new), bool(change.secret)) for change in changes
        )
        found.setdefault((group.example.retires, group.example.moves, key), []).append(group)
    return list(found.values())


class Variant(NamedTuple):
    """One change of a parameter, and the phones of a family that have it, sorted. `change` is the first one's."""

    change: Change
    macs: list[str]


def variants(family: Iterable[Group], number: int) -> list[Variant]:
    """Return what becomes of the `number`-th parameter of a family: each pair of values once, the most common first."""
    found: dict[object, Variant] = {}
    for group in family:
        for phone in group.phones:
            change = phone.changes[number]
            key = (_text(change.old), _text(change.new), change.secret)
            found.setdefault(key, Variant(change, [])).macs.append(phone.mac)
    made = [Variant(change, sorted(macs)) for change, macs in found.values()]
    return sorted(made, key=lambda one: (-len(one.macs), one.macs[0]))


def origins_of(change: Change) -> tuple[Origin | None, Origin | None]:
    """Return who says the old and the new value, and where."""
    return _origin(change.old), _origin(change.new)


def _origin(side: Side | None) -> Origin | None:
    if side is None:
        return None
    mark = side.mark
    return side.layer, mark.file, mark.line


def _likeness(change: Change) -> tuple[object, ...]:
    old, new = change.old, change.new
    return (
        change.parameter,
        _text(old),
        _layer(old),
        _text(new),
        _layer(new),
        change.secret,
    )


def _text(side: Side | None) -> str | None:
    return side.value if side else None


def _layer(side: Side | None) -> str | None:
    """A layer's name, without the id where it is the phone's own, or an account's."""
    if side is None:
        return None
    kind = side.layer.partition("/")[0]
    return kind if kind in ("phones", "accounts") else side.layer
