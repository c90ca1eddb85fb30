"""Scripted servers for tests: what no real server would do, on 127.0.0.1, in threads that end with the block."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_POLL_S = 0.02


@dataclass(slots=True)
class Heard:
    """What a scripted server was sent: HTTP request heads, or datagrams, in order."""

    port: int
    messages: list[bytes] = field(default_factory=list)


@contextmanager
def tcp_server(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """Give the port of a server that lets `talk` speak on every connection; the event is set at the end."""
    stopping = threading.Event()
    threads: list[threading.Thread] = []

    def converse(sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.settimeout(10)
            talk(sock, stopping)

    def accept() -> None:
        while not stopping.is_set():
            try:
                sock, _ = listener.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=converse, args=(sock,))
            threads.append(thread)
            thread.start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_POLL_S)
        port = listener.getsockname()[1]
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield port
        finally:
            stopping.set()
            acceptor.join()
            for thread in threads:
                thread.join()


@contextmanager
def http_server(pages: dict[str, bytes], *, other: bytes = b"") -> Iterator[Heard]:
    """Give what a server hears that answers a path with these bytes, head and all, and anything else with 404."""
    missing = other or b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

    def talk(sock: socket.socket, stopping: threading.Event) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            received = sock.recv(65536)
            if not received:
                return
            head += received
        heard.messages.append(head)
        sock.sendall(pages.get(head.split(b" ")[1].decode(), missing))

    with tcp_server(talk) as port:
        heard = Heard(port)
        yield heard


def page(body: bytes = b"", *, status: str = "200 OK", headers: tuple[str, ...] = ()) -> bytes:
    """Return an HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextmanager
def udp_server(answers: Callable[[bytes], list[bytes]]) -> Iterator[Heard]:
    """Give what a UDP server hears that answers each datagram with these datagrams, from its own port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(_POLL_S)
    heard = Heard(sock.getsockname()[1])
    stopping = threading.Event()

    def serve() -> None:
        while True:
            try:
                message, peer = sock.recvfrom(65536)
            except TimeoutError:
                if stopping.is_set():  # and nothing that was sent before is unheard
                    return
                continue
            heard.messages.append(message)
            for answer in answers(message):
                with contextlib.suppress(OSError):
                    sock.sendto(answer, peer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield heard
    finally:
        stopping.set()
        thread.join()
        sock.close()


def tftp_data(block: int, payload: bytes) -> bytes:
    """Return a DATA packet (RFC 1350)."""
    return struct.pack("!HH", 3, block) + payload


def tftp_error(code: int, message: bytes) -> bytes:
    """Return an ERROR packet (RFC 1350)."""
    return struct.pack("!HH", 5, code) + message + b"\0"


def tftp_oack(*options: bytes) -> bytes:
    """Return an OACK packet (RFC 2347)."""
    return struct.pack("!H", 6) + b"".join(option + b"\0" for option in options)
