"""Through FreeSWITCH's event socket: the event NOTIFY of mod_sofia, for a PBX that carries no NOTIFY from outside.

mod_sofia finds the registration of user@host in the profile and sends the NOTIFY there. The event wants a content type
even where there is no body; FreeSWITCH's documentation (mod_event_socket, "sendevent") shows this one with check-sync.
The event socket's password crosses the network as it is: keep it to one machine or a tunnel.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from offhook.problem import OffhookError
from offhook.rollout.routes.call import Call, Sender
from offhook.rollout.routes.pbx import PATIENCE_S, Orders, block, connected, login
from offhook.sip.outcome import PASSED_ON, SERVER_ERROR, Outcome, harmless

PORT = 8021
_TYPE = "application/simple-message-summary"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the event socket listens, its password, and the SIP profile that phones register with."""

    host: str
    password: str = field(repr=False)
    port: int = PORT
    profile: str = "internal"
    patience_s: float = PATIENCE_S


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Sender]:
    """Open the route. Raises OffhookError where FreeSWITCH cannot be reached or refuses the password."""
    server = f"freeswitch {settings.host}:{settings.port}"
    if not (settings.password + settings.profile).isprintable():
        raise OffhookError("notify.password or profile holds a control character", hint="FreeSWITCH takes one line")
    async with connected(settings.host, settings.port, "FreeSWITCH", patience_s=settings.patience_s) as (
        reader,
        writer,
    ):
        await login(_login(reader, writer, settings.password), "FreeSWITCH", patience_s=settings.patience_s)

        async def answer() -> tuple[str, Outcome] | None:
            fields = await _message(reader)
            return ("", _outcome(fields, server)) if fields.get("content-type") == "command/reply" else None

        def order(call: Call, _: str) -> bytes:
            return _event(call, settings.profile)

        orders = Orders(writer, server, order=order, answer=answer, patience_s=settings.patience_s)
        try:
            yield orders
        finally:
            await orders.close()


async def _login(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, password: str) -> None:
    asked = (await _message(reader)).get("content-type", "")
    if asked != "auth/request":  # text/rude-rejection: its access list does not name this machine
        raise OffhookError(
            "FreeSWITCH does not talk to this machine", hint="see apply-inbound-acl in event_socket.conf.xml"
        )
    writer.write(f"auth {password}\n\n".encode())
    if not (await _message(reader)).get("reply-text", "").startswith("+OK"):
        raise OffhookError("FreeSWITCH refuses the password", hint="compare notify.password with event_socket.conf.xml")


async def _message(reader: asyncio.StreamReader) -> dict[str, str]:
    """Return the next message's headers; its body is read over."""
    fields = await block(reader)
    length = fields.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or len(length) > 6:
        raise ValueError("no length")
    await reader.readexactly(int(length))
    return fields


def _event(call: Call, profile: str) -> bytes:
    lines = [
        "sendevent NOTIFY",
        f"profile: {profile}",
        f"event-string: {call.event}",
        f"user: {call.user}",
        f"host: {call.domain.partition(':')[0]}",
        f"content-type: {_TYPE}",
    ]
    return "".join(f"{line}\n" for line in (*lines, "")).encode()


def _outcome(fields: dict[str, str], server: str) -> Outcome:
    said = harmless(fields.get("reply-text", ""))
    return Outcome(PASSED_ON if said.startswith("+OK") else SERVER_ERROR, detail=said, server=server, sends=1)
