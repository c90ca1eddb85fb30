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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from offhook.document import Document, mark_of
from offhook.problem import Mark, Problem

KINDS = ("fleet", "site", "profile", "account", "phone", "phonebook")

Schema = dict[str, Any]
Place = tuple[str | int, ...]

_CATALOGUE = "flyingvoice/settings.schema.json"
_TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")
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
    _convert(_plan(kind), value)
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
    name = _id_of(kind)
    if kind != "fleet" and not _accepts(_fast(name), key):
        problems += _explain(name, document, (key,), key)
    if not _accepts(_fast(kind), entity):
        problems += _explain(kind, document, () if kind == "fleet" else (key,), entity)
    return problems


# The schemas: one bundle, so that both validators and the editor see the same.


def _id_of(kind: str) -> str:
    return "mac" if kind == "phone" else "id"


def _reference(name: str) -> str:
    return f"{name}.schema.json" if name in KINDS else f"fleet.schema.json#/$defs/{name}"


@cache
def _read(file: str) -> Schema:
    schema: Schema = json.loads(files("offhook.schema").joinpath(file).read_text("utf-8"))
    return schema


def _file_schema(kind: str, *, catalogue: bool = False) -> Schema:
    """The schema of a whole file: a mapping of id to entity. The fleet is validated under the id "fleet"."""
    schema: Schema = {"type": "object", "additionalProperties": {"$ref": _reference(kind)}}
    if kind != "fleet":
        schema["propertyNames"] = {"$ref": _reference(_id_of(kind))}
    return _bundle(schema, catalogue=catalogue)


def _bundle(schema: Schema, *, catalogue: bool = False) -> Schema:
    """A copy of `schema`, what it refers to under $defs; without `catalogue`, settings are any texts."""
    bundled: Schema = {}

    def adopt(file: str, pointer: str) -> str:
        """The name under $defs of a whole file, or of one definition in it."""
        name, source = file.rpartition("/")[2].removesuffix(".schema.json"), _read(file)
        if file == _CATALOGUE and not catalogue:
            source = _TEXTS
        if pointer:
            definition = pointer.removeprefix("/$defs/")
            name, source = f"{name}.{definition}", source["$defs"][definition]
        if name not in bundled:
            bundled[name] = {}
            own = {word: part for word, part in source.items() if word not in ("$schema", "$id", "$defs")}
            bundled[name] = local(own, file)
        return name

    def local(part: Any, file: str) -> Any:
        if isinstance(part, list):
            return [local(one, file) for one in part]
        if not isinstance(part, dict):
            return part
        result = {word: local(one, file) for word, one in part.items()}
        if isinstance(part.get("$ref"), str):
            other, _, pointer = part["$ref"].partition("#")
            result["$ref"] = f"#/$defs/{adopt(other or file, pointer)}"
        return result

    result: Schema = local(schema, "")
    result["$defs"] = bundled
    return result


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    """`schema` with what its $ref names merged in; its own words come first."""
    while "$ref" in schema:
        target = definitions[schema["$ref"].removeprefix("#/$defs/")]
        schema = {**target, **{word: part for word, part in schema.items() if word != "$ref"}}
    return schema


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)


