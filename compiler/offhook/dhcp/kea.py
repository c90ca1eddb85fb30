"""Options 66 and 67 for Kea: what to merge into its Dhcp4 (Kea's reference, "Client Classification").

A class that is evaluated where a subnet requires it: so a phone is told in its site's subnets only. The words are those
of Kea 2.0 to 2.6; later ones call `require-client-classes` `evaluate-additional-classes`, and `only-if-required`
`only-in-additional-list`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from offhook.dhcp.offer import Offer

PHONE = "offhook-phone"


def kea(offer: Offer) -> str:
    """Return a JSON document of the shape {"Dhcp4": {...}}; its subnets hold what to add to those that are there."""
    options = [
        _option("tftp-server-name", offer.server),
        *([_option("boot-file-name", offer.file)] if offer.file else []),
    ]
    told = {"require-client-classes": [PHONE]} if offer.prefixes else {"option-data": options}
    subnets = [
        {"subnet": str(network), "user-context": {"site": scope.site}, **told}
        for scope in offer.scopes
        for network in scope.networks
    ]
    body: dict[str, Any] = {}
    if offer.prefixes:
        body["client-classes"] = [{**_class(offer, options), **({"only-if-required": True} if subnets else {})}]
    if subnets:
        body["subnet4"] = subnets
    elif not offer.prefixes:
        body["option-data"] = options
    return json.dumps({"Dhcp4": body}, indent=2) + "\n"


def _option(name: str, value: str) -> Mapping[str, Any]:
    # a comma would separate two values for an option that has several; these have one text. Kea reads it as it is.
    return {"name": name, "data": value.replace(",", "\\,"), "always-send": True}


def _class(offer: Offer, options: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    test = " or ".join(f"substring(pkt4.mac, 0, 3) == 0x{prefix}" for prefix in offer.prefixes)
    return {"name": PHONE, "test": test, "option-data": options}
