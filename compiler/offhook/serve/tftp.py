"""The tree over TFTP: read requests of what the desk hands out (RFC 1350, with the options of RFC 2347 to 2349, 7440).

One thread serves every transfer, each from a socket of its own, as the protocol wants it. What a client can hold is
bounded: its transfers, the tries before one is given up, and the requests that are taken up in all.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import selectors
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from offhook.serve.desk import OK, TFTP, Asked, Desk, Reply
from offhook.serve.tftp_packets import (
    ACK,
    BLOCK,
    DATA,
    ERROR,
    ILLEGAL,
    MAX_WINDOW,
    NOT_FOUND,
    OACK,
    REFUSED,
    RRQ,
    WRQ,
    error_packet,
    granted_of,
    options_in,
    to_netascii,
)

MAX_TRANSFERS = 4096
MAX_OF_ONE = 512
"""A site's phones may all come from one address."""

_MAX_REQUEST = 1024
_TRIES = 6
_REPEAT_S = 1.0
_ASKED_AGAIN_S = 0.5
_REQUESTS_AT_ONCE = 16
_MAX_INBOX = 8192
_IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)  # of <linux/in.h>, which Python's module does not name yet

Address = tuple[str, int]


@dataclass(slots=True, eq=False)
class _Transfer:
    """One file on its way to one client. Blocks are numbered from 1; `acked` is the last one that has arrived."""

    sock: socket.socket = field(repr=False)
    client: Address
    key: tuple[Address, bytes]
    asked: Asked
    reply: Reply = field(repr=False)
    data: bytes = field(repr=False)
    block: int = BLOCK
    window: int = 1
    repeat_s: float = _REPEAT_S
    options: bytes = b""
    acked: int = 0
    tries: int = 0
    due_s: float = 0.0
    is_timed: bool = False

    @property
    def last(self) -> int:
        """The number of the last block; one that is not full ends the file, so an empty one may follow."""
        return len(self.data) // self.block + 1


