"""The plain block YAML that inventories are written in becomes values and marks, in a fraction of the time.

Comes in: the text of one file. Goes out: the value, marks and starts of its `Document`, or None wherever any line
is outside a strict subset of YAML: then the event reader of `document` decides, as it does on every mistake. So
this module knows no Problem, and whatever it returns is what the event reader would have built without one.

The subset: mappings by indentation; `key: scalar`; lists of one-line items; flow mappings and lists of one line and
at most two levels; plain scalars and simple quotes of one line; comments. A line is one match of one expression.
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Iterator
from itertools import chain, count
from typing import Any

# earlier, a possessive quantifier around what can step back matches wrongly (CPython issue 106052)
IS_USABLE = sys.version_info >= (3, 11, 5)

MAX_DEPTH = 8
# libyaml refuses keys of more than 1,024 letters; nobody writes such lines by hand
MAX_LINE = 1000
# letters read at once, and then up to the end of the line
PIECE = 64 * 1024
_LINE_STEP = 1 << 20  # marks are line << 20 | column, both from 1
_NULLS = frozenset({"~", "null"})

_QUOTED = r"""(?:"(?! )[^"\\\n]*+(?<! )"|'(?! )[^'\n]*+(?<! )')"""
# what begins a plain text: no sign that means something to YAML ("-6" is a text, "- 6" and "---" are not)
_LEAD = r"-?+[\w+/(]"
_PLAIN = rf"(?:{_LEAD}[^ \n:]*+(?:(?::(?=[^ \n:])| ++(?=[^ \n:#]))[^ \n:]*+)*+|~)"
# keys, and texts between brackets; there YAML 1.1 also gives a meaning to "?" and to most of what follows ":"
_NARROW = rf"{_LEAD}[^ \n:,?\[\]{{}}]*+(?:(?::(?=[\w/])| ++(?=[^ \n:#,?\[\]{{}}]))[^ \n:,?\[\]{{}}]*+)*+"
_KEY = rf"(?:{_NARROW}|{_QUOTED})"
_SCALAR = rf"(?:{_NARROW}|{_QUOTED}|~)"
_NEXT = r"(?:,|(?= *[}\]]))"
_FLAT = rf"(?:\{{(?: *+{_KEY}: ++{_SCALAR}{_NEXT})*+ *\}}|\[(?: *+{_SCALAR}{_NEXT})*+ *\])"
_ANY = rf"(?:{_SCALAR}|{_FLAT})"
_FLOW = rf"(?:\{{(?: *+{_KEY}: ++{_ANY}{_NEXT})*+ *\}}|\[(?: *+{_ANY}{_NEXT})*+ *\])"
# the usual flow: of one text, or of one key and its text
_ONE = rf"(?:\{{(?P<one>{_KEY}: ++)|\[)({_SCALAR})(?(one)\}}|\])"
# indent; key with its colon and gap, or dash with its gap; plain, the two of _ONE, flow or quoted. A blank line or a
# comment has the indent alone, any other line the last group alone
# a comment right after its # looks like a part of the text: the event reader refuses it
_END = r"(?: ++#(?![^ #\n]).*+| *+)"
_LINE = re.compile(
    rf"(?!.{{{MAX_LINE}}})( *+)(?:"
    rf"(?:({_KEY}:(?: ++(?![#\n])|(?=[ \n])))|(- ++))(?:({_PLAIN})|{_ONE}|({_FLOW})|({_QUOTED}))?+{_END}\n"
    r"|(?:#.*+)?\n)"
    r"|(.*\n)"
)
# inside a flow that _LINE has found good: gap; in a mapping the key with its colon and gap; scalar or inner flow
_PART = re.compile(rf"[{{\[,]( *+)({_KEY}: ++)?+(?:({_SCALAR})|({_FLAT}))")


class _Names(dict[str, str]):
    """From a key as it is written, with its colon and gap, to the key: each is cut out, and kept, once."""

    def __missing__(self, head: str) -> str:
        key = self[head] = _key(head)
        return key


def read(text: str) -> tuple[dict[str, Any], array[int], array[int]] | None:
    """Return the value, marks and starts (see `Document`) of a text in the subset, None for any other text."""
    if not IS_USABLE or not text.replace("\n", "").isprintable():
        return None  # blanks other than " ", controls, hidden line breaks, surrogates: for the event reader to judge
    return _block(text if text.endswith("\n") else text + "\n")


