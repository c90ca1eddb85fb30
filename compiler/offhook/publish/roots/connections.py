"""Connections that threads take turns with, and what is tried again when one is lost.

A connection serves one thread at a time. Idle ones are kept; there are at most `limit`, further threads wait. What
the server may do when asked again (throttling, 5xx, a lost connection) is asked again after growing random pauses.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Connection = TypeVar("Connection")
Result = TypeVar("Result")

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 20.0


class Connections(Generic[Connection]):
    """The connections of one root. `passing` are the exceptions after which it is tried again on a new connection."""

    def __init__(
        self,
        open_one: Callable[[], Connection],
        close_one: Callable[[Connection], None],
        *,
        passing: tuple[type[Exception], ...],
        attempts: int,
        limit: int,
    ) -> None:
        self._open = open_one
        self._close = close_one
        self._passing = passing
        self._attempts = max(1, attempts)
        self._room = threading.BoundedSemaphore(limit)
        self._idle: list[Connection] = []

    def run(self, operation: Callable[[Connection], Result], *, again: bool = True) -> Result:
        """Return what the operation makes of a connection; without `again` it is done once at most.

        A connection that an exception came through is closed: nobody knows what it would answer next.
        """
        for attempt in range(1, self._attempts + 1):
            try:
                return self._once(operation)
            except self._passing:
                if not again or attempt == self._attempts:
                    raise
            # full jitter: many that were refused at once must not come back at once
            time.sleep(random.uniform(0, min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt)))
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close all that are idle: all, when no thread is at work."""
        while self._idle:
            self._close(self._idle.pop())

    def _once(self, operation: Callable[[Connection], Result]) -> Result:
        with self._room:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._open()
            try:
                result = operation(connection)
            except BaseException:
                self._close(connection)
                raise
            self._idle.append(connection)
            return result
