"""The byte rules: which texts can stand on a line of a file that a phone reads; and how texts are shown on a terminal.

A line break or a control character could begin a second setting; a trailing blank after a server address
once broke registration in the field; a blank value means "keep what you have" to the phone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from unicodedata import bidirectional

# C0, DEL and C1, the line and paragraph separators, the byte order mark, and halves of surrogate pairs
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")


def text_fault(text: str) -> str | None:
    """Return what is wrong with a text that a phone shall receive ("a control character"), None where nothing is."""
    if not text:
        return "nothing: a blank value means keep to the phone"
    if _CONTROL.search(text):
        return "a line break or control character"
    if text != text.strip():
        return "a blank at its edge"
    return None


def one_line(text: str) -> str:
    """Return a text from elsewhere (a commit's author, a server's answer) as it may stand on a terminal's line.

    Control characters and those that turn the direction of writing become `?`: they could rewrite what is shown.
    """
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def visible(text: str) -> str:
    """Return a text from an inventory as it may stand on a terminal's line: what does not print is spelled out.

    Control characters and those that turn the direction of writing become `\\x1b`, `\\u202e`: two values that differ
    in nothing else still look different.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def isolated(text: str) -> str:
    """Return a visible text so that it can stand in a sentence: written from right to left, it turns nothing around it.

    Such a text is put between FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE (Unicode Standard Annex 9, 2.4).
    """
    turns = any(bidirectional(letter) in ("R", "AL") for letter in text)
    return f"\u2068{text}\u2069" if turns else text


def listed(values: Iterable[str], *, limit: int = 3, show: Callable[[str], str] = visible) -> str:
    """Return a short list: "a, b, c and 4 more". Each value passes through `show`."""
    every = list(values)
    head = ", ".join(map(show, every[:limit]))
    return head if len(every) <= limit else f"{head} and {len(every) - limit:,} more"


def count(number: int, noun: str) -> str:
    """Return "1 phone", "2 phones"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