def _pieces(text: str) -> Iterator[list[tuple[str, ...]]]:
    """The groups of every line, some thousand lines at a time: a file of 32 MiB would take 400 MB at once."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + PIECE) + 1 or len(text)
        yield _LINE.findall(text, start, end)
        start = end


def _block(text: str) -> tuple[dict[str, Any], array[int], array[int]] | None:
    marks, starts = array("Q"), array("Q")
    push = marks.append
    names = _Names()
    # around the top-level mapping: a mapping to the left of it, whose only key waits for it
    root: dict[str, Any] = {}
    container, width, name = root, -1, ""
    stack: list[tuple[dict[str, Any], int]] = []
    # where `name` gets its null unless something deeper follows; 0: it has its value
    waiting = 1
    items: list[Any] | None = None
    items_width = top = 0
    value: Any
    places = count(_LINE_STEP + 1, _LINE_STEP)  # of each line
    lines = chain.from_iterable(_pieces(text))
    for place, (indent, head, dash, plain, one, scalar, flow, quoted, other) in zip(places, lines, strict=False):
        if head:
            column = len(indent)
            place += column
            if column == width:
                if waiting:
                    container[name] = None
                    push(waiting)
            elif column > width:
                if not waiting or len(stack) == MAX_DEPTH:
                    return None
                if width < 0:
                    top = column
                stack.append((container, width))
                container[name] = container = {}
                width = column
                push(place)
            else:
                if waiting:
                    container[name] = None
                    push(waiting)
                while column < width:
                    container, width = stack.pop()
                if column != width:
                    return None
            if column == top:
                starts.append(len(marks))
                name = _key(head)  # an id: there is no second one to share it with
            else:
                name = names[head]
            push(place)
            place += len(head)
            if name in container:
                return None
            items = None
            waiting = 0
            if plain:
                push(place)
                container[name] = None if plain in _NULLS else plain
            elif scalar:
                push(place)
                place += 1
                if one:
                    push(place)
                    place += len(one)
                    container[name] = {names[one]: _text(scalar)}
                else:
                    container[name] = [_text(scalar)]
                push(place)
            elif flow:
                container[name] = value = _flow(flow, place, marks, names)
                if value is None:
                    return None
            elif quoted:
                push(place)
                container[name] = quoted[1:-1]
            else:
                waiting = place
        elif dash:
            column = len(indent)
            place += column
            if items is None:
                if not waiting or column < width or width < 0:
                    return None
                container[name] = items = []
                items_width = column
                waiting = 0
                push(place)
            elif column != items_width:
                return None
            place += len(dash)
            if scalar:
                flow = f"{{{one}{scalar}}}" if one else f"[{scalar}]"
            if flow:
                value = _flow(flow, place, marks, names)
                if value is None:
                    return None
                items.append(value)
            elif plain or quoted:
                push(place)
                items.append(_text(plain or quoted))
            else:
                return None
        elif other:
            return None
    if waiting:
        container[name] = None
        push(waiting)
    value = root[""]
    return None if value is None else (value, marks, starts)


def _flow(flow: str, place: int, marks: array[int], names: _Names) -> dict[str, Any] | list[Any] | None:
    """The value of a flow mapping or list that begins at the mark `place`; None where a key stands twice."""
    push = marks.append
    push(place)
    place += 1
    items: list[Any] = []
    pairs: dict[str, Any] = {}
    value: Any
    for gap, head, scalar, inner in _PART.findall(flow):
        place += len(gap)
        if head:
            push(place)
            place += len(head)
            name = names[head]
            if name in pairs:
                return None
        if scalar:
            push(place)
            value = _text(scalar)
        else:
            value = _flow(inner, place, marks, names)
            if value is None:
                return None
        if head:
            pairs[name] = value
        else:
            items.append(value)
        place += len(scalar) + len(inner) + 1
    return pairs if flow[0] == "{" else items


def _key(head: str) -> str:
    """The key in `head`, which ends with a colon and perhaps blanks."""
    key = head.rstrip(" ")[:-1] if head[-1] == " " else head[:-1]
    return key[1:-1] if key[0] in "\"'" else key


def _text(scalar: str) -> str | None:
    if scalar[0] in "\"'":
        return scalar[1:-1]
    return None if scalar in _NULLS else scalar
