"""What every route is given and gives: a call to one phone, and whoever carries it.

The request is the guide's: `Event: check-sync` out of any dialog and without a body starts provisioning;
`;reboot=true` restarts the phone at once and is sent only where it is asked for (facts: guide, "SIP NOTIFY"). Or it is
the question whether the phone is registered, which every route puts in its own way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias
from urllib.parse import quote

from offhook.sip.outcome import Outcome

Told: TypeAlias = Callable[[Outcome], None]

_USER = "-_.!~*'()&=+$,;?/"  # with letters and digits all that a user may hold unescaped (RFC 3261 section 25.1)


@dataclass(frozen=True, slots=True)
class Call:
    """One phone that is to be told: by the account `user` at its registrar `domain` ("pbx.example.com", with a port
    where the account has one).

    `contact` is the phone's own SIP address, where one is known. `reboot` asks the phone to restart at once. With
    `asks` the phone is told nothing: it, or the PBX, is asked whether it is registered.
    """

    mac: str
    user: str
    domain: str
    contact: str = ""
    reboot: bool = False
    asks: bool = False

    @property
    def address(self) -> str:
        """The account's SIP address."""
        return f"sip:{quote(self.user, safe=_USER)}@{self.domain}"

    @property
    def event(self) -> str:
        """The value of the header Event."""
        return "check-sync;reboot=true" if self.reboot else "check-sync"


class Sender(Protocol):
    """An open route."""

    def begin(self, call: Call, told: Told) -> None:
        """Send; `told` is called once and always, at the latest when the route is closed. Returns at once."""

    async def room(self) -> None:
        """Wait until one more can be sent without flooding whoever carries it."""
