"""An account in a slot of a phone: which parameters say it, and which switch an unused slot off.

A blank value most likely means "keep" to the phone, so every word that is known is said, and an unused
slot is switched off by `enable` alone: nothing documented clears its texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from offhook.flyingvoice.dialects import TRANSPORTS, WORDS
from offhook.model import Account, Sip

DEFAULT_PORT = 5060  # guide, "Editing MAC-Oriented CFG File": the default of both ports


@dataclass(frozen=True, slots=True)
class Registrar:
    """Where an account registers, after inheritance. `server` is None where nobody says one."""

    server: str | None
    port: int
    transport: str
    outbound_proxy: str | None
    outbound_proxy_port: int
    said_by: Mapping[str, int]
    """Word under `sip:` -> which of the layers says it (0: the account); words that nobody says are missing."""


def registrar(own: Sip, site: Sip | None, fleet: Sip) -> Registrar:
    """Return the registrar of an account: its own words, else its site's (not the phone's), else the fleet's.

    A port and a transport belong to the server that they stand beside or above: a fleet's port is not
    taken for a site's own server. The same holds for the outbound proxy and its port.
    """
    layers = (own, site or Sip(), fleet)
    said_by: dict[str, int] = {}

    def first(word: str, beside: str, default: Any = None) -> Any:
        """The first layer's value of a word, down to the layer that says the word it stands beside."""
        for layer, sip in enumerate(layers[: said_by.get(beside, len(layers)) + 1]):
            value = getattr(sip, word)
            if value is not None:
                said_by[word] = layer
                return value
        return default

    return Registrar(
        server=first("server", "server"),
        port=first("port", "server", DEFAULT_PORT),
        transport=first("transport", "server", "udp"),
        outbound_proxy=first("outbound_proxy", "outbound_proxy"),
        outbound_proxy_port=first("outbound_proxy_port", "outbound_proxy", DEFAULT_PORT),
        said_by=said_by,
    )


@cache
def parameters(dialect: str, slot: int) -> dict[str, str]:
    """Return word -> parameter for one account slot of a dialect."""
    return {word: name.format(n=slot) for word, name in WORDS[dialect].account.items()}


def account_label(account: Account) -> str:
    """Return what the phone's screen calls an account: its label, else its display name, else its extension."""
    return account.label or account.display_name or account.extension


def label_word(account: Account) -> str:
    """Return the word of an account that says its label."""
    return "label" if account.label else _name_word(account)


def _name_word(account: Account) -> str:
    return "display_name" if account.display_name else "extension"


def used_slot(dialect: str, slot: int, account: Account, server: Registrar) -> Iterator[tuple[str, str, str]]:
    """Yield (parameter, value, word of the account that says it) for a slot in use."""
    names = parameters(dialect, slot)
    extension = account.extension
    yield names["enable"], "1", ""
    yield names["label"], account_label(account), label_word(account)
    yield names["display_name"], account.display_name or extension, _name_word(account)
    yield names["auth_name"], account.auth_name or extension, "auth_name" if account.auth_name else "extension"
    yield names["password"], account.password, "password"
    yield names["user_name"], extension, "extension"
    if server.server is not None:
        yield names["server"], server.server, "sip.server"
        yield names["port"], str(server.port), "sip.port"
        if "transport" in names:
            yield names["transport"], TRANSPORTS[server.transport], "sip.transport"
    if "outbound_proxy_enable" in names:
        yield names["outbound_proxy_enable"], "0" if server.outbound_proxy is None else "1", "sip.outbound_proxy"
    if server.outbound_proxy is not None:
        yield names["outbound_proxy"], server.outbound_proxy, "sip.outbound_proxy"
        yield names["outbound_proxy_port"], str(server.outbound_proxy_port), "sip.outbound_proxy_port"


def unused_slots(dialect: str, slots: int) -> dict[str, str]:
    """Return the parameters that switch off account slots 1 to `slots`."""
    return {parameters(dialect, slot)["enable"]: "0" for slot in range(1, slots + 1)}
