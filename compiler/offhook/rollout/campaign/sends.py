"""Which NOTIFYs of a wave are due, at the rates of what they pass; and which phones fit into their windows."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Sequence

from offhook.rollout.campaign.progress import GAVE_UP, SENT, UNTOLD, Progress
from offhook.rollout.campaign.rows import Row
from offhook.rollout.campaign.steps import Notify, Plan, Send, Step, Wait
from offhook.rollout.who import Target

BATCH_S = 1.0
"""How far ahead NOTIFYs are handed out: what a kill leaves in doubt is so much."""

MAX_SENDS = 3
"""A NOTIFY of which nobody knows the answer, because the run was killed, is sent again; so often in all."""


def tell(plan: Plan, progress: Progress, macs: Sequence[str], now: float) -> Step | float:
    """NOTIFYs that are due within a batch; or the time at which the next one is."""
    pending = [mac for mac in macs if not progress.of(mac).outcome]
    silent = [mac for mac in pending if not plan.targets[mac].is_addressed]
    if silent:
        untold = "no account by which it could be told" if plan.tells else "nobody is to be told"
        why = f"{untold}: it fetches when it polls"
        return Step(Wait(now, why), tuple(Row(UNTOLD, mac, now, why=why) for mac in silent))
    spent = [mac for mac in pending if _spent(plan, progress, mac, now)]
    if spent:
        why = "the run was stopped before its answer came, and it is not told again"
        return Step(Wait(now, why), tuple(Row(GAVE_UP, mac, now, why=why) for mac in spent))
    groups: dict[str, list[str]] = {}
    for mac in pending:
        groups.setdefault(plan.targets[mac].address, []).append(mac)
    closings, after = _closings(plan, pending, now), float("inf")
    queues: dict[tuple[tuple[Hashable, ...], float], deque[list[str]]] = {}
    for group in groups.values():
        again = _again(plan, progress, group, now)
        if again > now or any(progress.of(mac).sends >= MAX_SENDS for mac in group):  # its answer is still waited for
            after = min(after, again)
            continue
        target = plan.targets[group[0]]
        queues.setdefault((plan.places_of(target), closings[target.site]), deque()).append(group)
    free = free_at(plan, ((plan.targets[mac], progress.of(mac).sent_at) for mac in macs), now)
    sends, later = _batch(plan, queues, free, now)
    after = min(after, later)
    if not sends:
        return after
    rows = [row for one in sends for row in one.rows(SENT, one.at, status=progress.of(one.mac).sends + 1)]
    return Step(Notify(tuple(sorted(sends, key=lambda one: one.at))), tuple(rows))


def _batch(
    plan: Plan,
    queues: dict[tuple[tuple[Hashable, ...], float], deque[list[str]]],
    free: dict[Hashable, float],
    now: float,
) -> tuple[list[Send], float]:
    """NOTIFYs that are due within a batch: whichever can be sent first, and of these where a window closes first.

    Comes in: what NOTIFYs pass, and when their window closes -> the phones that each of them is for; and when places
    are free. Goes out also when the next one is due, infinity for none.
    """
    sends: list[Send] = []
    while queues:
        at, closing, places = min(
            ((max([now, *(free.get(place, now) for place in key[0])]), key[1], key[0]) for key in queues),
            key=lambda one: one[:2],
        )
        if at > now + BATCH_S:
            return sends, at
        queue = queues[places, closing]
        if at >= closing:
            del queues[places, closing]
            continue
        group = queue.popleft()
        sends.append(Send(at, group[0], tuple(group[1:])))
        free.update((place, at + 1 / plan.rates[place]) for place in places)
        if not queue:
            del queues[places, closing]
    return sends, float("inf")


def free_at(plan: Plan, passed: Iterable[tuple[Target, float]], now: float) -> dict[Hashable, float]:
    """Return when each place is free again after what was handed out to it: targets, and when (0: not yet)."""
    free: dict[Hashable, float] = {}
    for target, at in passed:
        for place in plan.places_of(target) if at else ():
            free[place] = max(free.get(place, now), at + 1 / plan.rates[place])
    return free


def _again(plan: Plan, progress: Progress, group: Iterable[str], now: float) -> float:
    """From when on some phones, and those that hear the same NOTIFY, may be sent one."""
    heard = [mac for one in group for mac in (one, *plan.targets[one].also)]
    return max((progress.told_at(mac) + plan.again_s for mac in heard if progress.of(mac).sends), default=now)


def _spent(plan: Plan, progress: Progress, mac: str, now: float) -> bool:
    """Tell whether no answer is to be expected any more to the last NOTIFY that a phone is sent."""
    return progress.of(mac).sends >= MAX_SENDS and now >= progress.told_at(mac) + plan.again_s


def fitting(plan: Plan, progress: Progress, macs: Sequence[str], now: float) -> tuple[str, ...]:
    """Those of a wave's phones, whose windows are open, that are queued: as many as can be told before these close.

    Those that are switched, and not told yet, come first. Up to each closing a place takes only what fits: of all that
    pass it and close by then, whichever the site.
    """
    queued = [mac for mac in macs if not progress.of(mac).to]
    if not queued:
        return ()
    closings = _closings(plan, macs, now)
    free = free_at(plan, ((plan.targets[mac], progress.of(mac).sent_at) for mac in macs), now)
    room: dict[Hashable, dict[float, float]] = {}
    for places, closing in {(plan.places(mac), closings[plan.targets[mac].site]) for mac in macs}:
        for place in places if closing < float("inf") else ():
            room.setdefault(place, {})[closing] = (closing - free.get(place, now)) * plan.rates[place]
    found, full = [], set()
    for mac in sorted(macs, key=lambda mac: not progress.of(mac).to):
        state, key = progress.of(mac), (plan.places(mac), closings[plan.targets[mac].site])
        if state.sends or state.outcome or key in full:
            continue
        passed = [(place, at) for place in key[0] for at in room.get(place, ()) if at >= key[1]]
        if not state.to and any(room[place][at] < 1 for place, at in passed):
            full.add(key)
            continue
        for place, at in passed:
            room[place][at] -= 1
        if not state.to:
            found.append(mac)
    return tuple(found)


def _closings(plan: Plan, macs: Iterable[str], now: float) -> dict[str, float]:
    """Return when the window of each of some phones' sites closes, infinity where it does not."""
    sites = {plan.targets[mac].site: mac for mac in macs}
    closings = {site: plan.closes_at(mac, now) for site, mac in sites.items()}
    return {site: float("inf") if closing is None else closing for site, closing in closings.items()}
