"""A rollout's forecast in words and as data: how many phones, in which waves, how long, who may restart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from click import style

from offhook.diff.change import LIKELY, UNKNOWN, PhoneChange
from offhook.review.words import span
from offhook.rollout.campaign.forecast import Expected, Forecast
from offhook.texts import count, listed, one_line


def restarts_of(phones: Iterable[PhoneChange]) -> tuple[int, int]:
    """Return how many phones are likely to restart, and of how many nobody knows."""
    words = Counter(one.restart for one in phones)
    return words[LIKELY], words[UNKNOWN]


def forecast_line(found: Forecast, now: float, *, restarts: tuple[int, int] | None) -> str:
    """Return the forecast in a line: "312 phones, 9 sites, 4 waves, done in 26 min, 14 likely to restart".

    `restarts` are how many are likely to, and of how many nobody knows; None where nothing was compared.
    """
    parts = [count(found.phones, "phone"), count(found.sites, "site"), count(len(found.waves), "wave")]
    parts.append(_never(found) if found.done_at is None else f"done in {span(max(1.0, found.done_at - now))}")
    if not found.tells:
        parts.append("nobody is told")
    elif found.untold:
        parts.append(f"{found.untold:,} without an account to tell")
    if restarts is None:
        return ", ".join([*parts, "restarts are not known"])
    likely, unknown = restarts
    parts += [f"{likely:,} likely to restart"] if likely or not unknown else []
    parts += [f"{unknown:,} with restart not known"] if unknown else []
    return ", ".join(parts)


def forecast_text(found: Forecast, now: float, *, restarts: tuple[int, int] | None) -> str:
    """Return the forecast: a line, and a line a wave."""
    lines = [style(forecast_line(found, now, restarts=restarts), bold=True)]
    width = max((len(one.wave.name) for one in found.waves), default=0)
    for one in found.waves:
        when = _when(one, now)
        heard = f"; heard by {one.others:,} more, which share accounts" if one.others else ""
        lines.append(
            f"  {one.wave.number}  {one_line(one.wave.name):<{width}}  {len(one.wave.macs):>7,}  {when}{heard}"
        )
    return "\n".join(lines)


def _never(found: Forecast) -> str:
    where = f" of {listed(found.never, show=one_line)}" if found.never else ""
    return f"no maintenance window{where} has room for a NOTIFY at its rate"


def _when(one: Expected, now: float) -> str:
    """When a wave begins and how long it takes; what takes less than a second takes no time."""
    if one.begins is None or one.ends is None:
        return "never"
    begins = f"in {span(one.begins - now)}" if one.begins - now >= 1 else "at once"
    return f"{begins}, for {span(one.ends - one.begins)}" if one.ends - one.begins >= 1 else begins


def forecast_data(found: Forecast, now: float, *, restarts: tuple[int, int] | None) -> dict[str, Any]:
    """Return the forecast as plain data; times in seconds from now, null where nobody can tell."""
    return {
        "phones": found.phones,
        "sites": found.sites,
        "untold": found.untold,
        "restarts": None if restarts is None else restarts[0],
        "restarts_unknown": None if restarts is None else restarts[1],
        "done_in_s": None if found.done_at is None else round(found.done_at - now),
        "never": list(found.never),
        "waves": [
            {
                "number": one.wave.number,
                "name": one.wave.name,
                "phones": len(one.wave.macs),
                "others": one.others,
                "begins_in_s": None if one.begins is None else round(one.begins - now),
                "ends_in_s": None if one.ends is None else round(one.ends - now),
            }
            for one in found.waves
        ],
    }
