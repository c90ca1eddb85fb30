"""A phone's line keys as a person sees them: which page, column and row each is on, and what it does.

Where keys stand is assumed from their number (models.json, `panel`); what they do is read from a phone's settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from offhook.flyingvoice.catalogue import find_model, key_word_of_type
from offhook.flyingvoice.keys import OFF_TYPE, Key, parameters


class Place(NamedTuple):
    """Where a key is: page, column and row, each from 0; pages turn, columns go from left to right."""

    page: int
    column: int
    row: int


class Panel(NamedTuple):
    """The keys of one phone by number; a key that is off is not there. `last` is the model's last key."""

    model: str
    last: int
    keys: Mapping[int, Key]


def panel_of(model: str, dialect: str, values: Mapping[str, str]) -> Panel:
    """Return the keys that a phone's effective settings give it."""
    found = find_model(model)
    last = found.line_keys if found else 0
    keys = {}
    for number in range(1, last + 1):
        key = Key(*(values.get(name) for name in parameters(dialect, number)))  # type: ignore[arg-type]
        if key.type not in (None, OFF_TYPE):
            keys[number] = key
    return Panel(model, last, keys)


def place_of(model: str, number: int) -> Place:
    """Return where a key is on a model: pages are filled one after the other, each column from the top."""
    columns = columns_of(model)
    page, rest = divmod(number - 1, sum(columns))
    column = 0
    while rest >= columns[column]:
        rest -= columns[column]
        column += 1
    return Place(page, column, rest)


def columns_of(model: str) -> tuple[int, ...]:
    """Return how many keys each column of a page has."""
    found = find_model(model)
    return found.panel if found and found.panel else (1,)


def does(key: Key) -> str:
    """Return what a key does in a word: "blf", "speed-dial", "type 77" where nobody catalogued it."""
    word = key_word_of_type(int(key.type)) if key.type.isdecimal() else None
    return word.word if word else f"type {key.type}"
