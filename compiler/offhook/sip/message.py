"""SIP messages as far as NOTIFY needs them (RFC 3261): bytes <-> requests and responses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_COMPACT = {  # RFC 3261 section 20, and RFC 6665 section 8.2.1 for o
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "o": "event",
    "s": "subject",
    "c": "content-type",
    "e": "content-encoding",
    "k": "supported",
}
_LISTS = frozenset({"via", "contact", "route", "record-route", "allow", "supported", "require"})
_NAME = re.compile(r"[A-Za-z0-9!%*_+`'~.-]+")
_TOKEN = r"[A-Za-z0-9!%*_+`'~.-]+"
# strangers choose what these are held against: each takes time that grows with the text only, and never gives up late
_LIST_ITEM = re.compile(r'(?:"(?:[^"\\]|\\.?)*(?:"|\Z)|<[^>]*(?:>|\Z)|[^,"<])+', re.S)
_VIA = re.compile(
    rf"SIP\s*/\s*2\.0\s*/\s*({_TOKEN})\s+(\[[^\]]*\]|[^\s:;]+)\s*(?::\s*([0-9]{{1,5}})\s*)?(;.*)?\Z", re.S
)
_URI = re.compile(  # userinfo is that of RFC 3261 section 25.1
    r"(sips?):(?:((?:[A-Za-z0-9_.!~*'()&=+$,;?/:-]|%[0-9A-Fa-f]{2})+)@)?"
    r"(\[[0-9A-Fa-f:.]+\]|[^:;?@\s<>\[\]]+)(?::([0-9]{1,5}))?((?:;[^;?@\s<>]*)*)\Z",
    re.I,
)
_LAST_PORT = 65535


class SipError(ValueError):
    """What is no SIP message, or cannot be made one: one short reason."""


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in order; names are compared in any case, compact or long."""

    fields: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, *fields: tuple[str, str]) -> Headers:
        """Return headers of (name, value) pairs."""
        return cls(fields)

    def get(self, name: str) -> str | None:
        """Return the first value of a header."""
        wanted = _long(name)
        return next((value for key, value in self.fields if _long(key) == wanted), None)

    def all(self, name: str) -> list[str]:
        """Return every value of a header, those of one line apart where its grammar has lists."""
        wanted = _long(name)
        found = [value for key, value in self.fields if _long(key) == wanted]
        if wanted not in _LISTS:
            return found
        return [one.strip() for value in found for one in _LIST_ITEM.findall(value) if one.strip()]

    def with_(self, name: str, value: str) -> Headers:
        """Return these headers and one more."""
        return Headers((*self.fields, (name, value)))

    def items(self) -> Iterator[tuple[str, str]]:
        """Give (name, value) in order."""
        return iter(self.fields)


@dataclass(frozen=True, slots=True)
class Request:
    """A request."""

    method: str
    uri: str
    headers: Headers
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """A response."""

    status: int
    reason: str
    headers: Headers
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Via:
    """One Via."""

    transport: str
    host: str
    port: int | None
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SipUri:
    """A sip: or sips: address."""

    scheme: str
    user: str
    host: str
    port: int | None = None
    parameters: dict[str, str] = field(default_factory=dict)


def parse(data: bytes) -> Request | Response:
    """Return the message of a datagram. Raises SipError."""
    head, found, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not found:
        raise SipError("no end of headers")
    text = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "surrogateescape"))
    first, *lines = text.split("\r\n")
    fields = []
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or not _NAME.fullmatch(name):
            raise SipError("a line that is no header")
        fields.append((name, value.strip()))
    headers = Headers(tuple(fields))
    length = headers.get("Content-Length")
    if length is not None:
        if not re.fullmatch("[0-9]{1,9}", length) or int(length) > len(body):
            raise SipError("Content-Length does not fit")
        body = body[: int(length)]
    if match := re.fullmatch(r"SIP/2\.0 ([1-6][0-9][0-9])(?: (.*))?", first, re.I | re.S):
        return Response(int(match[1]), match[2] or "", headers, body)
    if match := re.fullmatch(rf"({_TOKEN}) (\S+) SIP/2\.0", first, re.I):
        return Request(match[1], match[2], headers, body)
    raise SipError("no first line of SIP")


def render(message: Request | Response) -> bytes:
    """Return a message as bytes. Raises SipError."""
    if isinstance(message, Request):
        lines = [f"{message.method} {message.uri} SIP/2.0"]
    else:
        lines = [f"SIP/2.0 {message.status} {message.reason}"]
    lines += [f"{name}: {value}" for name, value in message.headers.fields]
    for line in lines:
        if "\r" in line or "\n" in line or "\0" in line:
            raise SipError("a line break in a header")
    text = "\r\n".join([*lines, f"Content-Length: {len(message.body)}", "", ""])
    return text.encode("utf-8", "surrogateescape") + message.body


def parse_via(value: str) -> Via:
    """Return one Via. Raises SipError."""
    match = _VIA.match(value.strip())
    if not match:
        raise SipError("no Via")
    parameters = {}
    for one in (match[4] or "").split(";")[1:]:
        name, _, given = one.partition("=")
        parameters[name.strip().lower()] = given.strip()
    return Via(match[1].upper(), match[2], int(match[3]) if match[3] else None, parameters)


def parse_uri(text: str) -> SipUri:
    """Return a sip: or sips: address that a request can go to: without headers ("?subject=x"). Raises SipError."""
    match = _URI.match(text)
    if not match or int(match[4] or 0) > _LAST_PORT:
        raise SipError("no SIP address")
    parameters = {}
    for one in match[5].split(";")[1:]:
        name, _, given = one.partition("=")
        parameters[name.lower()] = given
    return SipUri(match[1].lower(), match[2] or "", match[3], int(match[4]) if match[4] else None, parameters)


def _long(name: str) -> str:
    lower = name.lower()
    return _COMPACT.get(lower, lower)
