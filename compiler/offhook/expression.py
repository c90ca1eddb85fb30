"""Expressions in values: `{{ site.vars.door }}`, as restricted as a reviewer would wish.

Jinja2 parses and evaluates them; this module decides what may stand there. No statements, no calls, no
arithmetic, no globals: names, attributes, constants, comparisons, `and`, `or`, `not`, `if`-`else`, `~`, and
the filters of `FILTERS`. What they can see is a mapping of texts that the caller makes, without secrets,
files, clock or chance. Nothing that is allowed can loop or grow beyond the text that was written, so an
expression takes no time worth measuring.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment, Template

MAX_LENGTH = 512
ROOTS = ("phone", "site", "fleet", "accounts")
FILTERS = ("capitalize", "default", "first", "last", "length", "lower", "title", "trim", "upper")
_NODES = frozenset(
    {"Template", "Output", "TemplateData", "Name", "Getattr", "Getitem", "Const", "Filter"}
    | {"CondExpr", "Compare", "Operand", "And", "Or", "Not", "Concat"}
)

Context = Mapping[str, Any]


class ExpressionError(Exception):
    """An expression that is not allowed, or that has no value here; the text says why, lower case."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression. `roots` are the names it looks at: without "phone" and "accounts" only the site matters."""

    text: str
    template: Template
    roots: frozenset[str]


def is_expression(text: str) -> bool:
    """Tell whether a value holds an expression (or tries to)."""
    return "{{" in text or "{%" in text or "{#" in text


@lru_cache(maxsize=4096)
def read_expression(text: str) -> Expression:
    """Return the checked expression in `text`. Raises ExpressionError where it is not allowed."""
    from jinja2 import TemplateSyntaxError, nodes

    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression has {MAX_LENGTH} characters at most, this has {len(text)}")
    if "{%" in text or "{#" in text:
        raise ExpressionError("only {{ }} is allowed: no statements and no comments")
    try:
        tree = _environment().parse(text)
    except TemplateSyntaxError as error:
        raise ExpressionError(f"not understood: {_plain(error.message)}") from None
    except RecursionError:
        raise ExpressionError("nested too deeply") from None
    for node in tree.find_all(nodes.Node):
        _allow(node)
    return Expression(
        text,
        _environment().from_string(text),
        frozenset(node.name for node in tree.find_all(nodes.Name)),
    )


def looks_at(text: str) -> list[tuple[str | int, ...]]:
    """Return what an expression reads, as paths in the order written: ("site", "vars", "door"), ("accounts", 0, "id").

    One that is not allowed reads nothing.
    """
    from jinja2 import nodes

    try:
        read_expression(text)
    except ExpressionError:
        return []
    tree = _environment().parse(text)
    every: list[Any] = [*tree.find_all((nodes.Getattr, nodes.Getitem))]
    inner = {id(node.node) for node in every}
    paths = (_path(node) for node in every if id(node) not in inner)
    return list(dict.fromkeys(path for path in paths if path))


def _path(node: Any) -> tuple[str | int, ...]:
    """The names from a root to a node; () where the node does not begin at one."""
    kind = type(node).__name__
    if kind == "Name":
        return (node.name,)
    if kind not in ("Getattr", "Getitem"):
        return ()
    before = _path(node.node)
    return (*before, node.attr if kind == "Getattr" else node.arg.value) if before else ()


def evaluate(expression: Expression, context: Context) -> str:
    """Return the text of an expression in a context of nested mappings and texts.

    Raises ExpressionError for a name that is not there, and for a result that is no text.
    """
    from jinja2 import UndefinedError

    try:
        return expression.template.render(context)
    except UndefinedError as error:
        raise ExpressionError(_plain(str(error.message))) from None
    except (TypeError, ValueError, LookupError) as error:
        raise ExpressionError(_plain(str(error))) from None


def _allow(node: Any) -> None:
    """Raise ExpressionError for anything in the syntax tree that is not on the list."""
    kind = type(node).__name__
    if kind not in _NODES:
        raise ExpressionError(f"{_WORDS.get(kind, kind.lower())} is not allowed in an expression")
    if kind == "Name" and node.name not in ROOTS:
        raise ExpressionError(f'there is no "{node.name}" here: {", ".join(ROOTS)} are known')
    if kind == "Filter" and node.name not in FILTERS:
        raise ExpressionError(f'the filter "{node.name}" is not allowed: {", ".join(FILTERS)} are')
    if kind == "Const" and isinstance(node.value, float):
        raise ExpressionError("a number is a whole one")
    if kind == "Getitem" and type(node.arg).__name__ != "Const":
        raise ExpressionError("an index is a constant")


_WORDS = {
    "Call": "a call",
    "Add": "arithmetic",
    "Sub": "arithmetic",
    "Mul": "arithmetic",
    "Div": "arithmetic",
    "FloorDiv": "arithmetic",
    "Mod": "arithmetic",
    "Pow": "arithmetic",
    "List": "a list",
    "Dict": "a mapping",
    "Tuple": "a tuple",
    "Test": "a test",
    "Slice": "a slice",
    "Pos": "arithmetic",
    "Neg": "arithmetic",
}


@cache
def _environment() -> Environment:
    """A Jinja2 environment that reaches into mappings and lists only, never into Python objects."""
    from jinja2 import Environment, StrictUndefined, Undefined

    class Plain(Environment):
        def getattr(self, obj: Any, attribute: str) -> Any:
            return self.getitem(obj, attribute)

        def getitem(self, obj: Any, argument: Any) -> Any:
            if isinstance(obj, Undefined):
                return obj
            if isinstance(obj, Mapping) and argument in obj:
                return obj[argument]
            if isinstance(obj, tuple) and isinstance(argument, int) and 0 <= argument < len(obj):
                return obj[argument]
            return self.undefined(obj=obj, name=argument, hint=f'there is no "{argument}" here')

    environment = Plain(undefined=StrictUndefined, finalize=_text, autoescape=False, cache_size=0)
    environment.globals.clear()
    environment.tests.clear()
    environment.filters = {name: environment.filters[name] for name in FILTERS}
    return environment


def _text(value: Any) -> Any:
    """What a `{{ }}` yields: a text or a number. A mapping or a list has no text worth sending to a phone."""
    from jinja2 import Undefined

    if isinstance(value, (str, Undefined)):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ExpressionError(f"the result is {_KINDS.get(type(value), 'no text')}, a text is wanted")


_KINDS = {dict: "a mapping", tuple: "a list", bool: "true or false", type(None): "nothing"}


def _plain(message: str | None) -> str:
    """Jinja2's message on one line."""
    return " ".join((message or "no value").split()).rstrip(".")
