"""How a campaign will most likely go: when each wave begins and ends, if every phone answers at once.

Comes in: a `Plan` and the time. Goes out: a `Forecast`. Phones are counted by site and registrar, not one by one, so
that a forecast of a hundred thousand takes no longer than one of a hundred.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from offhook.rollout.campaign.steps import Plan
from offhook.rollout.campaign.waves import Wave
from offhook.rollout.campaign.windows import Window, closes_at, next_opening

_Group = tuple[str, tuple[Hashable, ...]]
"""A site, and what NOTIFYs to these phones pass."""

_OPENINGS = 100
"""After so many maintenance windows of a site nobody forecasts any more."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A wave, and when it begins and has passed its gate, in seconds since the epoch; None: nobody can tell.

    `others` are phones of other waves, or that do not change, which hear its NOTIFYs: they share an account.
    """

    wave: Wave
    begins: float | None
    ends: float | None
    others: int = 0


@dataclass(frozen=True, slots=True)
class Forecast:
    """Phones and sites of a campaign, its waves, and when it is done; None where a window never opens.

    `untold` phones are told nothing: they have no account, or nobody is to be told (`tells` is False). `never` are
    sites in whose windows no phone can be told at the rate that holds.
    """

    phones: int
    sites: int
    untold: int
    waves: tuple[Expected, ...]
    done_at: float | None
    tells: bool = True
    never: tuple[str, ...] = ()


def forecast(plan: Plan, now: float) -> Forecast:
    """Return how it will go from now on, from its first wave."""
    found = []
    at: float | None = now
    told: dict[str, float] = {}
    for wave in plan.waves:
        begins, ends = _wave(plan, wave, at, told) if at is not None else (None, None)
        hear = {other for mac in wave.macs if plan.targets[mac].is_addressed for other in plan.targets[mac].also}
        found.append(Expected(wave, begins, ends, len(hear.difference(wave.macs))))
        at = ends
    sites = {one.site for one in plan.targets.values() if one.site}
    untold = sum(not one.is_addressed for one in plan.targets.values())
    never = tuple(sorted(site for site in sites if at is None and _is_never(plan, site, now)))
    return Forecast(len(plan.targets), len(sites), untold, tuple(found), at, plan.tells, never)


def _is_never(plan: Plan, site: str, now: float) -> bool:
    """Tell whether the phones of a site cannot all be told in its windows."""
    groups = Counter(plan.places(mac) for mac, one in plan.targets.items() if one.site == site)
    return any(_told(plan, {(site, places): number}, now) is None for places, number in groups.items())


def _wave(plan: Plan, wave: Wave, at: float, told: dict[str, float]) -> tuple[float | None, float | None]:
    """When a wave begins and ends that may begin at a time.

    `told` is when each phone was told: whoever hears that NOTIFY, too, is not told again for a while.
    """
    found = _told(plan, Counter((plan.targets[mac].site, plan.places(mac)) for mac in wave.macs), at)
    if found is None:
        return None, None
    begins, end = found
    last = {}
    for one in (plan.targets[mac] for mac in wave.macs if plan.targets[mac].is_addressed):
        heard = [told[mac] + plan.again_s for mac in (one.mac, *one.also) if mac in told]
        last[one.mac] = max([end, *heard])
    told.update(last)
    return begins, max([end, *last.values()]) + plan.config.gate.wait_s + _asking_s(plan, wave)


def _asking_s(plan: Plan, wave: Wave) -> float:
    """How long it takes to ask a wave's phones whether they are registered; 0 where that is not asked."""
    if not plan.asks:
        return 0.0
    passing = Counter(place for mac in wave.macs for place in plan.places_of(plan.targets[mac].fetched))
    return max((number / plan.rates[place] for place, number in passing.items()), default=0.0)


def _told(plan: Plan, groups: Mapping[_Group, int], at: float) -> tuple[float, float] | None:
    """When the first of so many phones can be told, and when the last one is; None: nobody can tell.

    Windows come in the order in which they open, and close. Each place has a NOTIFY at its own rate, all at once.
    """
    never, free = float("inf"), dict[Hashable, float]()
    numbers, ends, turns = dict(enumerate(groups.values())), [at], Counter[int]()
    sites = [(_window(plan, site), places) for site, places in groups]
    queue = [_opening(window, at, number) for number, (window, _) in enumerate(sites)]
    begins = min((opening for opening, _, _ in queue), default=at)
    heapify(queue)
    while queue:
        here, closing, number = heappop(queue)
        window, places = sites[number]
        turns[number] += 1
        if here == never or turns[number] > _OPENINGS:
            return None
        starts = {place: max(here, free.get(place, here)) for place in places}
        room = min((max(0.0, closing - start) * plan.rates[place] for place, start in starts.items()), default=never)
        told = int(min(room, numbers[number]))
        free.update((place, start + told / plan.rates[place]) for place, start in starts.items())
        ends.append(max((free[place] for place in places), default=here))
        numbers[number] -= told
        if numbers[number]:
            heappush(queue, _opening(window, closing, number))
    return begins, max(ends)


def _window(plan: Plan, site: str) -> Window | None:
    return plan.windows.get(site) if plan.config.respects_windows else None


def _opening(window: Window | None, at: float, number: int) -> tuple[float, float, int]:
    """When a window opens, and closes, infinity for never; and the group that waits for it."""
    never = float("inf")
    here = next_opening(window, at)
    closing = closes_at(window, here) if here is not None else None
    return (never if here is None else here), (never if closing is None else closing), number
