"""The cfg file: settings as `name=value` lines under a heading for each feature.

Guide, "Editing Common CFG File": one parameter a line, an equal sign, no line break, `#` begins a comment
line. Bytes: UTF-8, LF, no blank at a line's end. The header line is the one that public templates for these
phones carry; under the guide's rules it is a comment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from operator import itemgetter

from offhook.flyingvoice.catalogue import find, group_order
from offhook.flyingvoice.dialects import WORDS
from offhook.flyingvoice.templates.render import template

OTHER = "Other"
_NUMBERS = re.compile(r"([0-9]+)")


def render_cfg(values: Mapping[str, str]) -> str:
    """Return the text of a cfg file for wire parameter -> value; the order of `values` does not matter."""
    skeleton, chosen = _skeleton(tuple(values))
    return skeleton % chosen(values)


def in_order(names: Iterable[str]) -> list[str]:
    """Return parameters in the order of a cfg file: by heading, then by name with numbers as numbers."""
    return sorted(names, key=_place)


@lru_cache(maxsize=8192)
def _skeleton(names: tuple[str, ...]) -> tuple[str, Callable[[Mapping[str, str]], tuple[str, ...]]]:
    """The file's text with %s for each value, and what picks the values: phones of one shape share both."""
    groups: list[tuple[str, list[str]]] = []
    ordered = in_order(names)
    for name in ordered:
        heading = _heading(name)
        if not groups or groups[-1][0] != heading:
            groups.append((heading, []))
        groups[-1][1].append(name.replace("%", "%%"))
    skeleton = template("cfg.j2").render(groups=groups)
    if len(ordered) < 2:
        # itemgetter gives no tuple for one name
        return skeleton, lambda values: tuple(values[name] for name in ordered)
    return skeleton, itemgetter(*ordered)


@cache
def _place(name: str) -> tuple[object, ...]:
    """Where a parameter stands: heading, slot, the words of accounts and keys as the guide has them, then by name."""
    headings = group_order()
    heading = _heading(name)
    position = headings.index(heading) if heading in headings else len(headings)
    found = find(name)
    indexes = found.indexes if found else ()
    rank = _words().get(found.parameter.name if found else name, len(_words()))
    parts = [(0, int(part)) if part.isdigit() else (1, part) for part in _NUMBERS.split(name) if part]
    return position, indexes[:1], rank, parts


@cache
def _words() -> Mapping[str, int]:
    """The parameters of accounts and line keys by rank, in the order of their tables."""
    ranks: dict[str, int] = {}
    for words in WORDS.values():
        for spelled in (*words.account.values(), *words.key.values()):
            found = find(spelled.format(n=1))
            if found is not None:
                ranks.setdefault(found.parameter.name, len(ranks))
    return ranks


@cache
def _heading(name: str) -> str:
    found = find(name)
    return found.parameter.group if found else OTHER
