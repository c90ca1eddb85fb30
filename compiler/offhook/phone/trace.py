"""A boot as text: the requests like the capture list of the guide, and the settings without their secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from offhook.phone.boot import BootResult, Request
from offhook.phone.fetch import HIDDEN, printable

_SECRET_NAME = re.compile(r"([a-z0-9]+_)*(password|passwd|pass|pwd|passphrase|secret|psk|pin|key)", re.IGNORECASE)
_SECRET_PARAMETER = re.compile(r"\baes_key", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s]*@")
_SEALED = "secret:"


def render_trace(result: BootResult) -> str:
    """Return the requests, a line each, and a line that sums them up; without a line break at the end.

    The columns are number, protocol, file name (below the boot's own folder), kind, result, bytes, and
    the message of a request that did not give its file. No times: equal boots give equal text.
    """
    rows = [
        (
            str(number),
            request.url.partition(":")[0].upper(),
            _file_name(request.url, result.url),
            request.kind,
            request.result,
            str(request.bytes) if request.result == "ok" else "-",
            printable(request.message),
        )
        for number, request in enumerate(result.requests, start=1)
    ]
    return "\n".join([*_aligned(rows), _summary(result)])


def render_settings(settings: Mapping[str, str]) -> str:
    """Return aligned `name = value` lines in natural order, secrets hidden; no line break at the end."""
    shown = shown_settings(settings)
    width = max(map(len, shown), default=0)
    return "\n".join(f"{name:<{width}} = {printable(value)}" for name, value in shown.items())


def shown_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings fit to show, in natural order: linekey.2 before linekey.10.

    Values that are passwords by their parameter's name are eight asterisks, unless they are sealed
    references; so are passwords inside of URLs.
    """
    return {name: _shown_value(name, settings[name]) for name in sorted(settings, key=_natural)}


def _shown_value(name: str, value: str) -> str:
    secret = _SECRET_NAME.fullmatch(name.rpartition(".")[2]) or _SECRET_PARAMETER.search(name)
    if secret and not value.startswith(_SEALED):
        return HIDDEN
    return _URL_PASSWORD.sub(rf"\g<1>{HIDDEN}@", value)


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key in which digits count as numbers."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", name) if part]


def _file_name(url: str, base: str) -> str:
    folder = base.partition("?")[0].rpartition("/")[0] + "/"
    return printable(unquote(url.removeprefix(folder)))


def _summary(result: BootResult) -> str:
    files = [request for request in result.requests if request.result == "ok"]
    state = "failed" if result.failed else "complete" if result.complete else "incomplete"
    counts = (
        _count(result.requests, "request"),
        _count(files, "file"),
        _count(range(sum(request.bytes for request in files)), "byte"),
        _count(result.settings, "setting"),
    )
    return f"{', '.join(counts)}: {state}"


def _count(things: Sequence[Request] | Mapping[str, str] | range, noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the rows as lines with aligned columns; numbers (first and last but one) to the right."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        for column in (0, len(row) - 2):
            cells[column] = row[column].rjust(widths[column])
        lines.append("  ".join(cells).rstrip())
    return lines
