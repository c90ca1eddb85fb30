"""A diff as the comment on a pull request: Markdown for GitHub and GitLab, never longer than the platform takes.

Comes in: a Diff. Goes out: text within LIMITS. Where the whole is too long, groups are folded to a line
each, then left out from the middle of the list, and the full artifact is pointed to. What users wrote stands in `code`
(see `markdown`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from offhook.diff.change import ADDED, REMOVED, Change, Diff, Outside, PhoneChange, Side, shown_sides
from offhook.diff.groups import Group, Variant, families, groups, variants
from offhook.review.advice import Advice, advice
from offhook.review.families import chosen, weight
from offhook.review.headline import headline
from offhook.review.impact import by_site, impact
from offhook.review.links import Links
from offhook.review.markdown import code, codes, more, place, plain
from offhook.review.words import cut_alike, cutoff, is_outside, moved, restart
from offhook.texts import count, visible

LIMITS = {"github": 65_000, "gitlab": 999_000}
"""By platform, in UTF-16 units: at least as many as there are characters, however the platform counts those.

GitHub takes 65,536 characters, GitLab 1,000,000; the rest is left to whoever posts the comment.
"""

MARKER = "<!-- offhook review -->"
"""The first line, by which the comment is found again and updated in place."""

_MOST = (30, 10, 2)
"""How many rules, mistakes, sites and so on are listed: the first with which half of the comment is left for groups."""

_MAX_ROWS = 20
_MAX_MACS = 24
_WIDEST_MESSAGE = 200
_WIDEST_VALUE = 60
_ARROW = " -> "
_OPEN_GROUPS = 3
"""So few groups are shown unfolded."""

_FIRST, _LAST = 75, 25
"""So many groups are listed, of more the first and the last: nobody reads a longer list."""

_BETWEEN = 2
_ROOM_FOR_A_GAP = 200


class _Section(NamedTuple):
    """One group in full, and as one line. `is_whole` tells that the first leaves nothing out."""

    full: str
    short: str
    is_whole: bool


def comment(diff: Diff, links: Links, *, artifact: str = "") -> str:
    """Return the comment. `artifact` is the address of the whole diff, "" where there is none."""
    limit = LIMITS[links.platform]
    heads = ("\n".join([MARKER, *_head(diff, links, most)]) for most in _MOST)
    head = next(text for most, text in zip(_MOST, heads, strict=True) if _size(text) <= limit // 2 or most == _MOST[-1])
    every = families(groups(diff.phones))
    # the first are the gravest and largest, the last the rarest: what is left out is in between
    ends = (every[:_FIRST], every[_FIRST:][-_LAST:])
    first, last = ([_section(diff, one, links, is_open=len(every) <= _OPEN_GROUPS) for one in end] for end in ends)
    tail = f"[The whole diff]({artifact})" if artifact else "`offhook diff --format json` has the whole diff."
    room = limit - _size(head) - _size(tail) - _ROOM_FOR_A_GAP
    body = _fitting(first, last, room, left=len(every) - len(first) - len(last))
    sections = (*first, *last)
    is_whole = [one.full for one in sections] == body and all(one.is_whole for one in sections)
    return "\n\n".join([head, *body, *([] if is_whole and not artifact else [tail])]) + "\n"


def _fitting(first: list[_Section], last: list[_Section], room: int, *, left: int) -> list[str]:
    """The groups' texts: in full from the start while there is room, then a line each; of some only how many.

    `left` are those between the first and the last that have no text.
    """
    if left or sum(_line(one) for one in (*first, *last)) > room:
        # half of the room is for lines, the other half for what is said in full
        fitting = sum(total <= room * 3 // 8 for total in accumulate(map(_line, first)))
        first, left = first[:fitting], left + len(first) - fitting
        fitting = sum(total <= room // 8 for total in accumulate(map(_line, reversed(last))))
        last, left = last[len(last) - fitting :], left + len(last) - fitting
    room -= sum(_line(one) for one in (*first, *last))
    chosen = []
    for one in (*first, *last):
        extra = _size(one.full) - _size(one.short)
        is_full = extra <= room
        room -= extra if is_full else 0
        chosen.append(one.full if is_full else one.short)
    if left:
        chosen.insert(len(first), f"- *and {count(left, 'more kind')} of change*")
    return chosen


def _line(one: _Section) -> int:
    """How much of the comment a group takes at least."""
    return _size(one.short) + _BETWEEN


def _head(diff: Diff, links: Links, most: int) -> Iterator[str]:
    """The title and all that is said before the groups, with at most so many rows of each kind."""
    title = headline(diff, show=code)
    yield f"## {title[:1].upper()}{title[1:]}."
    if diff.head_is_broken:
        yield "\n**The head has mistakes, so this is incomplete.** `offhook check` names them all:\n"
    elif diff.warnings:
        yield "\n**The base has mistakes**, so what it said may be shown as if nobody had:\n"
    yield from (f"- {code(warning, _WIDEST_MESSAGE)}" for warning in diff.warnings[:most])
    yield from more(diff.warnings, most, "mistake")
    if diff.outside is not None and not diff.outside.is_empty:
        yield from _outside(diff.outside)
    if diff.policy:
        whose = "everyone" if any(not one.site for one in diff.policy) else "all phones of a site"
        yield f"\n**The rules change**, for {whose} and from this merge on. Whoever answers for them must agree:\n"
        for one in diff.policy[:most]:
            where = place(links, diff.base if one.is_gone else diff.head, one.mark.file, one.mark.line)
            yield f"- {_rule(one.message)} {where}"
        yield from more(diff.policy, most, "rule")
    yield ""
    yield from _impact(diff, most)
    lines = [*map(_advised, advice(diff)), *_others(diff, most)]
    yield from ["", *lines] if lines else []


def _rule(message: str) -> str:
    """A rule that changes; a long one is cut on both sides of its arrow, so that what differs is seen."""
    name, _, values = visible(message).partition(" ")
    old, arrow, new = values.partition(_ARROW)
    if len(message) <= _WIDEST_MESSAGE or not arrow:
        return code(message, _WIDEST_MESSAGE)
    old, new = cut_alike(old, new, _WIDEST_MESSAGE // 2)
    return code(f"{name} {old}{_ARROW}{new}", 2 * _WIDEST_MESSAGE)


def _outside(outside: Outside) -> Iterator[str]:
    """What `--only` does not allow."""
    yield f"\n**The change leaves its scope**: {is_outside(outside, show=code)}.\n"
    if outside.phones:
        yield f"- {_macs(outside.phones)}"


def _impact(diff: Diff, most: int) -> Iterator[str]:
    """A table of a row a site: how many phones change, come, go, restart and may be cut off."""
    ordered = by_site(diff)
    if not ordered:
        return
    yield "| Site | Changed | Added | Removed | Restart likely | May be cut off |"
    yield "|:--|--:|--:|--:|--:|--:|"
    for site, phones in ordered[:most]:
        yield _row(code(site) if site else "no site", phones)
    if len(ordered) > most:
        rest = [phone for _, phones in ordered[most:] for phone in phones]
        yield _row(f"{len(ordered) - most:,} more sites", rest)
    if len(ordered) > 1:
        yield _row("**all**", diff.phones)


def _row(name: str, phones: Sequence[PhoneChange]) -> str:
    return f"| {name} | {' | '.join(f'{number:,}' if number else '·' for number in impact(phones))} |"


def _advised(one: Advice) -> str:
    sign = "⚠️ " if one.tag in ("cutoff", "retired") else ""
    names = f", {_macs(one.phones)}" if one.is_named else ""
    return f"- {sign}**{one.label}**: {count(len(one.phones), 'phone')}{names}. {one.hint}"


def _others(diff: Diff, most: int) -> Iterator[str]:
    """What no group tells: phones that come and go, phonebooks, the common file."""
    for status in (ADDED, REMOVED):
        found = diff.of_status(status)
        yield from [f"- {status.capitalize()}: {_macs(found)}."] if found else []
    for book in diff.phonebooks[:most]:
        numbers = f"{count(book.added, 'contact')} added, {book.removed:,} removed"
        contacts = numbers if book.added or book.removed else "its contacts in another order"
        yield f"- Phonebook {code(book.id)} {book.status}: {contacts}."
    yield from more(diff.phonebooks, most, "phonebook")
    if diff.common:
        yield f"- The common file, for phones that nobody listed, changes: {codes(diff.common)}."


def _section(diff: Diff, family: Sequence[Group], links: Links, *, is_open: bool) -> _Section:
    phones = [phone for group in family for phone in group.phones]
    example = family[0].example
    where = sorted({phone.site for phone in phones if phone.site})
    name = count(len(phones), "phone") if len(phones) > 1 else f"{code(example.mac)} {code(example.model)}"
    places = f" in {codes(where)}" if where else ""
    means = [
        restart(example),
        *([cutoff(example)] if example.cutoff else []),
        *(["retired"] if example.retires else []),
    ]
    what = "; ".join([*moved(example, show=code), count(len(example.changes), "setting")])
    title = f"<b>{name}</b>{places}: {what}; {plain('; '.join(means))}"
    rows = ["| Setting | Before | After | Said by |", "|:--|:--|:--|:--|"]
    # what may cut a phone off is never left out
    most = max(_MAX_ROWS, sum(change.cutoff for change in example.changes))
    is_whole = len(example.changes) <= most and len(phones) <= _MAX_MACS
    for number, change in sorted(enumerate(example.changes), key=lambda row: weight(row[1]))[:most]:
        every = variants(family, number)
        shown, is_listed = chosen(every, len(phones))
        is_whole = is_whole and len(shown) == len(every)
        rows += _change_rows(diff, change.parameter, shown, links, is_named=len(every) > 1)
        if len(shown) < len(every):
            rows.append(_others_of(len(every), len(shown), is_listed=is_listed))
    if len(example.changes) > most:
        rows.append(f"| {len(example.changes) - most:,} more settings | | | |")
    table = "\n".join(rows)
    full = (
        f"<details{' open' if is_open else ''}><summary>{title}</summary>\n\n{table}\n\n{_macs(phones)}\n\n</details>"
    )
    return _Section(full, f"- {title}", is_whole)


def _change_rows(
    diff: Diff, parameter: str, shown: Sequence[Variant], links: Links, *, is_named: bool
) -> Iterator[str]:
    """A row for each value; with whose it is where they are several."""
    for at, one in enumerate(shown):
        others = f" and {len(one.macs) - 1:,} more" if len(one.macs) > 1 else ""
        who = f" ({code(one.macs[0])}{others})" if is_named else ""
        old, new = _values(one.change)
        yield f"| {'' if at else code(parameter)}{who} | {old} | {new} | {_said(diff, one.change, links)} |"


def _others_of(every: int, shown: int, *, is_listed: bool) -> str:
    words = f"and {every - shown:,} other values" if is_listed else f"{every:,} different values"
    return f"| … {words} | | | |"


def _values(change: Change) -> tuple[str, str]:
    old, new = shown_sides(change)
    if old is not None and new is not None:
        old, new = cut_alike(visible(old), visible(new), _WIDEST_VALUE)
    if change.new is None:
        return code(old or "", _WIDEST_VALUE), "*no longer said: phones keep it*"
    if change.secret:
        return code(old or "", _WIDEST_VALUE), f"{code(new or '', _WIDEST_VALUE)} {change.secret}"
    return "·" if old is None else code(old, _WIDEST_VALUE), code(new or "", _WIDEST_VALUE)


def _said(diff: Diff, change: Change, links: Links) -> str:
    side = change.new or change.old
    assert side is not None
    revision = diff.head if change.new else diff.base
    return f"{code(side.layer)} {_side_place(revision, side, links)}".strip()


def _side_place(revision: str, side: Side, links: Links) -> str:
    return "" if side.follows else place(links, revision, side.file, side.line)


def _macs(phones: Sequence[PhoneChange]) -> str:
    return codes([phone.mac for phone in phones], _MAX_MACS)


def _size(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
