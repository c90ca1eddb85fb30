"""Sockets to listen on, made while one may still bind low ports; and giving that right up afterwards."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from offhook.problem import OffhookError
from offhook.serve.desk import PNP, TFTP

PNP_GROUP = "224.0.1.75"
"""Where phones look for a server by SIP (guide, "Plug and Play (PnP) Server"; RFC 3261 section 18.1.1)."""


@dataclass(frozen=True, slots=True)
class Listening:
    """What to listen on: an address, and a port for each protocol that is wanted, 0 for any free one.

    `optional` protocols may be left out where the system refuses. `certificate` and `key` are PEM files for HTTPS.
    """

    host: str
    ports: Mapping[str, int]
    optional: frozenset[str] = frozenset()
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """Bound sockets by protocol, why an optional one is not among them, and what HTTPS needs."""

    sockets: Mapping[str, socket.socket]
    left_out: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def close(self) -> None:
        """Close every socket, where no server has begun to."""
        for sock in self.sockets.values():
            sock.close()


def bind(listening: Listening) -> Bound:
    """Bind everything and read the key: nothing after it needs root's rights.

    Raises OffhookError where the system refuses; nothing is left bound then.
    """
    made: dict[str, socket.socket] = {}
    left_out: dict[str, str] = {}
    try:
        for protocol, port in listening.ports.items():
            try:
                made[protocol] = _MAKERS.get(protocol, tcp)(listening.host, port)
            except OffhookError as error:
                if protocol not in listening.optional:
                    raise
                left_out[protocol] = error.message
        return Bound(made, left_out, _tls(listening) if listening.certificate else None)
    except OffhookError:
        for sock in made.values():
            sock.close()
        raise


def tcp(host: str, port: int) -> socket.socket:
    """Return a listening TCP socket. Raises OffhookError where the system refuses."""
    sock = _made(host, port, socket.SOCK_STREAM)
    sock.listen(1024)
    return sock


def udp(host: str, port: int) -> socket.socket:
    """Return a bound UDP socket. Raises OffhookError where the system refuses."""
    return _made(host, port, socket.SOCK_DGRAM)


def multicast(host: str, port: int) -> socket.socket:
    """Return a UDP socket that hears the group of plug and play, on the interface of `host` or on all that have it.

    It is bound to the group's address: what is sent to this machine's own port 5060 goes to the PBX that is there.
    Raises OffhookError where no interface does multicast.
    """
    sock = _made(PNP_GROUP, port, socket.SOCK_DGRAM, shared=True)
    joined = 0
    for address in _interfaces() if host in ("", "0.0.0.0", "::") else [host]:
        with contextlib.suppress(OSError):
            request = socket.inet_aton(PNP_GROUP) + socket.inet_aton(address)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
            joined += 1
    if not joined:
        sock.close()
        raise OffhookError(
            f"no network interface takes multicast to {PNP_GROUP}",
            hint="--no-pnp, or --host with an interface's IPv4 address",
        )
    return sock


def address_towards(client: str) -> str:
    """Return the address by which this machine is reached from a client: that of the interface that leads there."""
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((client, 9))  # UDP: nothing is sent
        except OSError:
            return "127.0.0.1"
        return str(sock.getsockname()[0])


def own_address() -> str:
    """Return the address by which others most likely reach this machine; loopback where it is on no network."""
    # TEST-NET-1 (RFC 5737) lies behind the default route: nothing is sent there
    found = address_towards("192.0.2.1")
    if not found.startswith("127."):
        return found
    return next((one for one in _interfaces() if not one.startswith("127.")), found)


def drop_privileges(user: str) -> None:
    """Become another user for good. Raises OffhookError where that is not possible."""
    import pwd

    try:
        entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
        os.setgroups([])
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    except KeyError as error:
        raise OffhookError(f'this machine has no user "{user}"', hint="--user NAME") from error
    except OSError as error:
        raise OffhookError(f'cannot become the user "{user}": {error.strerror}', hint="sudo offhook serve") from error
    os.environ["HOME"] = entry.pw_dir


def _tls(listening: Listening) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(listening.certificate or "", listening.key, password="")  # never asks on a terminal
    except (OSError, ssl.SSLError) as error:
        raise OffhookError(
            "the certificate or its key cannot be used",
            hint="--certificate and --key name PEM files that belong together, the key without a passphrase",
        ) from error
    return context


def _made(host: str, port: int, kind: socket.SocketKind, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM or shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except (OSError, OverflowError) as error:
        sock.close()
        why = getattr(error, "strerror", None) or "no such address"
        hint = "another port, such as --http 8080"
        if isinstance(error, PermissionError):
            hint = "ports below 1024 need root: sudo offhook serve --real-ports"
        raise OffhookError(f"cannot listen on {host} port {port}: {why.lower()}", hint=hint) from error
    return sock


def _interfaces() -> list[str]:
    """The IPv4 addresses of this machine, loopback among them."""
    import fcntl

    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                request = struct.pack("256s", name.encode()[:15])
                answer = fcntl.ioctl(sock.fileno(), 0x8915, request)  # SIOCGIFADDR
                found.append(socket.inet_ntoa(answer[20:24]))
    return found


_MAKERS = {TFTP: udp, PNP: multicast}
"""Protocol -> what makes its socket; the others listen for TCP."""
