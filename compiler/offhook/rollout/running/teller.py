"""Whoever sends a campaign's NOTIFYs: a thread with an event loop, one open route, and the pace that is never passed.

Comes in: calls, each with the time at which it is due and what it passes. Goes out: outcomes, when they come. The
campaign goes on meanwhile: it switches phones, and asks for news.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TypeAlias

from offhook.problem import OffhookError
from offhook.rollout.campaign.steps import Send
from offhook.rollout.pace import Pace
from offhook.rollout.routes.call import Call, Sender
from offhook.rollout.telling import begin
from offhook.sip.outcome import CANCELLED, Outcome

Route: TypeAlias = Callable[[], AbstractAsyncContextManager[Sender]]
"""Makes the route, in the event loop that it will live in."""

_LONGEST_SLEEP_S = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """One NOTIFY: due at `due` by the monotonic clock, passing `places` that have a rate."""

    send: Send
    call: Call
    places: tuple[Hashable, ...]
    due: float


@dataclass(frozen=True, slots=True)
class Answer:
    """How one NOTIFY ended."""

    send: Send
    outcome: Outcome


class Teller:
    """Sends jobs in their order, from a thread of its own. Use it as a context manager.

    Raises OffhookError on entering where the route cannot be opened. Leaving it closes the route: what is still under
    way then is not told any more.
    """

    def __init__(self, route: Route, rates: Mapping[Hashable, float], *, resumed: bool) -> None:
        self._route = route
        self._rates = rates
        self._resumed = resumed
        self._answers: queue.Queue[Answer | BaseException] = queue.Queue()
        self._opened: queue.Queue[BaseException | None] = queue.Queue()
        self._under_way = 0
        self._thread = threading.Thread(target=self._run, name="teller", daemon=True)

    def __enter__(self) -> Teller:
        self._thread.start()
        fault = self._opened.get()
        if fault is not None:
            self._thread.join()
            raise fault
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._put(None)
        self._thread.join()

    def tell(self, job: Job) -> None:
        """Take a job; it is sent when it is due and the pace allows it."""
        self._under_way += 1
        self._put(job)

    def answers(self, timeout_s: float = 0.0) -> list[Answer]:
        """Return what was answered since, waiting for the first one for so many seconds."""
        found = []
        try:
            one = self._answers.get(timeout=timeout_s) if timeout_s > 0 else self._answers.get_nowait()
            while True:
                if isinstance(one, BaseException):
                    raise one
                found.append(one)
                self._under_way -= 1
                one = self._answers.get_nowait()
        except queue.Empty:
            return found

    @property
    def under_way(self) -> int:
        """How many jobs have not ended."""
        return self._under_way

    def _put(self, job: Job | None) -> None:
        self._loop.call_soon_threadsafe(self._jobs.put_nowait, job)

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        except OffhookError as error:
            self._opened.put(error)
        except BaseException as error:  # a bug ends the campaign, with its report, and not a silent thread
            self._opened.put(error)
            self._answers.put(error)

    async def _work(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: asyncio.Queue[Job | None] = asyncio.Queue()
        pace = Pace(self._rates, time.monotonic(), resumed=self._resumed)
        async with self._route() as sender:
            self._opened.put(None)
            while (job := await self._next()) is not None:
                await self._wait_for(job)
                await sender.room()  # before the leave is taken: what waits with leave goes in a burst
                await self._take(job, pace)
                begin(sender, job.call, partial(self._told, job))

    async def _next(self) -> Job | None:
        return await self._jobs.get()

    async def _wait_for(self, job: Job) -> None:
        while (left := job.due - time.monotonic()) > 0:
            await asyncio.sleep(min(left, _LONGEST_SLEEP_S))

    async def _take(self, job: Job, pace: Pace) -> None:
        while not pace.take(job.places, time.monotonic()):
            await asyncio.sleep(pace.wait(job.places, time.monotonic()))

    def _told(self, job: Job, outcome: Outcome) -> None:
        if outcome.word != CANCELLED:
            self._answers.put(Answer(job.send, outcome))
