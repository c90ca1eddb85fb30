"""Loads this folder's templates: how the vendor's files look, apart from what they say."""

from __future__ import annotations

from functools import cache
from pkgutil import get_data
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment, Template


@cache
def template(name: str) -> Template:
    """Return a template by file name. Undefined names are errors; XML templates escape what they are given."""
    text = (get_data("offhook.flyingvoice.templates", name) or b"").decode()
    return _environment(name.endswith(".xml.j2")).from_string(text)


@cache
def _environment(autoescape: bool) -> Environment:
    from jinja2 import Environment, StrictUndefined

    return Environment(
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
