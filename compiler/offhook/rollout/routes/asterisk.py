"""Through Asterisk's manager interface (AMI): the action PJSIPNotify, for a PBX that carries no NOTIFY from outside.

Asterisk sends the NOTIFY to every contact of the endpoint, adds `Subscription-State: terminated` itself
(res_pjsip_notify.c), and answers "NOTIFY sent" before the phone has. The user of manager.conf needs `write = system`.

Whether a phone is registered Asterisk is asked by DEVICE_STATE (action Getvar, which needs `write = reporting`): with
`qualify_frequency` it knows so within seconds, without it when the registration runs out.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from offhook.problem import OffhookError
from offhook.rollout.routes.call import Call, Sender
from offhook.rollout.routes.pbx import PATIENCE_S, Connection, Orders, Pbx, block, connected, heard, login
from offhook.sip.credentials import Credentials
from offhook.sip.outcome import (
    ANSWERED,
    NOT_REGISTERED,
    PASSED_ON,
    REFUSED,
    SERVER_ERROR,
    UNKNOWN_PHONE,
    Outcome,
)

PORT = 5038
_ENDPOINT = re.compile(r"[\w.+@~-]+")
"""What may stand in a function's parentheses without meaning something there."""
_AWAY = {"UNAVAILABLE": NOT_REGISTERED, "INVALID": UNKNOWN_PHONE, "UNKNOWN": UNKNOWN_PHONE}
"""The device states of a phone that is not there (pbx/devicestate.c); of all others one is."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the manager interface listens, and its user. The password is never sent: the login answers a challenge."""

    host: str
    credentials: Credentials
    port: int = PORT
    patience_s: float = PATIENCE_S


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Sender]:
    """Open the route. Raises OffhookError where Asterisk cannot be reached or refuses the user."""
    server = f"asterisk {settings.host}:{settings.port}"
    patience_s = settings.patience_s

    @asynccontextmanager
    async def connect() -> AsyncIterator[Connection]:
        async with connected(settings.host, settings.port, "Asterisk", patience_s=patience_s) as connection:
            await login(_login(*connection, settings.credentials), "Asterisk", patience_s=patience_s)
            yield connection

    async def answer(reader: asyncio.StreamReader) -> tuple[str, Outcome] | None:
        fields = await block(reader)
        if "response" not in fields:
            return None
        return fields.get("actionid", "-"), _outcome(fields, server, settings.credentials.password)

    async with Orders(Pbx(server, connect, _order, answer, in_turn=False, patience_s=patience_s)) as orders:
        yield orders


async def _login(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, who: Credentials) -> None:
    banner = await reader.readuntil(b"\n")
    if not banner.startswith(b"Asterisk Call Manager"):
        raise ValueError("no Asterisk")
    writer.write(_action("Challenge", AuthType="MD5"))
    challenge = (await _response(reader)).get("challenge", "")
    key = hashlib.md5(f"{challenge}{who.password}".encode(), usedforsecurity=False).hexdigest()
    writer.write(_action("Login", AuthType="MD5", Username=who.username, Key=key, Events="off"))
    fields = await _response(reader)
    if not challenge or fields["response"].lower() != "success":
        raise OffhookError(
            f"Asterisk refuses the manager user {who.username}", hint="compare notify.username with manager.conf"
        )


async def _response(reader: asyncio.StreamReader) -> dict[str, str]:
    while "response" not in (fields := await block(reader)):
        pass
    return fields


def _order(call: Call, key: str) -> bytes:
    if call.asks:
        if not _ENDPOINT.fullmatch(call.user):
            raise OffhookError("Asterisk cannot be asked for a name with these characters")
        return _action("Getvar", ActionID=key, Variable=f"DEVICE_STATE(PJSIP/{call.user})")
    # by endpoint also where a contact is known: by URI it wants a default_outbound_endpoint
    return _action("PJSIPNotify", ActionID=key, Endpoint=call.user, Variable=f"Event={call.event}")


def _action(name: str, **fields: str) -> bytes:
    lines = [f"Action: {name}", *(f"{key}: {value}" for key, value in fields.items())]
    if not all(map(str.isprintable, lines)):
        raise OffhookError("a name for Asterisk holds a control character", hint="check notify.username")
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def _outcome(fields: dict[str, str], server: str, password: str) -> Outcome:
    said = heard(fields.get("value", fields.get("message", "")), password)
    if "value" in fields:
        return Outcome(_AWAY.get(fields["value"], ANSWERED), detail=said, server=server)
    if fields["response"].lower() == "success":
        return Outcome(PASSED_ON, detail=said, server=server, sends=1)
    lower = said.lower()
    word = UNKNOWN_PHONE if "unable to retrieve" in lower else REFUSED if "permission" in lower else SERVER_ERROR
    return Outcome(word, detail=said, server=server)
