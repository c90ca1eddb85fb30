"""The same work in several threads, which all stop when one of them fails, or the user has had enough."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event


def in_threads(work: Callable[[Event], None], count: int) -> None:
    """Do the work in `count` threads, and raise what one of them raised. The event is set when they should stop."""
    stop = Event()
    if count < 2:
        work(stop)
        return
    with ThreadPoolExecutor(count) as pool:
        try:  # from the first thread on: an interrupt between two of them stops those that run
            futures = [pool.submit(work, stop) for _ in range(count)]
            for done in wait(futures, return_when=FIRST_EXCEPTION).done:
                done.result()
        finally:
            stop.set()
