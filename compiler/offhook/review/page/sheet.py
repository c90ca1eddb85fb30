"""A printable sheet of a site's key labels: one card a phone, its keys as they stand beside the screen.

Comes in: cards. Goes out: one self-contained page without a script. What users wrote is escaped by the template.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from offhook.flyingvoice.panels import Panel
from offhook.review.page.assets import asset, policy, template
from offhook.review.page.key_pictures import icon_shapes, picture
from offhook.texts import visible


class Card(NamedTuple):
    """One phone: its MAC, whose it is ("" where nobody says), and its keys."""

    mac: str
    name: str
    panel: Panel


def sheet(site: str, cards: Sequence[Card]) -> str:
    """Return the sheet, in the order of the cards; phones without line keys are named at its end."""
    style = asset("sheet.css") + asset("keys.css")
    shown = [
        (
            visible(one.name),
            one.mac,
            one.panel.model,
            picture(one.panel, {}, title=f"{one.mac}, {one.panel.model}, keys"),
        )
        for one in cards
        if one.panel.last
    ]
    return template("sheet.html.j2").render(
        site=visible(site),
        cards=shown,
        without=[(visible(one.name), one.mac) for one in cards if not one.panel.last],
        style=style,
        policy=policy(style),
        shapes=icon_shapes("".join(drawing for *_, drawing in shown)),
    )
