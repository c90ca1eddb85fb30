"""What TFTP packets say: opcodes, error codes, and options (RFC 1350, 2347 to 2349, 7440). Pure functions."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

RRQ, WRQ, DATA, ACK, ERROR, OACK = range(1, 7)
NOT_FOUND, REFUSED, ILLEGAL = 1, 2, 4
BLOCK = 512
MAX_BLOCK = 1428
"""A larger block would be sent in fragments, of which one lost costs all."""

MAX_WINDOW = 16


def options_in(words: list[bytes]) -> dict[bytes, bytes]:
    """Return the options of a request by lower-case name, the first of each (RFC 2347)."""
    found: dict[bytes, bytes] = {}
    for name, value in zip(words[::2], words[1::2], strict=False):
        found.setdefault(name.lower(), value)
    return found


def granted_of(wanted: Mapping[bytes, bytes], size: int) -> dict[bytes, bytes]:
    """Return the options to acknowledge, in the order that they were asked in; what is not valid is passed over."""
    return dict(_grants(wanted, size))


def _grants(wanted: Mapping[bytes, bytes], size: int) -> Iterator[tuple[bytes, bytes]]:
    for name, value in wanted.items():
        number = int(value) if value.isdigit() and len(value) < 10 else -1
        if name == b"tsize" and number >= 0:
            yield name, b"%d" % size
        elif name == b"blksize" and number >= 8:
            yield name, b"%d" % min(number, MAX_BLOCK)
        elif name == b"timeout" and 1 <= number <= 255:
            yield name, value
        elif name == b"windowsize" and number >= 1:
            yield name, b"%d" % min(number, MAX_WINDOW)


def to_netascii(data: bytes) -> bytes:
    """Return a text as netascii has it (RFC 764): a line ends with CR LF, and a CR alone with CR NUL."""
    return data.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n")


def error_packet(code: int, text: str) -> bytes:
    """Return an error packet (RFC 1350, 5)."""
    return struct.pack("!HH", ERROR, code) + text.encode() + b"\0"
