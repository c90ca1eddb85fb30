"""Which releases somebody asks for: by number, or by the day on which they were published."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from offhook.git.refusal import shown
from offhook.problem import OffhookError
from offhook.publish.releases.ledger import no_release
from offhook.publish.releases.release import Release

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LAST_MOMENT = "T23:59:59Z"


def chosen(releases: Sequence[Release], first: str, last: str) -> list[Release]:
    """Return the releases from `first` to `last`, both included, in the given order.

    Each is the number of a release (12), a day in UTC (2026-11-23), or "". Without `last` all from `first` on are
    meant; without `first` the one that `last` names, or the last one up to that day; without both the newest. Of
    `releases` each number is there once. Raises OffhookError where none is meant, or where a word is neither.
    """
    newest = sorted(releases, key=lambda one: one.number, reverse=True)
    if not newest:
        raise no_release(1, [])
    low, high = (_checked(text, newest) for text in (first, last))
    found = [one for one in newest if _is_from(one, low) and _is_up_to(one, high)]
    if not found:
        words = " ".join(text for text in (f"from {low}" if low else "", f"to {high}" if high else "") if text)
        span = f"{newest[-1].at[:10]} (release {newest[-1].number}) to {newest[0].at[:10]} (release {newest[0].number})"
        raise OffhookError(f"no release was published {words}", hint=f"what is recorded: {span}")
    asked = {one.number for one in (found if low else found[:1])}
    return [one for one in releases if one.number in asked]


def _checked(text: str, newest: Sequence[Release]) -> str:
    if not text:
        return ""
    if _NUMBER.fullmatch(text):
        if not any(one.number == int(text) for one in newest):
            raise no_release(int(text), newest)
        return text
    if not _DAY.fullmatch(text) or not _is_day(text):
        message = f'"{shown(text)}" is neither the number of a release nor a day'
        raise OffhookError(message, hint="such as 12, or 2026-11-23 (in UTC); offhook releases lists both")
    return text


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_from(release: Release, low: str) -> bool:
    if not low or "-" not in low:
        return not low or release.number >= int(low)
    return release.at >= low


def _is_up_to(release: Release, high: str) -> bool:
    if not high or "-" not in high:
        return not high or release.number <= int(high)
    return release.at <= high + _LAST_MOMENT
