"""The lab server's log and its summary as text and as JSON lines: pure functions."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from click import style

from offhook.report import text as problems_text
from offhook.serve.desk import OK, PNP, Event
from offhook.serve.lab import Entry, Kept, Line, Note, Renewed
from offhook.serve.seen import ASKED, CURRENT, NEVER, STALE, UNLISTED, Row
from offhook.texts import count, listed, one_line

_COLOURS = {CURRENT: "green", STALE: "yellow", NEVER: "bright_black", ASKED: "yellow", UNLISTED: "bright_black"}
_LABEL = 18
_ROWS = 40
"""A summary on a screen; JSON has every phone."""


def entry_text(entry: Entry) -> str:
    """Return an entry of the log as a line or more."""
    if isinstance(entry, Line):
        return _line(entry)
    if isinstance(entry, Renewed):
        what = {0: "no file differs", 1: "1 file differs"}.get(entry.files, f"{entry.files:,} files differ")
        whose = f", of {listed(entry.macs, limit=2)}" if entry.macs else ""
        return style(f"-- {one_line(entry.revision)}, compiled anew: {what}{whose}", fg="cyan")
    if isinstance(entry, Kept):
        lines = [style(f"-- {one_line(entry.why)}: phones still get the tree from before", fg="red")]
        return "\n".join([*lines, *filter(None, [problems_text(entry.problems), entry.hint])])
    if isinstance(entry, Note):
        return style(f"-- {one_line(entry.text)}", fg="yellow")
    return ""


def entry_json(entry: Entry) -> str:
    """Return the same as one line in the shape of schema/output/serve.schema.json; "" for what is no entry."""
    if isinstance(entry, Line):
        return _dumped({"kind": "request", **_event(entry.event, entry.at), "label": entry.title, "state": entry.state})
    if isinstance(entry, Renewed):
        body = {"kind": "tree", "revision": entry.revision, "files": entry.files, "macs": list(entry.macs)}
        return _dumped(body)
    if isinstance(entry, Kept):
        problems = [{"id": one.id, "mark": str(one.mark), "message": one.message} for one in entry.problems]
        return _dumped({"kind": "kept", "why": entry.why, "problems": problems})
    if isinstance(entry, Note):
        return _dumped({"kind": "note", "text": entry.text})
    return ""


def greeting_text(
    revision: str, phones: int, urls: Mapping[str, str], *, best: str, pnp: str, notes: Sequence[str]
) -> str:
    """Return the first lines: what is handed out, where, and what to type into a phone."""
    lines = [f"{style(one_line(revision), bold=True)}, {count(phones, 'phone')}"]
    lines += [f"  {protocol:<5} {url}" for protocol, url in urls.items() if protocol != PNP]
    if PNP in urls:
        lines.append(f"  {PNP:<5} tells phones that ask by multicast: {pnp}")
    if best:
        lines.append(f"on a phone's Provision page: Profile Rule {style(urls[best], bold=True)}")
    lines += [f"{style('note:', fg='yellow')} {note}" for note in notes]
    return "\n".join([*lines, "Ctrl-C ends, Enter or SIGUSR1 shows who has what", ""])


def greeting_json(revision: str, phones: int, urls: Mapping[str, str], pnp: str, notes: Sequence[str]) -> str:
    """Return the same as one line of JSON."""
    shown = {protocol: pnp if protocol == PNP else url for protocol, url in urls.items()}
    return _dumped({"kind": "listening", "revision": revision, "phones": phones, "urls": shown, "notes": list(notes)})


def summary_text(rows: Sequence[Row], lost: int) -> str:
    """Return the table of who has what: phones that asked first, and how many of each state."""
    asked = sorted((row for row in rows if row.requests), key=lambda row: (row.state == UNLISTED, row.mac))
    silent = [row for row in rows if not row.requests]
    shown = [*asked, *silent][:_ROWS]
    lines = [""]
    if shown:
        lines.append(
            style(f"{'phone':<12}  {'label':<{_LABEL}}  {'state':<22}  {'asked':>6}  {'bytes':>10}  last", bold=True)
        )
    lines += map(_row, shown)
    if len(rows) > len(shown):
        lines.append(f"... and {len(rows) - len(shown):,} more")
    states = Counter(row.state for row in rows)
    said = [f"{number:,} {state}" for state in (CURRENT, STALE, ASKED, NEVER, UNLISTED) if (number := states[state])]
    lines.append(", ".join(said) or "no phone is listed, and none has asked")
    if lost:
        lines.append(f"{count(lost, 'line')} of the log {'was' if lost == 1 else 'were'} dropped: they came too fast")
    return "\n".join(lines)


def summary_json(rows: Sequence[Row], lost: int) -> str:
    """Return the same as one line of JSON, with every phone."""
    return _dumped({"kind": "summary", "phones": [_row_json(row) for row in rows], "lost": lost})


def _line(entry: Line) -> str:
    event = entry.event
    good = event.result == OK and event.whole
    result = f"{event.sent_bytes:,} B" if good else "in part" if event.result == OK else event.result
    name = one_line(event.name) or "-"
    return "  ".join(
        [
            style(_clock(entry.at), dim=True),
            f"{event.protocol:<5}",
            f"{event.client:<15}",
            f"{event.mac or '-':<12}",
            f"{_short(entry.title, _LABEL):<{_LABEL}}",
            f"{_short(name, 200):<30}",
            style(f"{one_line(result):>15}", fg="green" if good else "red"),
            style(entry.state, fg=_COLOURS[entry.state]) if entry.state else "",
        ]
    ).rstrip()


def _row(row: Row) -> str:
    last = f"{_clock(row.last_at)} {row.last.client}" if row.last else ""
    return "  ".join(
        [
            f"{_short(row.mac, 12):<12}",
            f"{_short(row.title, _LABEL):<{_LABEL}}",
            style(f"{row.state:<22}", fg=_COLOURS[row.state]),
            f"{row.requests:>6,}",
            f"{row.sent_bytes:>10,}",
            last,
        ]
    ).rstrip()


def _row_json(row: Row) -> Mapping[str, Any]:
    return {
        "mac": row.mac if row.state != UNLISTED or _is_mac(row.mac) else "",
        "client": row.last.client if row.last else "",
        "label": row.title,
        "state": row.state,
        "requests": row.requests,
        "bytes": row.sent_bytes,
        "at": _stamp(row.last_at) if row.last else None,
    }


def _is_mac(text: str) -> bool:
    return len(text) == 12 and not set(text) - set("0123456789abcdef")


def _event(event: Event, at: float) -> Mapping[str, Any]:
    return {
        "at": _stamp(at),
        "protocol": event.protocol,
        "client": event.client,
        "mac": event.mac,
        "name": event.name,
        "result": event.result,
        "bytes": event.sent_bytes,
        "whole": event.whole,
        "user_agent": event.user_agent,
    }


def _clock(at: float) -> str:
    return _local_time(int(at))


def _stamp(at: float) -> str:
    return _utc_time(int(at))


@lru_cache(maxsize=4)
def _local_time(second: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(second))


@lru_cache(maxsize=4)
def _utc_time(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def _short(text: str, width: int) -> str:
    shown = one_line(text)
    return shown if len(shown) <= width else f"{shown[: width - 1]}…"


def _dumped(body: Mapping[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=True)
