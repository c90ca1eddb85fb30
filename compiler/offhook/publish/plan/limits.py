"""Limits: how many phones one publish may touch, and what must be allowed by name.

They count phones whose effective settings change, not files. Of the rules of the last release and the new ones the
stricter hold, so that no pull request raises a limit and uses it. Nothing allows everything.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from offhook.mac import parse_mac
from offhook.problem import OffhookError
from offhook.publish.plan.steps import PhonesMoved
from offhook.publish.tree.opened import PhoneRow

CHANGED, REMOVED, CUTOFF = "changed", "removed", "cutoff"
WHATS = (CHANGED, REMOVED, CUTOFF)
EMPTIED = "emptied"
NO_SITE = "no-site"

REVIEWABLE = (CHANGED, REMOVED)
"""What a reviewed plan satisfies; the rest needs its name."""

DEFAULTS = {CHANGED: "30%", REMOVED: "5%"}
"""What holds where the fleet says nothing."""

FLOOR = {CHANGED: 5, REMOVED: 1}
"""A share is never less than so many phones: three phones of five are no alarm."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """One exception: what, for the phones of a site, of none (no-site), or one MAC."""

    what: str
    scope: str

    def __str__(self) -> str:
        return f"{self.what}:{self.scope}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One limit, judged. `phones` counts, `limit` is how many it may be; `overrides` are what would allow it."""

    limit: str
    phones: int
    allowed: int
    exceeded: bool
    message: str
    overrides: tuple[Allowance, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits of a fleet's environment: what changed and removed say, and the allowances of its `allow` list."""

    changed: int | str
    removed: int | str
    allow: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Touched:
    """What is judged: phones before and after, which of them move, and which may be cut off."""

    before: Mapping[str, PhoneRow]
    after: Mapping[str, PhoneRow]
    moved: PhonesMoved
    cutoff: Collection[str]

    def site(self, mac: str) -> str:
        """Return the scope that a phone belongs to: its site where it is, or was, or no-site."""
        row = self.before.get(mac) or self.after[mac]
        return row.site or NO_SITE


def rules(*layers: Mapping[str, Any]) -> Rules:
    """Return the rules of `limits:` mappings, the later overriding; allowances of all of them hold."""
    said = {name: value for layer in layers for name, value in layer.items() if name in DEFAULTS}
    allow = tuple(one for layer in layers for one in layer.get("allow", ()))
    merged = {**DEFAULTS, **said}
    return Rules(merged[CHANGED], merged[REMOVED], allow)


def parse_allowance(text: str) -> Allowance:
    """Return the allowance that a person wrote: removed:berlin. Raises OffhookError."""
    what, colon, scope = text.partition(":")
    if what not in WHATS or not colon or not scope:
        raise OffhookError(
            f'"{text}" allows nothing', hint=f"WHAT:SCOPE is {' or '.join(WHATS)}, a colon, and a site or a MAC"
        )
    return Allowance(what, parse_mac(scope) or scope)


def allowances(rule: Rules, today: datetime.date) -> list[Allowance]:
    """Return the allowances of the inventory that still hold."""
    return [
        Allowance(one["what"], parse_mac(one["scope"]) or one["scope"])
        for one in rule.allow
        if _last_day(one["until"]) >= today
    ]


def judge(
    touched: Touched, former: Rules | None, present: Rules, allowed: Iterable[Allowance], *, reviewed: bool
) -> list[Verdict]:
    """Return a verdict on each limit. `former` are the last release's rules; a `reviewed` plan may change many phones.

    `allowed` are this call's allowances and those of the inventory.
    """
    granted = frozenset(allowed)
    verdicts = [
        _share(CHANGED, touched.moved.changed, touched, former, present, granted, reviewed=reviewed),
        _share(REMOVED, touched.moved.removed, touched, former, present, granted, reviewed=reviewed),
    ]
    return [*verdicts, *_emptied(touched, granted), *_cutoff(touched, granted)]


def check_scopes(granted: Iterable[Allowance], touched: Touched) -> None:
    """Raise OffhookError where an allowance names a site or phone that is neither before nor after."""
    known = {touched.site(mac) for mac in (*touched.before, *touched.after)} | {*touched.before, *touched.after}
    for one in granted:
        if one.scope not in known:
            raise OffhookError(
                f"--allow {one}: no site and no phone of this environment is called {one.scope}",
                hint=f"{NO_SITE} are the phones without a site",
            )


def _share(
    what: str,
    macs: Collection[str],
    touched: Touched,
    former: Rules | None,
    present: Rules,
    granted: Collection[Allowance],
    *,
    reviewed: bool,
) -> Verdict:
    total = len(touched.before)
    every = [_as_count(getattr(one, what), total, FLOOR[what]) for one in (former, present) if one is not None]
    most = min(every)
    left = _uncovered(what, macs, touched, granted)
    exceeded = len(left) > most and not reviewed
    words = f"{len(macs):,} of {total:,} phones {what}"
    if len(left) != len(macs):
        words += f", {len(left):,} of them not allowed by name"
    words += f"; the limit is {most:,}"
    if former is not None and len(every) == 2 and every[0] < every[1]:
        words += " (of the last release: a new limit holds from the next one on)"
    return Verdict(what, len(macs), most, exceeded, words, _scopes(what, left, touched) if exceeded else ())


def _emptied(touched: Touched, granted: Collection[Allowance]) -> Iterator[Verdict]:
    """A group that went to zero: a site, or the phones without one."""
    there = {touched.after[mac].site or NO_SITE for mac in touched.after}
    groups: dict[str, list[str]] = {}
    for mac in touched.before:
        groups.setdefault(touched.before[mac].site or NO_SITE, []).append(mac)
    for group, macs in sorted(groups.items()):
        gone = [mac for mac in macs if mac not in touched.after]
        if group in there or not gone:
            continue
        exceeded = bool(_uncovered(REMOVED, gone, touched, granted))
        words = f"{group} loses its last {'phone' if len(macs) == 1 else f'{len(macs):,} phones'}"
        yield Verdict(EMPTIED, len(macs), 0, exceeded, words, (Allowance(REMOVED, group),) if exceeded else ())


def _cutoff(touched: Touched, granted: Collection[Allowance]) -> Iterator[Verdict]:
    leaving = frozenset(touched.moved.removed)
    left = [
        mac
        for mac in _uncovered(CUTOFF, touched.cutoff, touched, granted)
        if mac not in leaving or _uncovered(REMOVED, [mac], touched, granted)
    ]
    if touched.cutoff:
        noun = "phone" if len(touched.cutoff) == 1 else "phones"
        words = f"{len(touched.cutoff):,} {noun} may become unreachable or unregistered"
        yield Verdict(CUTOFF, len(touched.cutoff), 0, bool(left), words, _scopes(CUTOFF, left, touched))


def _uncovered(what: str, macs: Iterable[str], touched: Touched, granted: Collection[Allowance]) -> list[str]:
    covers: Callable[[str], bool] = lambda scope: Allowance(what, scope) in granted  # noqa: E731
    return [mac for mac in macs if not covers(mac) and not covers(touched.site(mac))]


def _scopes(what: str, macs: Iterable[str], touched: Touched) -> tuple[Allowance, ...]:
    return tuple(Allowance(what, scope) for scope in sorted({touched.site(mac) for mac in macs}))


def _as_count(limit: int | str, total: int, floor: int) -> int:
    if isinstance(limit, int):
        return limit
    return max(floor, total * int(limit.rstrip("%")) // 100)


def _last_day(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return datetime.date.min  # the 31st of a month that has none: it allows nothing
