"""Loads this folder's styles, script and templates: how a page looks, apart from what it says."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pkgutil import get_data
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template

_OTHER = "other"


@cache
def asset(name: str) -> str:
    """Return the text of a file of this folder."""
    return (get_data("offhook.review.page", name) or b"").decode()


def icon(name: str) -> str:
    """Return the strokes of an icon by its name, in a box of 16 by 16."""
    return _icons()[name]


def icon_name(word: str) -> str:
    """Return the name of the icon for what a key does; "other" for words that have none."""
    return word if word in _icons() else _OTHER


@cache
def template(name: str) -> Template:
    """Return a template by file name. What it is given is escaped; undefined names are errors."""
    from jinja2 import Environment, StrictUndefined

    return Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    ).from_string(asset(name))


def digest(text: str) -> str:
    """Return a style's or script's hash as a Content-Security-Policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def policy(style: str, script: str = "") -> str:
    """Return the Content-Security-Policy of a page: its own style and script, and nothing else from anywhere."""
    scripts = f" script-src {digest(script)};" if script else ""
    return f"default-src 'none'; style-src {digest(style)};{scripts} base-uri 'none'; form-action 'none'"


@cache
def _icons() -> dict[str, str]:
    found: dict[str, str] = json.loads(asset("icons.json"))["icons"]
    return found
