"""One boot held against what was expected: a BootResult -> a Verdict. No secret is in it, and no more than a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote

from offhook.phone.boot import BootResult, Request
from offhook.phone.fetch import HIDDEN as MASKED
from offhook.phone.fetch import printable
from offhook.phone.request import (
    FORBIDDEN,
    NOT_FOUND,
    OK,
    REFUSED,
    RESOURCE,
    SKIPPED,
    TIMEOUT,
    UNAUTHORIZED,
    UNREACHABLE,
)
from offhook.phone.trace import shown_settings
from offhook.secrets.hidden import HIDDEN, hidden
from offhook.secrets.reference import PREFIX
from offhook.verify.expected import Compiled, Expected

EQUAL = "equal"
DIFFERS = "differs"
MISSING = "missing"
REFUSES = "refused"
BROKEN = "broken"
SLOW = "slow"
LOST = "unreachable"
NOT_ASKED = "not asked"

VERDICTS = (EQUAL, DIFFERS, MISSING, REFUSES, BROKEN, SLOW, LOST, NOT_ASKED)
"""What may be said of a phone, in the order of reports.

equal: it has all that was expected, and nothing else. differs: it has not. missing: a file that it is told of is not
there. refused: the server wants other credentials, or forbids a file. broken: an answer that no phone can use. slow:
all is well, but took too long, or a file did not come in time. unreachable: no server answers. not asked: so many
phones in a row reached no server that the rest was left out.
"""

CHANGED = "changed"
"""The result of a file that came, and is not the one that was expected."""

_MOST = 50
_WIDEST = 200
_LOOKED_AT = 2000
"""Characters of a value in which secrets are looked for; many fewer are shown."""


class Difference(NamedTuple):
    """One parameter: what was expected and what the phone has, as they may be shown; None where nothing is said."""

    parameter: str
    expected: str | None
    found: str | None


class FileResult(NamedTuple):
    """One file that did not come as expected: its URL, the request's result, and why."""

    url: str
    result: str
    message: str


class Verdict(NamedTuple):
    """What came of a phone. At most 50 parameters are named, the number of the others is `more`.

    `elsewhere` is the number of phonebooks on other servers, which were not fetched.
    """

    mac: str
    verdict: str
    seconds: float
    requests: int
    size: int
    parameters: tuple[Difference, ...] = ()
    more: int = 0
    files: tuple[FileResult, ...] = ()
    note: str = ""
    elsewhere: int = 0

    def plain(self) -> tuple[Any, ...]:
        """Return what `of_plain` takes: a tuple of texts and numbers, for between processes."""
        parameters, files = [tuple(one) for one in self.parameters], [tuple(one) for one in self.files]
        return (*self[:5], parameters, self.more, files, *self[8:])


def of_plain(row: Sequence[Any]) -> Verdict:
    """Return the verdict that `Verdict.plain` gave."""
    found = Verdict(*row)
    return found._replace(
        parameters=tuple(Difference(*one) for one in found.parameters),
        files=tuple(FileResult(*one) for one in found.files),
    )


def not_asked(mac: str) -> Verdict:
    """Return what is said of a phone that was left out."""
    return Verdict(mac, NOT_ASKED, 0.0, 0, 0)


def judge(result: BootResult, expected: Expected, *, seconds: float, slow_s: float) -> Verdict:
    """Return what a boot that took `seconds` came to. Only a `Compiled` can name parameters."""
    files = [FileResult(one.url, one.result, one.message) for one in _unexpected(result)]
    size = sum(one.bytes for one in result.requests)
    elsewhere = sum(one.kind == RESOURCE and one.result == SKIPPED for one in result.requests)
    verdict = Verdict(result.mac, EQUAL, seconds, len(result.requests), size, files=tuple(files), elsewhere=elsewhere)
    worst = _worst(result, {one.result for one in files})
    if worst:
        return verdict._replace(verdict=worst)
    changed = tuple(_changed(result, expected))
    if not expected.is_equal(result.mac, result.settings):
        named, more, note = _differences(result, expected) if isinstance(expected, Compiled) else ((), 0, "")
        note = "; ".join(filter(None, (*_told(result), note)))
        return verdict._replace(verdict=DIFFERS, parameters=named, more=more, files=changed, note=note)
    if changed:
        return verdict._replace(verdict=DIFFERS, files=changed)
    return verdict._replace(verdict=SLOW) if seconds > slow_s else verdict


