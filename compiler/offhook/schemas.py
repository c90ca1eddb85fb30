"""The JSON Schemas of the inventory, bundled so that validators and editors see the same.

Comes in: schema/*.schema.json (draft 2020-12). Goes out: one schema a kind that stands alone, with all that it
refers to under $defs. `patternErrorMessage` holds the words for a pattern.
"""

from __future__ import annotations

import json
from functools import cache
from pkgutil import get_data
from typing import Any

KINDS = ("fleet", "site", "profile", "account", "phone", "phonebook")

Schema = dict[str, Any]

CATALOGUE = "flyingvoice/settings.schema.json"
_TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}


def id_of(kind: str) -> str:
    """Return the name of what a kind is called by: a phone by its MAC address, the others by an id."""
    return "mac" if kind == "phone" else "id"


def reference(name: str) -> str:
    """Return the $ref of a kind, or of a shared definition."""
    return f"{name}.schema.json" if name in KINDS else f"fleet.schema.json#/$defs/{name}"


@cache
def read_schema(file: str) -> Schema:
    """Return a schema file of offhook.schema, read once."""
    schema: Schema = json.loads(get_data("offhook.schema", file) or b"")
    return schema


def file_schema(kind: str, *, catalogue: bool = False) -> Schema:
    """The schema of a whole file: a mapping of id to entity. The fleet is validated under the id "fleet"."""
    schema: Schema = {"type": "object", "additionalProperties": {"$ref": reference(kind)}}
    if kind != "fleet":
        schema["propertyNames"] = {"$ref": reference(id_of(kind))}
    return bundle(schema, catalogue=catalogue)


def bundle(schema: Schema, *, catalogue: bool = False) -> Schema:
    """A copy of `schema`, what it refers to under $defs; without `catalogue`, settings are any texts."""
    bundled: Schema = {}

    def adopt(file: str, pointer: str) -> str:
        """The name under $defs of a whole file, or of one definition in it."""
        name, source = file.rpartition("/")[2].removesuffix(".schema.json"), read_schema(file)
        if file == CATALOGUE and not catalogue:
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


def resolved(schema: Schema, definitions: Schema) -> Schema:
    """`schema` with what its $ref names merged in; its own words come first."""
    while "$ref" in schema:
        target = definitions[schema["$ref"].removeprefix("#/$defs/")]
        schema = {**target, **{word: part for word, part in schema.items() if word != "$ref"}}
    return schema


def types_of(schema: Schema) -> list[str]:
    """Return the types that a schema allows, a single one as a list."""
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)
