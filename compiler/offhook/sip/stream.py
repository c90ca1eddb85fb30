"""SIP over streams (RFC 3261 section 18.3): bytes as they arrive -> whole messages."""

from __future__ import annotations

import re

from offhook.sip.message import Request, Response, SipError, parse

_LENGTH = re.compile(rb"\r\n(?:Content-Length|l)[ \t]*:[ \t]*([0-9]{1,9})[ \t]*\r\n", re.I)
_MOST = 65536


class Framer:
    """Cuts a stream into messages."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> list[Request | Response]:
        """Return the messages that are whole now. Raises SipError."""
        self._data += data
        found = []
        while True:
            self._data = self._data.lstrip(b"\r\n")
            head, end, body = self._data.partition(b"\r\n\r\n")
            if not end:
                break
            match = _LENGTH.search(head + b"\r\n")
            length = int(match[1]) if match else 0
            if length > _MOST:
                raise SipError("too long")
            if len(body) < length:
                break
            whole = len(head) + 4 + length
            found.append(parse(self._data[:whole]))
            self._data = self._data[whole:]
        if len(self._data) > 2 * _MOST:
            raise SipError("too long")
        return found
