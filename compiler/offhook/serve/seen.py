"""What each phone runs now, as far as what it has fetched tells: current, stale, or never seen.

Comes in: events of the desk. Goes out: a state for each line of the log, and rows for a summary. Listed phones are all
remembered; of what else asks, only so much that invented MACs cannot fill the memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from offhook.serve.desk import OK, PNP, Event
from offhook.serve.shelf import Shelf

CURRENT = "current"
STALE = "stale"
NEVER = "never seen"
ASKED = "asked, has nothing yet"
UNLISTED = "not listed"

_MAX_STRANGERS = 1000
_MAX_OWN = 8
"""A phone has two or three files of its own; in the layered layout each change gives one another name."""


@dataclass(frozen=True, slots=True)
class Row:
    """One phone of the summary. `requests` and `sent_bytes` are of all its files; `last` came at `last_at`."""

    mac: str
    title: str
    state: str
    requests: int = 0
    sent_bytes: int = 0
    last: Event | None = None
    last_at: float = 0.0


@dataclass(slots=True)
class _Record:
    requests: int = 0
    sent_bytes: int = 0
    last: Event | None = None
    last_at: float = 0.0
    has: dict[str, str] = field(default_factory=dict)  # path -> tag of what was fetched whole


class Seen:
    """What phones have fetched. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listed: dict[str, _Record] = {}
        self._strangers: OrderedDict[str, _Record] = OrderedDict()

    def note(self, event: Event, shelf: Shelf, at: float) -> str:
        """Remember an event and when it was; return its phone's state after it, "" where no phone is known by it."""
        with self._lock:
            record = self._record(event, shelf)
            record.requests += 1
            record.sent_bytes += event.sent_bytes if event.protocol != PNP else 0
            record.last, record.last_at = event, at
            if event.result == OK and event.whole and event.mac and shelf.owners.get(event.name) == event.mac:
                record.has[event.name] = event.tag
                if len(record.has) > 2 * _MAX_OWN:
                    record.has = {path: record.has[path] for path in shelf.own_paths(event.mac) if path in record.has}
            return self._state(event.mac, record, shelf) if event.mac else ""

    def rows(self, shelf: Shelf) -> list[Row]:
        """Return a row a phone: those that are listed by MAC, then strangers, the last to ask first."""
        with self._lock:
            rows = []
            for mac, title in sorted(shelf.phones.items()):
                record = self._listed.get(mac) or _Record()
                state = self._state(mac, record, shelf) if record.requests else NEVER
                rows.append(Row(mac, title, state, record.requests, record.sent_bytes, record.last, record.last_at))
            for name, record in reversed(self._strangers.items()):
                rows.append(Row(name, "", UNLISTED, record.requests, record.sent_bytes, record.last, record.last_at))
            return rows

    def _record(self, event: Event, shelf: Shelf) -> _Record:
        if event.mac in shelf.phones:
            return self._listed.setdefault(event.mac, _Record())
        name = event.mac or event.client
        record = self._strangers.setdefault(name, _Record())
        self._strangers.move_to_end(name)
        if len(self._strangers) > _MAX_STRANGERS:
            self._strangers.popitem(last=False)
        return record

    @staticmethod
    def _state(mac: str, record: _Record, shelf: Shelf) -> str:
        """A phone is current when the switch that it took last is the shelf's, and with it its own cfg file."""
        if mac not in shelf.phones:
            return UNLISTED
        own = shelf.own_paths(mac)
        configuration = [path for path in own if path.endswith(".cfg")]
        if not record.has:
            return ASKED
        if not all(path in record.has for path in configuration):
            return STALE if any(path.endswith(".cfg") for path in record.has) else ASKED
        same = all(record.has[path] == shelf.tag(path) for path in own if path in record.has)
        return CURRENT if same else STALE
