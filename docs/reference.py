"""Writes the table of every key of an inventory into docs/inventory.md, from schema/*.schema.json.

`python docs/reference.py` rewrites what stands between the two markers; a test holds it current.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

DOCS = Path(__file__).resolve().parent
SCHEMAS = DOCS.parent / "schema"
PAGE = DOCS / "inventory.md"
BEGIN = "<!-- every key: made by docs/reference.py from schema/, do not edit -->"
END = "<!-- end of every key -->"

PLACES = {
    "fleet": "fleet.yaml",
    "site": "sites/",
    "profile": "profiles/",
    "account": "accounts/",
    "phone": "phones/",
    "phonebook": "phonebooks/",
}
LONG = 60
CATALOGUE = "flyingvoice/settings.schema.json"
NAMES = {
    "host": "host name or IP address",
    "id": "id",
    "mac": "MAC address",
    "secret": "`secret:NAME`",
    "share": "number or share",
    "time": "time of day",
    "utc_offset": "offset from UTC",
}
"""Definitions with a pattern, in the user's words."""

Schema = dict[str, Any]


class Node(NamedTuple):
    """A schema with what its $ref names merged in; `name` is that of the definition, `file` where it stands."""

    schema: Schema
    file: str
    name: str


class Row(NamedTuple):
    """One line of the table."""

    place: str
    key: str
    type: str
    default: str
    meaning: str


@cache
def read(file: str) -> Schema:
    schema: Schema = json.loads((SCHEMAS / file).read_text("utf-8"))
    return schema


def resolve(schema: Schema, file: str, name: str = "") -> Node:
    """Follow $ref; words beside it come first. The catalogue of parameters is not entered."""
    while "$ref" in schema:
        other, _, pointer = schema["$ref"].partition("#")
        file, name = other or file, pointer.rpartition("/")[2]
        target = {"type": "object"} if file == CATALOGUE else read(file)["$defs"][name] if name else read(file)
        schema = {**target, **{word: part for word, part in schema.items() if word != "$ref"}}
        if file == CATALOGUE:
            return Node(schema, file, "settings")
    return Node(schema, file, name)


def rows() -> Iterator[Row]:
    """Yield every key, file by file in the order of the schemas; what is met again refers to where it was."""
    seen: dict[str, str] = {}
    for kind, place in PLACES.items():
        file = f"{kind}.schema.json"
        yield from _keys(Node(read(file), file, ""), place, "", seen)


def _keys(mapping: Node, place: str, prefix: str, seen: dict[str, str]) -> Iterator[Row]:
    required = mapping.schema.get("required", ())
    nodes = {word: resolve(schema, mapping.file) for word, schema in mapping.schema.get("properties", {}).items()}
    own = {word: f"`{prefix}{word}` of {place}" for word in nodes}
    for word, node in nodes.items():
        # keys of this level are met before those inside them: limits.changed, then environments.*.limits
        seen.setdefault(_meaning(node), own[word])
    for word, node in nodes.items():
        meaning = _meaning(node)
        known = seen[meaning] if seen[meaning] != own[word] else ""
        inner, step = _inside(node)
        default = "required" if word in required else _default(node.schema)
        said = f"As {known}." if known and (inner or len(meaning) > LONG) else meaning
        yield Row(place, f"{prefix}{word}", _type(node), default, said)
        if inner and not known:
            yield from _keys(inner, place, f"{prefix}{word}.{step}", seen)


def _meaning(node: Node) -> str:
    meaning: str = node.schema["description"]
    return meaning


def _inside(node: Node) -> tuple[Node | None, str]:
    """The mapping of known keys in a value, and the step that leads there: `*.` for any id, number or item."""
    if "properties" in node.schema:
        return node, ""
    for word in ("additionalProperties", "items"):
        if isinstance(node.schema.get(word), dict):
            inner = resolve(node.schema[word], node.file)
            if "properties" in inner.schema:
                return inner, "*."
    return None, ""


def _type(node: Node) -> str:
    schema = node.schema
    if node.file == CATALOGUE:
        return "mapping of parameter to value"
    if node.name in NAMES:
        return NAMES[node.name]
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("const") is True:
        return "`true`"
    types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return " or ".join(_one_type(one, node) for one in types)


def _one_type(kind: str, node: Node) -> str:
    schema = node.schema
    if kind == "boolean":
        return "`true`" if "not" in schema else "`true` or `false`"
    if kind == "integer":
        low, high = schema.get("minimum"), schema.get("maximum")
        return f"whole number, {low} to {high}" if high is not None else f"whole number from {low}"
    if kind == "array":
        return f"list of {_many(_type(resolve(schema['items'], node.file)))}"
    if kind == "object":
        values = schema.get("additionalProperties")
        if not isinstance(values, dict):
            return "mapping"
        names = resolve(schema["propertyNames"], node.file)
        key = NAMES.get(names.name) or ("model" if names.name == "model" else "name")
        key = "number" if node.name == "keys" else key
        return f"mapping of {key} to {_type(resolve(values, node.file))}"
    return "text"


def _many(one: str) -> str:
    return {"id": "ids", "mapping": "mappings", "MAC address": "MAC addresses"}.get(one, one)


def _default(schema: Schema) -> str:
    return f"`{json.dumps(schema['default']).strip(chr(34))}`" if "default" in schema else ""


def table() -> str:
    """Return the table in Markdown."""
    lines = ["| file | key | type | default | meaning |", "|---|---|---|---|---|"]
    for row in rows():
        cells = (f"{row.place}", f"`{row.key}`", row.type, row.default, row.meaning)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |".replace("|  |", "| |"))
    return "\n".join(lines)


def renewed(page: str) -> str:
    """Return the page with the table of now between its markers."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text("utf-8")), "utf-8")
