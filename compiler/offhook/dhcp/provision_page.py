"""What to type into a phone's Provision page: its fields (schema/flyingvoice/provision_page.json) for one address.

Guide, "Static Provision": Administration > Provision > Configuration Profile, and Save & Apply at the bottom.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from offhook.compile import Fleet
from offhook.dhcp.address import address_of
from offhook.secrets.reference import PREFIX


@dataclass(frozen=True, slots=True)
class Row:
    """One field of the page, what to set it to ("" for blank), and why."""

    field: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Page:
    """The page's place in the phone's menu, its fields in their order, and the secret that holds the password."""

    menu: str
    rows: tuple[Row, ...]
    secret: str


def provision_page(fleet: Fleet, *, url: str = "") -> Page:
    """Return the page for the fleet's environment: its url, or another one. The password is named, never shown.

    Raises OffhookError where there is no address.
    """
    environment, said = address_of(fleet, url=url, verb="provision-page")
    secret = (environment.password or "").removeprefix(PREFIX)
    values = {"url": said, "username": environment.username or "", "password": f"(secret {secret})" if secret else ""}
    page = _page()
    rows = tuple(
        Row(one["field"], values.get(one["value"].strip("{}"), one["value"]), one["why"])
        for one in page["fields"]
        if "needs" not in one or values[one["needs"]]
    )
    return Page(page["menu"], rows, secret)


def _page() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files("offhook.schema.flyingvoice").joinpath("provision_page.json").read_text())
    return found
