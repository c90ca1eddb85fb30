"""A comment as GitHub's own parser reads it (cmark-gfm), for tests: which elements it has, and what is text in them.

What platforms do after that, to the text (mentions, numbers of issues), they do not do inside of `<code>`.
"""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options
from markdown_it import MarkdownIt

OURS = {"h2", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"}
OURS |= {"code", "b", "strong", "em", "a"}


class Read(HTMLParser):
    """The elements of a comment. `outside` is the text that stands in no code, `spans` what stands in each."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.links: list[str] = []
        self.outside = ""
        self.spans: list[str] = []
        self.text = ""
        self.rows: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in OURS, f"an element that is not ours: {tag} {attrs}"
        assert tag != "details" or "details" not in self.open, "folded inside of what is folded"
        assert "code" not in self.open, f"code has an element in it: {tag} {attrs}"
        self.open.append(tag)
        self.tags[tag] += 1
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")
        if tag == "code":
            self.spans.append("")
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"{tag} ends and never began"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "code" in self.open:
            self.spans[-1] += data
        else:
            self.outside += data


def read(text: str) -> Read:
    """Read a comment with two parsers, which must agree; everything that is open must be closed."""
    html = cmarkgfm.github_flavored_markdown_to_html(text, Options.CMARK_OPT_UNSAFE)
    found, other = _read(html), _read(MarkdownIt("commonmark").enable("table").render(text))
    assert (found.text.split(), found.tags) == (other.text.split(), other.tags)
    return found


def is_only_text(found: Read) -> None:
    """What is not in code is words of ours: nothing that a platform makes a mention, link or number of."""
    assert not re.search(r"[@#`<>|\\]|www\.|://|[*_~]{2}|\b[0-9a-f]{7,}\b", found.outside), found.outside


def _read(html: str) -> Read:
    found = Read()
    found.feed(html)
    found.close()
    assert found.open == []
    return found
