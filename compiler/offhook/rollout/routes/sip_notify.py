"""NOTIFYs by the SIP client itself: what the routes through a registrar and to a contact have in common.

Whether a phone is registered it is asked itself, by OPTIONS (RFC 3261 section 11): through the registrar only a phone
that is registered can answer.
"""

from __future__ import annotations

import secrets

from offhook.problem import OffhookError
from offhook.rollout.routes.call import Call, Told
from offhook.sip.client import Client
from offhook.sip.credentials import Credentials
from offhook.sip.message import Headers, Request, SipError, parse_uri
from offhook.sip.outcome import NO_ADDRESS, Outcome

FRESH = 64
"""How many NOTIFYs may be under way that are younger than T1 (0.5 s) and not heard of yet. Linux gives a socket room
for some 160 such datagrams (net.core.rmem_default), so more would be lost in front of a busy proxy and repeated."""

UNDER_WAY = 100_000
"""How many may wait for an answer at all: a phone that is off holds its place for 32 seconds."""


def request_to(call: Call, uri: str, *, sender: str, route: str = "") -> Request:
    """Return the NOTIFY, or the OPTIONS of a call that asks: to the request URI, from the address `sender`.

    It has a Route where the proxy wants one.
    """
    own = [("Event", call.event), ("Subscription-State", "terminated")]
    if call.asks:
        own = [("Accept", "application/sdp")]
    fields = [
        ("Max-Forwards", "70"),
        ("From", f"<{sender}>;tag={secrets.token_hex(6)}"),
        ("To", f"<{call.address}>"),
        ("Call-ID", secrets.token_hex(12)),
        *own,
        ("User-Agent", "offhook"),
    ]
    if route:
        fields.insert(0, ("Route", f"<{route}>"))
    return Request("OPTIONS" if call.asks else "NOTIFY", uri, Headers.of(*fields))


def loose_route(via: str) -> str:
    """Return the proxy that a Route header must name: `via` where it has the parameter lr, else "".

    Raises OffhookError where it is no SIP address.
    """
    try:
        return via if via and "lr" in parse_uri(via).parameters else ""
    except SipError as error:
        raise OffhookError(f"notify.via: {via} is no SIP address", hint="sip:pbx.example.com;transport=tcp") from error


class SipSender:
    """Sends NOTIFYs by one client, with one set of credentials."""

    def __init__(self, client: Client, credentials: Credentials | None) -> None:
        self._client = client
        self._credentials = credentials

    def send(self, request: Request, target: str, told: Told, *, once: bool) -> None:
        """Send a request; an address that is none is an outcome too: other phones' may be good.

        With `once` it is not sent again where it may have been read: a phone would restart twice.
        """
        try:
            parse_uri(request.uri)  # with a proxy nobody else looks whether it is one
            self._client.begin(request, target, told, credentials=self._credentials, once=once)
        except (SipError, OffhookError) as error:
            told(Outcome(NO_ADDRESS, detail=str(error)))

    async def room(self) -> None:
        """Wait until one more can be sent."""
        await self._client.room(FRESH, UNDER_WAY)
