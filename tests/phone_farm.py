"""Many SIP phones behind one UDP port, as a registrar that passes NOTIFYs on shows them: who was told, and when."""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_USER = re.compile(rb"^(NOTIFY|OPTIONS) sip:([^@ ]+)@")
_KEPT = (b"via:", b"from:", b"to:", b"call-id:", b"cseq:")
_BUFFER = 8 << 20
_SO_TIMESTAMPNS = 35  # of Linux


@dataclass
class Farm:
    """`port` is where the registrar listens. `status` gives a phone's answer, 0: none. `told` is (time, user) of each
    NOTIFY that was not a repetition: seconds by the system's clock as it arrived, however late it was read. `asked` is
    the same of each OPTIONS, and `presence` what is answered to it."""

    port: int
    status: Callable[[str], int]
    told: list[tuple[float, str]] = field(default_factory=list)
    asked: list[tuple[float, str]] = field(default_factory=list)
    presence: Callable[[str], int] = lambda user: 200
    heard: Callable[[str], None] = lambda user: None
    idle: threading.Event = field(default_factory=threading.Event)

    def users(self) -> list[str]:
        """Who was told, in order."""
        return [user for _, user in self.told]

    def settle(self) -> None:
        """Wait until all that was sent is heard."""
        self.idle.clear()
        assert self.idle.wait(60)


@contextmanager
def farm(status: Callable[[str], int] = lambda user: 200) -> Iterator[Farm]:
    """A registrar on loopback whose phones answer as `status` says."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.2)
        made = Farm(sock.getsockname()[1], status)
        stop = threading.Event()
        thread = threading.Thread(target=_serve, args=(sock, made, stop))
        thread.start()
        try:
            yield made
        finally:
            stop.set()
            thread.join()


def _serve(sock: socket.socket, made: Farm, stop: threading.Event) -> None:
    seen: set[bytes] = set()
    while not stop.is_set():
        try:
            data, about, _, sender = sock.recvmsg(65536, 64)
        except TimeoutError:
            made.idle.set()
            continue
        made.idle.clear()
        seconds, nanoseconds = struct.unpack_from("qq", about[0][2]) if about else divmod(time.time_ns(), 10**9)
        at = seconds + nanoseconds / 1e9
        match = _USER.match(data)
        if match is None:
            continue
        is_notify, user = match[1] == b"NOTIFY", match[2].decode()
        lines = data.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
        call = next((line for line in lines if line.lower().startswith(b"call-id:")), b"")
        if call not in seen:
            seen.add(call)
            (made.told if is_notify else made.asked).append((at, user))
            if is_notify:
                made.heard(user)
        code = (made.status if is_notify else made.presence)(user)
        if code:
            kept = [line for line in lines if line.lower().startswith(_KEPT)]
            head = [b"SIP/2.0 %d Whatever" % code, *kept, b"Content-Length: 0", b"", b""]
            sock.sendto(b"\r\n".join(head), sender)
