"""What users wrote as text in GitHub's and GitLab's Markdown: whatever it says, it stays text.

A character reference alone is not enough. Both platforms look for addresses, mentions and numbers of issues in the
text that the references stand for, so all of it stands in `<code>`, where they make no mention and no link, and every
`@` is followed by an empty comment, for inside of `<code>` their parser still makes links of mail addresses
(GitHub Flavored Markdown, 6.9 Autolinks).
"""

from __future__ import annotations

from collections.abc import Sequence

from offhook.review.links import Links
from offhook.review.words import cut
from offhook.texts import count, isolated, visible

_WIDEST = 40
_WIDEST_PLACE = 120
_LONGEST_ADDRESS = 600


def code(text: str, width: int = _WIDEST) -> str:
    """Return what a user wrote as a code span, in at most so many characters."""
    return f"<code>{_encoded(isolated(cut(visible(text), width)))}</code>"


def codes(values: Sequence[str], limit: int = 6) -> str:
    """Return a short list: the first as code spans, and how many more there are."""
    shown = ", ".join(code(value) for value in values[:limit])
    return shown if len(values) <= limit else f"{shown} and {len(values) - limit:,} more"


def plain(text: str) -> str:
    """Return a text in which Markdown and HTML have no signs; outside of `<code>` only for words of our own."""
    return _encoded(visible(text))


def place(links: Links, revision: str, file: str, line: int) -> str:
    """Return a file and line, as a link where the platform has one that is not too long."""
    address = links.to(revision, file, line)
    text = code(f"{file}:{line}", _WIDEST_PLACE)
    return f'<a href="{address}">{text}</a>' if 0 < len(address) <= _LONGEST_ADDRESS else text


def more(values: Sequence[object], limit: int, noun: str) -> list[str]:
    """Return a line that says how many of a list are not shown, if some are not."""
    return [f"- and {count(len(values) - limit, f'more {noun}')}"] if len(values) > limit else []


def _encoded(text: str) -> str:
    return "".join(map(_letter, text))


def _letter(letter: str) -> str:
    if letter.isalnum() or letter in " ,;()" or ord(letter) > 127:
        return letter
    return f"&#{ord(letter)};" + ("<!-- -->" if letter == "@" else "")
