"""HTTP and HTTPS over connections that are kept: what many boots from one server need, at a fraction of the price.

The requests are those of `offhook.phone.http`, without `Connection: close`. Only the plainest replies are read here:
200, 401, 403, 404 and 410 with a length and as they are. Anything else (redirects, chunks, compression, headers that
do not end) is asked for once more through `offhook.phone.http`, which knows what to make of it. Every read is bounded
in bytes, and by what is left of the request's time.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from dataclasses import dataclass, replace

from offhook.phone import http
from offhook.phone.fetch import fetch, told
from offhook.phone.http_auth import authorization, parse_challenges
from offhook.phone.request import NOT_FOUND, OK, TOO_BIG, UNAUTHORIZED, Answer, FetchOptions
from offhook.phone.target import PORTS, Target

_MAX_HEAD = 32 * 1024
_MAX_DRAINED = 64 * 1024
"""The body of a refusal is read and forgotten up to here; after a longer one the connection is given up."""

_MAX_ORIGINS = 4
_CHUNK = 64 * 1024
_STATUS = re.compile(rb"HTTP/1\.([01]) ([0-9]{3})(?: [^\r\n]*)?")
_PLAIN = frozenset({200, 401, 403, 404, 410})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class _StaleError(Exception):
    """The server closed a kept connection before it answered: the request is sent again over a new one."""


@dataclass(frozen=True, slots=True)
class _Reply:
    """A plain reply. `body` is None where it is larger than it may be."""

    status: int
    challenges: list[str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class _Head:
    status: int
    length: int
    challenges: list[str]
    closes: bool


class Connections:
    """Connections to few servers, one to each; for one thread. Its `fetch` is for `offhook.phone.boot.boot`.

    With `keep` false each request has a connection of its own, as a phone that starts has. A context manager.
    """

    def __init__(self, *, keep: bool = True) -> None:
        self._keep = keep
        self._open: dict[tuple[str, str, int], socket.socket] = {}
        self._addresses: dict[tuple[str, int], list[tuple[int, tuple[object, ...]]]] = {}

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open; the next request opens it again."""
        for sock in self._open.values():
            sock.close()
        self._open.clear()

    def fetch(self, target: Target, options: FetchOptions) -> Answer:
        """Return the file's content, or why it did not come: the same as `offhook.phone.fetch.fetch`."""
        if target.scheme not in ("http", "https"):
            return fetch(target, options)
        return told(self._fetch, target, options)

    def _fetch(self, target: Target, options: FetchOptions) -> Answer:
        end = time.monotonic() + options.timeout_s
        reply = self._exchange(target, options, end, b"")
        if reply is not None and reply.status == 401 and target.username:
            answered = authorization(
                parse_challenges(reply.challenges),
                http.request_target(target),
                username=target.username,
                password=target.password,
            )
            if answered:
                reply = self._exchange(target, options, end, b"Authorization: " + answered + b"\r\n")
        if reply is None:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            return http.fetch(target, replace(options, timeout_s=left))
        return _answer(reply, target, options)

    def _exchange(self, target: Target, options: FetchOptions, end: float, more: bytes) -> _Reply | None:
        """Return the reply, or None where it is no plain one."""
        request = _request(target, options, more, keep=self._keep)
        if request is None:
            return None
        if target.origin in self._open:
            try:
                return self._ask(target, request, options, end, is_new=False)
            except _StaleError:
                pass
        return self._ask(target, request, options, end, is_new=True)

    def _ask(self, target: Target, request: bytes, options: FetchOptions, end: float, *, is_new: bool) -> _Reply | None:
        sock = self._open.pop(target.origin, None) or self._connect(target, options, end)
        kept = False
        try:
            try:
                sock.settimeout(_left(end))
                sock.sendall(request)
                first = sock.recv(_CHUNK)
            except TimeoutError:
                raise
            except OSError:
                if is_new:
                    raise
                raise _StaleError from None
            if not first and not is_new:
                raise _StaleError
            reply, kept = _read(sock, first, options.max_bytes, end)
            kept = kept and self._keep
        finally:
            if not kept:
                sock.close()
        if kept:
            if len(self._open) >= _MAX_ORIGINS:
                self._open.pop(next(iter(self._open))).close()
            self._open[target.origin] = sock
        return reply

    def _connect(self, target: Target, options: FetchOptions, end: float) -> socket.socket:
        """Return a connection to the first address of the host that answers. Raises OSError."""
        place = (target.host, target.port)
        if place not in self._addresses:
            found = socket.getaddrinfo(*place, type=socket.SOCK_STREAM)
            self._addresses[place] = [(family, address) for family, _, _, _, address in found]
        context = http.tls_context(options.ca_file) if target.scheme == "https" else None
        failure: OSError = OSError("the host has no address")
        for family, address in self._addresses[place]:
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.settimeout(_left(end))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return sock if context is None else _secured(context, sock, target.host)
            except OSError as error:
                sock.close()
                failure = error
        raise failure


