"""Which clocks are about to be wrong: a phone is told a fixed UTC offset, and most zones change theirs twice a year.

Comes in: an inventory and a moment. Goes out: the sites whose offset is not the one that their zone will have then, and
the text of an inventory's file with the right one in its place, comments and all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from offhook.checks.clock import offset_minutes, spoken_offset
from offhook.inventory import Inventory
from offhook.model import Site, mark
from offhook.problem import Mark

_MINUTE = timedelta(minutes=1)
_SCALAR = re.compile(r"""("[^"]*"|'[^']*'|[^\s#,}\]"']+)""")


@dataclass(frozen=True, slots=True)
class Due:
    """A site whose offset must change: what its phones are told, by it or by the fleet, and what they must be told.

    `at` is when its zone changes, None where it has the new offset already. `mark` is where the offset stands; with
    `inserts` a line of its own is put there, because only the fleet says one.
    """

    site: str
    time_zone: str
    old: str
    new: str
    at: datetime | None
    mark: Mark
    inserts: bool


def due(inventory: Inventory, now: datetime, within: timedelta) -> list[Due]:
    """Return the sites whose offset is another one than their zone has after `within`, by id.

    Sites without a time zone, or with an unknown one, are left out: a check names the latter. So are those whose phones
    are told nothing.
    """
    found = (_due(inventory, site, now.astimezone(UTC), within) for site in inventory.sites.values())
    return sorted((one for one in found if one is not None), key=lambda one: one.site)


def rewritten(text: str, rows: Iterable[Due]) -> tuple[str, list[Due]]:
    """Return a file's text with the new offsets, and those that a person must put in: whose line is not a plain one."""
    lines, left = text.split("\n"), []
    for one in sorted(rows, key=lambda one: -one.mark.line):
        line, start = lines[one.mark.line - 1], one.mark.column - 1
        if one.inserts:
            if line[:start].strip():
                left.append(one)
                continue
            lines.insert(one.mark.line, f"{line[:start]}utc_offset: {one.new}{line[len(line.rstrip(chr(13))) :]}")
            continue
        found = _SCALAR.match(line, start)
        if found is None or found[1].strip("\"'") != one.old:
            left.append(one)
            continue
        quote = found[1][0] if found[1][0] in "\"'" else ""
        lines[one.mark.line - 1] = f"{line[:start]}{quote}{one.new}{quote}{line[found.end() :]}"
    return "\n".join(lines), left


def _due(inventory: Inventory, site: Site, now: datetime, within: timedelta) -> Due | None:
    from zoneinfo import ZoneInfo

    if site.time_zone is None:
        return None
    try:
        zone = ZoneInfo(site.time_zone)
    except (OSError, ValueError, LookupError):
        return None
    old = site.utc_offset if site.utc_offset is not None else inventory.fleet.utc_offset
    today, then = (_minutes(zone, moment) for moment in (now, now + within))
    if old is None or offset_minutes(old) == then:
        return None
    inserts = site.utc_offset is None
    place = mark(site, "time_zone", key=True) if inserts else mark(site, "utc_offset")
    at = None if today == then else _change(zone, now, now + within)
    return Due(site.id, site.time_zone, old, spoken_offset(then), at, place, inserts)


def _change(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    """The last minute's start at which the zone's offset becomes that of `after`."""
    wanted = _minutes(zone, after)
    while after - before > _MINUTE:
        middle = before + (after - before) / 2
        before, after = (before, middle) if _minutes(zone, middle) == wanted else (middle, after)
    rounded = after.replace(second=0, microsecond=0)
    return rounded if _minutes(zone, rounded) == wanted else rounded + _MINUTE


def _minutes(zone: tzinfo, moment: datetime) -> int:
    offset = moment.astimezone(zone).utcoffset()
    return int(offset.total_seconds() // 60) if offset is not None else 0
