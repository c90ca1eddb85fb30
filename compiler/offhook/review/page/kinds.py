"""The kinds of change on a page: phones whose same parameters change, as plain data for the template.

Comes in: a Diff. Goes out: a `Kind` each, in the order of groups: those that may cut phones off first,
then the largest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from offhook.diff.change import LIKELY, UNKNOWN, Change, Diff, PhoneChange, Side, shown_sides
from offhook.diff.groups import Group, Variant, families, groups, variants
from offhook.review.headline import spoken, topics
from offhook.review.links import Links
from offhook.review.page.sights import Drawn, drawn, sights
from offhook.review.words import cutoff, moved, restart
from offhook.texts import count, listed, visible

_LONGEST_VALUE = 2_000
_FEW_VALUES = 12


class Scale(NamedTuple):
    """How much of a kind is written out: values of each parameter that are listed phone by phone, pictures, its MACs.

    Without values a kind is a line.
    """

    values: int
    pictures: int
    has_macs: bool


class Place(NamedTuple):
    """Who says a value and where; `address` is a link to it, "" where there is none.

    `others` are the further layers that say it, where each phone or account does for itself.
    """

    layer: str
    text: str
    address: str
    others: int = 0


class Row(NamedTuple):
    """One pair of values of a setting, the phones that have it, and who says it; None where nothing is said."""

    old: str | None
    new: str | None
    secret: str
    macs: Sequence[str]
    place: Place


class Setting(NamedTuple):
    """One parameter that changes. `rows` are shown at once, `more` folded away; `left` values stand nowhere."""

    parameter: str
    words: str
    cutoff: bool
    alone: bool
    rows: list[Row]
    more: list[Row]
    left: int


class Tag(NamedTuple):
    """A remark on a kind: "cutoff", "restart", "unknown" or "retired", and the words for it."""

    name: str
    words: str


@dataclass(frozen=True, slots=True)
class Kind:
    """Phones whose same parameters change. `sites` is site to MACs, "" for phones without one."""

    title: str
    summary: str
    phones: int
    sites: dict[str, list[str]]
    tags: list[Tag]
    settings: list[Setting]
    pictures: list[Drawn]
    undrawn: int


def kinds(diff: Diff) -> list[list[Group]]:
    """Return the changed phones, those whose same parameters change together."""
    return families(groups(diff.phones))


def kind(diff: Diff, family: Sequence[Group], links: Links, scale: Scale) -> Kind:
    """Return one kind as it is shown."""
    phones = sorted((phone for group in family for phone in group.phones), key=lambda phone: phone.mac)
    example = family[0].example
    pictured = [phone.mac for phone in phones if phone.mac in diff.panels]
    chosen = [drawn(one) for one in sights(pictured, diff.panels, most=scale.pictures)] if scale.pictures else []
    numbers = range(len(example.changes)) if scale.values else ()
    about = list(topics(example))
    return Kind(
        title=count(len(phones), "phone") if len(phones) > 1 else f"{example.mac}, {example.model}",
        summary="; ".join([*moved(example), listed(about, limit=4)]),
        phones=len(phones),
        sites=by_site(phones),
        tags=list(_tags(example)),
        settings=[_setting(diff, family, number, links, scale) for number in numbers],
        pictures=chosen,
        undrawn=len(pictured) - sum(len(one.macs) for one in chosen),
    )


def by_site(phones: Iterable[PhoneChange]) -> dict[str, list[str]]:
    """Return site to MACs, sorted, "" for phones without one."""
    found: dict[str, list[str]] = {}
    for phone in phones:
        found.setdefault(visible(phone.site or ""), []).append(phone.mac)
    return {site: sorted(found[site]) for site in sorted(found)}


def place(diff: Diff, change: Change, links: Links) -> Place:
    """Return who says a change's new value, or said the old one where nothing is said any more."""
    side: Side | None = change.new or change.old
    assert side is not None
    if side.follows:
        return Place(side.layer, "", "")
    revision, mark = diff.head if change.new else diff.base, side.mark
    return Place(visible(side.layer), visible(f"{mark.file}:{mark.line}"), links.to(revision, mark.file, mark.line))


def _tags(example: PhoneChange) -> Iterator[Tag]:
    if example.cutoff:
        yield Tag("cutoff", cutoff(example))
    if example.restart in (LIKELY, UNKNOWN):
        yield Tag("restart" if example.restart == LIKELY else "unknown", restart(example))
    if example.retires:
        yield Tag("retired", "retired")


def _setting(diff: Diff, family: Sequence[Group], number: int, links: Links, scale: Scale) -> Setting:
    change = family[0].example.changes[number]
    every = variants(family, number)
    shown = every if len(every) <= _FEW_VALUES else []
    more = [] if shown else every[: scale.values]
    layers = _layers(family, number)
    return Setting(
        visible(change.parameter),
        visible(spoken(change.parameter)),
        change.cutoff,
        len(every) == 1,
        [_row(one, place(diff, one.change, links)._replace(others=_others(one, layers))) for one in shown],
        [_row(one, Place("", "", "")) for one in more],
        len(every) - len(shown) - len(more),
    )


def _layers(family: Sequence[Group], number: int) -> dict[str, str]:
    """Who says a setting of each phone, by MAC."""
    found = {}
    for group in family:
        for phone in group.phones:
            side = phone.changes[number].new or phone.changes[number].old
            found[phone.mac] = side.layer if side is not None else ""
    return found


def _others(one: Variant, layers: Mapping[str, str]) -> int:
    """How many layers say a value beside the one that is shown."""
    return len({layers[mac] for mac in one.macs}) - 1


def _row(one: Variant, where: Place) -> Row:
    old, new = (None if side is None else _value(side) for side in shown_sides(one.change))
    return Row(old, new, one.change.secret, one.macs, where)


def _value(text: str) -> str:
    text = visible(text)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… ({len(text):,} characters)"
