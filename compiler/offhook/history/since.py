"""Since when an entity says what it says: the commit that last changed one value in it, wherever its file went."""

from __future__ import annotations

from typing import Any, NamedTuple

from offhook.git.repository import Commit
from offhook.history.walk import History
from offhook.layers import Path, Said
from offhook.links import FLEET, name_of
from offhook.model import Phone
from offhook.source import kind_of


class _Missing(NamedTuple):
    """Nothing is written at a path, and how far it leads: a key without a `line` is not a key that is not there."""

    depth: int


def said_since(history: History, start: str, said: Said) -> Commit:
    """Return the commit that gave an entity's value what it is at `start`; at merges the first parent that has it.

    A commit at which a shallow clone ends is the answer for what is older.
    """
    kind, key = _name(said)
    commit = history.commit(start)
    value = _raw(history, commit.id, kind, key, said.path)
    while True:
        parent = next(
            (one for one in commit.parents if _is_same(history, commit.id, one, kind, key, said.path, value)), None
        )
        if parent is None:
            return commit
        commit = history.commit(parent)


def written(history: History, start: str, said: Said) -> str | None:
    """Return the text that stands at the place of a value, None where that is no text."""
    found = _raw(history, start, *_name(said), said.path) if said.path else None
    return found if isinstance(found, str) else None


def _name(said: Said) -> tuple[str, str]:
    """The kind and the key of the entity that says a value."""
    kind = kind_of(said.entity.file.path) or "fleet"
    return kind, said.entity.mac if isinstance(said.entity, Phone) else said.entity.key or "fleet"


def _is_same(history: History, commit: str, parent: str, kind: str, key: str, path: Path, value: Any) -> bool:
    names = history.names_between(parent, commit)
    if kind == "fleet":
        touched = any(name == FLEET or name.startswith(("model/", "environment/")) for name in names)
    else:
        touched = name_of(kind, key) in names
    return not touched or _raw(history, parent, kind, key, path) == value


def _raw(history: History, commit: str, kind: str, key: str, path: Path) -> Any:
    """What is written at a path of an entity at a commit: plain data; a _Missing where nothing is written."""
    view = history.view(commit)
    body: Any = view.body(kind, key)
    for depth, part in enumerate(path):
        try:
            body = body[part]
        except (LookupError, TypeError):
            return _Missing(0 if body is None else depth + 1)
    return body
