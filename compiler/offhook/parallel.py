"""Work on a list with several processes, for the two steps that dominate: reading files and making trees.

`map_in_processes` forks: the children see all of the parent's memory, so nothing is shipped to them, and
what they make comes back as marshal data (the fastest packing in the standard library, and only between
processes of one run). With one process, or where fork is missing, it is an ordinary map.
"""

from __future__ import annotations

import marshal
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def available_processes() -> int:
    """Return how many processes are worth having: the cores this process may use, two at most asked for in tests."""
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

    `pack` turns a result into data that marshal knows, `unpack` turns it back. An exception in a child is
    raised here again by doing that child's share in this process: the outcome never depends on `processes`.
    """
    processes = min(processes, len(items))
    if processes < 2 or not hasattr(os, "fork"):
        return [function(item) for item in items]
    children = [
        _start(lambda share=share: [pack(function(item)) for item in items[share::processes]])  # type: ignore[misc]
        for share in range(1, processes)
    ]
    results: list[R | None] = [None] * len(items)
    results[0::processes] = [function(item) for item in items[0::processes]]
    for share, child in enumerate(children, start=1):
        data = _finish(child)
        results[share::processes] = (
            [function(item) for item in items[share::processes]]
            if data is None
            else [unpack(one) for one in marshal.loads(data)]
        )
    return results  # type: ignore[return-value]


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
        os._exit(status)


def _finish(child: tuple[int, int]) -> bytes | None:
    """What a child wrote, or None where it failed."""
    process, reading = child
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(process, 0)
    return data if status == 0 else None
