"""Where a SIP address leads (RFC 3263 section 4): NAPTR, SRV, and A or AAAA records -> servers, best first.

What comes in: a `SipUri`. What goes out: `Target`s in the order in which they are to be tried. Names of the hosts file
count, because addresses are asked of the system; NAPTR and SRV are asked of the system's DNS servers.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, TypeVar

from offhook.problem import OffhookError
from offhook.sip.message import SipUri

UDP = "udp"
TCP = "tcp"
TLS = "tls"

_SERVICES = {"SIP+D2U": UDP, "SIP+D2T": TCP, "SIPS+D2T": TLS}
_SRV = {UDP: "_sip._udp.", TCP: "_sip._tcp.", TLS: "_sips._tcp."}
_LIFETIME_S = 5.0

_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True)
class Target:
    """A server: transport (UDP, TCP or TLS), numeric address, port, and the domain its certificate must name."""

    transport: str
    address: str
    port: int
    domain: str

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.transport} {host}:{self.port}"


class Naptr(NamedTuple):
    """A NAPTR record (RFC 3403)."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


class Srv(NamedTuple):
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    host: str


class NoDnsAnswer(OffhookError):
    """No DNS server answers a question, or each fails."""


class Resolver(Protocol):
    """Asks DNS. Each method gives an empty list where the name or the type does not exist.

    Raises NoDnsAnswer where no server answers.
    """

    async def naptr(self, name: str) -> list[Naptr]:
        """Return the NAPTR records of a domain."""

    async def srv(self, name: str) -> list[Srv]:
        """Return the SRV records of a service's name."""

    async def addresses(self, host: str) -> list[str]:
        """Return the numeric addresses of a host, in the order in which to try them."""


class SystemResolver:
    """The system's DNS servers, or `nameservers` (address, port) where they are given: then for addresses too."""

    def __init__(self, nameservers: Sequence[tuple[str, int]] = ()) -> None:
        self._nameservers = tuple(nameservers)

    async def naptr(self, name: str) -> list[Naptr]:
        """Return the NAPTR records of a domain."""
        found = await self._ask(name, "NAPTR")
        return [
            Naptr(one.order, one.preference, _text(one.flags), _text(one.service).upper(), str(one.replacement))
            for one in found
        ]

    async def srv(self, name: str) -> list[Srv]:
        """Return the SRV records of a service's name; a target of "." says that there is no such service."""
        found = await self._ask(name, "SRV")
        return [Srv(one.priority, one.weight, one.port, str(one.target).rstrip(".")) for one in found]

    async def addresses(self, host: str) -> list[str]:
        """Return the numeric addresses of a host: IPv6 and IPv4 in the system's order (RFC 6724)."""
        if self._nameservers:
            found = [*await self._ask(host, "A"), *await self._ask(host, "AAAA")]
            return [str(one.address) for one in found]
        loop = asyncio.get_running_loop()
        try:
            infos = await loop.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        except (socket.gaierror, UnicodeError):
            return []
        return list(dict.fromkeys(str(info[4][0]) for info in infos))

    async def _ask(self, name: str, kind: str) -> list[Any]:
        try:
            import dns.asyncresolver
            import dns.exception
            import dns.nameserver
            import dns.resolver
        except ImportError as error:
            raise OffhookError(
                "finding SIP servers by name needs the Python package dnspython, which is not installed",
                hint="pip install 'offhook[notify]', or name the server with its port in notify.via",
            ) from error
        try:
            resolver = dns.asyncresolver.Resolver(configure=not self._nameservers)
            if self._nameservers:
                resolver.nameservers = [dns.nameserver.Do53Nameserver(*one) for one in self._nameservers]
            resolver.lifetime = _LIFETIME_S
            return list(await resolver.resolve(name.rstrip(".") + ".", kind))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.name.LabelTooLong, dns.name.EmptyLabel):
            return []
        except dns.exception.DNSException as error:
            raise NoDnsAnswer(
                f"no DNS server answers for the {kind} records of {name}", hint="check the machine's name servers"
            ) from error


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace")


def located(uri: SipUri) -> Target | None:
    """Return the server of an address that is numeric and needs no DNS, or None. Raises OffhookError as `locate`."""
    address = _numeric(uri.parameters.get("maddr") or uri.host)
    chosen = _asked_transport(uri) or UDP
    return Target(chosen, address, uri.port or _port(chosen), address) if address else None


