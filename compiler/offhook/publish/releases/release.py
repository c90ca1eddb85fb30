"""A release: what was carried to an environment's root, when, by whom and from which commit; and its JSON, both ways.

The JSON is read from git objects and from states that others can write: types and forms are checked, unknown fields
are passed by, and what is wrong is named by its field. All texts are one line without control characters.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from offhook.git.refusal import shown
from offhook.problem import OffhookError

MAX_BYTES = 64 << 20
"""What is read at most of one file. A list of 100,000 phones has 2 MB."""

_ENVIRONMENT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_COMMIT = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})?")
_AT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEX = re.compile(r"[0-9a-f]{1,128}")
_MAC = re.compile(r"[0-9a-f]{12}")
_MANY = 10**9


@dataclass(frozen=True, slots=True)
class Release:
    """One release of one environment.

    `number` counts from 1 in each environment. `commit` is the full id of the source commit, "" for a work tree.
    `at` is 2026-11-23T10:21:00Z. `by` is "Name <mail>", or what CI says. `where` is the root's name, which holds no
    password. `version` is offhook's. `sealed` is the SHA-256 over the sealed tree, `manifest` the manifest's id; both
    hex. `changed`, `added` and `removed` count phones. `rollback_of` is the release whose tree this one carries again.
    `outcome` is what a rollout counted: text -> number.
    """

    number: int
    environment: str
    commit: str
    at: str
    by: str
    where: str
    version: str
    layout: str
    sealed: str
    manifest: str
    changed: int
    added: int
    removed: int
    rollback_of: int | None = None
    reason: str = ""
    outcome: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Phones:
    """Which phones a release changed, added and removed: canonical MACs, sorted."""

    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def is_environment(name: str) -> bool:
    """Tell whether an environment may have this name: what stands in a ref and in a file's name."""
    return _ENVIRONMENT.fullmatch(name) is not None


def release_data(release: Release) -> dict[str, Any]:
    """Return a release as plain data for JSON. Raises OffhookError where `release_of` would not take it back."""
    data = {one.name: getattr(release, one.name) for one in fields(Release)} | {"outcome": dict(release.outcome)}
    release_of(data, "this release")
    return data


def release_of(data: object, where: str) -> Release:
    """Return the release that plain data from JSON stands for.

    `where` says in messages what is read. Raises OffhookError where a field is missing, or is not what it must be.
    """
    given = mapping(data, where)
    values = {}
    for one in fields(Release):
        if one.name in given:
            must_be, is_right = _FIELDS[one.name]
            if not is_right(given[one.name]):
                raise wrong(where, one.name, given[one.name], must_be)
            values[one.name] = given[one.name]
        elif one.name not in _OPTIONAL:
            raise OffhookError(f'{where} has no field "{one.name}"', hint=DAMAGED)
    return Release(**values)


def phones_data(phones: Phones) -> dict[str, list[str]]:
    """Return a release's phones as plain data for JSON. Raises OffhookError where `phones_of` would refuse it."""
    data = {name: sorted(macs) for name, macs in asdict(phones).items()}
    phones_of(data, "the phones of this release")
    return data


def phones_of(data: object, where: str) -> Phones:
    """Return the phones that plain data from JSON stands for; a list that is not there is empty.

    Raises OffhookError where a list is none, or holds something else than canonical MACs.
    """
    given = mapping(data, where)
    lists = {}
    for one in fields(Phones):
        macs = given.get(one.name, [])
        if not isinstance(macs, Sequence) or isinstance(macs, str):
            raise wrong(where, one.name, macs, "a list of MACs")
        for mac in macs:
            if not isinstance(mac, str) or not _MAC.fullmatch(mac):
                raise wrong(where, one.name, mac, "12 lower-case hex digits each")
        lists[one.name] = tuple(sorted(macs))
    return Phones(**lists)


def to_json(data: Mapping[str, Any]) -> bytes:
    """Return plain data as a file for people and programs: sorted keys, indented, a final newline, UTF-8."""
    return (json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def from_json(content: bytes, where: str) -> object:
    """Return what a JSON file holds. Raises OffhookError where it is none, or is too large to be one of ours."""
    if len(content) > MAX_BYTES:
        raise OffhookError(f"{where} has {len(content)} bytes, at most {MAX_BYTES} are expected", hint=DAMAGED)
    try:
        return json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise OffhookError(f"{where} is no JSON", hint=DAMAGED) from error


DAMAGED = "somebody else wrote it, or it is damaged: git log -p shows who and what"
"""The next step where what git holds is not what was expected."""


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < _MANY


def is_number(value: object) -> bool:
    """Tell whether a value can number a release."""
    return type(value) is int and 0 < value < _MANY


def is_line(value: object) -> bool:
    """Tell whether a value is one line of text without control characters."""
    return isinstance(value, str) and value.isprintable()


def is_moment(value: object) -> bool:
    """Tell whether a value is a time such as 2026-11-23T10:21:00Z."""
    if not isinstance(value, str) or not _AT.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _is_outcome(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        is_line(name) and type(one) in (int, float) and abs(one) < _MANY and math.isfinite(one)
        for name, one in value.items()
    )


def _fits(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


_COUNT = ("a number of phones, from 0", _is_count)
_LINE = ("one line of text", is_line)
_FIELDS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "number": ("a number from 1", is_number),
    "environment": ("lower-case letters, digits, - and _", _fits(_ENVIRONMENT)),
    "commit": ("a commit's full id, or empty", _fits(_COMMIT)),
    "at": ("a time such as 2026-11-23T10:21:00Z", is_moment),
    "by": _LINE,
    "where": _LINE,
    "version": _LINE,
    "layout": _LINE,
    "sealed": ("64 hex digits", _fits(_SHA256)),
    "manifest": ("hex digits", _fits(_HEX)),
    "changed": _COUNT,
    "added": _COUNT,
    "removed": _COUNT,
    "rollback_of": ("a number from 1, or null", lambda value: value is None or is_number(value)),
    "reason": _LINE,
    "outcome": ("text -> number", _is_outcome),
}
_OPTIONAL = ("rollback_of", "reason", "outcome")


def mapping(data: object, where: str) -> Mapping[str, Any]:
    """Return an object of JSON. Raises OffhookError where it is something else."""
    if not isinstance(data, Mapping):
        raise OffhookError(f"{where} is {_kind(data)}, an object is expected", hint=DAMAGED)
    return data


def wrong(where: str, name: str, value: object, must_be: str) -> OffhookError:
    """Return the refusal of a field: what it is, and what is expected."""
    found = f'"{shown(value)}"' if isinstance(value, str) else _kind(value)
    return OffhookError(f'{where}: "{name}" is {found}, expected is {must_be}', hint=DAMAGED)


def _kind(value: object) -> str:
    """What a JSON value is, in a word or by its short text."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return "a number" if abs(value) >= _MANY or value != value else str(value)
    return "a list" if isinstance(value, Sequence) else "an object"
