"""Which pictures of keys a group of phones needs: phones that look alike share one, before and after.

Where phones look different in too many ways, those whose changed keys are alike share one in which the other keys stand
as "each its own"; where these are still too many, those of which the same happened to the same keys. So thousands of
phones need a few pictures, and a few phones are drawn exactly as they are.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

from offhook.diff.change import Panels
from offhook.flyingvoice.panels import Panel, place_of
from offhook.review.page.fates import SAME, Fate, fates
from offhook.review.page.key_pictures import OWN, picture

Told = Mapping[int, Fate]

_FEW = 6
"""So many phones that look different are drawn as they are."""


class Sight(NamedTuple):
    """Phones that share a picture, sorted by MAC, and what it shows; None where they are not there on that side.

    `told` is what happened to each key before and after; of a phone that comes or goes as a whole, nothing.
    """

    before: Panel | None
    after: Panel | None
    told: tuple[Told, Told]
    macs: tuple[str, ...]


class Drawn(NamedTuple):
    """A sight as SVG, "" where there is nothing to draw on that side."""

    before: str
    after: str
    macs: tuple[str, ...]


def sights(macs: Iterable[str], panels: Mapping[str, Panels], *, most: int) -> list[Sight]:
    """Return at most `most` pictures for some phones, that of most phones first; phones without panels have none."""
    known = [(mac, panels[mac]) for mac in macs if mac in panels]
    found: list[Sight] = []
    for likeness, limit in ((_whole, min(_FEW, most)), (_changed, most), (_happened, most)):
        members: dict[Hashable, list[tuple[str, Panels]]] = {}
        for mac, one in known:
            members.setdefault(likeness(one), []).append((mac, one))
        found = [_merged(same) for same in members.values()]
        if len(found) <= limit:
            break
    return sorted(found, key=lambda one: (-len(one.macs), one.macs))[:most]


def drawn(sight: Sight) -> Drawn:
    """Return both pictures of a sight: the pages on which a key differs, the same ones on both sides.

    Two models have pages of their own: of each, those in use.
    """
    before, after = panels = (sight.before, sight.after)
    is_one_model = before is None or after is None or before.model == after.model
    pages = {
        place_of(panel.model, number).page
        for panel, told in zip(panels, sight.told, strict=True)
        if panel is not None and is_one_model
        for number in _differing(told)
    }
    who = sight.macs[0] if len(sight.macs) == 1 else f"{len(sight.macs):,} phones"
    texts = [
        picture(panel, told, title=f"{who}, {panel.model}, {when}", only=pages or None) if panel and panel.last else ""
        for panel, told, when in zip(panels, sight.told, ("keys before", "keys after"), strict=True)
    ]
    return Drawn(texts[0], texts[1], sight.macs)


def _whole(one: Panels) -> Hashable:
    """All that a phone's two pictures show."""
    return tuple(panel and (panel.model, *sorted(panel.keys.items())) for panel in one)


def _changed(one: Panels) -> Hashable:
    """The keys that differ, and how."""
    return tuple(
        panel and (panel.model, *((number, told[number], panel.keys[number]) for number in _differing(told)))
        for panel, told in zip(one, fates(*one), strict=True)
    )


def _happened(one: Panels) -> Hashable:
    """What happened to which key, whatever it is."""
    return tuple(
        panel and (panel.model, *((number, told[number]) for number in _differing(told)))
        for panel, told in zip(one, fates(*one), strict=True)
    )


def _differing(told: Told) -> list[int]:
    return [number for number, fate in sorted(told.items()) if fate.what != SAME]


def _merged(same: Sequence[tuple[str, Panels]]) -> Sight:
    before, after = same[0][1]
    return Sight(
        _common([one.before for _, one in same]),
        _common([one.after for _, one in same]),
        ({}, {}) if before is None or after is None else fates(before, after),
        tuple(mac for mac, _ in same),
    )


def _common(panels: Sequence[Panel | None]) -> Panel | None:
    """The keys that all have, and OWN where they do not have the same."""
    first = panels[0]
    if first is None:
        return None
    every = [panel.keys for panel in panels if panel is not None]
    numbers = sorted({number for keys in every for number in keys})
    keys = {
        number: first.keys[number] if all(keys.get(number) == first.keys.get(number) for keys in every) else OWN
        for number in numbers
    }
    return Panel(first.model, first.last, keys)
