"""Straight to the phone's own address, for networks without a registrar that carries a NOTIFY.

A phone that trusts only its server (sip.trust_ctrl) does not listen to this.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from offhook.rollout.routes.call import Call, Sender, Told
from offhook.rollout.routes.sip_notify import SipSender, loose_route, request_to
from offhook.sip.client import Client
from offhook.sip.credentials import Credentials
from offhook.sip.locate import Resolver
from offhook.sip.outcome import NO_ADDRESS, Outcome
from offhook.sip.transaction import Timers


@dataclass(frozen=True, slots=True)
class Settings:
    """`via` is an outbound proxy, by default none; with the parameter `lr` it is also named in a Route header.

    `credentials` answer the phone's challenge, where it has one.
    """

    via: str = ""
    credentials: Credentials | None = None
    ca_file: Path | None = None
    timers: Timers | None = None
    resolver: Resolver | None = None


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Sender]:
    """Open the route. Raises OffhookError where `via` is no SIP address or `ca_file` cannot be read."""
    route = loose_route(settings.via)
    async with Client(timers=settings.timers, resolver=settings.resolver, ca_file=settings.ca_file) as client:
        yield _Contact(client, settings, route)


class _Contact(SipSender):
    def __init__(self, client: Client, settings: Settings, route: str) -> None:
        super().__init__(client, settings.credentials)
        self._user = settings.credentials.username if settings.credentials else "offhook"
        self._via = settings.via
        self._route = route

    def begin(self, call: Call, told: Told) -> None:
        if not call.contact:
            told(Outcome(NO_ADDRESS, detail="nobody says where this phone is"))
            return
        sender = Call("", self._user, call.domain).address
        request = request_to(call, call.contact, sender=sender, route=self._route)
        self.send(request, self._via or call.contact, told, once=call.reboot)
