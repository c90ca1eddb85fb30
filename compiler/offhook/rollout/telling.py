"""Telling many phones: calls and an open route -> outcomes as they come.

Whom to tell, how fast and what to remember is somebody else's: `before` is asked before each send, and may wait (a
token bucket), write ahead (a journal), or say no.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from offhook.problem import OffhookError
from offhook.rollout.routes.call import Call, Sender
from offhook.sip.message import SipError
from offhook.sip.outcome import NO_ADDRESS, Outcome, harmless

Before: TypeAlias = Callable[[Call], Awaitable[bool]]
"""Is asked right before a call is sent; False leaves that phone out. It is awaited for one call at a time."""


@dataclass(frozen=True, slots=True)
class Told:
    """A call, and how it ended."""

    call: Call
    outcome: Outcome


def begin(sender: Sender, call: Call, told: Callable[[Outcome], None]) -> None:
    """Send one; what cannot be sent at all ends there, too."""
    try:
        sender.begin(call, told)
    except OffhookError as error:
        told(Outcome(NO_ADDRESS, detail=harmless(error.message)))
    except SipError as error:
        told(Outcome(NO_ADDRESS, detail=harmless(str(error))))


async def always(_: Call) -> bool:
    """Send every call at once."""
    return True


async def notify_many(calls: Iterable[Call], sender: Sender, *, before: Before = always) -> AsyncIterator[Told]:
    """Tell phones in the order of `calls`, and give each outcome when it comes: one for every call that was sent.

    Calls are taken one by one, when there is room for them: they may be made on the way. What `before` raises ends
    the sending; outcomes of what was sent before are given first, then it is raised. Closing the iterator stops the
    sending; the route tells what is still under way when it is closed.
    """
    ended: deque[Told] = deque()
    changed = asyncio.Event()
    sent = given = 0

    def told(call: Call, outcome: Outcome) -> None:
        ended.append(Told(call, outcome))
        changed.set()

    async def send() -> None:
        nonlocal sent
        for call in calls:
            await sender.room()
            if await before(call):
                begin(sender, call, partial(told, call))
                sent += 1

    task = asyncio.get_running_loop().create_task(send())
    task.add_done_callback(lambda _: changed.set())
    try:
        while given < sent or not task.done():
            changed.clear()
            if not ended:
                await changed.wait()
            while ended:
                given += 1
                yield ended.popleft()
        await task
    finally:
        task.cancel()
