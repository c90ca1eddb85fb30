"""Telling chosen phones, paced, from the first call to the last answer: calls and an open route -> a result a phone.

A phone that nobody knows by the account of the release before may have fetched since: it is called by its new one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import count

from offhook.rollout.calls import Calls, Planned, called, next_calls
from offhook.rollout.pace import Pace
from offhook.rollout.routes.call import Call, Sender, Told
from offhook.rollout.telling import notify_many
from offhook.rollout.who import Target
from offhook.sip.outcome import CANCELLED, NOT_SENT, NOT_THERE, Outcome


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one chosen phone. `also` are others that heard it; `address` was called last, "" for none."""

    phone: Target
    outcome: Outcome
    also: tuple[str, ...] = ()
    address: str = ""


def notify_all(
    calls: Calls,
    route: AbstractAsyncContextManager[Sender],
    *,
    rate: float,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[list[Result], bool]:
    """Send every call, at most `rate` a second at each registrar; return a result for each chosen phone, by MAC.

    The flag tells that it ran to its end: Ctrl-C stops the sending, and whoever was not told is said to be. Raises
    OffhookError where the route cannot be opened.
    """
    ended: dict[Call, Outcome] = {}
    try:
        asyncio.run(_run(calls, route, rate, ended, progress))
        whole = True
    except KeyboardInterrupt:
        whole = False
    return sorted(_results(calls, ended), key=lambda one: one.phone.mac), whole


class _Noting:
    """A route that notes how each call ended, also when that is only known as it is closed."""

    def __init__(self, sender: Sender, ended: dict[Call, Outcome]) -> None:
        self._sender = sender
        self._ended = ended
        self.room = sender.room

    def begin(self, call: Call, told: Told) -> None:
        def note(outcome: Outcome) -> None:
            # a name that was still looked up: nothing had gone to anybody
            was_sent = outcome.word != CANCELLED or outcome.sends or outcome.server
            self._ended[call] = outcome if was_sent else Outcome(NOT_SENT)
            told(outcome)

        self._ended[call] = Outcome(CANCELLED)  # until it is known better: a second Ctrl-C does not wait for the route
        self._sender.begin(call, note)


async def _run(
    calls: Calls,
    route: AbstractAsyncContextManager[Sender],
    rate: float,
    ended: dict[Call, Outcome],
    progress: Callable[[int], None],
) -> None:
    planned = [one.call for one in calls.planned]
    domains = {call.domain for call in (*planned, *(one.call for one in next_calls(calls, planned)))}
    pace = Pace(dict.fromkeys(domains, rate), time.monotonic(), resumed=False)

    async def paced(call: Call) -> bool:
        while not pace.take([call.domain], time.monotonic()):
            await asyncio.sleep(pace.wait([call.domain], time.monotonic()))
        return True

    answers = count(1)

    async def tell(some: Iterable[Call]) -> None:
        async for _ in notify_many(some, sender, before=paced):
            progress(next(answers))

    async with route as opened:
        sender = _Noting(opened, ended)
        await tell(planned)
        await tell(one.call for one in next_calls(calls, _not_there(ended)))


def _not_there(ended: dict[Call, Outcome]) -> list[Call]:
    return [call for call, outcome in ended.items() if outcome.word in NOT_THERE]


def _results(calls: Calls, ended: dict[Call, Outcome]) -> list[Result]:
    found = {one.phone.mac: Result(one.phone, one.outcome, one.phone.also) for one in calls.refused}
    for one in (*calls.planned, *next_calls(calls, _not_there(ended))):
        found |= {
            phone.mac: _of(one, phone, ended) for phone in one.phones if phone.mac not in found or one.call in ended
        }
    return list(found.values())


def _of(planned: Planned, target: Target, ended: dict[Call, Outcome]) -> Result:
    return Result(target, ended.get(planned.call, Outcome(NOT_SENT)), planned.also, called(planned.call))
