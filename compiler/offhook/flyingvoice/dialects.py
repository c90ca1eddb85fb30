"""Which parameters the generated words mean, as one table a dialect.

The firmware takes one of two spellings (the guide's figures, or the static ones of public templates for
newer firmware). `{n}` is the account slot or the line key. A word that a dialect cannot say has no entry.
Sources: guide, "Editing Common CFG File" and "Editing MAC-Oriented CFG File" (dialect guide);
the public FusionPBX templates for Flyingvoice phones (dialect static).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GUIDE = "guide"
STATIC = "static"
DIALECTS = (GUIDE, STATIC)

TRANSPORTS = {"udp": "0", "tcp": "1", "tls": "2", "dns-srv": "3"}
PHONEBOOK_LIMIT = {GUIDE: 1, STATIC: 5}


@dataclass(frozen=True, slots=True)
class Words:
    """One dialect's parameters for the generated words: word -> parameter, with {n} for a slot."""

    account: Mapping[str, str]
    key: Mapping[str, str]
    word: Mapping[str, str]
    phonebook: Mapping[str, str]


_KEY = {
    "type": "linekey.{n}.type",
    "line": "linekey.{n}.line",
    "value": "linekey.{n}.value",
    "label": "linekey.{n}.label",
    "pickup": "linekey.{n}.pickup_value",
}

WORDS: Mapping[str, Words] = {
    GUIDE: Words(
        account={
            "enable": "account.{n}.enable",
            "label": "account.{n}.label",
            "display_name": "account.{n}.display_name",
            "auth_name": "account.{n}.auth_name",
            "password": "account.{n}.password",
            "user_name": "account.{n}.user_name",
            "server": "account.{n}.sip_server_host",
            "port": "account.{n}.sip_server_port",
            "outbound_proxy": "account.{n}.outbound_host",
            "outbound_proxy_port": "account.{n}.outbound_port",
        },
        key=_KEY,
        word={
            "language": "lang.gui",
            "utc_offset": "local_time.time_zone",
            "url": "auto_provision.server.url",
            "username": "auto_provision.server.username",
            "password": "auto_provision.server.password",
        },
        phonebook={"url": "local_contact.data.url"},
    ),
    STATIC: Words(
        account={
            "enable": "account.{n}.enable",
            "label": "account.{n}.label",
            "display_name": "account.{n}.display_name",
            "auth_name": "account.{n}.auth_name",
            "password": "account.{n}.password",
            "user_name": "account.{n}.user_name",
            "server": "account.{n}.sip_server.1.address",
            "port": "account.{n}.sip_server.1.port",
            "transport": "account.{n}.sip_server.1.transport_type",
            "outbound_proxy_enable": "account.{n}.outbound_proxy_enable",
            "outbound_proxy": "account.{n}.outbound_proxy.1.address",
            "outbound_proxy_port": "account.{n}.outbound_proxy.1.port",
        },
        key=_KEY,
        word={
            "language": "lang.gui",
            "utc_offset": "local_time.time_zone",
            "url": "static.auto_provision.server.url",
            "username": "static.auto_provision.server.username",
            "password": "static.auto_provision.server.password",
        },
        phonebook={"name": "remote_phonebook.data.{n}.name", "url": "remote_phonebook.data.{n}.url"},
    ),
}
