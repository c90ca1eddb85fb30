"""Documents become typed entities; every departure from the schemas becomes a Problem at its exact place.

Comes in: a Document, whose scalars are all text. Goes out: the entities that are right, with whole numbers
and booleans where the schema wants them, and the problems of the others. jsonschema-rs says yes or no to
a whole file; what it refuses is explained by jsonschema, one entity at a time. Both see one schema, bundled
from schema/*.schema.json (JSON Schema, draft 2020-12), where `patternErrorMessage` holds the words for a
pattern. The catalogue validates `settings`; here they are mappings of text.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from offhook.document import Document, mark_of
from offhook.problem import Mark, Problem
from offhook.schemas import KINDS, Schema, bundle, file_schema, id_of, read_schema, reference, types_of
from offhook.type_plan import convert, type_plan

Place = tuple[str | int, ...]

# an entity nests 5 deep at most; what lies deeper is wrong whatever it is, and is not looked at
_DEPTH = 12
_LONGEST_SHOWN = 60


def validate(kind: str, document: Document) -> tuple[dict[str, Any], list[Problem]]:
    """Return the entities of a document that are right, by id as it is spelled, and all problems, sorted.

    `kind` is one of KINDS; the fleet is one entity, under the id "fleet". Values are converted in place:
    the entities returned are parts of `document.value`. Problem ids: unknown-key, missing-key, wrong-type,
    bad-value, key-words, null-value, bad-id, bad-mac, clear-secret. No message holds what may be a secret.
    """
    value = {} if document.value is None else document.value
    if kind == "fleet":
        value = {kind: value}
    elif not isinstance(value, dict):
        found = f"expected a mapping, found {_kind_of(value)}"
        return {}, [Problem("wrong-type", mark_of(document, ()), found)]
    convert(type_plan(kind), value)
    if _accepts(_fast(kind, whole=True), value):
        return dict(value), []
    entities: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, entity in value.items():
        wrong = _explain_entity(kind, document, key, entity)
        if wrong:
            problems.extend(wrong)
        else:
            entities[key] = entity
    return entities, sorted(problems, key=lambda problem: problem.sort_key)


def _explain_entity(kind: str, document: Document, key: str, entity: Any) -> list[Problem]:
    problems: list[Problem] = []
    name = id_of(kind)
    if kind != "fleet" and not _accepts(_fast(name), key):
        problems += _explain(name, document, (key,), key)
    if not _accepts(_fast(kind), entity):
        problems += _explain(kind, document, () if kind == "fleet" else (key,), entity)
    return problems


# Yes or no.


@cache
def _fast(name: str, *, whole: bool = False) -> Any:
    import jsonschema_rs

    schema = file_schema(name) if whole else bundle({"$ref": reference(name)})
    return jsonschema_rs.Draft202012Validator(schema)


def _accepts(validator: Any, value: Any) -> bool:
    try:
        return bool(validator.is_valid(value))
    except ValueError:  # half a surrogate pair: jsonschema looks at the rest
        return False


# Why not, in words.


@dataclass(frozen=True, slots=True)
class _Fault:
    """What one error of jsonschema means. With `at_key` the mark is that of the key, not of its value."""

    id: str
    place: Place
    at_key: bool
    message: str
    hint: str = ""


# of several errors about one value, the first of these says it best
_ORDER = ("type", "not", "const", "enum", "pattern", "minLength", "maxLength")
_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "array": "a list",
    "object": "a mapping",
}


@cache
def _explainer(name: str) -> Any:
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend

    def pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
        # as ECMA-262 and jsonschema-rs have it: $ is the end, not a place before a last line break
        if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
            yield ValidationError("pattern")

    explainer = extend(Draft202012Validator, {"pattern": pattern})  # type: ignore[no-untyped-call]
    return explainer(bundle({"$ref": reference(name)}))


def _explain(name: str, document: Document, prefix: Place, value: Any) -> list[Problem]:
    errors = list(_explainer(name).iter_errors(_pruned(value, _DEPTH)))
    errors.sort(key=lambda error: _ORDER.index(error.validator) if error.validator in _ORDER else len(_ORDER))
    seen: set[Any] = set()
    problems: list[Problem] = []
    for error in errors:
        for fault in _faults(error, (*prefix, *error.absolute_path), is_key=name not in KINDS):
            about = fault if fault.id in ("missing-key", "key-words") else (fault.place, fault.at_key)
            if about not in seen:
                seen.add(about)
                path = ".".join(map(str, fault.place))
                mark = _mark(document, fault)
                problems.append(Problem(fault.id, mark, fault.message, path, fault.hint))
    return problems


def _mark(document: Document, fault: _Fault) -> Mark:
    at_key = fault.at_key and bool(fault.place) and isinstance(fault.place[-1], str)
    return mark_of(document, fault.place, key=at_key)


def _pruned(value: Any, depth: int) -> Any:
    """A copy without what lies deeper: jsonschema writes out what it refuses, all the way down."""
    if isinstance(value, dict):
        return {key: _pruned(inner, depth - 1) for key, inner in value.items()} if depth else {}
    if isinstance(value, list):
        return [_pruned(inner, depth - 1) for inner in value] if depth else []
    return value


def _faults(error: Any, place: Place, *, is_key: bool) -> Iterator[_Fault]:
    """What an error says about the mapping or list at `place` (its keys, its items), or the value there."""
    mapping, wanted = error.instance, error.validator_value
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        for name in mapping:
            if name not in known:
                message = f"unknown key {_shown_key(name)}{_nearest(name, known)}"
                yield _Fault("unknown-key", (*place, name), True, message)
    elif error.validator == "required":
        for name in wanted:
            if name not in mapping:
                yield _Fault("missing-key", place, True, f'missing key "{name}"')
    elif error.validator == "dependentRequired":
        for name in wanted.keys() & mapping.keys():
            message = f"{name} goes with {' and '.join(wanted[name])} only"
            yield _Fault("key-words", (*place, name), True, message)
    elif error.validator == "maxProperties":
        yield _Fault("key-words", place, True, f"a wave is chosen by one word, found {' and '.join(mapping)}")
    elif error.validator == "uniqueItems":
        at = next(at for at, one in enumerate(mapping) if one in mapping[:at])
        message = f"{_shown(mapping[at])} stands twice"
        yield _Fault("bad-value", (*place, at), False, message, "remove one of the two")
    elif error.validator == "oneOf":
        if isinstance(mapping, dict):  # otherwise its type is wrong, which is said once
            yield from _key_words(error, place)
    else:
        if "propertyNames" in error.absolute_schema_path:
            place, is_key = (*place, mapping), True
        identifier, message, hint = _value_fault(error, str(place[-1]) if place else "this")
        yield _Fault(identifier, place, is_key, message, hint)


def _key_words(error: Any, place: Place) -> Iterator[_Fault]:
    """A line key says what it does by one word; `line` beside it is an option, as is `pickup` beside blf."""
    known = {word for branch in error.validator_value for word in branch["required"]}
    words = [word for word in error.instance if word in known]
    if len(words) > 1 and "line" in words:
        words.remove("line")
    if "blf" in words and "pickup" in words:
        words.remove("pickup")
    hint = "a key has one of {blf: NAME}, {speed-dial: NUMBER}, {line: 2}, {none: true}, ..."
    if len(words) > 1:
        yield _Fault("key-words", place, True, f"a key does one thing, found {' and '.join(words)}", hint)
    elif not set(error.instance) - {"label", "value", "line"}:
        yield _Fault("key-words", place, True, "a key needs a word that says what it does", hint)
    # otherwise the word is unknown, which is said at the word


def _value_fault(error: Any, word: str) -> tuple[str, str, str]:
    """The id, message and hint for a value that its schema refuses; `word` is the key it stands under."""
    schema, value, wanted = error.schema, error.instance, error.validator_value
    match error.validator:
        case "type":
            return _type_fault(schema, value)
        case "pattern":
            return _pattern_fault(schema, value, word)
        case "not" if "pattern" in wanted:
            hint = "leave the password out: username and password: secret:... say who logs in"
            return "clear-secret", f"{word} holds a password in the clear", hint
        case "not":
            message, hint = f"expected {_type_words(schema)}, found false", "remove the line"
        case "const":
            message, hint = f"expected {json.dumps(wanted)}, found {_shown(value)}", "remove the line"
        case "enum":
            message = f"{_shown(value)} is not one of {', '.join(wanted)}{_nearest(value, wanted)}"
            hint = ""
        case "maxLength":
            message, hint = f"{word} has {len(value)} characters, at most {wanted} are expected", ""
        case "minimum" | "maximum":
            message, hint = f"{value} is not {_range_words(schema)}", ""
        case _:  # minLength, minItems, minProperties: all of them 1
            message, hint = f"{word} is empty", "say a value or remove the line"
    return "bad-value", message, hint


def _type_fault(schema: Schema, value: Any) -> tuple[str, str, str]:
    if value is None:
        return "null-value", "null is no value", "say a value or remove the line"
    if not isinstance(value, str) or not set(types_of(schema)) <= {"integer", "boolean"}:
        return "wrong-type", f"expected {_type_words(schema)}, found {_kind_of(value)}", ""
    hint = ""
    if "integer" in schema["type"] and re.fullmatch("0[0-9]{1,17}", value):
        hint = f"write {int(value)}"
    elif value.lower() in ("yes", "on", "true"):
        hint = "write true"
    elif value.lower() in ("no", "off", "false"):
        hint = "write false, or remove the line"
    return "wrong-type", f"{_shown(value)} is not {_type_words(schema)}", hint


def _pattern_fault(schema: Schema, value: str, word: str) -> tuple[str, str, str]:
    words = schema["patternErrorMessage"]
    if schema.get("writeOnly"):
        if value.startswith("secret:"):
            return "bad-value", f"{word} is {words}", ""
        put = "put it into the secrets (with SOPS: sops edit inventory/secrets/NAME.yaml)"
        hint = f"{put} and write {word}: secret:NAME/KEY"
        return "clear-secret", f"{word} is in the clear", hint
    definitions = read_schema("fleet.schema.json")["$defs"]
    identifier = next((f"bad-{name}" for name in ("id", "mac") if schema == definitions[name]), "bad-value")
    return identifier, f"{_shown(value)} is {words}", ""


def _type_words(schema: Schema) -> str:
    only_true = schema.get("const") is True or "not" in schema
    boolean = "true" if only_true else "true or false"
    words = [boolean if one == "boolean" else _TYPES[one] for one in types_of(schema)]
    return " or ".join(words).replace("true or false or", "true, false or")


def _range_words(schema: Schema) -> str:
    low, high = schema["minimum"], schema.get("maximum")
    return f"{low} or more" if high is None else f"between {low} and {high}"


def _kind_of(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    for kind, words in ((dict, "a mapping"), (list, "a list"), (str, "text")):
        if isinstance(value, kind):
            return words
    return "a number"


def _shown(value: Any) -> str:
    """A scalar as messages show it: in quotes, without control characters, and only where it is short."""
    if not isinstance(value, str):
        return json.dumps(value) if isinstance(value, int) else _kind_of(value)
    if len(value) > _LONGEST_SHOWN:
        return f"a text of {len(value)} characters"
    return json.dumps(value, ensure_ascii=not value.isprintable())


def _shown_key(name: str) -> str:
    return _shown(name if len(name) <= _LONGEST_SHOWN else name[: _LONGEST_SHOWN - 3] + "...")


def _nearest(word: Any, known: Iterable[str]) -> str:
    if not isinstance(word, str) or len(word) > _LONGEST_SHOWN:
        return ""
    folded = {name.casefold(): name for name in reversed(list(known))}
    close = difflib.get_close_matches(word.casefold(), folded, n=1)
    return f' (did you mean "{folded[close[0]]}"?)' if close else ""