async def locate(uri: SipUri, resolver: Resolver, *, luck: random.Random | None = None) -> list[Target]:
    """Return the servers of an address, best first; never none.

    Raises OffhookError where the name leads nowhere, or where the address asks for a transport that is not spoken.
    """
    if at_once := located(uri):
        return [at_once]
    luck = luck or random.Random()
    host = uri.parameters.get("maddr") or uri.host
    transport = _asked_transport(uri)
    asking = _Asking(resolver)
    if uri.port:
        found = await _hosts(asking, transport or UDP, host, uri.port)
    else:
        found = await _by_service(asking, uri, transport, luck)
        found = found or await _hosts(asking, transport or UDP, host, _port(transport or UDP))
    if not found and asking.faults:
        raise asking.faults[0]
    if not found:
        raise OffhookError(f"{host} has no address", hint="check the name, and its NAPTR, SRV and A records")
    # the certificate must name the domain that was asked for, not the host that DNS leads to (RFC 5922 section 4)
    return [replace(one, domain=host) for one in found]


class _Asking:
    """Asks a resolver. What nobody answers counts as not there, and is kept: other records may lead somewhere."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self.faults: list[NoDnsAnswer] = []

    async def naptr(self, name: str) -> list[Naptr]:
        return await self._tried(self._resolver.naptr(name))

    async def srv(self, name: str) -> list[Srv]:
        return await self._tried(self._resolver.srv(name))

    async def addresses(self, host: str) -> list[str]:
        return await self._tried(self._resolver.addresses(host))

    async def _tried(self, asked: Awaitable[list[_Record]]) -> list[_Record]:
        try:
            return await asked
        except NoDnsAnswer as error:
            self.faults.append(error)
            return []


def _asked_transport(uri: SipUri) -> str:
    """The transport that the address itself says, or "" (RFC 3263 section 4.1); sips is TLS."""
    asked = (uri.parameters.get("transport") or "").lower()
    if asked not in ("", UDP, TCP, TLS):
        raise OffhookError(f"SIP over {asked!r} is not spoken", hint="transport=udp, tcp or tls")
    if uri.scheme == "sips":
        if asked == UDP:
            raise OffhookError("sips: is never carried over UDP", hint="say sips: without a transport")
        return TLS
    return asked


async def _by_service(resolver: Resolver, uri: SipUri, transport: str, luck: random.Random) -> list[Target]:
    """The servers that NAPTR and SRV name; NAPTR counts only where no transport is asked for (RFC 3263 4.1)."""
    host = uri.parameters.get("maddr") or uri.host
    names: list[tuple[str, str]] = []
    if "transport" not in uri.parameters:
        for one in sorted(await resolver.naptr(host)):
            kind = _SERVICES.get(one.service)
            if one.flags.lower() == "s" and kind and transport in ("", kind):
                names.append((kind, one.replacement))
    if not names:
        names = [(one, _SRV[one] + host) for one in ([transport] if transport else (UDP, TCP, TLS))]
    found: list[Target] = []
    for kind, name in names:
        for record in weighted(await resolver.srv(name), luck):
            if record.host:
                found += await _hosts(resolver, kind, record.host, record.port)
    return found


async def _hosts(resolver: Resolver, transport: str, host: str, port: int) -> list[Target]:
    return [Target(transport, address, port, host) for address in await resolver.addresses(host)]


def weighted(records: Sequence[Srv], luck: random.Random) -> list[Srv]:
    """Return SRV records by priority; those of one priority by lot, in proportion to their weights (RFC 2782)."""
    ordered: list[Srv] = []
    for priority in sorted({one.priority for one in records}):
        # those of weight 0 first, so that they have a very small chance beside others
        left = sorted((one for one in records if one.priority == priority), key=lambda one: one.weight)
        while left:
            drawn = luck.randint(0, sum(one.weight for one in left))
            for one in left:
                drawn -= one.weight
                if drawn <= 0:
                    break
            ordered.append(one)
            left.remove(one)
    return ordered


def _numeric(host: str) -> str:
    """The address that a host is already, without brackets, or ""."""
    try:
        return str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        return ""


def _port(transport: str) -> int:
    return 5061 if transport == TLS else 5060
