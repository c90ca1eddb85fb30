"""What is known of the vendor's phones: parameters in either spelling, models, and words for line keys.

The facts stand in schema/flyingvoice/ (settings.schema.json, models.json, keys.json), each with its source
and confidence; here they are looked up. A parameter has one canonical name, a template such as
`account.{n}.label`: the guide's spelling, else that of public templates for newer firmware (dialect static).
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache, lru_cache
from pkgutil import get_data
from typing import Any, NamedTuple

from offhook.texts import text_fault

_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_PADDED_NUMBER = re.compile(r"\+?0*([0-9]{1,18})")
_LONGEST_SHOWN = 60
_LONGEST_NAME = 128


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `name`, `guide` and `static` are templates, with a {letter} for each index.

    `schema` is the value's JSON Schema without $ref, `kind` its type (integer or string). `neutral` is the
    value that switches the parameter off, None where there is none. `reboot` is likely, unknown or no;
    `cutoff` says whether a change can make a phone unreachable. `confidence` is high, medium, low or
    candidate; `candidate` holds the dialects in which the spelling is a guess.
    """

    name: str
    guide: str | None
    static: str | None
    group: str
    kind: str
    schema: Mapping[str, Any] = field(hash=False)
    default: str | None
    neutral: str | None
    secret: bool
    reboot: str
    cutoff: bool
    index: tuple[str, ...]
    models_only: frozenset[str] | None
    models_except: frozenset[str]
    confidence: str
    candidate: frozenset[str]
    source: str
    description: str
    note: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """A spelling's parameter, and its canonical name with the spelling's indexes."""

    parameter: Parameter
    name: str
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A phone model. `accounts` slots are sure to be there; where not certain, there may be `accounts_max`.

    `panel` is how many line keys a page shows in each column, from the left: assumed, since no source tells; empty
    where there are none. `firmware_min` is the first firmware that reads boot files, None where unknown; `user_agent`
    is how the HTTP User-Agent begins.
    """

    name: str
    aliases: tuple[str, ...]
    accounts: int
    accounts_certain: bool
    accounts_max: int
    line_keys: int
    panel: tuple[int, ...]
    firmware_min: str | None
    user_agent: str


@dataclass(frozen=True, slots=True)
class KeyWord:
    """A word for what a line key does. `value` is what the key's value is: account, number, code, ... or none."""

    word: str
    type: int
    value: str
    documented: bool
    label: str
    description: str


class _Spelling(NamedTuple):
    """One way to write a parameter. `pattern` is None for names without index."""

    template: str
    pattern: str | None
    canonical: str


def find(spelling: str) -> Found | None:
    """Return the parameter that a name means, in either dialect; None where nobody catalogued it."""
    return _find(spelling) if len(spelling) <= _LONGEST_NAME else None


@cache
def _find(spelling: str) -> Found | None:
    for template, pattern, canonical in _spellings().get(_shape(spelling), ()):
        if pattern is None:
            return Found(_parameter(canonical), canonical, ())
        if _compiled(pattern).fullmatch(spelling):
            parts = zip(template.split("."), spelling.split("."), strict=True)
            indexes = tuple(int(part) for place, part in parts if place[0] == "{")
            return Found(_parameter(canonical), _fill(canonical, indexes), indexes)
    return None


@cache
def spell(name: str, dialect: str) -> str | None:
    """Return how a dialect (guide or static) writes a parameter; None where it cannot, or nobody knows the name."""
    found = find(name)
    if found is None:
        return None
    template = found.parameter.guide if dialect == "guide" else found.parameter.static
    return _fill(template, found.indexes) if template else None


@cache
def parameters() -> Mapping[str, Parameter]:
    """Return every parameter by canonical template, sorted by heading, then by name."""
    order = group_order()
    every = sorted(map(_parameter, _bodies()), key=lambda one: (order.index(one.group), one.name))
    return {parameter.name: parameter for parameter in every}


@cache
def group_order() -> tuple[str, ...]:
    """Return the headings of a cfg file, in order."""
    return tuple(_read("settings.schema.json")["x-offhook"]["groups"])


