"""Problems: the user's mistakes as values, and the one base of the world's refusals as exceptions.

A mistake in the inventory is never raised: whoever finds it returns a `Problem`, and all problems of
a run are shown together. What the world refuses (no such revision, a server that does not answer) is
raised as an `OffhookError`: one line, and a next step. Anything else that is raised is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ERROR = "error"
WARNING = "warning"
OFF = "off"


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a file: its path as the user knows it (inventory/phones/berlin.yaml), line and column from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: a stable id, a severity (ERROR or WARNING), where it is, what was found and what to do.

    `path` names the value inside the file ("0021f2000001.keys.3.blf"). `message` is lower case, without a
    full stop, and never holds a secret. `hint` is a next step: a command, or a line to paste.
    """

    id: str
    mark: Mark
    message: str
    path: str = ""
    hint: str = ""
    severity: str = ERROR

    @property
    def sort_key(self) -> tuple[Mark, str, str, str]:
        """Problems are shown by file, line and column, then by id and message."""
        return (self.mark, self.id, self.path, self.message)

    def __str__(self) -> str:
        severity = "" if self.severity == ERROR else f"{self.severity}: "
        return f"{self.mark}: {severity}{self.message} [{self.id}]"


def pack_problems(problems: Iterable[Problem]) -> list[tuple[Any, ...]]:
    """Return problems as plain data, for another process of the same run."""
    return [
        (one.id, one.mark.file, one.mark.line, one.mark.column, one.message, one.path, one.hint, one.severity)
        for one in problems
    ]


def unpack_problems(data: list[tuple[Any, ...]]) -> list[Problem]:
    """Return what `pack_problems` packed."""
    return [Problem(identifier, Mark(file, line, column), *rest) for identifier, file, line, column, *rest in data]


class OffhookError(Exception):
    """The world refuses: shown as one clear line and a next step, with exit code 1 and no traceback."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
