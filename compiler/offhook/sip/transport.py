"""How SIP messages travel: datagrams over one UDP socket, and TCP or TLS connections that are used again.

What comes in: bytes and a `Target`. What goes out: received messages, and who could not be reached. Nothing is
repeated here.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from offhook.sip.locate import TLS, Target
from offhook.sip.message import Request, Response, SipError
from offhook.sip.stream import Framer
from offhook.sip.tls import names_domain
from offhook.sip.transaction import NO_SIP, TLS_REFUSED, UNREACHABLE, Failure

_BUFFER_BYTES = 4 << 20
_LONGEST = 65536
_AT_ONCE = 256
_IP_RECVERR, _IPV6_RECVERR, _MSG_ERRQUEUE = 11, 25, 0x2000  # of Linux, which alone tells whom an ICMP error concerns
_ICMP_ORIGINS = (2, 3)

Datagram: TypeAlias = Callable[[bytes, str], None]
Refused: TypeAlias = Callable[[bytes, str], None]


def local_address(target: Target) -> str:
    """Return the address that this machine has towards a server; nothing is sent. Raises OSError without a route."""
    family = socket.AF_INET6 if ":" in target.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((target.address, target.port))
        return str(sock.getsockname()[0])


class UdpSocket:
    """One UDP socket for every peer of an address family.

    `datagram` gets what arrives and from which address. `refused` gets the beginning of a datagram that an ICMP error
    came back for, and the error in words.
    """

    def __init__(self, family: int, address: str, *, datagram: Datagram, refused: Refused) -> None:
        self._datagram = datagram
        self._refused = refused
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._sock.setblocking(False)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):  # answers to a burst must not be lost here
                self._sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
            if sys.platform == "linux":
                level = (socket.IPPROTO_IPV6, _IPV6_RECVERR) if family == socket.AF_INET6 else (0, _IP_RECVERR)
                self._sock.setsockopt(*level, 1)
            self._sock.bind((address, 0))
        except OSError:
            self._sock.close()
            raise
        self.port = int(self._sock.getsockname()[1])
        asyncio.get_running_loop().add_reader(self._sock, self._readable)

    def send(self, data: bytes, target: Target) -> None:
        """Send a datagram. Raises OSError where the system knows that it cannot be sent there.

        A full buffer loses it, as the network may: it is repeated by its timer.
        """
        address = (target.address, target.port)
        try:
            self._sock.sendto(data, address)
        except BlockingIOError:
            return
        except OSError:
            if not self._read_errors():  # the error was about this datagram, not about an earlier one
                raise
            with contextlib.suppress(BlockingIOError):
                self._sock.sendto(data, address)

    def close(self) -> None:
        """Close the socket."""
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()

    def _readable(self) -> None:
        for _ in range(_AT_ONCE):  # then timers and senders have their turn
            try:
                data, address = self._sock.recvfrom(_LONGEST)
            except BlockingIOError:
                return
            except OSError:
                self._read_errors()
                continue
            self._datagram(data, address[0])
            if self._sock.fileno() < 0:
                return

    def _read_errors(self) -> int:
        """Tell of every ICMP error that waits; returns how many there were."""
        if sys.platform != "linux":
            return 0
        found = 0
        while True:
            try:
                data, ancillary, _, _ = self._sock.recvmsg(_LONGEST, 512, _MSG_ERRQUEUE)
            except OSError:
                return found
            found += 1
            for level, kind, content in ancillary:
                known = (level, kind) in ((0, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR))
                if known and len(content) >= 5:
                    number, origin = struct.unpack_from("=IB", content)
                    if origin in _ICMP_ORIGINS:
                        self._refused(data, said(OSError(number, os.strerror(number))))


class Stream:
    """A TCP or TLS connection to one server, opened at once and used until it breaks or is closed.

    `opened` is called when it is there, and `received` gets whole messages; `lost` is called once, with why, where the
    connection does not come about or ends.
    """

    def __init__(
        self,
        target: Target,
        context: Callable[[], ssl.SSLContext],
        *,
        opened: Callable[[], None],
        received: Callable[[Request | Response], None],
        lost: Callable[[Stream, Failure], None],
    ) -> None:
        self.target = target
        self._context = context
        self._opened = opened
        self._received = received
        self._lost = lost
        self.pending = 0
        """How many transactions wait for an answer on it, counted by its user."""
        self._waiting: list[bytes] = []
        self._writer: asyncio.StreamWriter | None = None
        self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def is_open(self) -> bool:
        """Whether the connection has come about."""
        return self._writer is not None

    @property
    def waiting(self) -> int:
        """How many messages wait until it has."""
        return len(self._waiting)

    def send(self, data: bytes) -> None:
        """Send a message, or keep it until the connection is there."""
        if self._writer is None:
            self._waiting.append(data)
        elif not self._writer.is_closing():  # else `lost` is called soon
            self._writer.write(data)

    def drop(self) -> None:
        """End the connection soon; `lost` is not called."""
        self._task.cancel()

    async def close(self) -> None:
        """End the connection; `lost` is not called."""
        self.drop()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        writer = None
        try:
            secure = self._context() if self.target.transport == TLS else None
            name = self.target.domain if secure else None
            reader, writer = await asyncio.open_connection(
                self.target.address, self.target.port, ssl=secure, server_hostname=name
            )
            failure = self._wrong_name(writer) or await self._read(reader, writer)
        except ssl.SSLCertVerificationError as error:
            failure = Failure(TLS_REFUSED, error.verify_message)
        except ssl.SSLError as error:
            failure = Failure(TLS_REFUSED, (error.reason or "no TLS").lower().replace("_", " "))
        except SipError as error:
            failure = Failure(NO_SIP, said(error))
        except (OSError, ValueError) as error:
            failure = Failure(UNREACHABLE, said(error))
        finally:
            if writer is not None:
                writer.close()
        self._lost(self, replace(failure, is_broken=failure.word in (UNREACHABLE, NO_SIP) and self._writer is not None))

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Failure:
        self._writer = writer
        for data in self._waiting:
            writer.write(data)
        self._waiting.clear()
        self._opened()
        framer = Framer()
        while data := await reader.read(_LONGEST):
            for message in framer.feed(data):
                self._received(message)
        return Failure(UNREACHABLE, "the connection was closed")

    def _wrong_name(self, writer: asyncio.StreamWriter) -> Failure | None:
        if self.target.transport != TLS:
            return None
        certificate = writer.get_extra_info("peercert") or {}
        if names_domain(certificate, self.target.domain):
            return None
        return Failure(TLS_REFUSED, f"the certificate does not name {self.target.domain}")


def said(error: Exception) -> str:
    """Return an error in few words, lower case."""
    if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
        return os.strerror(error.errno).lower()
    return str(error).lower()
