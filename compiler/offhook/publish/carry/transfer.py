"""Carrying contents to a root: several processes, several threads in each, and the first refusal stops them all.

Contents come in shares, and a share is made by the process that sends it: forked children see the parent's memory, and
nothing that was opened is written down or sent from process to process. Writing the same once more changes nothing, so
a share whose process was killed is sent again as a whole.
"""

from __future__ import annotations

import mmap
import os
import random
import struct
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, Full, Queue
from threading import Lock, Thread
from typing import Any, NamedTuple

from offhook.parallel import map_in_processes
from offhook.problem import OffhookError
from offhook.publish.roots.root import About, Content, Passing, Root

_WORTH_A_PROCESS = 200
"""Objects for which starting another process pays."""

_ROUNDS = 4
"""How often what may pass is tried, each time by all that the root itself does about it."""

_PATIENCE_S = 10.0
"""Seconds without a success, while every thread fails, until what may pass is believed to stay."""

_PAUSE_S = 1.0
"""The most that a thread waits after such a failure."""

_LOOK_S = 0.1


def send(
    shares: Sequence[Callable[[], Iterable[Content]]],
    wanted: Collection[str],
    open_root: Callable[[], Root],
    *,
    about: Callable[[str], About],
    processes: int,
    threads: int,
    progress: Callable[[int, int], None],
) -> list[str]:
    """Write those contents of the shares that are wanted, and return their paths, in the order of the shares.

    A root is opened in each process, after the fork. `progress` is told objects written and wanted, in this process;
    what another process wrote of a share that then begins anew is taken back. At most some contents for each thread are
    held at once. What may pass (`Passing`) is tried again after the rest of its share, unless all threads fail for ten
    seconds. Raises OffhookError, the first refusal, when what was under way has ended; what was written stays.
    """
    # a set, whatever it was: it is asked once for each content
    wanted = frozenset(wanted)
    if not wanted:
        return []
    processes = max(1, min(processes, len(shares), len(wanted) // _WORTH_A_PROCESS))
    with _Board(len(shares)) as board:
        courier = _Courier(
            open_root=open_root,
            wanted=wanted,
            about=about,
            threads=max(1, min(threads, len(wanted))),
            board=board,
            progress=progress,
        )
        try:
            ends: list[_End] = map_in_processes(
                lambda number: courier.carry(number, shares[number]),
                range(len(shares)),
                processes=processes,
                keep=lambda end: _End(*end),
            )
        finally:
            courier.close()
        refused = [end for end in ends if end.message]
        if refused:
            raise OffhookError(refused[0].message, hint=refused[0].hint)
        stopped = board.is_stopped
        progress(board.done, len(wanted))
    if stopped:
        # who stopped the others was killed before it could say why
        return send(shares, wanted, open_root, about=about, processes=1, threads=threads, progress=progress)
    return [path for end in ends for path in end.written]


class _End(NamedTuple):
    """How a share ended: what was written, and a refusal or empty texts."""

    written: list[str]
    message: str
    hint: str


class _Board:
    """What all processes see: objects written, share by share, and whether to stop."""

    _NUMBER = struct.Struct("=Q")

    def __init__(self, shares: int) -> None:
        self._shared = mmap.mmap(-1, self._NUMBER.size * (shares + 1))
        self._counts = range(self._NUMBER.size, self._NUMBER.size * (shares + 1), self._NUMBER.size)

    def __enter__(self) -> _Board:
        return self

    def __exit__(self, *_: object) -> None:
        self._shared.close()

    @property
    def is_stopped(self) -> bool:
        return self._shared[0] != 0

    def stop(self) -> None:
        self._shared[0] = 1

    @property
    def done(self) -> int:
        return sum(self._NUMBER.unpack_from(self._shared, place)[0] for place in self._counts)

    def count(self, share: int, written: int) -> None:
        """Say how much of a share is written; a share is one process's at a time."""
        self._NUMBER.pack_into(self._shared, self._counts[share], written)


@dataclass(slots=True)
class _Courier:
    """Who writes, in each process; it is forked before it has opened its root."""

    open_root: Callable[[], Root]
    wanted: frozenset[str]
    about: Callable[[str], About]
    threads: int
    board: _Board
    progress: Callable[[int, int], None]
    parent: int = field(default_factory=os.getpid)
    root: Root | None = None

    def carry(self, number: int, share: Callable[[], Iterable[Content]]) -> tuple[list[str], str, str]:
        """Write a share, round by round: what may pass is for the next one. Returns an `_End` as plain data."""
        self.board.count(number, 0)
        written: list[str] = []
        try:
            contents: Iterable[Content] = (content for content in share() if content.path in self.wanted)
            for turn in range(1, _ROUNDS + 1):
                round_ = _Round(self, number, written, is_last=turn == _ROUNDS)
                round_.run(contents)
                if not round_.again or self.board.is_stopped:
                    break
                contents = round_.again
                time.sleep(random.uniform(0, 2 ** (turn - 1)))
        except OffhookError as refusal:
            self.board.stop()
            return written, refusal.message, refusal.hint
        except BaseException:
            # a child's failure is no end: its share is done again here
            if os.getpid() == self.parent:
                self.board.stop()
            raise
        return written, "", ""

    def opened(self) -> Root:
        if self.root is None:
            self.root = self.open_root()
        return self.root

    def tell(self) -> None:
        if os.getpid() == self.parent:
            self.progress(self.board.done, len(self.wanted))

    def close(self) -> None:
        if self.root is not None:
            self.root.close()
            self.root = None


class _Round:
    """Contents, handed by the thread that makes them to those that write them."""

    def __init__(self, courier: _Courier, number: int, written: list[str], *, is_last: bool) -> None:
        self._courier = courier
        self._root = courier.opened()
        self._number = number
        self._written = written
        self._is_last = is_last
        self._failure: BaseException | None = None
        self._in_a_row = 0
        self._good = time.monotonic()
        self._lock = Lock()
        self._waiting: Queue[Content | None] = Queue(maxsize=2 * courier.threads)
        self.again: list[Content] = []

    def run(self, contents: Iterable[Content]) -> None:
        """Write them. Raises what a thread could not write."""
        if self._courier.threads == 1:
            for content in self._until_stopped(contents):
                self._write(content)
        else:
            self._run_threads(contents)
        if self._failure:
            raise self._failure

    def _run_threads(self, contents: Iterable[Content]) -> None:
        threads: list[Thread] = []
        try:
            for content in self._until_stopped(contents):
                if len(threads) < self._courier.threads and (not threads or self._waiting.qsize()):
                    threads.append(_started(self._take))
                self._put(content)
        except BaseException:
            self._failure = self._failure or InterruptedError()
            raise
        finally:
            for _ in threads:
                self._put(None)
            for thread in threads:
                while thread.is_alive():
                    thread.join(_LOOK_S)
                    self._courier.tell()

    def _until_stopped(self, contents: Iterable[Content]) -> Iterator[Content]:
        """Yield the contents while nobody has failed, and tell how far it is, now and then."""
        told = time.monotonic()
        for content in contents:
            if self._is_over():
                return
            yield content
            if time.monotonic() - told > _LOOK_S:
                self._courier.tell()
                told = time.monotonic()

    def _is_over(self) -> bool:
        return self._failure is not None or self._courier.board.is_stopped

    def _put(self, content: Content | None) -> None:
        while not self._is_over():
            with suppress(Full):
                self._waiting.put(content, timeout=_LOOK_S)
                return

    def _take(self) -> None:
        while not self._is_over():
            with suppress(Empty):
                content = self._waiting.get(timeout=_LOOK_S)
                if content is None:
                    return
                self._write(content)

    def _write(self, content: Content) -> None:
        try:
            self._root.write(content.path, content.data, self._courier.about(content.path))
        except Passing as refusal:
            with self._lock:
                self._in_a_row += 1
                self.again.append(content)
                for_s = time.monotonic() - self._good
                if self._is_last or (self._in_a_row >= self._courier.threads and for_s >= _PATIENCE_S):
                    self._fail(refusal)
            if not self._is_over():
                time.sleep(random.uniform(0, _PAUSE_S))
        except BaseException as failure:
            self._fail(failure)
        else:
            with self._lock:
                self._in_a_row, self._good = 0, time.monotonic()
                self._written.append(content.path)
                self._courier.board.count(self._number, len(self._written))

    def _fail(self, failure: BaseException) -> None:
        """Keep the first failure; a refusal is the end for every process, anything else is done again by the parent."""
        self._failure = self._failure or failure
        if isinstance(self._failure, OffhookError):
            self._courier.board.stop()


def _started(target: Callable[[], Any]) -> Thread:
    thread = Thread(target=target)
    thread.start()
    return thread
