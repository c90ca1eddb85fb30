"""A line key: from the user's words to type, line, value, label and pickup code.

Key types and words stand in schema/flyingvoice/keys.json. A key in use always says its type, line and
label, so that a former label does not stay on the screen; an unused one says type 0 and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from offhook.flyingvoice.catalogue import key_word_of_type, key_words
from offhook.flyingvoice.dialects import WORDS
from offhook.model import KeyPlan

OFF_TYPE = "0"
LINE_TYPE = "15"
_OPTIONS = frozenset({"label", "line", "value"})


class Key(NamedTuple):
    """What one key is on one phone, in the order of `parameters`; None where it says nothing of the kind."""

    type: str
    line: str | None = None
    value: str | None = None
    label: str | None = None
    pickup: str | None = None


def key_word(body: Mapping[str, Any]) -> str:
    """Return the word that says what a key does: the one that is no option.

    `pickup` is an option beside another word, and `line` beside any; each is a word where it stands alone.
    """
    found = "line"
    for word in body:
        if word not in _OPTIONS:
            if word != "pickup":
                return word
            found = word
    return found


def plan_key(body: Mapping[str, Any]) -> KeyPlan:
    """Return the plan of a schema-valid key mapping, `{blf: bob, label: Bob}` for one."""
    get = body.get
    word = key_word(body)
    pickup = get("pickup") if word != "pickup" else None
    if word == "type":
        return KeyPlan(word, str(body["type"]), get("value"), get("label"), get("line"), pickup)
    said = body[word]
    value = said if isinstance(said, str) else None
    return KeyPlan(word, _type_text(word), value, get("label"), get("line"), pickup)


@cache
def _type_text(word: str) -> str:
    return str(key_words()[word].type)


def default_label(plan: KeyPlan) -> str:
    """Return the label of a key that has neither label nor value: its word's own label, else its type."""
    word = key_words().get(plan.word) or key_word_of_type(int(plan.type))
    return word.label if word and word.label else f"Key {plan.type}"


@cache
def parameters(dialect: str, number: int) -> tuple[str, str, str, str, str]:
    """Return the parameters type, line, value, label and pickup code of one line key."""
    words = WORDS[dialect].key
    return tuple(words[word].format(n=number) for word in ("type", "line", "value", "label", "pickup"))  # type: ignore[return-value]


def key_parameters(dialect: str, number: int, key: Key) -> dict[str, str]:
    """Return parameter -> value for one key."""
    names = parameters(dialect, number)
    return {name: value for name, value in zip(names, key, strict=True) if value is not None}


def unused_keys(dialect: str, keys: int) -> dict[str, str]:
    """Return the parameters that switch off line keys 1 to `keys`."""
    return {parameters(dialect, number)[0]: OFF_TYPE for number in range(1, keys + 1)}
