"""Through FreeSWITCH's event socket: the event NOTIFY of mod_sofia, for a PBX that carries no NOTIFY from outside.

mod_sofia finds the registration of user@host in the profile and sends the NOTIFY there. The event wants a content type
even where there is no body; FreeSWITCH's documentation (mod_event_socket, "sendevent") shows this one with check-sync.
Whether a phone is registered FreeSWITCH is asked by sofia_contact: it is until its registration runs out.
The event socket's password crosses the network as it is: keep it to one machine or a tunnel.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from offhook.problem import OffhookError
from offhook.rollout.routes.call import Call, Sender
from offhook.rollout.routes.pbx import PATIENCE_S, Connection, Orders, Pbx, block, connected, heard, login
from offhook.sip.outcome import ANSWERED, NOT_REGISTERED, PASSED_ON, SERVER_ERROR, Outcome

PORT = 8021
_PORT = re.compile(r":[0-9]+\Z")
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
    patience_s = settings.patience_s

    @asynccontextmanager
    async def connect() -> AsyncIterator[Connection]:
        async with connected(settings.host, settings.port, "FreeSWITCH", patience_s=patience_s) as connection:
            await login(_login(*connection, settings.password), "FreeSWITCH", patience_s=patience_s)
            yield connection

    async def answer(reader: asyncio.StreamReader) -> tuple[str, Outcome] | None:
        fields, body = await _message(reader)
        kind = fields.get("content-type")
        if kind == "api/response":
            return "", _presence(heard(body.strip(), settings.password), server)
        text = heard(fields.get("reply-text", ""), settings.password)
        return ("", _outcome(text, server)) if kind == "command/reply" else None

    def order(call: Call, _: str) -> bytes:
        return _question(call, settings.profile) if call.asks else _event(call, settings.profile)

    async with Orders(Pbx(server, connect, order, answer, in_turn=True, patience_s=patience_s)) as orders:
        yield orders


async def _login(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, password: str) -> None:
    asked = (await _message(reader))[0].get("content-type", "")
    if asked != "auth/request":  # text/rude-rejection: its access list does not name this machine
        raise OffhookError(
            "FreeSWITCH does not talk to this machine", hint="see apply-inbound-acl in event_socket.conf.xml"
        )
    writer.write(f"auth {password}\n\n".encode())
    if not (await _message(reader))[0].get("reply-text", "").startswith("+OK"):
        raise OffhookError("FreeSWITCH refuses the password", hint="compare notify.password with event_socket.conf.xml")


async def _message(reader: asyncio.StreamReader) -> tuple[dict[str, str], str]:
    """Return the next message's headers and its body."""
    fields = await block(reader)
    length = fields.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or len(length) > 6:
        raise ValueError("no length")
    body = await reader.readexactly(int(length))
    return fields, body.decode("utf-8", "replace")


def _event(call: Call, profile: str) -> bytes:
    lines = [
        "sendevent NOTIFY",
        f"profile: {profile}",
        f"event-string: {call.event}",
        f"user: {call.user}",
        f"host: {_host(call)}",
        f"content-type: {_TYPE}",
    ]
    return "".join(f"{line}\n" for line in (*lines, "")).encode()


def _host(call: Call) -> str:
    """The registrar's name without its port; an IPv6 address keeps its brackets (RFC 3261 section 25.1, host)."""
    return _PORT.sub("", call.domain)


def _question(call: Call, profile: str) -> bytes:
    return f"api sofia_contact {profile}/{call.user}@{_host(call)}\n\n".encode()


def _presence(said: str, server: str) -> Outcome:
    """What sofia_contact says: where the phone is (sofia/internal/sip:...), or error/user_not_registered."""
    word = ANSWERED if said.startswith("sofia/") else NOT_REGISTERED if said.startswith("error/") else SERVER_ERROR
    return Outcome(word, detail=said, server=server)


def _outcome(said: str, server: str) -> Outcome:
    return Outcome(PASSED_ON if said.startswith("+OK") else SERVER_ERROR, detail=said, server=server, sends=1)
