"""Many virtual phones at once: a bounded number in flight, in one or several processes, over connections that are kept.

Each boot is `offhook.phone.boot.boot` itself: the same requests in the same order, and the same merge. What a boot came
to is judged where it ran, so that only verdicts travel between processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from threading import Event

from offhook.parallel import map_in_processes
from offhook.phone.boot import BootResult, FetchOptions, boot
from offhook.phone.connections import Connections
from offhook.phone.threads import in_threads
from offhook.verify.compare import LOST, Verdict, not_asked, of_plain

AT_ONCE = 16
"""Phones in flight in each process, unless told otherwise: enough for a server 20 ms away."""

_SHARE = 250
_LOST_IN_A_ROW = 20
"""After so many phones in a row that reached no server, and one for each in flight, the rest is left out."""

Judge = Callable[[BootResult, float], Verdict]
"""Tells what a boot came to that took so many seconds."""


def boot_many(
    macs: Sequence[str],
    url: str,
    judge: Judge,
    *,
    options: FetchOptions,
    at_once: int = AT_ONCE,
    processes: int = 1,
) -> list[Verdict]:
    """Return a verdict for each MAC, in their order; `at_once` are in flight in each process.

    Whatever a server does becomes part of the verdicts. Raises OffhookError where this machine lacks something.
    """
    idle: list[Connections] = []  # each process has a list of its own, and each thread takes one of it
    lost = [0]

    def one(mac: str, connections: Connections) -> Verdict:
        if lost[0] >= _LOST_IN_A_ROW + at_once:
            return not_asked(mac)
        start = time.perf_counter()
        result = boot(mac, url, options=options, fetch=connections.fetch)
        found = judge(result, time.perf_counter() - start)
        lost[0] = lost[0] + 1 if found.verdict == LOST else 0
        return found

    def share(chosen: Sequence[str]) -> list[tuple[object, ...]]:
        rows: list[Verdict | None] = [None] * len(chosen)
        numbers = iter(range(len(chosen)))  # its next() is one step, whichever thread asks

        def work(stop: Event) -> None:
            try:
                connections = idle.pop()
            except IndexError:
                connections = Connections()
            try:
                for number in numbers:
                    if stop.is_set():
                        return
                    rows[number] = one(chosen[number], connections)
            finally:
                idle.append(connections)

        in_threads(work, min(at_once, len(chosen)))
        return [row.plain() for row in rows if row is not None]

    try:
        made = map_in_processes(share, list(_shares(macs, processes)), processes=processes, keep=list)
    finally:
        for connections in idle:
            connections.close()
    return [of_plain(row) for rows in made for row in rows]


def _shares(macs: Sequence[str], processes: int) -> Iterator[Sequence[str]]:
    step = max(1, min(_SHARE, -(-len(macs) // processes)))
    for start in range(0, len(macs), step):
        yield macs[start : start + step]
