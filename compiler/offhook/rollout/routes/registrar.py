"""The usual route: through the registrar, or a proxy before it, as sip:user@registrar. It knows where the phone is."""

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
from offhook.sip.transaction import Timers


@dataclass(frozen=True, slots=True)
class Settings:
    """`via` is where NOTIFYs are sent, by default the registrar of each account ("sip:DOMAIN").

    With the parameter `lr` (sip:proxy.example.com;lr) the proxy is also named in a Route header, as proxies want it
    that carry a request on to another domain. `credentials` answer the registrar's challenges; they also say whom the
    NOTIFY is from. `ca_file` holds the authorities that are trusted over TLS.
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
        yield _Registrar(client, settings, route)


class _Registrar(SipSender):
    def __init__(self, client: Client, settings: Settings, route: str) -> None:
        super().__init__(client, settings.credentials)
        self._user = settings.credentials.username if settings.credentials else "offhook"
        self._via = settings.via
        self._route = route

    def begin(self, call: Call, told: Told) -> None:
        sender = Call("", self._user, call.domain).address
        request = request_to(call, call.address, sender=sender, route=self._route)
        self.send(request, self._via or f"sip:{call.domain}", told, once=call.reboot)
