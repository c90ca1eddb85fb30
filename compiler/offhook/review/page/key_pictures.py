"""Pictures of a phone's line keys as SVG: one phone, or before and after with what was added, removed, changed, moved.

What happened to a key is told by colour, by the shape of its frame and by a sign, so that no reader depends on colour.
Comes in: panels. Goes out: SVG text, with every label escaped. The look is in keys.css. Icons are drawn once
(`icon_shapes`) and used by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from unicodedata import category, east_asian_width

from offhook.flyingvoice.keys import Key
from offhook.flyingvoice.panels import Panel, columns_of, does, place_of
from offhook.review.page.assets import asset, icon, icon_name
from offhook.review.page.fates import EDITED, MOVED, REMOVED, SAME, Fate
from offhook.secrets.hidden import hidden
from offhook.texts import visible

OWN = Key("each its own")
"""Stands for a key that each of several phones has in its own way."""

_SIGNS = {"added": "+", REMOVED: "−", EDITED: "≠"}
_WIDTH, _HEIGHT, _GAP, _MARGIN, _TITLE = 156, 40, 6, 10, 16
_WIDEST_LABEL = 12
_WIDEST_LONG = 15
_WIDEST_DETAIL = 16
_SURELY_FITS = 6
_LONGEST_TITLE = 400
_CLIP = f'<clipPath id="key-text"><rect width="{_WIDTH - 4}" height="{_HEIGHT}"/></clipPath>'
_USED_ICON = re.compile(r'<use class="icon" href="#icon-([a-z-]+)"')


def picture(panel: Panel, told: Mapping[int, Fate], *, title: str, only: Iterable[int] | None = None) -> str:
    """Return one SVG element: the pages of a phone, side by side, with every key in its place.

    `only` are the pages to draw, from 0, of those that the model has; all that have a key in use, unless said, and the
    first. `title` is what a screen reader says, with what happened to which key.
    """
    columns = columns_of(panel.model)
    wanted = set(pages_in_use(panel) if only is None else only)
    pages = sorted(page for page in wanted if page * sum(columns) < panel.last)
    page_width = len(columns) * (_WIDTH + _GAP) - _GAP + 2 * _MARGIN
    page_height = max(columns) * (_HEIGHT + _GAP) - _GAP + 2 * _MARGIN + _TITLE
    across = max(min(len(pages), 3 // len(columns)), 1)
    rows = max(-(-len(pages) // across), 1)
    width, height = across * (page_width + _GAP) - _GAP, rows * (page_height + _GAP) - _GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="keys" role="img" viewBox="0 -2 {width} {height + 2}"'
        f' width="{width}" height="{height + 2}"><title>{_text(visible(title) + _told(panel, told))}</title>'
    ]
    for at, page in enumerate(pages):
        x, y = at % across * (page_width + _GAP), at // across * (page_height + _GAP)
        parts.append(f'<g transform="translate({x} {y})">')
        parts.append(f'<rect class="page" width="{page_width}" height="{page_height}" rx="8"/>')
        parts.append(f'<text class="pageno" x="{_MARGIN}" y="{_MARGIN + 7}">page {page + 1}</text>')
        parts += _page(panel, told, page)
        parts.append("</g>")
    return "".join([*parts, "</svg>"])


def standalone(svg: str) -> str:
    """Return a picture as a file of its own, with its look inside."""
    start = svg.index(">") + 1
    return f"{svg[:start]}<style>{asset('keys.css')}</style>{icon_shapes(svg)}{svg[start:]}\n"


def icon_shapes(text: str) -> str:
    """Return the shapes that pictures in a text use by name, as a `<defs>` element; "" where they use none."""
    # what users wrote is escaped, so no label can look like such an element
    names = sorted(set(_USED_ICON.findall(text)))
    shapes = (f'<path id="icon-{name}" d="{icon(name)}"/>' for name in names)
    return f"<defs>{_CLIP}{''.join(shapes)}</defs>" if names else ""


def pages_in_use(panel: Panel) -> list[int]:
    """Return the pages with a key in use, from 0; the first in any case."""
    return sorted({0, *(place_of(panel.model, number).page for number in panel.keys)})


def label_of(key: Key) -> str:
    """Return what a phone shows beside a key, as it may be shown: its label, else its value, else what it does."""
    return visible(hidden("linekey.1.label", key.label or key.value or "") or does(key))


def detail_of(key: Key) -> str:
    """Return what a key does, and with what: "blf 0102"."""
    return " ".join(part for part in (does(key), value_of(key)) if part)


def value_of(key: Key) -> str:
    """Return with what a key does it, as it may be shown: "0102", "" where it needs nothing."""
    return visible(hidden("linekey.1.value", key.value or ""))


def shortened(text: str, columns: int) -> str:
    """Return a text in at most so many columns; letters of East Asia and pictures take two, marks on letters none."""
    taken = 0
    for at, letter in enumerate(text):
        taken += 0 if category(letter) in ("Mn", "Me") else 2 if east_asian_width(letter) in "WF" else 1
        # a stack of marks could be drawn across the whole picture
        if taken > columns or at >= 3 * columns:
            return text[: max(at - 1, 0)] + "…"
    return text


def _told(panel: Panel, told: Mapping[int, Fate]) -> str:
    """What happened to which key, in words."""
    words = [
        f"key {number} {label_of(panel.keys[number]) if panel.keys[number] != OWN else ''}{_spoken(fate)}"
        for number, fate in sorted(told.items())
        if fate.what != SAME and number in panel.keys
    ]
    said = "; ".join(words)
    return f": {said if len(said) <= _LONGEST_TITLE else said[:_LONGEST_TITLE] + '…'}" if said else ""


def _page(panel: Panel, told: Mapping[int, Fate], page: int) -> Iterator[str]:
    per_page = sum(columns_of(panel.model))
    for number in range(page * per_page + 1, min((page + 1) * per_page, panel.last) + 1):
        place = place_of(panel.model, number)
        x = _MARGIN + place.column * (_WIDTH + _GAP)
        y = _MARGIN + _TITLE + place.row * (_HEIGHT + _GAP)
        yield _key(number, panel.keys.get(number), told.get(number, Fate(SAME)), x, y)


def _key(number: int, key: Key | None, fate: Fate, x: int, y: int) -> str:
    inner = '<rect class="inner" x="3" y="3" width="150" height="34" rx="4"/>' if fate.what == EDITED else ""
    frame = (
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>{inner}<text class="number" x="7" y="17">{number}</text>'
    )
    if key is None:
        return f'<g class="key off" transform="translate({x} {y})">{frame}</g>'
    if key == OWN:
        words = '<text class="detail" x="26" y="25">each phone its own</text>'
        return f'<g class="key {fate.what}" transform="translate({x} {y})">{frame}{words}{_badge(fate)}</g>'
    label, detail = label_of(key), detail_of(key)
    # what does not fit as it is stands in smaller letters, then is cut
    is_long = shortened(label, _WIDEST_LABEL) != label
    short = shortened(label, _WIDEST_LONG if is_long else _WIDEST_LABEL)
    brief = shortened(_below(key), _WIDEST_DETAIL)
    whole = "" if (short, brief) == (label, detail) else f"<title>{_text(f'key {number}: {label}, {detail}')}</title>"
    # letters may be wider than columns tell: nothing is drawn beyond the key
    clip = ' clip-path="url(#key-text)"' if max(len(short), len(brief) - 3) > _SURELY_FITS else ""
    return (
        f'<g class="key {fate.what}" transform="translate({x} {y})">{whole}{frame}'
        f'<use class="icon" href="#icon-{icon_name(does(key))}" x="26" y="5"/>'
        f'<text class="label{" long" if is_long else ""}" x="47" y="17"{clip}>{_text(short)}</text>'
        f'<text class="detail" x="47" y="31"{clip}>{_text(brief)}</text>{_badge(fate)}</g>'
    )


def _below(key: Key) -> str:
    """What stands below a key's label: with what it does it, as the icon tells what; else, in words, what it does."""
    word, value = does(key), value_of(key)
    if icon_name(word) != word:
        return detail_of(key)
    return word if value in ("", label_of(key)) else value


def _badge(fate: Fate) -> str:
    if fate.what == SAME:
        return ""
    sign = _SIGNS.get(fate.what, f"↔ {fate.other}")
    width = 10 + 8 * len(sign)
    return (
        f'<g class="badge" transform="translate({_WIDTH - width + 4} -5)"><rect width="{width}" height="16" rx="8"/>'
        f'<text x="{width / 2:g}" y="12">{sign}</text></g>'
    )


def _spoken(fate: Fate) -> str:
    return f" moved, key {fate.other} on the other side" if fate.what == MOVED else f" {fate.what}"


def _text(text: str) -> str:
    return escape(text, quote=True)
