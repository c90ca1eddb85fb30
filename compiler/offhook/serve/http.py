"""The tree over HTTP and HTTPS (RFC 9110, RFC 9112): GET and HEAD of what the desk hands out, and nothing else.

One thread with one event loop serves every connection; answers come from memory. What a client can hold is bounded:
the size of a request, the time that it may take to send one and to take an answer, the number of connections, in all
and of one address. A file that is not there, or that its asker may not have, is a 404: to 403 these phones' relatives
react by giving up (facts, "Boot").
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Mapping
from email.utils import formatdate
from urllib.parse import unquote

from offhook.publish.tree.paths import content_type
from offhook.serve.desk import HTTP, HTTPS, OK, UNAUTHORIZED, Asked, Desk, Reply
from offhook.serve.http_login import Login

MAX_CONNECTIONS = 2048
MAX_OF_ONE = 512
"""A site's phones may all come from one address."""

_MAX_HEAD = 16 * 1024
_REQUEST_S = 15.0
"""How long a connection may take to send a request, or be idle between two."""
_ANSWER_S = 60.0
_SWEEP_S = 0.5
_TLS_MARK = 16 * 1024
_REASONS = {
    200: "OK",
    206: "Partial Content",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    416: "Range Not Satisfiable",
    431: "Request Header Fields Too Large",
    505: "HTTP Version Not Supported",
}
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e\x80-\xff]{1,8000}) HTTP/([0-9])\.([0-9])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")
_ABSOLUTE = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://[^/?]*")


class HttpServer:
    """A running server. Raises OSError from its making where the certificate cannot be used."""

    def __init__(self, desk: Desk, listening: socket.socket, login: Login | None, tls: ssl.SSLContext | None) -> None:
        self.port: int = listening.getsockname()[1]
        self._site = _Site(desk, login, HTTPS if tls else HTTP)
        self._loop = asyncio.new_event_loop()
        listening.setblocking(False)
        options = {"ssl": tls, "ssl_handshake_timeout": _REQUEST_S} if tls else {}
        made = self._loop.create_server(lambda: _Connection(self._site), sock=listening, backlog=1024, **options)  # type: ignore[call-overload]
        self._server = self._loop.run_until_complete(made)
        self._thread = threading.Thread(target=self._run, name=self._site.protocol, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and end every connection."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        self._loop.call_soon(self._sweep)
        self._loop.run_forever()
        self._server.close()
        for connection in list(self._site.open):
            connection.abort()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in [one for one in self._site.open if one.deadline < now]:
            connection.abort()
        self._loop.call_later(_SWEEP_S, self._sweep)


def serve_http(
    desk: Desk, listening: socket.socket, *, login: Login | None = None, tls: ssl.SSLContext | None = None
) -> HttpServer:
    """Serve the desk's files on a listening socket. With `login` every file is for those who know the password."""
    return HttpServer(desk, listening, login, tls)


class _Site:
    """What all connections share."""

    def __init__(self, desk: Desk, login: Login | None, protocol: str) -> None:
        self.desk = desk
        self.login = login
        self.protocol = protocol
        self.open: dict[_Connection, None] = {}  # the oldest first
        self.of_address: Counter[str] = Counter()
        self._second = 0
        self._date = ""

    def date(self) -> str:
        """Return the Date header's value; made once a second."""
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True)
        return self._date


