"""What a provider of secrets is asked, and what it answers: values that nothing shows, and faults that name no value.

A provider never raises for what the world refuses: it returns `Fault`s, so that all of them are shown at once, and so
that no traceback reaches into a frame that holds a value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from offhook.problem import Mark
from offhook.secrets.opened_text import OpenedText
from offhook.source import InventoryFile


class Closed:
    """The base of what holds opened secrets: not compared, copied or pickled, and shown without its values."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> NoReturn:
        # a failed assertion would print both sides, and the time it takes to compare tells of the value
        raise TypeError("secrets are not compared")

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> NoReturn:
        raise TypeError("secrets are not pickled or copied")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("secrets are not pickled or copied")


class Hidden(Closed):
    """One opened value. It stands in a closure, where a debugger or a printed dictionary does not look."""

    __slots__ = ("__reveal",)

    def __init__(self, value: str) -> None:
        closed = OpenedText(value)
        self.__reveal: Callable[[], str] = lambda: closed

    def reveal(self) -> str:
        """Return the value."""
        return self.__reveal()


class Found(NamedTuple):
    """A value, where it stands (None: where the inventory refers to it), and the next step where it cannot be used."""

    value: Hidden
    mark: Mark | None
    hint: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Why secrets cannot be opened: one line without any value, a next step, and the names that it concerns."""

    message: str
    hint: str = ""
    mark: Mark | None = None
    names: tuple[str, ...] = ()

    @property
    def sort_key(self) -> tuple[str, int, int, tuple[str, ...], str]:
        """Faults are shown by place, those without one first, then by name."""
        file, line, column = (self.mark.file, self.mark.line, self.mark.column) if self.mark else ("", 0, 0)
        return (file, line, column, self.names, self.message)

    def __str__(self) -> str:
        return f"{self.mark}: {self.message}" if self.mark else self.message


@dataclass(frozen=True, slots=True)
class Request:
    """The wanted names, sorted; the `secrets:` mapping; the secrets files; the process's environment.

    `places` says where the inventory refers to a name, as far as the caller knows.
    """

    names: tuple[str, ...]
    settings: Mapping[str, Any]
    files: tuple[InventoryFile, ...] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    places: Mapping[str, Mark]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider found, by name, and what is in the way of the rest."""

    values: Mapping[str, Found]
    faults: list[Fault]


def quoted(names: tuple[str, ...] | list[str]) -> str:
    """Return names for a message: `secret "a"`, or `12 secrets ("a", "b", "c" and 9 more)`."""
    if len(names) == 1:
        return f'secret "{names[0]}"'
    shown = [f'"{name}"' for name in names[:3]]
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{len(names)} secrets ({', '.join(shown)}{rest})"