def _unexpected(result: BootResult) -> Iterator[Request]:
    """The requests that should have given a file. The bare MAC, which phones look for first, should not exist.

    Phonebooks on other servers are no business of this one; a CFG file that it sends phones elsewhere for is.
    """
    for number, request in enumerate(result.requests):
        is_bare = number == 0 and request.url.endswith(f"/{result.mac}")
        is_absent = is_bare and request.result in (NOT_FOUND, FORBIDDEN)
        is_elsewhere = request.kind == RESOURCE and request.result == SKIPPED
        if request.result != OK and not is_absent and not is_elsewhere:
            yield request


def _worst(result: BootResult, results: set[str]) -> str:
    """Return the verdict that the files which did not come allow, "" where they all came.

    Stores that say "forbidden" of whatever does not exist say it of the bare MAC, too: there it means "missing".
    """
    if not result.failed and not results:
        return ""
    says_forbidden = result.requests[0].result == FORBIDDEN and any(one.result == OK for one in result.requests)
    if UNAUTHORIZED in results or (FORBIDDEN in results and not says_forbidden):
        return REFUSES
    last = result.requests[-1].result
    if results & {REFUSED, UNREACHABLE} or (last == TIMEOUT and len(result.requests) == 1):
        return LOST
    if TIMEOUT in results:
        return SLOW
    return MISSING if results <= {NOT_FOUND, FORBIDDEN} and results else BROKEN


def _told(result: BootResult) -> list[str]:
    """The first of what the boot says of the files themselves: a page that is no CFG file, lines that are none."""
    urls = {one.url.rpartition("/")[2] for one in result.requests if one.kind == RESOURCE}
    return [one for one in result.warnings if one.partition(":")[0] not in urls][:1]


def _changed(result: BootResult, expected: Expected) -> Iterator[FileResult]:
    folder = result.url.partition("?")[0].rpartition("/")[0] + "/"
    for url, content in result.resources.items():
        if url.startswith(folder) and not expected.is_file(unquote(url[len(folder) :]), content):
            yield FileResult(url, CHANGED, "")


def _differences(result: BootResult, expected: Compiled) -> tuple[tuple[Difference, ...], int, str]:
    """Return the parameters that differ, the number of those not named, and what is to be said of the comparison."""
    values, unknown = expected.values(result.mac)
    found = result.settings
    names = [
        name
        for name in dict.fromkeys((*values, *found))
        if values.get(name) != found.get(name) and not (name in unknown and name in found)
    ]
    if not values:
        note = "what it should have cannot be compiled any more"
    elif not expected.is_as_released(result.mac):
        note = "what was released cannot be made again exactly: secrets, or offhook, are others now"
    elif unknown:
        note = "secrets that cannot be opened are not compared"
    else:
        note = ""
    # `shown_settings` gives the order that people read
    ordered = list(shown_settings(dict.fromkeys(names, "")))
    shown = _Shown(expected, _received(found))
    named = tuple(
        Difference(_short(name), shown.value(name, values.get(name)), shown.value(name, found.get(name)))
        for name in ordered[:_MOST]
    )
    return named, len(names[_MOST:]), note


def _received(settings: dict[str, str]) -> frozenset[str]:
    """The secrets that a phone was told under names that say so."""
    masked = shown_settings(settings)
    return frozenset(value for name, value in settings.items() if len(value) > 3 and masked[name] == MASKED)


@dataclass(frozen=True, slots=True)
class _Shown:
    """Values as they may be shown. What a server sent may hold a password under any name."""

    expected: Compiled
    received: frozenset[str] = field(repr=False)

    def value(self, name: str, value: str | None) -> str | None:
        """Return the value, or what stands for it."""
        if value is None:
            return None
        if value.startswith(PREFIX):
            return _short(value)
        text = value[:_LOOKED_AT]
        if self.expected.holds_secret(text) or any(one in text for one in self.received):
            return HIDDEN
        masked = shown_settings({name: text})[name]
        return HIDDEN if masked == MASKED else _short(hidden(name, masked))


def _short(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 3] + "..."
