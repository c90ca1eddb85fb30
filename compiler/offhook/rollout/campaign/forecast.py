"""How a campaign will most likely go: when each wave begins and ends, if every phone answers at once.

Comes in: a `Plan` and the time. Goes out: a `Forecast`. Phones are counted by site and registrar, not one by one, so
that a forecast of a hundred thousand takes no longer than one of a hundred.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

from offhook.rollout.campaign.steps import Plan
from offhook.rollout.campaign.waves import Wave
from offhook.rollout.campaign.windows import closes_at, next_opening

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
    return any(_group(plan, site, places, number, now, {}) is None for places, number in groups.items())


def _wave(plan: Plan, wave: Wave, at: float, told: dict[str, float]) -> tuple[float | None, float | None]:
    """When a wave begins and ends that may begin at a time: sites in the order in which their windows open.

    `told` is when each address was told last: it is not told again for a while.
    """
    groups = Counter((plan.targets[mac].site, plan.places(mac)) for mac in wave.macs)
    first = {mac: plan.window(mac) for mac in wave.macs}
    windows = {plan.targets[mac].site: window for mac, window in first.items()}
    openings = {site: next_opening(window, at) for site, window in windows.items()}
    if None in openings.values():
        return None, None
    free: dict[Hashable, float] = {}
    ends: list[float] = []
    for (site, places), number in sorted(groups.items(), key=lambda row: (openings[row[0][0]] or 0, str(row[0]))):
        end = _group(plan, site, places, number, at, free)
        if end is None:
            return None, None
        ends.append(end)
    begins = min(one for one in openings.values() if one is not None)
    addresses = {plan.targets[mac].address for mac in wave.macs if plan.targets[mac].is_addressed}
    last = {address: max(ends) for address in addresses}
    last.update((address, told[address] + plan.again_s) for address in addresses & told.keys())
    told.update(last)
    ends += last.values()
    return begins, max(ends) + plan.config.gate.wait_s + _asking_s(plan, wave)


def _asking_s(plan: Plan, wave: Wave) -> float:
    """How long it takes to ask a wave's phones whether they are registered; 0 where that is not asked."""
    if not plan.asks:
        return 0.0
    passing = Counter(place for mac in wave.macs for place in plan.places_of(plan.targets[mac].fetched))
    return max((number / plan.rates[place] for place, number in passing.items()), default=0.0)


def _group(
    plan: Plan, site: str, places: tuple[Hashable, ...], number: int, at: float, free: dict[Hashable, float]
) -> float | None:
    """When so many phones of a site are told, one after the other at the slowest of the rates that they pass."""
    window = plan.windows.get(site) if plan.config.respects_windows else None
    rate = min((plan.rates[place] for place in places), default=float("inf"))
    for _ in range(_OPENINGS):
        here = next_opening(window, max([at, *(free.get(place, at) for place in places)]))
        if here is None:
            return None
        closing = closes_at(window, here)
        room = (
            number if closing is None else min(number, int((closing - here) * rate) if rate < float("inf") else number)
        )
        end = here + room / rate
        free.update(dict.fromkeys(places, end))
        number -= room
        if number <= 0:
            return end
        assert closing is not None
        at = closing
    return None
