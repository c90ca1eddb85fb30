"""The schemas that editors use: whole files, settings included, and no stricter about types than YAML's guesses.

Generated from the schemas that validate, into schema/editor/: `python -m offhook.editor schema/editor`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from offhook.schemas import KINDS, Schema, bundle, file_schema, read_schema, reference, resolved, types_of

_WHOLE_NUMBER_TEXT = "^(0|-?[1-9][0-9]*)$"
_YAML_BOOLEANS = {"on": True, "yes": True, "y": True, "off": False, "no": False, "n": False}


def editor_schema(kind: str) -> Schema:
    """Return the schema of a whole file of this kind for editors: it stands alone, settings included.

    An editor sees what YAML makes of unquoted text (0101 is a number to it, no a boolean) and no result of
    an expression; so each type that `validate` would read from text is accepted here, patterns hold for
    texts only, and a setting may be an expression.
    """
    if kind == "fleet":
        schema = bundle({"$ref": reference(kind)}, catalogue=True)
    else:
        schema = file_schema(kind, catalogue=True)
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
    types = types_of(schema)
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
    whole = resolved(schema, definitions)
    if whole.get("writeOnly"):
        return {**read_schema("fleet.schema.json")["$defs"]["secret"], "description": whole["description"]}
    shown = ("description", "default", "examples")
    return {
        **{word: whole[word] for word in shown if word in whole},
        "if": {"type": "string", "pattern": "[{][{]"},
        "else": {word: part for word, part in schema.items() if word not in shown},
    }


if __name__ == "__main__":
    write_editor_schemas(Path(sys.argv[1]))
