"""Driving a campaign: ask the pure step what is next, write it ahead, do it, write down what came of it, ask again.

Comes in: a `Plan`, an open journal whose rows are folded into a `Progress`, and `Hands`. Goes out: the action on which
it ended. It can be killed anywhere: nothing is done that is not on the journal's disk before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from offhook.rollout.campaign.next import step
from offhook.rollout.campaign.progress import PAUSED, RUNNING, Progress
from offhook.rollout.campaign.rows import Row
from offhook.rollout.campaign.steps import Action, Done, End, Notify, Plan, Stop, Switch, Verify, Wait
from offhook.rollout.running.hands import Hands
from offhook.rollout.running.journal import Journal

_BREATH_S = 1.0
"""How long nothing is asked at most: so soon a pause is heard, and a clock that was set is seen."""

_GATHER_S = 0.2
"""How long answers are gathered before the next step, which goes through all phones of a wave."""


@dataclass(frozen=True, slots=True)
class Listening:
    """What the driver tells and asks. `wants_pause` tells that a person wants one. `leaves` says that a wait for a
    maintenance window ends the run."""

    wants_pause: Callable[[], bool] = lambda: False
    show: Callable[[Progress, Action], None] = lambda progress, action: None
    leaves: bool = False


def steady() -> Callable[[], float]:
    """Return a clock that begins as the machine's, and goes on evenly whatever that is set to."""
    behind = time.time() - time.monotonic()
    return lambda: behind + time.monotonic()


def drive(
    plan: Plan,
    progress: Progress,
    journal: Journal,
    hands: Hands,
    *,
    listening: Listening,
    clock: Callable[[], float],
    wall: Callable[[], float] = time.time,
) -> End:
    """Carry a campaign on until it is done, stopped, paused, or left; return the action on which it ended.

    `clock` goes on evenly (see `steady`), and all that is waited for is waited for by it; maintenance windows are open
    by `wall`, which people set. Both are seconds since the epoch. Raises OffhookError where the world refuses as a
    whole; what was begun then is in the journal.
    """

    def take(rows: Iterable[Row]) -> None:
        taken = list(rows)
        journal.add(taken)
        journal.sync()
        hands.written()
        progress.take(taken)

    while True:
        take(hands.news(0.0, clock()))
        if progress.condition == RUNNING and listening.wants_pause():
            take([Row(PAUSED, at=clock(), why="a person paused it")])
        now = clock()
        asked = step(replace(plan, ahead_s=wall() - now), progress, now)
        take(asked.rows)
        action = asked.action
        listening.show(progress, action)
        if isinstance(action, Done | Stop) or (isinstance(action, Wait) and action.until is None):
            _settle(hands, take, clock)
            return action
        if isinstance(action, Wait):
            if listening.leaves and action.for_window and not hands.under_way:
                return action
            rows = _waited(hands, action, now, clock)
            take(rows)  # before others are gathered: a Ctrl-C in between loses none
            if rows and action.until is not None and action.until - clock() > _GATHER_S:
                time.sleep(_GATHER_S)
        else:
            take(_done(hands, action, now))


def _done(hands: Hands, action: Switch | Verify | Notify, now: float) -> list[Row]:
    if isinstance(action, Switch):
        return hands.switch(action.macs, action.to)
    if isinstance(action, Verify):
        return hands.verify(action.macs)
    hands.tell(action.sends, now)
    return []


def _waited(hands: Hands, action: Wait, now: float, clock: Callable[[], float]) -> list[Row]:
    assert action.until is not None
    left = min(action.until - now, _BREATH_S)
    if left <= 0:
        return []
    return hands.news(left, clock())


def _settle(hands: Hands, take: Callable[[Iterable[Row]], None], clock: Callable[[], float]) -> None:
    """Wait for what is under way: each NOTIFY ends, by timer F at the latest (RFC 3261 section 17.1.2.2)."""
    while hands.under_way:
        take(hands.news(_BREATH_S, clock()))
