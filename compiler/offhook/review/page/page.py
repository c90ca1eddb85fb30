"""A diff as one self-contained page: no network, readable without script, a little script to filter and to search.

Comes in: a Diff with panels. Goes out: HTML of at most LIMIT bytes. What users wrote is escaped by the templates, and
the page's own policy lets no style and no script run but the two that it carries. Where the whole is too long, the last
kinds of change have fewer values and pictures, then a line each.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from offhook.diff.change import ADDED, REMOVED, Diff, Outside, PhoneChange
from offhook.diff.groups import Group
from offhook.review.advice import advice
from offhook.review.headline import headline
from offhook.review.impact import by_site, impact
from offhook.review.links import Links
from offhook.review.page.assets import asset, policy, template
from offhook.review.page.key_pictures import icon_shapes
from offhook.review.page.kinds import Scale, kind, kinds
from offhook.review.page.kinds import by_site as kinds_by_site
from offhook.review.page.sights import Drawn, drawn, sights
from offhook.texts import isolated, visible

LIMIT = 4_900_000
"""Bytes: what a browser opens at once, and what a mail or a job's artifact takes."""

_SETTINGS = Scale(12, 0, has_macs=False)
_LEAST = Scale(0, 0, has_macs=False)
_SCALES = (Scale(10_000, 24, has_macs=True), Scale(12, 2, has_macs=True), _SETTINGS, Scale(0, 0, has_macs=True), _LEAST)
_OPEN_KINDS = 3
"""So few kinds are shown unfolded."""

_MOST_LISTED = 20_000
_MOST_SITES_LISTED = 4_000
"""So many phones are listed that come or go, of so many sites."""

_MOST_SITES = 500
"""So many sites have a row and can be chosen: those with most phones."""

_MOST_PICTURES = 24
_SHORTEST_HASH = 12
_RESERVED = 7_000
"""Bytes for the shapes of icons, the legend and the number of what was left out."""

_ENOUGH = 20
_LINE = 700
"""Bytes that a kind takes where it is shown as a line."""


class Listing(NamedTuple):
    """Phones that are listed, site to MACs ("" for phones without one), and the number of those that are not."""

    sites: dict[str, list[str]]
    left: int


def page(diff: Diff, links: Links) -> str:
    """Return the page."""
    families = kinds(diff)
    sites = by_site(diff)
    offered = _offered(sites)
    new = [] if len(diff.of_status(ADDED)) > _MOST_LISTED else _new(diff)
    head = {
        "title": _sentence(headline(diff, show=_shown)),
        "diff": diff,
        "base": _revision(diff.base),
        "head": _revision(diff.head),
        "policies": [
            (
                visible(one.message),
                visible(f"{one.mark.file}:{one.mark.line}"),
                links.to(diff.base if one.is_gone else diff.head, one.mark.file, one.mark.line),
            )
            for one in diff.policy
        ],
        "impact": [(visible(site), impact(phones)) for site, phones in sites[:_MOST_SITES]],
        "others": len(sites[_MOST_SITES:]),
        "rest": impact([phone for _, phones in sites[_MOST_SITES:] for phone in phones]),
        "all": impact(diff.phones),
        "outside": _outside(diff),
        "advice": advice(diff),
        "warnings": [visible(one) for one in diff.warnings],
        "added": _listing(diff.of_status(ADDED)),
        "removed": _listing(diff.of_status(REMOVED)),
        "new": new,
        "few": _OPEN_KINDS,
        "offered": offered,
        "count": len(families),
    }
    style, script = asset("page.css") + asset("keys.css"), asset("page.js")
    assets = {"style": style, "script": script, "policy": policy(style, script)}
    # what surrounds the kinds is written once without them, to know how much room they have
    around = len(template("page.html.j2").render(**head, **assets, body="", left=0, shapes="").encode())
    body, left = _body(diff, families, links, offered=offered, room=LIMIT - around - _RESERVED)
    pictured = "".join([body, *(one.after for one in new)])
    return template("page.html.j2").render(**head, **assets, body=body, left=left, shapes=icon_shapes(pictured))


def _offered(sites: list[tuple[str, list[PhoneChange]]]) -> dict[str, int]:
    """The sites to choose from, in the order of their names, and the number by which a kind names one of them."""
    names = sorted(visible(site) for site, _ in sites[:_MOST_SITES] if site)
    return {name: number for number, name in enumerate(names, start=1)}


def _listing(phones: tuple[PhoneChange, ...]) -> Listing | None:
    """As many phones as are listed, of as many sites; None where there is none."""
    if not phones:
        return None
    shown = dict(islice(kinds_by_site(phones[:_MOST_LISTED]).items(), _MOST_SITES_LISTED))
    return Listing(shown, len(phones) - sum(map(len, shown.values())))


def _body(
    diff: Diff, families: list[list[Group]], links: Links, *, offered: dict[str, int], room: int
) -> tuple[str, int]:
    """The kinds as HTML within so many bytes, each as fully as there is room, and how many were left out."""

    def written(number: int, scale: Scale) -> str:
        shown = kind(diff, families[number], links, scale)
        is_open = len(families) <= _OPEN_KINDS
        return template("kind.html.j2").render(
            kind=shown, number=number + 1, is_open=is_open, scale=scale, offered=offered
        )

    parts: list[str] = []
    used = 0
    refused = dict.fromkeys(_SCALES, 0)
    for number, kept in enumerate(_kept(written, len(families), room)):
        # what did not fit for several in turn does not fit for the next
        for scale in (one for one in _SCALES if refused[one] < _ENOUGH or not one.values):
            text = written(number, scale)
            size = len(text.encode())
            if used + size <= room - (0 if scale == _LEAST else kept):
                refused[scale] = 0
                break
            refused[scale] += 1
        else:
            return "".join(parts), len(families) - number
        parts.append(text)
        used += size
    return "".join(parts), 0


def _kept(written: Callable[[int, Scale], str], count: int, room: int) -> list[int]:
    """The bytes kept for the kinds after each: for the settings of all where they fit, else for a line each."""
    kept = [0]
    for number in reversed(range(1, count)):
        kept.append(kept[-1] + len(written(number, _SETTINGS).encode()))
        if kept[-1] > room:
            return [min(after * _LINE, room // 2) for after in reversed(range(count))]
    return kept[:count][::-1]


def _new(diff: Diff) -> list[Drawn]:
    """The pictures of phones that are added."""
    macs = [phone.mac for phone in diff.of_status(ADDED)]
    return [drawn(one) for one in sights(macs, diff.panels, most=_MOST_PICTURES)]


def _outside(diff: Diff) -> Outside | None:
    """What changes outside of what may change, as it may be shown."""
    if diff.outside is None:
        return None
    scopes, books = (tuple(map(visible, names)) for names in (diff.outside.scopes, diff.outside.phonebooks))
    return diff.outside._replace(scopes=scopes, phonebooks=books)


def _revision(text: str) -> str:
    return "the work tree" if text == "worktree" else text[:_SHORTEST_HASH]


def _shown(text: str) -> str:
    return isolated(visible(text))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
