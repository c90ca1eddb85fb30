"""A diff as the comment on a pull request: GitHub's and GitLab's Markdown, never longer than they take.

Comes in: a Diff. Goes out: text of at most LIMIT bytes. Where the whole is too long, groups are folded to a line
each, then left out from the middle of the list, and the full artifact is pointed to. What users wrote stands in
`<code>` with every sign encoded: no mention, link, image or heading can be made with a label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from offhook.diff.change import ADDED, CHANGED, LIKELY, REMOVED, UNKNOWN, Change, Diff, PhoneChange, Side
from offhook.diff.groups import Group, families, groups, variants
from offhook.layers import COMPILER
from offhook.review.headline import headline
from offhook.review.links import Links
from offhook.review.words import count, cut, cutoff, depends_on_a_secret, restart, shown_sides
from offhook.texts import visible

LIMIT = 65_000
"""Bytes. GitHub takes 65,536 characters; the rest is left to whoever posts it, for a marker of its own."""

MARKER = "<!-- offhook review -->"
"""The first line, by which the comment is found again and updated in place."""

_MAX_ROWS = 20
_MAX_MACS = 24
_MAX_POLICY = 30
_MAX_WARNINGS = 20
_WIDEST_VALUE = 60
_OPEN_GROUPS = 3
"""So few groups are shown unfolded."""

_BETWEEN = 2
_ROOM_FOR_A_GAP = 200


class _Section(NamedTuple):
    """One group in full, and as one line."""

    full: str
    short: str


def comment(diff: Diff, links: Links, *, artifact: str = "") -> str:
    """Return the comment. `artifact` is the address of the whole diff, "" where there is none."""
    head = "\n".join([MARKER, *_head(diff, links)])
    every = families(groups(diff.phones))
    sections = [_section(diff, family, links, is_open=len(every) <= _OPEN_GROUPS) for family in every]
    tail = f"[The whole diff]({artifact})" if artifact else "`offhook diff --format json` has the whole diff."
    body = _fitting(sections, LIMIT - _size(head) - _size(tail) - _ROOM_FOR_A_GAP)
    is_whole = [one.full for one in sections] == body
    return "\n\n".join([head, *body, *([] if is_whole and not artifact else [tail])]) + "\n"


def _fitting(sections: Sequence[_Section], room: int) -> list[str]:
    """The groups' texts: in full from the start while there is room, then a line each; of some only how many."""
    shorts = [_size(one.short) + _BETWEEN for one in sections]
    first, last = len(sections), len(sections)
    if sum(shorts) > room:
        # the first are the gravest and largest, the last the rarest: what is left out is in between
        first = sum(total <= room * 3 // 4 for total in accumulate(shorts))
        last = len(sections) - sum(total <= room // 4 for total in accumulate(reversed(shorts[first:])))
    used = sum(shorts[:first]) + sum(shorts[last:])
    chosen = []
    for at in (*range(first), *range(last, len(sections))):
        more = _size(sections[at].full) + _BETWEEN - shorts[at]
        is_full = used + more <= room
        used += more if is_full else 0
        chosen.append(sections[at].full if is_full else sections[at].short)
    if first < last:
        chosen.insert(first, f"- *and {count(last - first, 'more kind')} of change*")
    return chosen


def _head(diff: Diff, links: Links) -> Iterator[str]:
    yield f"## {_sentence(headline(diff))}"
    if diff.head_is_broken:
        yield "\n**The head has mistakes, so this is incomplete.** `offhook check` names them all:\n"
        yield from (f"- {_code(warning, 200)}" for warning in diff.warnings[:_MAX_WARNINGS])
        yield from _more(diff.warnings, _MAX_WARNINGS, "mistake")
    if diff.policy:
        yield "\n**The rules change**, for everyone and from this merge on:\n"
        for policy in diff.policy[:_MAX_POLICY]:
            yield f"- {_code(policy.message, 200)} {_place(diff.head, policy.mark.file, policy.mark.line, links)}"
        yield from _more(diff.policy, _MAX_POLICY, "rule")
    yield ""
    yield from _impact(diff)
    yield from _hints(diff)
    for book in diff.phonebooks[:_MAX_POLICY]:
        contacts = f"{count(book.added, 'contact')} added, {book.removed:,} removed"
        yield f"- Phonebook {_code(book.id)} {book.status}: {contacts}."
    yield from _more(diff.phonebooks, _MAX_POLICY, "phonebook")
    if diff.common:
        yield f"- The common file, for phones that nobody listed, changes: {_codes(diff.common)}."


def _impact(diff: Diff) -> Iterator[str]:
    """A table of a row a site: how many phones change, come, go, restart and may be cut off."""
    rows: dict[str, list[PhoneChange]] = {}
    for phone in diff.phones:
        rows.setdefault(phone.site or "", []).append(phone)
    if not rows:
        return
    yield "| Site | Changed | Added | Removed | Restart likely | May be cut off |"
    yield "|:--|--:|--:|--:|--:|--:|"
    ordered = sorted(rows.items(), key=lambda row: (-len(row[1]), row[0]))
    for site, phones in ordered[:_MAX_ROWS]:
        yield _row(_code(site) if site else "no site", phones)
    if len(ordered) > _MAX_ROWS:
        rest = [phone for _, phones in ordered[_MAX_ROWS:] for phone in phones]
        yield _row(f"{len(ordered) - _MAX_ROWS:,} more sites", rest)
    if len(ordered) > 1:
        yield _row("**all**", diff.phones)


def _row(name: str, phones: Sequence[PhoneChange]) -> str:
    numbers = (
        sum(phone.status == CHANGED for phone in phones),
        sum(phone.status == ADDED for phone in phones),
        sum(phone.status == REMOVED and not phone.is_unread for phone in phones),
        sum(phone.status == CHANGED and phone.restart == LIKELY for phone in phones),
        sum(phone.cutoff for phone in phones),
    )
    return f"| {name} | {' | '.join(f'{number:,}' if number else '·' for number in numbers)} |"


def _hints(diff: Diff) -> Iterator[str]:
    """What a reviewer should know before merging, each with what to do."""
    changed = diff.of_status(CHANGED)
    risky = [phone for phone in diff.phones if phone.cutoff and not depends_on_a_secret(phone)]
    gone = [phone for phone in diff.of_status(REMOVED) if phone.cutoff]
    lines = []
    if risky:
        lines.append(
            f"⚠️ {count(len(risky), 'phone')} may be cut off: {_macs(risky)}. Deploy to one of them first,"
            " and have somebody beside it."
        )
    if gone:
        lines.append(
            f"⚠️ {count(len(gone), 'phone')} removed without `retired: true` before: {_macs(gone)}."
            " They keep their accounts; retire first, delete later."
        )
    unknown = sum(phone.restart == UNKNOWN for phone in changed)
    if unknown:
        lines.append(f"{count(unknown, 'phone')} may restart: nobody has noted what these settings do.")
    if diff.unread:
        lines.append(
            f"{count(len(diff.unread), 'phone')} cannot be judged: {_macs(diff.unread)}. Mend their file first."
        )
    yield from ["", *(f"- {line}" for line in lines)] if lines else []


def _section(diff: Diff, family: Sequence[Group], links: Links, *, is_open: bool) -> _Section:
    phones = [phone for group in family for phone in group.phones]
    example = family[0].example
    where = sorted({phone.site for phone in phones if phone.site})
    name = count(len(phones), "phone") if len(phones) > 1 else f"{_code(example.mac)} {_code(example.model)}"
    places = f" in {_codes(where)}" if where else ""
    means = [
        restart(example),
        *([cutoff(example)] if example.cutoff else []),
        *(["retired"] if example.retires else []),
    ]
    title = f"<b>{name}</b>{places}: {count(len(example.changes), 'setting')}; {_plain('; '.join(means))}"
    rows = ["| Setting | Before | After | Said by |", "|:--|:--|:--|:--|"]
    for number, change in list(enumerate(example.changes))[:_MAX_ROWS]:
        rows += _change_rows(diff, family, number, change, links)
    if len(example.changes) > _MAX_ROWS:
        rows.append(f"| {len(example.changes) - _MAX_ROWS:,} more settings | | | |")
    table = "\n".join(rows)
    full = (
        f"<details{' open' if is_open else ''}><summary>{title}</summary>\n\n{table}\n\n{_macs(phones)}\n\n</details>"
    )
    return _Section(full, f"- {title}")


def _change_rows(diff: Diff, family: Sequence[Group], number: int, change: Change, links: Links) -> Iterator[str]:
    every = variants(family, number)
    for at, one in enumerate([*every[:2], *every[-1:]] if len(every) > 3 else every):
        who = (
            ""
            if len(every) == 1
            else f" ({_code(one.macs[0])}{f' and {len(one.macs) - 1:,} more' if len(one.macs) > 1 else ''})"
        )
        name = (_code(change.parameter) if not at else "") + who
        old, new = _values(one.change)
        yield f"| {name} | {old} | {new} | {_said(diff, one.change, links)} |"
    if len(every) > 3:
        yield f"| … {len(every):,} different values | | | |"


def _values(change: Change) -> tuple[str, str]:
    old, new = shown_sides(change)
    if change.new is None:
        return _code(old or "", _WIDEST_VALUE), "*no longer said: phones keep it*"
    if change.secret:
        return _code(old or "", _WIDEST_VALUE), f"{_code(new or '', _WIDEST_VALUE)} {change.secret}"
    return "·" if old is None else _code(old, _WIDEST_VALUE), _code(new or "", _WIDEST_VALUE)


def _said(diff: Diff, change: Change, links: Links) -> str:
    side = change.new or change.old
    assert side is not None
    revision = diff.head if change.new else diff.base
    return f"{_code(side.layer)} {_side_place(revision, side, links)}".strip()


def _side_place(revision: str, side: Side, links: Links) -> str:
    return "" if side.layer == COMPILER else _place(revision, side.file, side.line, links)


def _place(revision: str, file: str, line: int, links: Links) -> str:
    address = links.to(revision, file, line)
    text = _code(f"{file}:{line}", 120)
    return f'<a href="{address}">{text}</a>' if address else text


def _macs(phones: Sequence[PhoneChange]) -> str:
    return _codes([phone.mac for phone in phones], _MAX_MACS)


def _codes(values: Sequence[str], limit: int = 6) -> str:
    shown = ", ".join(_code(value) for value in values[:limit])
    return shown if len(values) <= limit else f"{shown} and {len(values) - limit:,} more"


def _more(values: Sequence[object], limit: int, noun: str) -> list[str]:
    return [f"- and {count(len(values) - limit, f'more {noun}')}"] if len(values) > limit else []


def _sentence(text: str) -> str:
    """The headline: what users wrote in it is encoded like everything else, as plain words."""
    return _plain(text[:1].upper() + text[1:]) + "."


def _code(text: str, width: int = 40) -> str:
    """Text from an inventory: in `<code>`, where platforms make no mentions and links, every sign encoded."""
    return f"<code>{_plain(cut(visible(text), max(width, 12)))}</code>"


def _plain(text: str) -> str:
    """Text in which every sign that Markdown, HTML or a platform could take for its own is a character reference."""
    return "".join(
        one if one.isalnum() or one in " ,;()" or ord(one) > 127 else f"&#{ord(one)};" for one in visible(text)
    )


def _size(text: str) -> int:
    return len(text.encode())
