"""A whole lab server on sockets that are bound: its servers, who has what, and the lines of its log.

Comes in: sockets, the first shelf, whom it admits. Goes out: lines, one after the other, from a queue that a slow
terminal cannot make grow without bound.
"""

from __future__ import annotations

import queue
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol

from offhook.problem import Problem
from offhook.serve.addresses import best_protocol, url_of_phone
from offhook.serve.desk import FTP, HTTP, HTTPS, PNP, TFTP, Desk, Event, Policy
from offhook.serve.http_login import Login
from offhook.serve.listening import Bound
from offhook.serve.seen import Row, Seen
from offhook.serve.shelf import Shelf

_MAX_WAITING = 10_000
_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log: an event, when (seconds since 1970), and the state and title of its phone after it."""

    event: Event
    at: float
    state: str
    title: str


@dataclass(frozen=True, slots=True)
class Renewed:
    """A new tree is handed out: what it was made of, how many files differ, and which phones' own files do."""

    revision: str
    files: int
    macs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """The last good tree is kept: why, and the inventory's problems where those are why."""

    why: str
    problems: tuple[Problem, ...] = ()
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Something to know, in a sentence."""

    text: str


@dataclass(frozen=True, slots=True)
class Asking:
    """Somebody wants to see the summary."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What HTTP and FTP ask for. `scheme` is digest or basic, HTTP's."""

    username: str
    password: str = field(repr=False)
    scheme: str = "digest"


@dataclass(frozen=True, slots=True)
class Terms:
    """Whom a lab server admits, by what password; and how plug and play answers.

    `scheme` is the protocol of the environment's address, which phones are sent to where it is served. `url` is what
    plug and play hands out instead of the lab server's own address. `for_all` answers phones that are not listed.
    """

    policy: Policy = field(default_factory=Policy)
    credentials: Credentials | None = None
    scheme: str = ""
    url: str = ""
    for_all: bool = False


class Server(Protocol):
    """What every protocol's server is."""

    port: int

    def close(self) -> None:
        """Stop."""


def load(protocols: Iterable[str]) -> None:
    """Load what the servers of protocols need: another user may not be able to read it later."""
    for protocol in protocols:
        for module in _MODULES[protocol]:
            import_module(module)


Entry = Line | Renewed | Kept | Note | Asking | Exception | None


class Lab:
    """A running lab server. `lines` are its log, with None at its end; `lost` of them nobody took in time."""

    def __init__(self, bound: Bound, shelf: Shelf, terms: Terms) -> None:
        self.lines: queue.SimpleQueue[Entry] = queue.SimpleQueue()
        self.lost = 0
        self.terms = terms
        self._seen = Seen()
        self.desk = Desk(shelf, terms.policy, self._tell)
        self._servers: dict[str, Server] = {}
        for protocol, sock in bound.sockets.items():
            self._servers[protocol] = _SERVERS[protocol](self, sock, bound)

    @property
    def ports(self) -> Mapping[str, int]:
        """The port of each protocol."""
        return {protocol: server.port for protocol, server in self._servers.items()}

    @property
    def best(self) -> str:
        """The protocol by which phones get everything, "" where none does."""
        return best_protocol(self.ports, self.terms.policy, self.terms.scheme)

    def url_of(self, mac: str, here: str) -> str:
        """Return the URL that plug and play hands a phone that reaches this machine at the address `here`."""
        return url_of_phone(lambda: self.desk.shelf, self.ports, self.best, mac, here, self.terms.url)

    def rows(self) -> list[Row]:
        """Return what each phone has, for a summary."""
        return self._seen.rows(self.desk.shelf)

    def renew(self, shelf: Shelf) -> None:
        """Hand out another shelf from now on."""
        former = self.desk.shelf
        paths = {path for path in {*former.files, *shelf.files} if former.files.get(path) != shelf.files.get(path)}
        owners = {former.owners.get(path) or shelf.owners.get(path) or "" for path in paths}
        self.desk.replace(shelf)
        self.put(Renewed(shelf.revision, len(paths), tuple(sorted(owners - {""}))))

    def keep(self, why: str, *, problems: Sequence[Problem] = (), hint: str = "") -> None:
        """Say that the last good shelf is kept."""
        self.put(Kept(why, tuple(problems), hint))

    def put(self, entry: Entry) -> None:
        """Put an entry behind the others. Safe in a signal's handler."""
        if isinstance(entry, Line) and self.lines.qsize() >= _MAX_WAITING:
            self.lost += 1
        else:
            self.lines.put(entry)

    def waiting(self) -> Iterator[Entry]:
        """Wait for an entry, and give it and those that wait behind it, None at most as the last."""
        entry = self.lines.get()
        for _ in range(_AT_ONCE):
            yield entry
            if entry is None or self.lines.empty():
                return
            entry = self.lines.get()
        yield entry

    def close(self) -> None:
        """Stop every server."""
        for server in self._servers.values():
            server.close()
        self.put(None)

    def _tell(self, event: Event) -> None:
        at = time.time()
        shelf = self.desk.shelf
        self.put(Line(event, at, self._seen.note(event, shelf, at), shelf.phones.get(event.mac, "")))


def _http(lab: Lab, sock: socket.socket, bound: Bound) -> Server:
    from offhook.serve.http import serve_http

    return serve_http(lab.desk, sock, login=_login(lab.terms.credentials))


def _https(lab: Lab, sock: socket.socket, bound: Bound) -> Server:
    from offhook.serve.http import serve_http

    return serve_http(lab.desk, sock, login=_login(lab.terms.credentials), tls=bound.tls)


def _tftp(lab: Lab, sock: socket.socket, bound: Bound) -> Server:
    from offhook.serve.tftp import serve_tftp

    return serve_tftp(lab.desk, sock)


def _ftp(lab: Lab, sock: socket.socket, bound: Bound) -> Server:
    from offhook.serve.ftp import serve_ftp

    known = lab.terms.credentials
    return serve_ftp(lab.desk, sock, login=(known.username, known.password) if known else None)


def _pnp(lab: Lab, sock: socket.socket, bound: Bound) -> Server:
    from offhook.serve.pnp import serve_pnp

    return serve_pnp(lab.desk, sock, lab.url_of, for_all=lab.terms.for_all)


def _login(credentials: Credentials | None) -> Login | None:
    return Login(credentials.username, credentials.password, credentials.scheme) if credentials else None


_SERVERS: Mapping[str, Callable[[Lab, socket.socket, Bound], Server]] = {
    HTTP: _http,
    HTTPS: _https,
    TFTP: _tftp,
    FTP: _ftp,
    PNP: _pnp,
}
"""Protocol -> what starts its server."""

_MODULES: Mapping[str, tuple[str, ...]] = {
    HTTP: ("offhook.serve.http",),
    HTTPS: ("offhook.serve.http",),
    TFTP: ("offhook.serve.tftp",),
    FTP: ("offhook.serve.ftp", "pyftpdlib.servers", "pyftpdlib.handlers"),
    PNP: ("offhook.serve.pnp", "encodings.idna"),
}
"""Protocol -> the modules of its server, which are loaded when it is wanted."""
