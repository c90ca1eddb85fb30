"""A whole lab server: sockets first, then privileges, then the servers, then the watch on the inventory.

Comes in: what to listen on, and how a shelf is made. Goes out: lines of the log, one after the other, from a queue that
a slow terminal cannot make grow without bound.
"""

from __future__ import annotations

import queue
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from offhook.problem import OffhookError
from offhook.serve.desk import FTP, HTTP, HTTPS, TFTP, Desk, Event, Policy
from offhook.serve.http_login import Login
from offhook.serve.listening import drop_privileges, tcp, udp
from offhook.serve.seen import Row, Seen
from offhook.serve.shelf import Shelf

_MAX_WAITING = 10_000


@dataclass(frozen=True, slots=True)
class Listening:
    """What to listen on: an address, and a port for each protocol that is wanted. 0 means any free one."""

    host: str
    ports: dict[str, int]
    certificate: Path | None = None
    key: Path | None = None
    user: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log: an event and the state of its phone after it."""

    event: Event
    state: str
    title: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """What HTTP and FTP ask for."""

    username: str
    password: str = field(repr=False)
    scheme: str = "digest"


class Server(Protocol):
    """What every protocol's server is."""

    port: int

    def close(self) -> None:
        """Stop."""


class Lab:
    """A running lab server. `lines` are those of the log, None after `close`; `lost` of them nobody took in time."""

    def __init__(self, shelf: Shelf, policy: Policy, listening: Listening, credentials: Credentials | None) -> None:
        self.lines: queue.Queue[Line | None] = queue.Queue(_MAX_WAITING)
        self.lost = 0
        self._seen = Seen()
        self.desk = Desk(shelf, policy, self._tell)
        sockets = _bound(listening)
        if listening.user:
            drop_privileges(listening.user)
        self._servers = {
            protocol: _SERVERS[protocol](self.desk, sock, listening, credentials) for protocol, sock in sockets.items()
        }

    @property
    def ports(self) -> dict[str, int]:
        """The port of each protocol."""
        return {protocol: server.port for protocol, server in self._servers.items()}

    def rows(self) -> list[Row]:
        """Return what each phone has, for a summary."""
        return self._seen.rows(self.desk.shelf)

    def close(self) -> None:
        """Stop every server."""
        for server in self._servers.values():
            server.close()
        self._put(None)

    def _tell(self, event: Event) -> None:
        shelf = self.desk.shelf
        self._put(Line(event, self._seen.note(event, shelf), shelf.phones.get(event.mac, "")))

    def _put(self, line: Line | None) -> None:
        try:
            self.lines.put_nowait(line)
        except queue.Full:
            self.lost += 1


def _bound(listening: Listening) -> dict[str, socket.socket]:
    made: dict[str, socket.socket] = {}
    try:
        for protocol, port in listening.ports.items():
            made[protocol] = (udp if protocol == TFTP else tcp)(listening.host, port)
    except OffhookError:
        for sock in made.values():
            sock.close()
        raise
    return made


def _http(desk: Desk, sock: socket.socket, listening: Listening, credentials: Credentials | None) -> Server:
    from offhook.serve.http import serve_http

    return serve_http(desk, sock, login=_login(credentials))


def _https(desk: Desk, sock: socket.socket, listening: Listening, credentials: Credentials | None) -> Server:
    from offhook.serve.http import serve_http

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(listening.certificate or "", listening.key)
    except (OSError, ssl.SSLError) as error:
        raise OffhookError(
            "the certificate or its key cannot be used",
            hint="--certificate and --key name PEM files that belong together",
        ) from error
    return serve_http(desk, sock, login=_login(credentials), tls=context)


def _tftp(desk: Desk, sock: socket.socket, listening: Listening, credentials: Credentials | None) -> Server:
    from offhook.serve.tftp import serve_tftp

    return serve_tftp(desk, sock)


def _ftp(desk: Desk, sock: socket.socket, listening: Listening, credentials: Credentials | None) -> Server:
    from offhook.serve.ftp import serve_ftp

    return serve_ftp(desk, sock, login=(credentials.username, credentials.password) if credentials else None)


def _login(credentials: Credentials | None) -> Login | None:
    return Login(credentials.username, credentials.password, credentials.scheme) if credentials else None


_SERVERS: dict[str, Callable[[Desk, socket.socket, Listening, Credentials | None], Server]] = {
    HTTP: _http,
    HTTPS: _https,
    TFTP: _tftp,
    FTP: _ftp,
}
"""Protocol -> what starts its server."""