class TftpServer:
    """A running server on a bound UDP socket."""

    def __init__(self, desk: Desk, listening: socket.socket, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.port: int = listening.getsockname()[1]
        self._desk = desk
        self._clock = clock
        self._listening = listening
        self._transfers: dict[tuple[Address, bytes], _Transfer] = {}  # the oldest first
        self._of_address: Counter[str] = Counter()
        self._timers: list[tuple[float, int, _Transfer]] = []
        self._order = itertools.count()
        self._inbox: deque[tuple[bytes, Address, str]] = deque()
        self._selector = selectors.DefaultSelector()
        self._wake, self._waked = os.pipe()
        listening.setblocking(False)
        with contextlib.suppress(OSError):
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        if listening.family == socket.AF_INET:
            listening.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        else:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        self._selector.register(listening, selectors.EVENT_READ, None)
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name=TFTP, daemon=True)
        self._is_closing = False
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and leave off every transfer."""
        self._is_closing = True
        os.write(self._waked, b"x")
        self._thread.join()

    def _run(self) -> None:
        while not self._is_closing:
            for key, _ in self._selector.select(self._pause_s()):
                if key.data is not None:
                    self._heard(key.data)
            # a whole building asks in a moment after a power cut, and the system keeps a few hundred packets only
            self._collect()
            for _ in range(min(len(self._inbox), _REQUESTS_AT_ONCE)):
                self._request(*self._inbox.popleft())
            self._repeat()
        for transfer in list(self._transfers.values()):
            self._end(transfer, whole=False)
        self._selector.close()
        self._listening.close()
        os.close(self._wake)
        os.close(self._waked)

    def _pause_s(self) -> float | None:
        if self._inbox:
            return 0.0
        return max(0.0, self._timers[0][0] - self._clock()) if self._timers else None

    # requests

    def _collect(self) -> None:
        """Take what has come to the server's own port; what is too much is lost, and asked for again."""
        for _ in range(_MAX_INBOX):
            try:
                packet, about, _, client = self._listening.recvmsg(_MAX_REQUEST + 1, 256)
            except BlockingIOError:
                return
            except OSError:
                continue  # an earlier answer could not be delivered
            if len(self._inbox) < _MAX_INBOX:
                self._inbox.append((packet, client, _local(about)))

    def _request(self, packet: bytes, client: Address, local: str) -> None:
        """Answer one datagram to the server's own port."""
        kind = int.from_bytes(packet[:2], "big") if len(packet) >= 2 else 0
        if kind not in (RRQ, WRQ):
            return  # an answer to what is no request could be sent round for ever
        words = packet[2:].split(b"\0") if packet.endswith(b"\0") and len(packet) <= _MAX_REQUEST else []
        if kind == WRQ or len(words) < 3 or words[1].lower() not in (b"octet", b"netascii"):
            code, text = (REFUSED, "this server is only read from") if kind == WRQ else (ILLEGAL, "no request")
            self._say(self._listening, error_packet(code, text), client)
            return
        key = (client, packet)
        if key in self._transfers:
            self._asked_again(self._transfers[key])
            return
        asked = Asked(TFTP, client[0].removeprefix("::ffff:"), words[0].decode("utf-8", "replace"))
        reply = self._desk.answer(asked)
        if reply.result != OK:
            self._say(self._listening, error_packet(NOT_FOUND, "not found"), client)
            return
        self._start(key, asked, reply, words[1].lower(), options_in(words[2:-1]), local)

    def _asked_again(self, transfer: _Transfer) -> None:
        """Send the first answer again where it was lost; a request that merely came twice is one request.

        The time to repeat an answer is the client's to choose, and phones say 6 s (guide, "DHCP Option66"),
        yet ask again sooner.
        """
        is_unheard = transfer.acked == (-1 if transfer.options else 0)
        if is_unheard and self._clock() >= transfer.due_s - transfer.repeat_s + _ASKED_AGAIN_S:
            self._send(transfer)

    def _start(
        self,
        key: tuple[Address, bytes],
        asked: Asked,
        reply: Reply,
        mode: bytes,
        wanted: Mapping[bytes, bytes],
        local: str,
    ) -> None:
        client = key[0]
        self._make_room(client[0])
        try:
            sock = self._socket(client, local)
        except OSError:
            self._desk.sent(asked, reply, 0, whole=False)
            return
        data = to_netascii(reply.data) if mode == b"netascii" else reply.data
        transfer = _Transfer(sock, client, key, asked, reply, data)
        granted = granted_of(wanted, len(data))
        transfer.block = int(granted.get(b"blksize", BLOCK))
        transfer.window = int(granted.get(b"windowsize", 1))
        transfer.repeat_s = float(granted.get(b"timeout", _REPEAT_S))
        if granted:
            transfer.options = struct.pack("!H", OACK) + b"".join(b"%s\0%s\0" % one for one in granted.items())
            transfer.acked = -1
        self._transfers[key] = transfer
        self._of_address[client[0]] += 1
        self._selector.register(sock, selectors.EVENT_READ, transfer)
        self._send(transfer)

    def _socket(self, client: Address, local: str) -> socket.socket:
        """A socket for one transfer, of the address that the client has asked, for it hears no other."""
        sock = socket.socket(self._listening.family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if local:
                sock.bind((local, 0))
            sock.connect(client)
        except OSError:
            sock.close()
            raise
        return sock

    def _make_room(self, address: str) -> None:
        """Leave off the transfer that was started first where there are too many, of one address or in all."""
        if self._of_address[address] >= MAX_OF_ONE:
            self._end(next(one for one in self._transfers.values() if one.client[0] == address), whole=False)
        elif len(self._transfers) >= MAX_TRANSFERS:
            self._end(next(iter(self._transfers.values())), whole=False)

    # transfers

    def _heard(self, transfer: _Transfer) -> None:
        """Take what a client sends to its transfer."""
        for _ in range(MAX_WINDOW):
            if transfer.key not in self._transfers:
                return
            try:
                packet = transfer.sock.recv(_MAX_REQUEST)
            except BlockingIOError:
                return
            except OSError:
                self._end(transfer, whole=False)  # nobody listens there any more
                return
            self._take(transfer, packet)

    def _take(self, transfer: _Transfer, packet: bytes) -> None:
        kind = int.from_bytes(packet[:2], "big")
        if kind == ERROR:
            # libcurl and others end so once they have the size they wanted to know
            self._end(transfer, whole=transfer.acked >= transfer.last)
        elif kind == ACK and len(packet) >= 4:
            self._acknowledged(transfer, int.from_bytes(packet[2:4], "big"))

    def _acknowledged(self, transfer: _Transfer, number: int) -> None:
        """Go on after an acknowledgement; one that is older than the last changes nothing (RFC 1123, 4.2.3.1)."""
        if transfer.acked < 0:
            if number == 0:
                transfer.acked, transfer.tries = 0, 0
                self._send(transfer)
            return
        # numbers go round after 65535: of the blocks on their way it is the one with these last bits
        ahead = (number - transfer.acked) & 0xFFFF
        on_their_way = min(transfer.window, transfer.last - transfer.acked)
        if not 0 < ahead <= on_their_way:
            return
        transfer.acked += ahead
        transfer.tries = 0
        if transfer.acked >= transfer.last:
            self._end(transfer, whole=True)
        else:
            self._send(transfer)

    def _send(self, transfer: _Transfer) -> None:
        """Send the options, or the blocks of a window, and wait for what the client says to them."""
        transfer.due_s = self._clock() + transfer.repeat_s
        if transfer.acked < 0:
            self._say(transfer.sock, transfer.options)
        else:
            for number in range(transfer.acked + 1, min(transfer.acked + transfer.window, transfer.last) + 1):
                start = (number - 1) * transfer.block
                head = struct.pack("!HH", DATA, number & 0xFFFF)
                self._say(transfer.sock, head + transfer.data[start : start + transfer.block])
        if not transfer.is_timed:
            self._time(transfer)

    def _time(self, transfer: _Transfer) -> None:
        """Look at a transfer when it is due; each stands in the heap once."""
        transfer.is_timed = True
        heapq.heappush(self._timers, (transfer.due_s, next(self._order), transfer))
        if len(self._timers) > 2 * MAX_TRANSFERS:
            # those that ended long before they were due
            self._timers = [row for row in self._timers if self._transfers.get(row[2].key) is row[2]]
            heapq.heapify(self._timers)

    def _repeat(self) -> None:
        """Send once more what was not acknowledged in time; give up after some tries."""
        now = self._clock()
        while self._timers and self._timers[0][0] <= now:
            _, _, transfer = heapq.heappop(self._timers)
            transfer.is_timed = False
            if self._transfers.get(transfer.key) is not transfer:
                continue
            if transfer.due_s > now:
                self._time(transfer)  # something was heard since
                continue
            transfer.tries += 1
            if transfer.tries >= _TRIES:
                self._end(transfer, whole=False)
            else:
                self._send(transfer)

    def _end(self, transfer: _Transfer, *, whole: bool) -> None:
        if self._transfers.pop(transfer.key, None) is None:
            return
        self._of_address[transfer.client[0]] -= 1
        if not self._of_address[transfer.client[0]]:
            del self._of_address[transfer.client[0]]
        self._selector.unregister(transfer.sock)
        transfer.sock.close()
        count = min(max(transfer.acked, 0) * transfer.block, len(transfer.data))
        self._desk.sent(transfer.asked, transfer.reply, count, whole=whole)

    @staticmethod
    def _say(sock: socket.socket, packet: bytes, client: Address | None = None) -> None:
        # what cannot be sent now is like a packet that was lost: it is asked for again
        with contextlib.suppress(OSError):
            sock.send(packet) if client is None else sock.sendto(packet, client)


def serve_tftp(desk: Desk, listening: socket.socket) -> TftpServer:
    """Serve the desk's files on a bound UDP socket."""
    return TftpServer(desk, listening)


def _local(about: list[tuple[int, int, bytes]]) -> str:
    """The address that a datagram was sent to, from what the system says of it; "" where it says nothing."""
    for level, kind, data in about:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO and len(data) >= 12:
            return socket.inet_ntop(socket.AF_INET, data[4:8])
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO and len(data) >= 16:
            return socket.inet_ntop(socket.AF_INET6, data[:16])
    return ""
