"""The type plan: where text is to become a number or a boolean.

Comes in: a document's plain values, whose scalars are all text. They are converted in place, where the schema wants
a whole number (canonical decimal: 5060, never 05060) or a boolean (true, false; 0 and 1 where only that fits).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from offhook.schemas import Schema, file_schema, resolved, types_of

WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to convert in a value; a value whose plan is None stays as it is."""

    scalar: Callable[[str], Any] | None
    properties: tuple[tuple[str, Plan], ...]
    additional: Plan | None
    items: Plan | None


@cache
def type_plan(kind: str) -> Plan:
    """Return the plan of a kind's files."""
    schema = file_schema(kind)
    plan = _plan_of(schema, schema["$defs"])
    assert plan is not None
    return plan


def _plan_of(schema: Schema, definitions: Schema) -> Plan | None:
    schema = resolved(schema, definitions)
    wanted = frozenset(types_of(schema))
    inner = [(name, _plan_of(part, definitions)) for name, part in schema.get("properties", {}).items()]
    additional, items = (
        _plan_of(schema[word], definitions) if isinstance(schema.get(word), dict) else None
        for word in ("additionalProperties", "items")
    )
    plan = Plan(
        partial(_typed, wanted) if wanted & {"integer", "boolean"} else None,
        tuple((name, part) for name, part in inner if part is not None),
        additional,
        items,
    )
    return plan if plan != Plan(None, (), None, None) else None


def _typed(wanted: frozenset[str], text: str) -> Any:
    """The number or boolean that `text` is canonical for, where one is wanted; `text` itself otherwise."""
    if "boolean" in wanted:
        if text in ("true", "false"):
            return text == "true"
        if text in ("0", "1") and not wanted & {"integer", "string"}:
            return text == "1"
    if "integer" in wanted and WHOLE_NUMBER.fullmatch(text):
        return int(text)
    return text


def convert(plan: Plan, value: Any) -> Any:
    """Return `value` as planned; mappings and lists are changed in place."""
    if isinstance(value, str):
        return value if plan.scalar is None else plan.scalar(value)
    if isinstance(value, dict):
        for name, part in plan.properties:
            if name in value:
                value[name] = convert(part, value[name])
        if plan.additional is not None:
            for name, inner in value.items():
                value[name] = convert(plan.additional, inner)
    elif isinstance(value, list) and plan.items is not None:
        value[:] = [convert(plan.items, inner) for inner in value]
    return value
