"""The one decision of every protocol: who asks for what -> what is handed out, or why not; each answer is told on.

HTTP, TFTP and FTP only carry: they turn their request into an `Asked`, hand it to `Desk.answer`, and afterwards say
with `Desk.sent` how much of it arrived. No path of a disk is ever made of what a client sends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address

from offhook.serve.shelf import Shelf, mac_in

OK = "ok"
NOT_FOUND = "not found"
FORBIDDEN = "forbidden"
UNAUTHORIZED = "unauthorized"
NOT_LISTED = "not listed"

HTTP = "http"
HTTPS = "https"
TFTP = "tftp"
FTP = "ftp"
PNP = "pnp"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its protocol, the client's address, the name as it was sent (decoded), and what came with it.

    `trusted` says that the client has shown the credentials that the policy demands. `user_agent` is HTTP's.
    """

    protocol: str
    client: str
    name: str
    trusted: bool = False
    user_agent: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request gets: OK with the content and its tag, or NOT_FOUND, FORBIDDEN, UNAUTHORIZED.

    `path` is as on the shelf.
    """

    result: str
    path: str = ""
    data: bytes = field(default=b"", repr=False)
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may have a phone's own files; common files are everybody's.

    `protected` says that HTTP and FTP demand the environment's credentials, for every file. `own_by` are the protocols
    that hand out phones' own files: TFTP can ask nobody for a password, so a protected fleet leaves it out unless
    phones fetch by it. `networks` bounds who may have them; empty means anyone who can reach the server. `prefix` is
    the path of the environment's address ("9f2c/"), which phones may send in front of a name.
    """

    protected: bool = False
    own_by: frozenset[str] = frozenset({HTTP, HTTPS, TFTP, FTP})
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log: who asked for what, what it got, how many bytes of it arrived, and whether it has all of it.

    `mac` is the phone's, where the name or the User-Agent has one. `name` is as on the shelf; it may hold anything that
    a client can send. `tag` is that of what was handed out.
    """

    protocol: str
    client: str
    mac: str
    name: str
    result: str
    sent_bytes: int = 0
    whole: bool = True
    user_agent: str = field(default="", repr=False)
    tag: str = ""


class Desk:
    """Holds the shelf that is handed out now. Safe to use from several threads."""

    def __init__(self, shelf: Shelf, policy: Policy, tell: Callable[[Event], None]) -> None:
        self._shelf = shelf
        self.policy = policy
        self._tell = tell
        self._lock = threading.Lock()

    @property
    def shelf(self) -> Shelf:
        """The shelf that is handed out now."""
        return self._shelf

    def replace(self, shelf: Shelf) -> None:
        """Hand out another shelf from now on; what is being sent is finished from the old one."""
        self._shelf = shelf

    def answer(self, asked: Asked) -> Reply:
        """Return what the request gets. Anything but OK is told at once; after OK the protocol says `sent`."""
        reply = self.judged(asked)
        if reply.result != OK:
            self._say(asked, reply, 0, whole=False)
        return reply

    def judged(self, asked: Asked) -> Reply:
        """Return the same, and tell nobody."""
        path = asked.name.lstrip("/").removeprefix(self.policy.prefix).lstrip("/")
        return self._judge(self._shelf, asked, path)

    def sent(self, asked: Asked, reply: Reply, count: int, *, whole: bool) -> None:
        """Say how many bytes of a reply were sent, and whether the client has taken all of it."""
        self._say(asked, reply, count, whole=whole)

    def tell(self, event: Event) -> None:
        """Say what no request for a file was: plug and play's answers."""
        with self._lock:
            self._tell(event)

    def _judge(self, shelf: Shelf, asked: Asked, path: str) -> Reply:
        if self.policy.protected and asked.protocol != TFTP and not asked.trusted:
            return Reply(UNAUTHORIZED, path)
        data = shelf.files.get(path)
        if data is None:
            return Reply(NOT_FOUND, path)
        if path in shelf.owners and not self._admits(asked):
            return Reply(FORBIDDEN, path)
        return Reply(OK, path, data, shelf.tag(path))

    def _admits(self, asked: Asked) -> bool:
        if asked.protocol not in self.policy.own_by:
            return False
        if not self.policy.networks:
            return True
        try:
            address = ip_address(asked.client.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self.policy.networks)

    def _say(self, asked: Asked, reply: Reply, count: int, *, whole: bool) -> None:
        mac = self._shelf.owners.get(reply.path) or mac_in(reply.path) or mac_in(asked.user_agent)
        event = Event(
            asked.protocol, asked.client, mac, reply.path, reply.result, count, whole, asked.user_agent, reply.tag
        )
        self.tell(event)
