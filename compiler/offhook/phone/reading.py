"""The phone's own reading of boot files and configuration files: bytes -> what they tell the phone.

Sources: the guide, "Editing Common Boot File" and "Editing Common CFG File", and what the templates that
FusionPBX ships for these phones show in practice (blanks around `=`, trailing blanks that count, lines
that are not settings). Any bytes can be read. The notes name lines, never what stands in them, because
that may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_INCLUDE = re.compile(r"[ \t]*include:config[ \t]*(?:<([^<>]*)>|\"([^\"]*)\")[ \t]*")
_SETTING = re.compile(r"[ \t]*([A-Za-z0-9_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*(.*)", re.DOTALL)
_MAX_LISTED = 5


@dataclass(frozen=True, slots=True)
class BootFile:
    """The references of a boot file, top to bottom, as they are written; and notes on its lines."""

    includes: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CfgFile:
    """The settings of a configuration file that say something, and notes on its lines.

    `is_foreign` is true where lines stand in it and none of them is a setting: an HTML page, say.
    """

    settings: dict[str, str]
    notes: tuple[str, ...]
    is_foreign: bool


def read_boot(content: bytes) -> BootFile:
    """Return the files that a boot file includes (guide, "Editing Common Boot File").

    A line that begins with `#` is a comment; `include:config <path>` and `include:config "path"` include.
    """
    includes: list[str] = []
    junk: list[int] = []
    for number, line in _lines(content):
        include = _INCLUDE.fullmatch(line)
        if include:
            includes.append(include[1] if include[1] is not None else include[2])
        else:
            junk.append(number)
    notes = _encoding_notes(content)
    if junk:
        notes.append(f"{_listed(junk)} neither a comment nor an include, not read")
    return BootFile(tuple(includes), tuple(notes))


def read_cfg(content: bytes) -> CfgFile:
    """Return the settings of a configuration file (guide, "Editing Common CFG File").

    Blanks before the name and around `=` do not count, blanks at the end of a value do (FusionPBX pull
    request 6054). A name without a value leaves the phone as it is (FusionPBX pull request 6057), and so
    do earlier lines with the same name; of several values the last one counts.
    """
    settings: dict[str, str] = {}
    junk: list[int] = []
    trailing: list[int] = []
    changed: list[int] = []
    names = 0
    for number, line in _lines(content):
        setting = _SETTING.fullmatch(line)
        if not setting:
            junk.append(number)
            continue
        names += 1
        name, value = setting.groups()
        if value and value[-1] in " \t":
            trailing.append(number)
        if value and settings.get(name, value) != value:
            changed.append(number)
        if value:
            settings[name] = value
    notes = _encoding_notes(content)
    for numbers, what in (
        (junk, "neither a comment nor name=value, not read"),
        (trailing, "a blank at the end of the value, which counts"),
        (changed, "a parameter again, with another value; the last one counts"),
    ):
        if numbers:
            notes.append(f"{_listed(numbers)} {what}")
    return CfgFile(settings, tuple(notes), is_foreign=bool(junk) and not names)


def _lines(content: bytes) -> list[tuple[int, str]]:
    """Return the numbered lines that are neither blank nor a comment; lines end with LF or CRLF."""
    lines = content.decode("utf-8", "replace").split("\n")
    numbered = ((number, line.removesuffix("\r")) for number, line in enumerate(lines, start=1))
    return [(number, line) for number, line in numbered if line.strip() and not line.startswith("#")]


def _encoding_notes(content: bytes) -> list[str]:
    notes = []
    if content.startswith(b"\xef\xbb\xbf"):
        notes.append("line 1 begins with a byte order mark, which phones may not know")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        notes.append(f"line {line} is not UTF-8")
    return notes


def _listed(numbers: Sequence[int]) -> str:
    """Return "line 3:", "lines 3, 7:" or "lines 3, 4, 5, 6, 7 and 12 more:"."""
    shown = ", ".join(str(number) for number in numbers[:_MAX_LISTED])
    more = f" and {len(numbers) - _MAX_LISTED} more" if len(numbers) > _MAX_LISTED else ""
    return f"line{'s' if len(numbers) > 1 else ''} {shown}{more}:"
