"""What became of telling phones about a release; and its JSON, both ways.

The JSON is read from git objects that others can write: types, forms and lengths are checked, unknown fields are
passed by, and what is wrong is named by its field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from offhook.problem import OffhookError
from offhook.publish.releases.release import DAMAGED, is_environment, is_line, is_moment, is_number, mapping, wrong

STATES = ("answered", "gave-up", "wrong", "untold", "fetched", "registered", "switched", "queued", "reverted")
"""The words of a campaign for where a phone stands."""

REACHED = ("answered", "fetched", "registered")
"""Of these, those that say that the phone knows of the release."""

MAX_PHONES = 200_000
"""How many phones one outcome can tell of; twice the largest fleet that is measured."""

MAX_WHY = 300
_MAX_STATUS = 999  # a SIP response has three digits (RFC 3261 §7.2)
_MAX_WAVE = 100_000
_MAC = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Told:
    """What became of telling one phone. `mac` is canonical, `at` is 2026-11-23T10:21:00Z, `state` one of STATES.

    `status` is the SIP status of the phone's answer, 0 where there was none; `why` one line of at most 300 letters, or
    ""; `wave` counts from 1, 0 where there were no waves.
    """

    mac: str
    at: str
    state: str
    status: int = 0
    why: str = ""
    wave: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one commit adds to a release's record: who says it, and a row a phone, sorted by MAC."""

    environment: str
    number: int
    by: str
    told: tuple[Told, ...]


def outcome_bytes(outcome: Outcome) -> bytes:
    """Return an outcome as a file: JSON with a phone a line, so that `git log -p` reads well; UTF-8.

    Raises OffhookError where `outcome_of` would not take it back.
    """
    head = {"environment": outcome.environment, "number": outcome.number, "by": outcome.by}
    rows = told_data(outcome.told)
    outcome_of({**head, "told": rows}, "this outcome")
    lines = ",\n".join(f"  {_text(row)}" for row in rows)
    return f'{_text(head)[:-1]}, "told": [\n{lines}\n]}}\n'.encode()


def told_data(told: Iterable[Told]) -> list[dict[str, Any]]:
    """Return rows as plain data for JSON."""
    return [asdict(one) for one in told]


def outcome_of(data: object, where: str) -> Outcome:
    """Return the outcome that plain data from JSON stands for, its rows sorted by MAC.

    `where` says in messages what is read. Raises OffhookError where a field is missing or is not what it must be,
    where a phone has two rows, and where there are more than 200,000.
    """
    given = mapping(data, where)
    for name, must_be, is_right in _HEAD:
        _demand(given, where, name, must_be, is_right)
    rows = given.get("told")
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise wrong(where, "told", rows, "a list of phones")
    if len(rows) > MAX_PHONES:
        raise OffhookError(f"{where} tells of {len(rows)} phones, at most {MAX_PHONES} are expected", hint=DAMAGED)
    told = sorted((_told_of(row, where) for row in rows), key=lambda one: one.mac)
    for one, other in pairwise(told):
        if one.mac == other.mac:
            raise OffhookError(f"{where} tells twice of {one.mac}", hint=DAMAGED)
    return Outcome(given["environment"], given["number"], given["by"], tuple(told))


def _told_of(data: object, where: str) -> Told:
    row = mapping(data, where)
    for name, must_be, is_right in _ROW:
        _demand(row, where, name, must_be, is_right)
    return Told(**{name: row[name] for name, _, _ in _ROW})


def _demand(given: Mapping[str, Any], where: str, name: str, must_be: str, is_right: Any) -> None:
    if name not in given:
        raise OffhookError(f'{where} has no field "{name}"', hint=DAMAGED)
    if not is_right(given[name]):
        raise wrong(where, name, given[name], must_be)


def _up_to(most: int) -> Any:
    return lambda value: type(value) is int and 0 <= value <= most


_HEAD: tuple[tuple[str, str, Any], ...] = (
    (
        "environment",
        "lower-case letters, digits, - and _",
        lambda value: isinstance(value, str) and is_environment(value),
    ),
    ("number", "a number from 1", is_number),
    ("by", "one line of text", is_line),
)
_ROW: tuple[tuple[str, str, Any], ...] = (
    ("mac", "12 lower-case hex digits", lambda value: isinstance(value, str) and _MAC.fullmatch(value) is not None),
    ("at", "a time such as 2026-11-23T10:21:00Z", is_moment),
    ("state", f"one of {', '.join(STATES)}", lambda value: value in STATES),
    ("status", f"a number up to {_MAX_STATUS}", _up_to(_MAX_STATUS)),
    ("why", f"one line of at most {MAX_WHY} letters", lambda value: is_line(value) and len(value) <= MAX_WHY),
    ("wave", f"a number up to {_MAX_WAVE}", _up_to(_MAX_WAVE)),
)


def _text(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False)