def _secured(context: ssl.SSLContext, sock: socket.socket, host: str) -> socket.socket:
    # Python counts the whole handshake, and every single read, against the socket's timeout
    return context.wrap_socket(sock, server_hostname=host)


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _request(target: Target, options: FetchOptions, more: bytes, *, keep: bool) -> bytes | None:
    """Return the bytes of a GET, None where its words need the care of the other client."""
    if _CONTROL.search(options.user_agent) or not options.user_agent.isascii():
        return None
    host = f"[{target.host}]" if ":" in target.host else target.host
    port = "" if target.port == PORTS[target.scheme] else f":{target.port}"
    end = b"\r\n" if keep else b"Connection: close\r\n\r\n"
    lines = (
        f"GET {http.request_target(target)} HTTP/1.1\r\nHost: {host}{port}\r\nAccept-Encoding: identity\r\n"
        f"User-Agent: {options.user_agent}\r\nAccept: */*\r\n"
    )
    return lines.encode("ascii") + more + end


def _read(sock: socket.socket, first: bytes, max_bytes: int, end: float) -> tuple[_Reply | None, bool]:
    """Return the reply that begins so, None where it is no plain one, and whether the connection is fit for another."""
    data = first
    while (at := data.find(b"\r\n\r\n")) < 0:
        if len(data) > _MAX_HEAD:
            return None, False
        more = _more(sock, end)
        if not more:
            return None, False
        data += more
    head = _head(data[:at])
    if head is None:
        return None, False
    if head.length > (max_bytes if head.status == 200 else _MAX_DRAINED):
        return _Reply(head.status, head.challenges, None), False
    body = data[at + 4 :]
    if len(body) < head.length:
        parts, missing = [body], head.length - len(body)
        while missing > 0:
            more = _more(sock, end)
            if not more:
                return None, False
            parts.append(more)
            missing -= len(more)
        body = b"".join(parts)
    # what comes after the body was not asked for: it must not pass for the next reply
    is_clean = len(body) == head.length and not head.closes
    return _Reply(head.status, head.challenges, body[: head.length]), is_clean


def _more(sock: socket.socket, end: float) -> bytes:
    sock.settimeout(_left(end))
    return sock.recv(_CHUNK)


def _head(data: bytes) -> _Head | None:
    """Return what a plain reply's status line and headers say, None for any other."""
    lines = data.split(b"\r\n")
    status = _STATUS.fullmatch(lines[0])
    if status is None or int(status[2]) not in _PLAIN:
        return None
    lengths: list[bytes] = []
    challenges: list[str] = []
    closes = status[1] == b"0"
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon or name != name.strip() or name in (b"transfer-encoding", b"content-encoding"):
            return None
        if name == b"content-length":
            lengths.append(value.strip())
        elif name == b"www-authenticate":
            challenges.append(value.strip().decode("latin-1"))
        elif name == b"connection":
            closes = closes or b"close" in value.lower()
    if len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > 12:
        return None
    return _Head(int(status[2]), int(lengths[0]), challenges, closes)


def _answer(reply: _Reply, target: Target, options: FetchOptions) -> Answer:
    """Return what a plain reply means, in the words of `offhook.phone.http`."""
    if reply.status == 200:
        if reply.body is None:
            return Answer(TOO_BIG, message=f"more than {options.max_bytes} bytes")
        return Answer(OK, reply.body)
    if reply.status == 401:
        why = "the server refuses the credentials" if target.username else "the server asks for credentials"
        return Answer(UNAUTHORIZED, message=why)
    result = http.RESULTS[reply.status]
    return Answer(result, message="" if result == NOT_FOUND else f"the server answers with status {reply.status}")
