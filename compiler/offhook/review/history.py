"""Histories as text and JSON: `why`, `blame` and `log`. Passwords in the clear are hidden in both.

Lines of text keep to a width in columns; JSON has everything whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from click import style

from offhook.git.repository import Commit
from offhook.git.signatures import spoken
from offhook.history import Blame, Changed, Entry, Reason, Why
from offhook.review.words import cut, from_to, printed
from offhook.secrets.hidden import hidden
from offhook.texts import one_line, visible

WIDTH = 80
"""Columns of a line where there is no terminal."""

_ID = 10
_NARROWEST = 12
_CHANGES = 12
_SIGNATURE_STYLES: dict[str, dict[str, Any]] = {
    "good": {"fg": "green"},
    "bad": {"fg": "red"},
    "untrusted": {"fg": "yellow"},
    "unchecked": {"fg": "yellow"},
    "unsigned": {"dim": True},
}


def why_text(mac: str, why: Why) -> str:
    """Return who says a parameter, the winner first, then what its expression reads (<), aligned."""
    since = _commit_text(why.since, why.review)
    head = f"{visible(why.parameter)} = {printed(why.parameter, why.value)}"
    lines = [f"{style(head, bold=True)}  on {mac} since {since}"]
    winner, *others = why.reasons
    every = [winner, *why.reads, *others]
    rows = [_why_row(why.parameter, reason) for reason in every]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, (reason, row) in enumerate(zip(every, rows, strict=True)):
        value, layer, place = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        sign = style(">", fg="green", bold=True) if reason.wins else "<" if number <= len(why.reads) else " "
        lines.append(f"{sign} {value}  {layer}  {place}  {_commit_text(reason.about, reason.review)}")
    return "\n".join(lines)


def why_json(mac: str, why: Why) -> str:
    """Return the same in the shape of schema/output/why.schema.json."""
    body = {
        "mac": mac,
        "parameter": why.parameter,
        "value": hidden(why.parameter, why.value),
        "since": _commit(why.since, why.review),
        "said": [_reason(why.parameter, one) for one in why.reasons],
        "reads": [_reason(why.parameter, one) for one in why.reads],
    }
    return _dump(body)


def blame_text(found: Mapping[str, Blame], width: int = WIDTH) -> str:
    """Return a line for each setting: parameter, value, commit, date, author, pull request, and where it is said.

    Where that is wider than `width`, the author and the value are cut, and the place from its left or left out.
    """
    rows = [
        (
            visible(one.parameter),
            printed(one.parameter, one.value),
            f"^{one.about.id[: _ID - 1]}" if one.about.boundary else one.about.id[:_ID],
            one.about.date[:10],
            one_line(one.about.author),
            one.review or "",
            visible(f"{one.layer}  {one.file}:{one.line}"),
        )
        for one in found.values()
    ]
    widths = _fitting([max(map(len, column)) for column in zip(*rows, strict=True)] if rows else [], width)
    lines = []
    for row in rows:
        name, value, *commit, author, review = (
            cut(text, size).ljust(size) for text, size in zip(row[:-1], widths, strict=False)
        )
        words = style("  ".join([*commit, author, *([review] if review else [])]), fg="yellow")
        size = widths[-1]
        place = row[-1] if len(row[-1]) <= size else f"...{row[-1][3 - size :]}" if size else ""
        lines.append(f"{name}  {value}  {words}" + (f"  {style(place, dim=True)}" if place else ""))
    if any(one.about.boundary for one in found.values()):
        lines.append("^ the history that this clone has ends there: the value may be older")
    return "\n".join(line.rstrip() for line in lines)


def blame_json(mac: str, found: Mapping[str, Blame]) -> str:
    """Return the same in the shape of schema/output/blame.schema.json."""
    settings = {
        name: {
            "value": hidden(name, one.value),
            "layer": one.layer,
            "file": one.file,
            "line": one.line,
            **_commit(one.about, one.review),
        }
        for name, one in found.items()
    }
    return _dump({"mac": mac, "settings": settings})


def log_text(found: Sequence[Entry], width: int = WIDTH) -> str:
    """Return each commit with what it changed, as `git log` has it; subjects and values are cut to `width`."""
    lines: list[str] = []
    for entry in found:
        about = entry.about
        review = f"  {entry.review}" if entry.review else ""
        lines.append(
            style(f"{about.id[:_ID]}", fg="yellow") + f"  {about.date}  {cut(one_line(about.author), 40)}{review}"
        )
        subject = cut(one_line(about.subject), width - 2)
        lines.append(f"  {style(subject, bold=True)}")
        if entry.signature is not None:
            lines.append(f"  {style(spoken(entry.signature), **_SIGNATURE_STYLES[entry.signature.state])}")
        if about.boundary:
            # what the commit itself did cannot be told: its parents are not here
            lines.append(f"  here or before: {len(entry.changes)} settings")
            lines.append("  the history that this clone has ends here: git fetch --unshallow")
        elif entry.status != "changed":
            lines.append(f"  the phone was {entry.status}, {len(entry.changes)} settings")
        else:
            lines += _changes(entry.changes, width)
        lines.append("")
    return "\n".join(lines[:-1])


def log_json(mac: str, found: Sequence[Entry]) -> str:
    """Return the same in the shape of schema/output/log.schema.json."""
    commits = [
        {
            **_commit(entry.about, entry.review),
            "subject": entry.about.subject,
            "signature": _signature(entry),
            "status": entry.status,
            "changes": [_change(one) for one in entry.changes],
        }
        for entry in found
    ]
    return _dump({"mac": mac, "commits": commits})


def _changes(changes: Sequence[Changed], width: int) -> list[str]:
    names = max((len(visible(one.parameter)) for one in changes[:_CHANGES]), default=0)
    room = max(width - names - 6, 2 * _NARROWEST)
    lines = [f"    {visible(one.parameter).ljust(names)}  {_values(one, room)}" for one in changes[:_CHANGES]]
    if len(changes) > _CHANGES:
        lines.append(f"    and {len(changes) - _CHANGES} more")
    return lines


def _values(one: Changed, width: int) -> str:
    if one.secret:
        return f"{printed(one.parameter, one.new or '')} {one.secret}"
    return from_to(_shown(one.parameter, one.old), _shown(one.parameter, one.new), width)


def _shown(parameter: str, value: str | None) -> str | None:
    return None if value is None else hidden(parameter, value)


def _fitting(widths: list[int], width: int) -> list[int]:
    """The columns of blame, narrowed to a line's width; a place that has no room for its end is left out.

    The name is the last to be cut: without it a line says nothing.
    """
    widths = [*widths]
    for column, least in ((4, _NARROWEST), (1, 20), (6, 16), (6, 0), (1, _NARROWEST), (0, _NARROWEST)):
        gaps = 2 * (sum(size > 0 for size in widths) - 1)
        excess = sum(widths) + gaps - width
        if widths and excess > 0:
            widths[column] = max(widths[column] - excess, min(widths[column], least)) if least else 0
    return widths


def _reason(parameter: str, one: Reason) -> dict[str, Any]:
    return {
        "value": hidden(parameter, one.value),
        "layer": one.layer,
        "file": one.mark.file,
        "line": one.mark.line,
        "wins": one.wins,
        **_commit(one.about, one.review),
    }


def _why_row(parameter: str, reason: Reason) -> tuple[str, str, str]:
    place = visible(f"{reason.mark.file}:{reason.mark.line}")
    return printed(parameter, reason.value), visible(reason.layer), place


def _commit_text(about: Commit, review: str | None) -> str:
    text = f"{about.id[:_ID]}  {about.date[:10]}  {one_line(about.author)}{f'  {review}' if review else ''}"
    return style(text, fg="yellow") + ("  (or before: the clone is shallow)" if about.boundary else "")


def _commit(about: Commit, review: str | None) -> dict[str, Any]:
    return {
        "commit": about.id,
        "author": about.author,
        "email": about.email,
        "date": about.date,
        "review": review,
        "boundary": about.boundary,
    }


def _signature(entry: Entry) -> dict[str, Any] | None:
    one = entry.signature
    return None if one is None else {"state": one.state, "kind": one.kind, "signer": one.signer, "detail": one.detail}


def _change(one: Changed) -> dict[str, Any]:
    old, new = _shown(one.parameter, one.old), _shown(one.parameter, one.new)
    row: dict[str, Any] = {"parameter": one.parameter, "old": old, "new": new}
    return row | ({"secret": one.secret} if one.secret else {})


def _dump(answer: Any) -> str:
    return json.dumps(answer, indent=1, ensure_ascii=False)
