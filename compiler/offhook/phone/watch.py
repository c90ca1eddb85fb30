"""A time limit for a whole exchange over TCP, which no way of answering slowly can stretch.

The timeout of a socket bounds one read. A server that sends a byte now and then, an endless header or
half a TLS record stays within it for ever. So a timer shuts the exchange's sockets down when the time
is up: whatever read is waiting then ends.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType


class TimeLimit:
    """A context manager: TimeoutError when its block has not ended within `seconds`, whatever else it raised.

    Only sockets that are connected by it or handed to `guard` are cut. Looking up a host's name is
    bounded by the system's resolver.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._guarded: list[socket.socket] = []
        self._expired = False
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> TimeLimit:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for sock in self._guarded:
                sock.close()
            self._guarded.clear()
        if self._expired and (error is None or isinstance(error, Exception)):
            raise TimeoutError("the time limit of the request was reached") from error

    @property
    def remaining_s(self) -> float:
        """The seconds that are left, never zero, which a socket would take for non-blocking."""
        return max(0.001, self._end - time.monotonic())

    def connect(self, host: str, port: int) -> socket.socket:
        """Return a guarded TCP connection to the first address of the host that answers, or raise OSError."""
        failure: OSError = OSError("the host has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(self.remaining_s)
                sock.connect(address)
                self.guard(sock)
            except OSError as error:
                sock.close()
                failure = error
            else:
                return sock
        raise failure

    def guard(self, sock: socket.socket) -> None:
        """Cut this socket, too, when the time is up.

        A duplicate is kept, because wrapping a socket in TLS takes its descriptor away; a shutdown acts
        on the connection that both share.
        """
        with self._lock:
            self._guarded.append(sock.dup())
            if self._expired:
                self._shut_down()

    def _expire(self) -> None:
        with self._lock:
            self._expired = True
            self._shut_down()

    def _shut_down(self) -> None:
        for sock in self._guarded:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
