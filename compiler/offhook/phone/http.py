"""Files over HTTP and HTTPS (RFC 9110, RFC 9112), with Basic or Digest where the server asks for it.

One connection a request, no compression, no cookies, no proxy. The standard library's client is used
because nothing but the body of an answer 200 is ever read, and that within the limits: the bodies of
401 and of redirects, chunk lines and headers of a hostile server are either bounded or not read.
"""

from __future__ import annotations

import functools
import http.client
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace

from offhook.phone.http_auth import authorization, parse_challenges
from offhook.phone.request import (
    ERROR,
    FORBIDDEN,
    NOT_FOUND,
    OK,
    SKIPPED,
    TOO_BIG,
    UNAUTHORIZED,
    Answer,
    FetchOptions,
)
from offhook.phone.target import Target, join
from offhook.phone.watch import TimeLimit
from offhook.problem import OffhookError

FIRMWARE = "V0.6.24"
"""The firmware of the one User-Agent of a phone that is known."""

_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
RESULTS = {401: UNAUTHORIZED, 403: FORBIDDEN, 404: NOT_FOUND, 410: NOT_FOUND}
"""What a status means to the phone; any other than 200 is an error."""


@dataclass(frozen=True, slots=True)
class _Reply:
    """A status, the headers that matter (WWW-Authenticate, Location), and the answer that a 200 carries."""

    status: int
    challenges: list[str]
    location: str
    content: Answer | None


def phone_user_agent(model: str, mac: str) -> str:
    """Return the User-Agent of a phone: vendor, model, firmware, MAC in upper case with colons.

    Source: FusionPBX, app/provision, sample `Flyingvoice FIP13G V0.6.24 00:21:F2:22:AE:F1`.
    """
    colons = ":".join(mac[at : at + 2] for at in range(0, 12, 2)).upper()
    return f"Flyingvoice {model} {FIRMWARE} {colons}"


def fetch(target: Target, options: FetchOptions) -> Answer:
    """Return the file's content. Redirects are followed to the same origin, elsewhere only where allowed.

    Raises OSError, http.client.HTTPException and ValueError where the exchange fails, OffhookError where
    the file of certificate authorities cannot be read.
    """
    with TimeLimit(options.timeout_s) as limit:
        for _ in range(_MAX_REDIRECTS + 1):
            reply = _get(target, options, limit)
            if reply.status not in _REDIRECTS:
                return _answer(reply, target)
            moved = _moved(target, reply.location, options)
            if isinstance(moved, Answer):
                return moved
            target = moved
    return Answer(ERROR, message=f"more than {_MAX_REDIRECTS} redirects")


def _get(target: Target, options: FetchOptions, limit: TimeLimit) -> _Reply:
    """Return the reply to a GET, after a challenge the reply to a second GET that answers it."""
    reply = _exchange(target, options, limit)
    if reply.status != 401 or not target.username:
        return reply
    answered = authorization(
        parse_challenges(reply.challenges),
        request_target(target),
        username=target.username,
        password=target.password,
    )
    return _exchange(target, options, limit, authorization=answered) if answered else reply


def _exchange(target: Target, options: FetchOptions, limit: TimeLimit, *, authorization: bytes | None = None) -> _Reply:
    headers: Mapping[str, str | bytes] = {
        "User-Agent": options.user_agent,
        "Accept": "*/*",
        "Connection": "close",
        **({"Authorization": authorization} if authorization else {}),
    }
    connection = _connect(target, options, limit)
    try:
        connection.request("GET", request_target(target), headers=headers)
        with connection.getresponse() as response:
            return _Reply(
                response.status,
                response.headers.get_all("WWW-Authenticate", []),
                response.headers.get("Location", ""),
                _content(response, options.max_bytes) if response.status == 200 else None,
            )
    finally:
        connection.close()


def _connect(target: Target, options: FetchOptions, limit: TimeLimit) -> http.client.HTTPConnection:
    """Return an open connection, whose sockets the time limit guards from before the TLS handshake on."""
    context = None
    if target.scheme == "https":
        context = tls_context(options.ca_file)
    sock = limit.connect(target.host, target.port)
    connection: http.client.HTTPConnection
    if context is None:
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.sock = sock
        return connection
    connection = http.client.HTTPSConnection(target.host, target.port, context=context)
    try:
        connection.sock = context.wrap_socket(sock, server_hostname=target.host)
    except BaseException:
        sock.close()
        raise
    return connection


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Return the context for these authorities (a PEM file, None: the system's). Raises OffhookError."""
    return _tls_context(ca_file, _changed_ns(ca_file))


def _changed_ns(path: str | None) -> int:
    return os.stat(path).st_mtime_ns if path and os.path.exists(path) else 0


@functools.lru_cache(maxsize=4)
def _tls_context(ca_file: str | None, changed_ns: int) -> ssl.SSLContext:
    """Return the context for these authorities. Reading them takes longer than a whole request."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise OffhookError(f"the file of certificate authorities {ca_file} cannot be read") from error


def _content(response: http.client.HTTPResponse, max_bytes: int) -> Answer:
    """Return the body of a 200 as an answer: "too big" and cut short are told from whole."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        return Answer(ERROR, message="the server compresses the file, which was not asked for")
    if response.length is None and not response.chunked and "Content-Length" in response.headers:
        return Answer(ERROR, message="the server sends a malformed length")
    too_big = Answer(TOO_BIG, message=f"more than {max_bytes} bytes")
    if response.length is not None and response.length > max_bytes:
        return too_big
    body = bytearray()
    while chunk := response.read(min(65536, max_bytes + 1 - len(body))):
        body += chunk
        if len(body) > max_bytes:
            return too_big
    if response.length:
        return Answer(ERROR, message=f"the server closes the connection {response.length} bytes too early")
    return Answer(OK, bytes(body))


def _answer(reply: _Reply, target: Target) -> Answer:
    if reply.content is not None:
        return reply.content
    if reply.status == 401:
        why = "the server refuses the credentials" if target.username else "the server asks for credentials"
        return Answer(UNAUTHORIZED, message=why)
    result = RESULTS.get(reply.status, ERROR)
    return Answer(result, message="" if result == NOT_FOUND else f"the server answers with status {reply.status}")


def _moved(target: Target, location: str, options: FetchOptions) -> Target | Answer:
    """Return where a redirect leads, with the credentials only where it stays at the same origin."""
    if not location:
        return Answer(ERROR, message="the server redirects to nowhere")
    try:
        moved = join(target, location)
    except OffhookError as error:
        return Answer(ERROR, message=f"the server redirects to a wrong address: {error.message}")
    if moved.origin == target.origin:
        return replace(moved, username=target.username, password=target.password)
    if moved.scheme not in ("http", "https") or not options.allow_other_hosts:
        return Answer(SKIPPED, message=f"the server redirects to {moved.url}, another scheme, host or port")
    return moved


def request_target(target: Target) -> str:
    """Return what stands in the request's first line: path and query."""
    return target.path + (f"?{target.query}" if target.query else "")