class _Connection(asyncio.Protocol):
    """One client: requests are answered in their order, as fast as it takes the answers."""

    def __init__(self, site: _Site) -> None:
        self._site = site
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._client = ""
        self._waiting: tuple[Asked, Reply, int, bool] | None = None
        self._is_closing = False
        self._is_held_up = False  # the client has not taken all that was written
        self.deadline = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the client, or turn it away where there are too many."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._client = peer[0].removeprefix("::ffff:") if peer else ""
        site = self._site
        site.open[self] = None
        site.of_address[self._client] += 1
        self.deadline = time.monotonic() + _REQUEST_S
        # with TLS the end of a handshake may still be there, and would count as an answer that is not taken
        transport.set_write_buffer_limits(high=_TLS_MARK if site.protocol == HTTPS else 0, low=0)
        if site.of_address[self._client] > MAX_OF_ONE:
            self.abort()
        elif len(site.open) > MAX_CONNECTIONS:
            next(iter(site.open)).abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client; an answer that it did not take was not sent whole."""
        self._told(whole=False)
        self._forget()

    def abort(self) -> None:
        """End the connection at once."""
        self._forget()
        if self._transport is not None:
            self._transport.abort()

    def _forget(self) -> None:
        if self in self._site.open:
            del self._site.open[self]
            self._site.of_address[self._client] -= 1
            if not self._site.of_address[self._client]:
                del self._site.of_address[self._client]

    def data_received(self, data: bytes) -> None:
        """Collect a request, and answer it when it is whole."""
        self._buffer += data
        self._go_on()

    def pause_writing(self) -> None:
        """The client does not take its answer as fast as it comes: nothing more is read from it until it has."""
        assert self._transport is not None
        self._is_held_up = True
        self.deadline = time.monotonic() + _ANSWER_S
        if not self._is_closing:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has taken its answer."""
        assert self._transport is not None
        self._is_held_up = False
        self._told(whole=True)
        if self._is_closing:
            self._transport.close()
            return
        self.deadline = time.monotonic() + _REQUEST_S
        self._transport.resume_reading()
        self._go_on()

    def _go_on(self) -> None:
        while not (self._is_closing or self._is_held_up):
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > _MAX_HEAD:
                    self._refuse(431)
                return
            head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
            if len(head) > _MAX_HEAD:
                self._refuse(431)
                return
            self._request(head.lstrip(b"\r\n"))

    def _request(self, head: bytes) -> None:
        """Answer one request."""
        lines = head.split(b"\r\n")
        first = _LINE.fullmatch(lines[0])
        fields = _fields(lines[1:])
        if first is None or fields is None:
            return self._refuse(400)
        method, target, major, minor = first[1].decode(), first[2].decode("latin-1"), first[3], first[4]
        if major != b"1":
            return self._refuse(505)
        # what has a body is not for us, and where it ends is not looked for
        if method not in ("GET", "HEAD") or "transfer-encoding" in fields or fields.get("content-length", "0") != "0":
            return self._refuse(405)
        connection = fields.get("connection", "").lower()
        keep = "close" not in connection if minor != b"0" else "keep-alive" in connection
        trusted, stale = False, False
        if self._site.login is not None and "authorization" in fields:
            verdict = self._site.login.check(method, target, fields["authorization"])
            trusted, stale = verdict.trusted, verdict.stale
        asked = Asked(self._site.protocol, self._client, _name(target), trusted, fields.get("user-agent", ""))
        self._answer(asked, method, fields, keep=keep, stale=stale)
        return None

    def _answer(self, asked: Asked, method: str, fields: Mapping[str, str], *, keep: bool, stale: bool) -> None:
        reply = self._site.desk.answer(asked)
        if reply.result == UNAUTHORIZED and self._site.login is not None:
            more = [f"WWW-Authenticate: {one}" for one in self._site.login.challenges(stale=stale)]
            self._write(401, more, b"", keep=keep, is_head=method == "HEAD")
            return
        if reply.result != OK:
            self._write(404, [], b"not found\n", keep=keep, is_head=method == "HEAD")
            return
        tag = f'"{reply.tag}"'
        more = [f"Content-Type: {content_type(reply.path)}", f"ETag: {tag}", "Accept-Ranges: bytes"]
        status, body = 200, reply.data
        if tag in fields.get("if-none-match", ""):
            status, body = 304, b""
        elif "range" in fields and "if-range" not in fields:
            status, body, about = _ranged(reply.data, fields["range"])
            more += about
        # who has the same already has all of it; who wants a part or the size only has not
        has_all = status == 304 or (status == 200 and method == "GET")
        self._waiting = (asked, reply, 0 if method == "HEAD" else len(body), has_all)
        self._write(status, more, body, keep=keep, is_head=method == "HEAD")

    def _refuse(self, status: int) -> None:
        self._write(status, ["Allow: GET, HEAD"] if status == 405 else [], b"", keep=False, is_head=False)

    def _write(self, status: int, more: list[str], body: bytes, *, keep: bool, is_head: bool) -> None:
        assert self._transport is not None
        length = [] if status == 304 else [f"Content-Length: {len(body)}"]
        head = [
            f"HTTP/1.1 {status} {_REASONS[status]}",
            f"Date: {self._site.date()}",
            "Cache-Control: no-cache",
            *more,
            *length,
            f"Connection: {'keep-alive' if keep else 'close'}",
        ]
        self.deadline = time.monotonic() + _REQUEST_S
        self._is_closing = not keep
        self._transport.write("\r\n".join([*head, "", ""]).encode("latin-1") + (b"" if is_head else body))
        if not self._is_held_up:
            self._told(whole=True)
            if self._is_closing:
                self._transport.close()

    def _told(self, *, whole: bool) -> None:
        if self._waiting is not None:
            asked, reply, count, has_all = self._waiting
            self._waiting = None
            self._site.desk.sent(asked, reply, count, whole=whole and has_all)


def _fields(lines: list[bytes]) -> dict[str, str] | None:
    """The header fields by lower-case name, several of one name joined; None where a line is none."""
    found: dict[str, str] = {}
    for line in lines:
        one = _FIELD.fullmatch(line)
        if one is None:
            return None
        name, value = one[1].decode().lower(), one[2].decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _name(target: str) -> str:
    """The name that a request's target asks for, decoded: no query, no host."""
    path = _ABSOLUTE.sub("", target, count=1) if not target.startswith("/") else target
    return unquote(path.partition("?")[0].partition("#")[0], errors="replace")


def _ranged(data: bytes, header: str) -> tuple[int, bytes, list[str]]:
    """Status, body and headers for one range of bytes; several ranges, or none that is valid, give the whole."""
    found = _RANGE.fullmatch(header.strip())
    if found is None or not (found[1] or found[2]):
        return 200, data, []
    if found[1]:
        start, end = int(found[1]), min(int(found[2] or len(data)), len(data) - 1)
    else:
        start, end = max(len(data) - int(found[2]), 0), len(data) - 1
    if found[1] and found[2] and int(found[2]) < start:
        return 200, data, []
    if start > end:
        return 416, b"", [f"Content-Range: bytes */{len(data)}"]
    return 206, data[start : end + 1], [f"Content-Range: bytes {start}-{end}/{len(data)}"]
