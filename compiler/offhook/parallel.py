"""Work on a list with several processes, for the two steps that dominate: reading files and making trees.

`map_in_processes` forks: the children see all of the parent's memory, so nothing is shipped to them, and
what they make comes back as marshal data (the fastest packing in the standard library, and only between
processes of one run). Everybody takes the next item when done with one. With one process, or where fork is
missing, it is an ordinary map.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_TOKEN = 4
_PIPE = 60_000 // _TOKEN


def available_processes() -> int:
    """Return how many processes are worth having: one for each core that this process may use."""
    if not hasattr(os, "fork"):
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_in_processes(
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    processes: int,
    pack: Callable[[R], Any],
    unpack: Callable[[Any], R],
) -> list[R]:
    """Return [function(item) for item in items], made by `processes` processes, in the order of the items.

    `pack` turns a result into data that marshal knows, `unpack` turns it back. What a child could not finish
    (it was killed, or raised) is done again in this process, where it may raise: the outcome never depends on
    `processes`.
    """
    processes = min(processes, len(items))
    if processes < 2 or not hasattr(os, "fork"):
        return [function(item) for item in items]
    # a pipe filled with numbers is the queue: reading one takes it, and an empty pipe ends the work
    size = max(1, -(-len(items) // _PIPE))
    queue, filling = os.pipe()
    for first in range(0, len(items), size):
        os.write(filling, first.to_bytes(_TOKEN, "little"))
    os.close(filling)

    def taken() -> Iterator[tuple[int, T]]:
        while token := os.read(queue, _TOKEN):
            first = int.from_bytes(token, "little")
            yield from enumerate(items[first : first + size], first)

    children = [
        _start(lambda: [(number, pack(function(item))) for number, item in taken()]) for _ in range(1, processes)
    ]
    results: dict[int, R] = {}
    try:
        for number, item in taken():
            results[number] = function(item)
    finally:
        os.close(queue)
        made = [_finish(child) for child in children]
    for data in made:
        if data is not None:
            results.update((number, unpack(one)) for number, one in marshal.loads(data))
    return [results[number] if number in results else function(item) for number, item in enumerate(items)]


def _start(work: Callable[[], Any]) -> tuple[int, int]:
    """Fork a child that does `work` and writes its marshalled result; return its process id and the pipe's end."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    status = 1
    try:
        os.close(reading)
        data = marshal.dumps(work())
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data)
        status = 0
    finally:
        # no exit handlers, no buffers: they are the parent's
        os._exit(status)


def _finish(child: tuple[int, int]) -> bytes | None:
    """What a child wrote, or None where it failed."""
    process, reading = child
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(process, 0)
    return data if status == 0 else None
