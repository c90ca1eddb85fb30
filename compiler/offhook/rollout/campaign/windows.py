"""Maintenance windows: when the phones of a site may be changed.

Comes in: what a site says under `maintenance`, its time zone, and an instant as seconds since the epoch. Goes out:
whether the window is open, when it opens next, and when it closes. It is open while a clock on the site's wall shows a
time inside it: where clocks are put forward over 02:30, a window from 02:30 opens as they jump to 03:00; where they are
put back, an hour that comes twice is open twice. A window over midnight belongs to the day on which it opens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from offhook.model import Site
from offhook.problem import OffhookError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SEARCHED_DAYS = 32
"""A window of one day a week that falls into a gap, twice, is still found."""


@dataclass(frozen=True, slots=True)
class Window:
    """When it opens: days of the week from 0 (Monday), minutes of the day, and the zone; closing may be next day."""

    days: frozenset[int]
    opens: int
    closes: int
    zone: tzinfo


def window_of(site: Site | None, fleet_offset: str | None = None) -> Window | None:
    """Return a site's window; None where it says none: it is always open.

    Without a time zone its `utc_offset` counts, or the fleet's, or UTC. Raises OffhookError for an unknown zone.
    """
    said = site.maintenance if site else None
    if site is None or not said:
        return None
    days = frozenset(map(DAYS.index, said.get("days", DAYS)))
    return Window(days, _minutes(said["from"]), _minutes(said["to"]), _zone(site, fleet_offset))


def is_open(window: Window | None, instant: float) -> bool:
    """Tell whether phones may be changed at an instant."""
    if window is None:
        return True
    local = _local(window, instant)
    minute, today, before = local.hour * 60 + local.minute, local.weekday(), (local.weekday() - 1) % 7
    if window.opens < window.closes:
        return today in window.days and window.opens <= minute < window.closes
    return (today in window.days and minute >= window.opens) or (before in window.days and minute < window.closes)


def next_opening(window: Window | None, instant: float) -> float | None:
    """Return the first instant, not before this one, at which the window is open; None where none is in a month."""
    if is_open(window, instant):
        return instant
    assert window is not None
    return next((one for one in _turns(window, instant) if is_open(window, one)), None)


def closes_at(window: Window | None, instant: float) -> float | None:
    """Return when a window that is open at an instant closes; None where it does not close within a month."""
    if window is None:
        return None
    return next((one for one in _turns(window, instant) if not is_open(window, one)), None)


def _turns(window: Window, instant: float) -> Iterator[float]:
    """Yield, in order, every instant after this one at which the window may open or close."""
    first = _local(window, instant).date() - timedelta(days=1)
    waiting: set[float] = set()
    for number in range(_SEARCHED_DAYS):
        today, after = (_turns_of(window, first + timedelta(days=number + ahead)) for ahead in (0, 1))
        # days of the calendar overlap where clocks are put back over midnight
        waiting |= set(today)
        yield from sorted(turn for turn in waiting if instant < turn < after[0])
        waiting = {turn for turn in waiting if turn >= after[0]}


@lru_cache(maxsize=4096)
def _turns_of(window: Window, day: date) -> tuple[float, ...]:
    """What may open or close a window on a day of its calendar: its times, midnight, and clocks being changed."""
    midnight = datetime.combine(day, time(), window.zone)
    times = [midnight + timedelta(minutes=minute) for minute in (0, window.opens, window.closes, 24 * 60)]
    found = {one.replace(fold=fold).timestamp() for one in times for fold in (0, 1)}
    return tuple(sorted(found | set(_changes(window.zone, min(found), max(found)))))


def _changes(zone: tzinfo, start: float, end: float) -> Iterator[float]:
    """The instants at which the zone's offset changes, to the second: at most one in any six hours."""
    while start < end:
        stop = min(start + 6 * 3600, end)
        if _offset(zone, start) != _offset(zone, stop):
            low, high = int(start), int(stop)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(zone, middle) == _offset(zone, start) else (low, middle)
            yield float(high)
        start = stop


def _offset(zone: tzinfo, instant: float) -> timedelta | None:
    return datetime.fromtimestamp(instant, zone).utcoffset()


def _local(window: Window, instant: float) -> datetime:
    return datetime.fromtimestamp(instant, UTC).astimezone(window.zone)


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _zone(site: Site, fleet_offset: str | None) -> tzinfo:
    if site.time_zone is None:
        return _fixed(site.utc_offset or fleet_offset or "0")
    try:
        return ZoneInfo(site.time_zone)
    except (OSError, ValueError, LookupError) as error:
        raise OffhookError(
            f'site {site.id}: there is no time zone "{site.time_zone}", and its maintenance window is in its time',
            hint="names are those of the tz database: Europe/Berlin",
        ) from error


def _fixed(offset: str) -> timezone:
    """The zone of +1, -3:30 or 0."""
    hours, _, minutes = offset.lstrip("+-").partition(":")
    ahead = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return timezone(-ahead if offset.startswith("-") else ahead)
