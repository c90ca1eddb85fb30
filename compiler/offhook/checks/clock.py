"""UTC offsets: the phone is told a fixed one; it must be one that the site's time zone has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache

from offhook.checks.subject import Subject, dotted, nearest
from offhook.checks.table import found
from offhook.model import mark
from offhook.problem import Problem

_YEARS = range(2015, 2036)
_STEP = timedelta(days=7)


def check(subject: Subject) -> Iterator[Problem]:
    """Yield unknown-time-zone, and utc-offset where an offset never occurs in the zone (2015 to 2035)."""
    for site in subject.inventory.sites.values():
        if site.time_zone is None:
            continue
        offsets = zone_offsets(site.time_zone)
        if offsets is None:
            yield found(
                "unknown-time-zone",
                mark(site, "time_zone"),
                f'there is no time zone "{site.time_zone}"{nearest(site.time_zone, _zones())}',
                path=dotted(site.key, "time_zone"),
                hint="names are those of the tz database: Europe/Berlin",
            )
            continue
        offset = site.utc_offset or subject.inventory.fleet.utc_offset
        if offset is not None and offset_minutes(offset) not in offsets:
            known = ", ".join(spoken_offset(minutes) for minutes in sorted(offsets))
            word = "utc_offset" if site.utc_offset is not None else "time_zone"
            yield found(
                "utc-offset",
                mark(site, word),
                f"{site.time_zone} is never at {offset}: it is at {known}",
                path=dotted(site.key, word),
            )


@cache
def zone_offsets(name: str) -> frozenset[int] | None:
    """Return the UTC offsets that a time zone has, in minutes; None where there is no such zone."""
    from zoneinfo import ZoneInfo

    try:
        zone = ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        return None
    offsets = set()
    moment = datetime(_YEARS.start, 1, 1, tzinfo=UTC)
    while moment.year < _YEARS.stop:
        offset = moment.astimezone(zone).utcoffset()
        offsets.add(int(offset.total_seconds() // 60) if offset is not None else 0)
        moment += _STEP
    return frozenset(offsets)


def offset_minutes(text: str) -> int:
    """Return an offset as the inventory writes it (+1, -3:30, 0) in minutes."""
    sign = -1 if text.startswith("-") else 1
    hours, _, minutes = text.lstrip("+-").partition(":")
    return sign * (int(hours) * 60 + int(minutes or 0))


def spoken_offset(minutes: int) -> str:
    """Return an offset in minutes as the inventory writes it: +1, -3:30."""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")


def _zones() -> set[str]:
    from zoneinfo import available_timezones

    return available_timezones()
