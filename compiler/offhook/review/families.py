"""One family of equal or alike changes as lines: what most phones have once, and those that differ with their values.

A family may be of thousands of phones. Of each parameter the common values are shown, and the rare ones with the
phones that have them: an address that one phone in five hundred gets is what a reviewer looks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from click import style

from offhook.diff.change import Change, Side
from offhook.diff.groups import Group, Variant, variants
from offhook.review.words import cutoff, moved, restart, sites, values
from offhook.texts import count, listed, visible

MAX_CHANGES = 30
MAX_VALUES = 12
"""How many values of one parameter are shown: the most common half and the rarest half where there are more."""

_FEW = 6
_EXAMPLES = 2
_WIDEST_VALUE = 60


class _Row(NamedTuple):
    parameter: str
    text: str
    who: str
    place: str


def family_lines(family: Sequence[Group]) -> Iterator[str]:
    """Yield a heading, a line or a few for each parameter, and what the change means."""
    phones = [phone for group in family for phone in group.phones]
    example = family[0].example
    head = count(len(phones), "phone") if len(phones) > 1 else example.mac
    head += ", ".join([sites(phones), *moved(example), *(["retired now"] if example.retires else [])])
    alike = listed(phone.mac for phone in phones) if len(family) == 1 else f"e.g. {example.mac}"
    yield f"{style(head, bold=True)}  {'' if len(phones) == 1 else alike}".rstrip()
    said = [number for number, change in enumerate(example.changes) if change.new is not None]
    # what may cut the phone off is never among what is left out, and what only follows is so before what somebody wrote
    shown = sorted(sorted(said, key=lambda number: weight(example.changes[number]))[:MAX_CHANGES])
    yield from _table([row for number in shown for row in _rows(family, number, len(phones))])
    if len(said) > len(shown):
        yield f"  and {count(len(said) - len(shown), 'parameter')} more"
    kept = [change.parameter for change in example.changes if change.new is None]
    if kept:
        yield style(f"  keeps {listed(kept)}: nothing says it any more", fg="yellow")
    if example.cutoff:
        yield style(f"  {cutoff(example)}", fg="red")
    yield style(f"  {restart(example)}", dim=True)


def weight(change: Change) -> tuple[bool, bool]:
    """Return what is to be said first: what may cut off, then what somebody wrote, then what follows from it."""
    return not change.cutoff, change.new is not None and change.new.follows


def _table(rows: list[_Row]) -> Iterator[str]:
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False) if width]
        yield f"  {'  '.join(cells)}  {style(row.place, dim=True)}".rstrip()


def _rows(family: Sequence[Group], number: int, phones: int) -> Iterator[_Row]:
    """The lines of one parameter."""
    every = variants(family, number)
    shown, is_listed = chosen(every, phones)
    for at, one in enumerate(shown):
        text = values(one.change, _WIDEST_VALUE)
        who = "" if len(every) == 1 else _who(one)
        yield _Row("" if at else visible(one.change.parameter), text, who, _place(one.change))
    if len(shown) < len(every):
        more = f"and {len(every) - len(shown):,} other values" if is_listed else f"... {len(every):,} different values"
        yield _Row("", more, "", "")


def chosen(every: Sequence[Variant], phones: int) -> tuple[Sequence[Variant], bool]:
    """Return the values to show, and whether they are the common and the rare ones; where all differ, examples do."""
    if len(every) <= _FEW:
        return every, True
    most = len(every[0].macs)
    if most == 1 or (len(every) > MAX_VALUES and most * 10 < phones):
        return every[:_EXAMPLES], False
    half = MAX_VALUES // 2
    return (every if len(every) <= MAX_VALUES else [*every[:half], *every[-half:]]), True


def _who(one: Variant) -> str:
    return listed(one.macs, limit=2) if len(one.macs) <= 2 else f"{len(one.macs):,} phones"


def _place(change: Change) -> str:
    """Who says the new value and where; and of the old one, where that is another layer or file."""
    if change.new is None:
        return ""
    new, old = _origin(change.new), change.old
    is_elsewhere = old is not None and (old.layer, old.file) != (change.new.layer, change.new.file)
    return f"{new}  (was {_origin(old)})" if old is not None and is_elsewhere else new


def _origin(side: Side) -> str:
    # of what nobody wrote there is no place
    return side.layer if side.follows else visible(f"{side.layer}  {side.file}:{side.line}")