# The type plan: where text is to become a number or a boolean.


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to convert in a value; a value whose plan is None stays as it is."""

    scalar: Callable[[str], Any] | None
    properties: tuple[tuple[str, _Plan], ...]
    additional: _Plan | None
    items: _Plan | None


@cache
def _plan(kind: str) -> _Plan:
    schema = _file_schema(kind)
    plan = _plan_of(schema, schema["$defs"])
    assert plan is not None
    return plan


def _plan_of(schema: Schema, definitions: Schema) -> _Plan | None:
    schema = _resolved(schema, definitions)
    wanted = frozenset(_types(schema))
    inner = [(name, _plan_of(part, definitions)) for name, part in schema.get("properties", {}).items()]
    additional, items = (
        _plan_of(schema[word], definitions) if isinstance(schema.get(word), dict) else None
        for word in ("additionalProperties", "items")
    )
    plan = _Plan(
        partial(_typed, wanted) if wanted & {"integer", "boolean"} else None,
        tuple((name, part) for name, part in inner if part is not None),
        additional,
        items,
    )
    return plan if plan != _Plan(None, (), None, None) else None


def _typed(wanted: frozenset[str], text: str) -> Any:
    """The number or boolean that `text` is canonical for, where one is wanted; `text` itself otherwise."""
    if "boolean" in wanted:
        if text in ("true", "false"):
            return text == "true"
        if text in ("0", "1") and not wanted & {"integer", "string"}:
            return text == "1"
    if "integer" in wanted and _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    return text


def _convert(plan: _Plan, value: Any) -> Any:
    """Return `value` as planned; mappings and lists are changed in place."""
    if isinstance(value, str):
        return value if plan.scalar is None else plan.scalar(value)
    if isinstance(value, dict):
        for name, part in plan.properties:
            if name in value:
                value[name] = _convert(part, value[name])
        if plan.additional is not None:
            for name, inner in value.items():
                value[name] = _convert(plan.additional, inner)
    elif isinstance(value, list) and plan.items is not None:
        value[:] = [_convert(plan.items, inner) for inner in value]
    return value


# Yes or no.


@cache
def _fast(name: str, *, whole: bool = False) -> Any:
    import jsonschema_rs

    schema = _file_schema(name) if whole else _bundle({"$ref": _reference(name)})
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
    return explainer(_bundle({"$ref": _reference(name)}))


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
    if not isinstance(value, str) or not set(_types(schema)) <= {"integer", "boolean"}:
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
    definitions = _read("fleet.schema.json")["$defs"]
    identifier = next((f"bad-{name}" for name in ("id", "mac") if schema == definitions[name]), "bad-value")
    return identifier, f"{_shown(value)} is {words}", ""


def _type_words(schema: Schema) -> str:
    only_true = schema.get("const") is True or "not" in schema
    boolean = "true" if only_true else "true or false"
    words = [boolean if one == "boolean" else _TYPES[one] for one in _types(schema)]
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


# What editors use: whole files, settings included, and no stricter about types than YAML's own guesses.

_WHOLE_NUMBER_TEXT = "^(0|-?[1-9][0-9]*)$"
_YAML_BOOLEANS = {"on": True, "yes": True, "y": True, "off": False, "no": False, "n": False}


def editor_schema(kind: str) -> Schema:
    """Return the schema of a whole file of this kind for editors: it stands alone, settings included.

    An editor sees what YAML makes of unquoted text (0101 is a number to it, no a boolean) and no result of
    an expression; so each type that `validate` would read from text is accepted here, patterns hold for
    texts only, and a setting may be an expression.
    """
    if kind == "fleet":
        schema = _bundle({"$ref": _reference(kind)}, catalogue=True)
    else:
        schema = _file_schema(kind, catalogue=True)
    definitions = {name: _loosened(part) for name, part in schema.pop("$defs").items()}
    if "settings" in definitions:
        for word in ("properties", "patternProperties"):
            parameters = definitions["settings"][word].items()
            definitions["settings"][word] = {name: _setting(part, definitions) for name, part in parameters}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"offhook {kind}" if kind == "fleet" else f"offhook {kind}s",
        "description": definitions[kind]["description"],
        **_loosened(schema),
        "$defs": definitions,
    }


def write_editor_schemas(folder: Path) -> None:
    """Write the editor's schema of each kind into `folder`: fleet.schema.json, site.schema.json, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        text = json.dumps(editor_schema(kind), ensure_ascii=False, indent=1)
        (folder / f"{kind}.schema.json").write_text(text + "\n", "utf-8", newline="\n")


def _loosened(schema: Schema) -> Schema:
    """`schema` and all in it, accepting any spelling of a scalar; keys and secrets are texts anyway."""
    if schema.get("writeOnly"):
        return schema
    # 1 and 01 are one number to an editor, and two ids to us
    result = {word: part for word, part in schema.items() if word not in ("x-offhook", "uniqueItems")}
    for word in ("properties", "patternProperties", "dependentSchemas"):
        if word in schema:
            result[word] = {name: _loosened(part) for name, part in schema[word].items()}
    for word in ("additionalProperties", "items", "else", "propertyNames"):
        if isinstance(schema.get(word), dict):
            result[word] = _loosened(schema[word])
    types = _types(schema)
    if "string" in types:
        result["type"] = [*types, *(one for one in ("number", "boolean") if one not in types)]
    elif "integer" in types or "boolean" in types:
        result["type"] = [*types, *(one for one in ("integer", "string") if one not in types)]
    if "enum" in schema:
        result["enum"] = [*schema["enum"], *_other_spellings(schema["enum"])]
    elif "const" in schema:
        del result["const"]
        result["enum"] = [True, 1, "true", "1"]
    elif "integer" in types:
        words = (schema["pattern"],) if "pattern" in schema else ()
        result["pattern"] = "|".join((*words, _WHOLE_NUMBER_TEXT))
        result.setdefault("patternErrorMessage", "not a whole number")
    elif "boolean" in types and "string" not in types:
        result |= {"minimum": 0, "maximum": 1, "pattern": "^(true|false|0|1)$"}
        result["patternErrorMessage"] = "not true or false"
    return result


def _other_spellings(values: list[Any]) -> list[Any]:
    """What else YAML may make of the texts of an enumeration: off is false to it, and 1 may be quoted."""
    texts: list[Any] = [str(value) for value in values if isinstance(value, int)]
    if {0, 1} <= set(values):
        texts += [False, True, "false", "true"]
    return texts + [_YAML_BOOLEANS[value] for value in values if value in _YAML_BOOLEANS]


def _setting(schema: Schema, definitions: Schema) -> Schema:
    """A parameter as an inventory says it: a value, an expression, or for a secret nothing but its name."""
    resolved = _resolved(schema, definitions)
    if resolved.get("writeOnly"):
        return {**_read("fleet.schema.json")["$defs"]["secret"], "description": resolved["description"]}
    shown = ("description", "default", "examples")
    return {
        **{word: resolved[word] for word in shown if word in resolved},
        "if": {"type": "string", "pattern": "[{][{]"},
        "else": {word: part for word, part in schema.items() if word not in shown},
    }
