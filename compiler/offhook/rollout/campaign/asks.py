"""Which phones of a wave are asked whether they are registered again, and when, at the rates of what a question passes.

A phone is asked once, after the wave was watched, by the account that it has once it has fetched. A question whose
answer is lost, because the run was killed, is asked again after `again_s`: it changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from offhook.rollout.campaign.progress import ASKED, Progress
from offhook.rollout.campaign.sends import BATCH_S, free_at
from offhook.rollout.campaign.steps import Notify, Plan, Send, Step


def ask(plan: Plan, progress: Progress, macs: Iterable[str], now: float) -> Step | float:
    """Return the questions to phones that were notified which are due within a batch; or when the next one is.

    Infinity where every one of them has been answered.
    """
    notified = [mac for mac in macs if progress.of(mac).sends]
    questions = ((plan.targets[mac].fetched, progress.of(mac).asked_at) for mac in notified)
    free = free_at(plan, questions, now)
    groups: dict[str, list[str]] = {}
    for mac in notified:
        state = progress.of(mac)
        if not state.registered_at and not state.absent_at:
            groups.setdefault(plan.targets[mac].fetched.address, []).append(mac)
    sends, after = [], float("inf")
    for group in groups.values():
        places = plan.places_of(plan.targets[group[0]].fetched)
        asked = max(progress.of(mac).asked_at for mac in group)
        at = max([now, *(free.get(place, now) for place in places), asked + plan.again_s if asked else now])
        if at > now + BATCH_S:
            after = min(after, at)
            continue
        free.update((place, at + 1 / plan.rates[place]) for place in places)
        sends.append(Send(at, group[0], tuple(group[1:]), asks=True))
    if not sends:
        return after
    rows = [row for one in sends for row in one.rows(ASKED, one.at)]
    return Step(Notify(tuple(sorted(sends, key=lambda one: one.at))), tuple(rows))