def nearest(spelling: str, dialect: str) -> tuple[str, ...]:
    """Return up to three names that the dialect can say and that look like `spelling`, with its indexes."""
    if len(spelling) > _LONGEST_NAME:
        return ()
    numbers = _numbers(spelling)
    near: dict[str, None] = {}
    for shape in difflib.get_close_matches(_shape(spelling.lower()), _sayable(dialect), n=6, cutoff=0.75):
        guesses = [_guess(template, numbers) for template in _sayable(dialect)[shape]]
        for name in sorted(guesses, key=lambda guess: _numbers(guess) != numbers):
            near.setdefault(spell(name, dialect) or name)
    return tuple(near)[:3]


def check_value(name: str, value: str) -> str | None:
    """Return in plain words what is wrong with a parameter's value, None where nothing is.

    `true` and `false` are fine for an on/off parameter. No message holds a secret's value. Raises KeyError
    for a name that `find` does not know.
    """
    found = find(name)
    if found is None:
        raise KeyError(name)
    if found.parameter.secret:
        return _fault(found.parameter, value)
    return _known_fault(found.parameter.name, value)


def canonical_value(name: str, value: str) -> str:
    """Return a value as it is sent: 1 and 0 for an on/off parameter's true and false, all else unchanged."""
    if value not in ("true", "false"):
        return value
    found = find(name)
    return str(int(value == "true")) if found and _is_switch(found.parameter.schema) else value


@cache
def models() -> dict[str, Model]:
    """Return the phone models by name."""
    rows: dict[str, dict[str, Any]] = _read("models.json")["models"]
    facts = [one.name for one in fields(Model)[2:]]
    return {
        name: Model(name, tuple(row["aliases"]), **{fact: row[fact] for fact in facts} | {"panel": tuple(row["panel"])})
        for name, row in rows.items()
    }


def find_model(text: str) -> Model | None:
    """Return the model of this name or alias, in any case."""
    return _model_names().get(text.casefold())


@cache
def key_words() -> dict[str, KeyWord]:
    """Return the words for line keys."""
    rows: dict[str, dict[str, Any]] = _read("keys.json")["keys"]
    return {word: KeyWord(word=word, **row) for word, row in rows.items()}


@cache
def key_word_of_type(number: int) -> KeyWord | None:
    """Return the word for a line key type, None where nobody catalogued it."""
    return next((word for word in key_words().values() if word.type == number), None)


# Reading the files.


