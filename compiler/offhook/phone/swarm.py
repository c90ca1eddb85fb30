"""What a power cut does to a provisioning server: many phones start at once, each after a delay of its own.

The delay is that of the phone's setting "Resync Random Delay" (guide, Provision page: 40 s), the upper bound of a
random wait after power-on. Each request has a connection of its own: whether a phone keeps one is not known, and this
is the harder case. Phones are not held back where the server is slow: each starts when its time has come, as long as
this machine has a thread for it. How late they started is part of the result, so that it is not blamed on the server.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from math import ceil
from threading import Event

from offhook.parallel import map_in_processes
from offhook.phone.boot import boot
from offhook.phone.connections import Connections
from offhook.phone.http import phone_user_agent
from offhook.phone.request import Answer, FetchOptions
from offhook.phone.target import Target
from offhook.phone.threads import in_threads

SPREAD_S = 40.0
"""The guide's "Resync Random Delay"."""

VENDOR = "0021f2"
"""The MAC prefix of the phones in the guide's captures."""

COMPLETE, INCOMPLETE, FAILED = "complete", "incomplete", "failed"

_AT_ONCE = 256
_HEAD_START_S = 0.2

Row = tuple[float, float, float, str, list[tuple[float, float, str, int]]]
"""Of a boot: when it should start and did, when it ended, how; its requests: start, seconds, result, bytes."""


@dataclass(frozen=True, slots=True)
class Swarm:
    """What a swarm of phones came to. Times are in seconds, starts from the moment of the power cut.

    `requests` and `boots` are sorted latencies. `results` counts requests by their result ("not found" among them: a
    phone looks for files that need not exist), `states` boots. `starts` and `slowest` are, for each of equal parts of
    the time, the requests that began in it and the longest of them. `late` is how late a phone started, at worst.
    """

    phones: int
    seed: int
    spread_s: float
    took_s: float
    requests: tuple[float, ...] = field(repr=False)
    boots: tuple[float, ...] = field(repr=False)
    results: Mapping[str, int]
    states: Mapping[str, int]
    bytes: int
    starts: tuple[int, ...]
    slowest: tuple[float, ...]
    late: float


def made_up(count: int) -> list[str]:
    """Return MACs of the vendor's, one after another."""
    return [f"{VENDOR}{number % (1 << 24):06x}" for number in range(1, count + 1)]


def delays(count: int, spread_s: float, seed: int) -> list[float]:
    """Return how long after the power cut each phone starts, in seconds; the same for the same seed."""
    chance = random.Random(seed)
    return [chance.uniform(0.0, spread_s) for _ in range(count)]


def swarm(
    macs: Sequence[str],
    url: str,
    *,
    count: int,
    spread_s: float = SPREAD_S,
    seed: int = 0,
    options: FetchOptions,
    model: str | None = None,
    processes: int = 1,
    parts: int = 10,
) -> Swarm:
    """Boot `count` phones, each at a time between 0 and `spread_s` that `seed` decides; the MACs over again if few.

    With a model each says in its User-Agent to be one. Whatever the server does becomes part of the result. Raises
    OffhookError where this machine lacks something, ValueError where there is no MAC.
    """
    if not macs:
        raise ValueError("no MAC")
    plan = sorted(zip(delays(count, spread_s, seed), cycle(macs), strict=False))
    begin = time.monotonic() + _HEAD_START_S

    def share(first: int) -> list[Row]:
        return _start(plan[first::processes], url, begin, options, model)

    rows: list[Row] = []
    for made in map_in_processes(share, range(min(processes, max(1, count))), processes=processes, keep=list):
        rows += made
    return _summed(rows, seed, spread_s, parts)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest of sorted values that at least this share of them does not exceed; 0 where there are none."""
    return ordered[max(0, ceil(round(len(ordered) * share, 6)) - 1)] if ordered else 0.0


def _start(
    plan: Sequence[tuple[float, str]], url: str, begin: float, options: FetchOptions, model: str | None
) -> list[Row]:
    """Boot these phones, each when its time has come."""
    rows: list[Row] = []
    phones = iter(plan)  # its next() is one step, whichever thread asks

    def work(stop: Event) -> None:
        for due, mac in phones:
            stop.wait(max(0.0, begin + due - time.monotonic()))
            if stop.is_set():
                return
            chosen = replace(options, user_agent=phone_user_agent(model, mac)) if model else options
            rows.append(_boot(mac, url, due, begin, chosen))

    in_threads(work, min(_AT_ONCE, len(plan)))
    return rows


def _boot(mac: str, url: str, due: float, begin: float, options: FetchOptions) -> Row:
    requests: list[tuple[float, float, str, int]] = []
    start = time.monotonic()
    with Connections(keep=False) as connections:
        fetch = _timed(connections.fetch, begin, requests)
        result = boot(mac, url, options=options, fetch=fetch)
    state = FAILED if result.failed else COMPLETE if result.complete else INCOMPLETE
    return due, start - begin, time.monotonic() - begin, state, requests


def _timed(
    fetch: Callable[[Target, FetchOptions], Answer], begin: float, requests: list[tuple[float, float, str, int]]
) -> Callable[[Target, FetchOptions], Answer]:
    def timed(target: Target, options: FetchOptions) -> Answer:
        start = time.monotonic()
        answer = fetch(target, options)
        requests.append((start - begin, time.monotonic() - start, answer.result, len(answer.body)))
        return answer

    return timed


def _summed(rows: Sequence[Row], seed: int, spread_s: float, parts: int) -> Swarm:
    asked = [request for row in rows for request in row[4]]
    took = max((row[2] for row in rows), default=0.0)
    starts, slowest = [0] * parts, [0.0] * parts
    for start, seconds, _, _ in asked:
        part = min(parts - 1, int(start / took * parts)) if took > 0 else 0
        starts[part] += 1
        slowest[part] = max(slowest[part], seconds)
    return Swarm(
        phones=len(rows),
        seed=seed,
        spread_s=spread_s,
        took_s=took,
        requests=tuple(sorted(seconds for _, seconds, _, _ in asked)),
        boots=tuple(sorted(end - start for _, start, end, _, _ in rows)),
        results=dict(sorted(Counter(result for _, _, result, _ in asked).items())),
        states={state: sum(row[3] == state for row in rows) for state in (COMPLETE, INCOMPLETE, FAILED)},
        bytes=sum(size for _, _, _, size in asked),
        starts=tuple(starts),
        slowest=tuple(slowest),
        late=max((start - due for due, start, _, _, _ in rows), default=0.0),
    )
