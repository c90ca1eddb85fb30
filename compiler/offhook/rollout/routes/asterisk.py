"""Through Asterisk's manager interface (AMI): the action PJSIPNotify, for a PBX that carries no NOTIFY from outside.

Asterisk sends the NOTIFY to every contact of the endpoint, adds `Subscription-State: terminated` itself
(res_pjsip_notify.c), and answers "NOTIFY sent" before the phone has. The user of manager.conf needs `write = system`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from offhook.problem import OffhookError
from offhook.rollout.routes.call import Call, Sender
from offhook.rollout.routes.pbx import PATIENCE_S, Orders, block, connected, login
from offhook.sip.credentials import Credentials
from offhook.sip.outcome import PASSED_ON, REFUSED, SERVER_ERROR, UNKNOWN_PHONE, Outcome, harmless

PORT = 5038


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
    async with connected(settings.host, settings.port, "Asterisk", patience_s=settings.patience_s) as (reader, writer):
        await login(_login(reader, writer, settings.credentials), "Asterisk", patience_s=settings.patience_s)

        async def answer() -> tuple[str, Outcome] | None:
            fields = await block(reader)
            return (fields.get("actionid", "-"), _outcome(fields, server)) if "response" in fields else None

        orders = Orders(writer, server, order=_order, answer=answer, patience_s=settings.patience_s)
        try:
            yield orders
        finally:
            await orders.close()


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
    # by endpoint also where a contact is known: by URI it wants a default_outbound_endpoint
    return _action("PJSIPNotify", ActionID=key, Endpoint=call.user, Variable=f"Event={call.event}")


def _action(name: str, **fields: str) -> bytes:
    lines = [f"Action: {name}", *(f"{key}: {value}" for key, value in fields.items())]
    if not all(map(str.isprintable, lines)):
        raise OffhookError("a name for Asterisk holds a control character", hint="check notify.username")
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def _outcome(fields: dict[str, str], server: str) -> Outcome:
    said = harmless(fields.get("message", ""))
    if fields["response"].lower() == "success":
        return Outcome(PASSED_ON, detail=said, server=server, sends=1)
    lower = said.lower()
    word = UNKNOWN_PHONE if "unable to retrieve" in lower else REFUSED if "permission" in lower else SERVER_ERROR
    return Outcome(word, detail=said, server=server)
