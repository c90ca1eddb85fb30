"""Histories as text and JSON: `why`, `blame` and `log`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from click import style

from offhook.git.repository import Commit
from offhook.git.signatures import spoken
from offhook.history import Blame, Changed, Entry, Why
from offhook.texts import one_line

_ID = 10
_CHANGES = 12
_SIGNATURE_STYLES: dict[str, dict[str, Any]] = {
    "good": {"fg": "green"},
    "bad": {"fg": "red"},
    "untrusted": {"fg": "yellow"},
    "unchecked": {"fg": "yellow"},
    "unsigned": {"dim": True},
}


def why_text(mac: str, why: Why) -> str:
    """Return who says a parameter, the winner first, aligned."""
    since = _commit_text(why.since, None)
    lines = [f"{style(f'{why.parameter} = {why.value}', bold=True)}  on {mac} since {since}"]
    widths = [max(len(text) for text in column) for column in zip(*map(_why_row, why.reasons), strict=True)]
    for reason in why.reasons:
        value, layer, place = (text.ljust(width) for text, width in zip(_why_row(reason), widths, strict=True))
        sign = style(">", fg="green", bold=True) if reason.wins else " "
        lines.append(f"{sign} {value}  {layer}  {place}  {_commit_text(reason.about, reason.review)}")
    return "\n".join(lines)


def why_json(mac: str, why: Why) -> str:
    """Return the same in the shape of schema/output/why.schema.json."""
    reasons = [
        {
            "value": one.value,
            "layer": one.layer,
            "file": one.mark.file,
            "line": one.mark.line,
            "wins": one.wins,
            **_commit(one.about, one.review),
        }
        for one in why.reasons
    ]
    return _dump(
        {"mac": mac, "parameter": why.parameter, "value": why.value, "since": _commit(why.since, None), "said": reasons}
    )


def blame_text(found: Mapping[str, Blame]) -> str:
    """Return a line for each setting: parameter, value, commit, date, author, and where it is said."""
    rows = [
        (
            one.parameter,
            one.value,
            one.about.id[:_ID],
            one.about.date[:10],
            one_line(one.about.author),
            one.review or "",
        )
        for one in found.values()
    ]
    widths = [min(max(map(len, column)), 40) for column in zip(*rows, strict=True)] if rows else []
    lines = []
    for row, one in zip(rows, found.values(), strict=True):
        name, value, *commit = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        if one.about.boundary:
            commit[0] = f"^{commit[0][:-1]}"
        lines.append(f"{name}  {value}  {style('  '.join(commit), fg='yellow')}  {style(_place(one), dim=True)}")
    if any(one.about.boundary for one in found.values()):
        lines.append("^ the history that this clone has ends there: the value may be older")
    return "\n".join(line.rstrip() for line in lines)


def blame_json(mac: str, found: Mapping[str, Blame]) -> str:
    """Return the same in the shape of schema/output/blame.schema.json."""
    settings = {
        name: {
            "value": one.value,
            "layer": one.layer,
            "file": one.file,
            "line": one.line,
            **_commit(one.about, one.review),
        }
        for name, one in found.items()
    }
    return _dump({"mac": mac, "settings": settings})


def log_text(found: Sequence[Entry]) -> str:
    """Return each commit with what it changed, as `git log` has it."""
    lines: list[str] = []
    for entry in found:
        about = entry.about
        review = f"  {entry.review}" if entry.review else ""
        lines.append(style(f"{about.id[:_ID]}", fg="yellow") + f"  {about.date}  {one_line(about.author)}{review}")
        subject = one_line(about.subject)
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
            lines += _changes(entry.changes)
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


def _changes(changes: Sequence[Changed]) -> list[str]:
    width = max((len(one.parameter) for one in changes[:_CHANGES]), default=0)
    lines = [f"    {one.parameter.ljust(width)}  {_values(one)}" for one in changes[:_CHANGES]]
    if len(changes) > _CHANGES:
        lines.append(f"    and {len(changes) - _CHANGES} more")
    return lines


def _values(one: Changed) -> str:
    if one.secret:
        return f"{one.new} {one.secret}"
    return f"{'nothing' if one.old is None else one.old} -> {'nothing' if one.new is None else one.new}"


def _why_row(reason: Any) -> tuple[str, str, str]:
    return reason.value, reason.layer, f"{reason.mark.file}:{reason.mark.line}"


def _place(one: Blame) -> str:
    return f"{one.layer}  {one.file}:{one.line}"


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
    row: dict[str, Any] = {"parameter": one.parameter, "old": one.old, "new": one.new}
    return row | ({"secret": one.secret} if one.secret else {})


def _dump(answer: Any) -> str:
    return json.dumps(answer, indent=1, ensure_ascii=False)
