"""Work with several processes, for the two steps that dominate: reading files and making trees.

Both functions fork, and what passes between the processes is marshal data (the fastest packing in the standard
library, and only between processes of one run). A child of `map_in_processes` sees all of the parent's memory, so
nothing is shipped to it; that of `use_in_process` is sent what it uses. With one process, or where fork is missing,
they are an ordinary map and an ordinary loop.
"""

from __future__ import annotations

import marshal
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from typing import Any, BinaryIO, TypeVar

T = TypeVar("T")
R = TypeVar("R")

Watcher = Callable[[int, int], None]
"""Is told how far `map_in_processes` is: items begun, of how many."""

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)

_NUMBER = 4
_PIPE = 60_000 // _NUMBER


def available_processes() -> int:
    """Return how many processes are worth having: one for each core that this process may use."""
    if not hasattr(os, "fork"):
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Let `watcher` be told of the progress of every map inside: whoever waits is far from whoever works."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def map_in_processes(
    function: Callable[[T], Any], items: Sequence[T], *, processes: int, keep: Callable[[Any], R]
) -> list[R]:
    """Return [keep(function(item)) for item in items], in the order of the items.

    `function` runs in one of `processes` processes, whichever takes the item next, and returns plain data
    that marshal knows; `keep` runs in this one. What a child could not finish (it was killed, or raised) is
    done again here, where it may raise: the outcome never depends on `processes`.
    """
    processes = min(processes, len(items))
    watcher = _watcher.get() or (lambda *_: None)
    if processes < 2 or not hasattr(os, "fork"):
        made = []
        for number, item in enumerate(items, start=1):
            watcher(number, len(items))
            made.append(keep(function(item)))
        return made
    # a pipe filled with numbers is the queue: reading one takes it, and an empty pipe ends the work
    size = max(1, -(-len(items) // _PIPE))
    queue, filling = os.pipe()
    for first in range(0, len(items), size):
        os.write(filling, first.to_bytes(_NUMBER, "little"))
    os.close(filling)

    def taken() -> Iterator[tuple[int, T]]:
        while token := os.read(queue, _NUMBER):
            first = int.from_bytes(token, "little")
            yield from enumerate(items[first : first + size], first)

    def work(pipe: BinaryIO) -> None:
        # packed one by one: the objects of one item are gone before the next begins
        made = [(number, marshal.dumps(function(item))) for number, item in taken()]
        pipe.write(marshal.dumps(made))

    children = [_start(work) for _ in range(1, processes)]
    results: dict[int, R] = {}
    try:
        for number, item in taken():
            watcher(number, len(items))
            results[number] = keep(function(item))
    except BaseException:
        # nobody wants the others' work any more, and they may not have been interrupted themselves
        for process, _ in children:
            os.kill(process, signal.SIGKILL)
        raise
    finally:
        os.close(queue)
        answers = [_finish(child) for child in children]
    for answer in answers:
        for number, data in marshal.loads(answer) if answer is not None else ():
            results[number] = keep(marshal.loads(data))
    return [results[number] if number in results else keep(function(item)) for number, item in enumerate(items)]


def use_in_process(use: Callable[[Any], R], items: Iterable[Any], *, processes: int) -> list[R]:
    """Return [use(item) for item in items]: this process makes the items, another one uses them.

    Items and results are plain data that marshal knows. Raises ChildProcessError where the other process fails;
    with one process both are done here.
    """
    if processes < 2 or not hasattr(os, "fork"):
        return [use(item) for item in items]
    taking, giving = os.pipe()

    def work(answer: BinaryIO) -> None:
        os.close(giving)
        with os.fdopen(taking, "rb") as pipe:
            answer.write(marshal.dumps([use(item) for item in _frames(pipe)]))

    child: tuple[int, int] | None = None
    data: bytes | None = None
    try:
        child = _start(work)
        os.close(taking)
        # where the child failed, its pipe breaks: its status says so below
        with suppress(BrokenPipeError), os.fdopen(giving, "wb") as pipe:
            for item in items:
                frame = marshal.dumps(item)
                pipe.write(len(frame).to_bytes(_NUMBER, "little") + frame)
    finally:
        data = _finish(child) if child is not None else None
    if data is None:
        raise ChildProcessError("the writing process ended early")
    made: list[R] = marshal.loads(data)
    return made


def _frames(pipe: BinaryIO) -> Iterator[Any]:
    """What was sent through a pipe, frame by frame."""
    while size := int.from_bytes(pipe.read(_NUMBER), "little"):
        yield marshal.loads(pipe.read(size))


def _start(work: Callable[[BinaryIO], None]) -> tuple[int, int]:
    """Fork a child that does `work` with the writing end of a pipe; return its process id and the reading end."""
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
        with suppress(BrokenPipeError), closing(os.fdopen(writing, "wb")) as pipe:
            work(pipe)
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