@cache
def _read(file: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(get_data("offhook.schema", f"flyingvoice/{file}") or b"")
    return data


@cache
def _bodies() -> Mapping[str, Mapping[str, Any]]:
    """Canonical template to the parameter's schema, which may still refer to a kind of value below $defs."""
    schema = _read("settings.schema.json")
    bodies = [body for part in ("$defs", "properties", "patternProperties") for body in schema[part].values()]
    named = ((body["x-offhook"], body) for body in bodies if "x-offhook" in body)
    return {facts["guide"] or facts["static"]: body for facts, body in named}


@cache
def _parameter(canonical: str) -> Parameter:
    body = _bodies()[canonical]
    facts = body["x-offhook"]
    kind = _read("settings.schema.json")["$defs"].get(body.get("$ref", "").rpartition("/")[2], {})
    schema = {word: part for word, part in (kind | body).items() if word not in ("$ref", "x-offhook")}
    only, excepted = ((facts["models"] or {}).get(word) for word in ("only", "except"))
    return Parameter(
        name=canonical,
        guide=facts["guide"],
        static=facts["static"],
        group=facts["group"],
        kind=schema["type"],
        schema=schema,
        default=_text(schema.get("default")),
        neutral=_text(facts["neutral"]),
        secret=schema.get("writeOnly", False),
        reboot=facts["reboot"],
        cutoff=facts["cutoff"],
        index=tuple(facts["index"]),
        models_only=frozenset(only) if only else None,
        models_except=frozenset(excepted or ()),
        confidence=facts["confidence"],
        candidate=frozenset(facts.get("candidate", ())),
        source=facts["source"],
        description=schema["description"],
        note=facts.get("note"),
    )


@cache
def _model_names() -> dict[str, Model]:
    return {name.casefold(): model for model in models().values() for name in (*model.aliases, model.name)}


def _text(value: str | int | None) -> str | None:
    return None if value is None else str(value)


# Names. The shape of account.2.label is account.#.label, as is that of its template.


@cache
def _spellings() -> Mapping[str, list[_Spelling]]:
    """Shape to spellings. Where two share a shape (sip_server.1 and .2), their patterns tell them apart."""
    schema = _read("settings.schema.json")
    shapes: dict[str, list[_Spelling]] = {}
    for part in ("properties", "patternProperties"):
        for key, body in schema[part].items():
            if "x-offhook" not in body:
                body = schema["$defs"][body["$ref"].rpartition("/")[2]]
            guide, static = body["x-offhook"]["guide"], body["x-offhook"]["static"]
            if part == "properties":
                spelling = _Spelling(key, None, guide or static)
            elif guide and static and guide != static and not re.fullmatch(key, _fill(guide, (1,))):
                spelling = _Spelling(static, key, guide)
            else:
                spelling = _Spelling(guide or static, key, guide or static)
            shapes.setdefault(_shape(spelling.template), []).append(spelling)
    return shapes


@cache
def _sayable(dialect: str) -> Mapping[str, list[str]]:
    """Shape to templates in either spelling, of the parameters that the dialect has."""
    known = _bodies()
    return {
        shape: templates
        for shape, spellings in _spellings().items()
        if (templates := [one.template for one in spellings if known[one.canonical]["x-offhook"][dialect]])
    }


def _shape(name: str) -> str:
    return ".".join("#" if part.isdecimal() or part[:1] == "{" else part for part in name.split("."))


def _fill(template: str, indexes: tuple[int, ...]) -> str:
    numbers = iter(indexes)
    return ".".join(str(next(numbers)) if part[0] == "{" else part for part in template.split("."))


def _numbers(name: str) -> list[str]:
    return [part for part in name.split(".") if part.isdecimal()]


def _guess(template: str, numbers: list[str]) -> str:
    """`template` with the numbers of a misspelled name in their places; 1 where one is missing or out of range."""
    rest = iter(numbers)
    parts = [(part, next(rest, "1") if _shape(part) == "#" else "") for part in template.split(".")]
    filled = ".".join(number if part[0] == "{" else part for part, number in parts)
    return filled if find(filled) else ".".join("1" if part[0] == "{" else part for part, _ in parts)


_compiled = cache(re.compile)


# Values.


@lru_cache(maxsize=1 << 16)
def _known_fault(template: str, value: str) -> str | None:
    return _fault(_parameter(template), value)


def _fault(parameter: Parameter, value: str) -> str | None:
    """What the value's schema refuses. The few keywords are checked here: validators take longer to load."""
    fault = text_fault(value)
    if fault is not None:
        return f"found {fault}"
    if parameter.kind == "integer":
        return _number_fault(parameter.schema, value)
    return _text_fault(parameter.schema, value, "the value" if parameter.secret else _shown(value))


def _number_fault(schema: Mapping[str, Any], value: str) -> str | None:
    if _is_switch(schema) and not _WHOLE_NUMBER.fullmatch(value):
        return None if value in ("true", "false") else f"{_shown(value)} is neither 0 (off) nor 1 (on): write 1 or 0"
    if not _WHOLE_NUMBER.fullmatch(value):
        plain = _PADDED_NUMBER.fullmatch(value)
        return f"{_shown(value)} is not a whole number" + (f": write {plain[1]}" if plain else "")
    number = int(value)
    if "enum" in schema:
        if number in schema["enum"]:
            return None
        known = zip(schema["enum"], schema["enumDescriptions"], strict=True)
        return f"{number} is not one of {', '.join(f'{one} ({meaning})' for one, meaning in known)}"
    if number < schema["minimum"]:
        return f"{number} is less than {schema['minimum']}"
    return f"{number} is more than {schema['maximum']}" if number > schema["maximum"] else None


def _text_fault(schema: Mapping[str, Any], value: str, shown: str) -> str | None:
    if "enum" in schema:
        return None if value in schema["enum"] else f"{shown} is not one of {', '.join(schema['enum'])}"
    if len(value) > schema["maxLength"]:
        return f"it is longer than {schema['maxLength']} characters"
    if len(value) < schema["minLength"]:
        return f"it is shorter than {schema['minLength']} characters"
    if not _compiled(schema["pattern"]).fullmatch(value):
        return f"{shown} is {schema['patternErrorMessage']}"
    return None


def _is_switch(schema: Mapping[str, Any]) -> bool:
    return schema.get("enumDescriptions") == ["off", "on"]


def _shown(value: str) -> str:
    if len(value) > _LONGEST_SHOWN:
        return f"a text of {len(value)} characters"
    return json.dumps(value, ensure_ascii=not value.isprintable())
