"""A shelf with a known tree, and servers on it in this process, whose events a test can read."""

from __future__ import annotations

import logging
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from offhook.serve.desk import Desk, Event, Policy
from offhook.serve.ftp import serve_ftp
from offhook.serve.http import serve_http
from offhook.serve.http_login import Login
from offhook.serve.listening import tcp, udp
from offhook.serve.shelf import Shelf, shelf_of
from offhook.serve.tftp import serve_tftp

MAC, OTHER = "0021f2000001", "0021f2000002"
OWN = b"#!version:1.0.0.1\naccount.1.password = secret\n"
LARGE = bytes(range(256)) * 40_000
ROWS = (
    (f"{MAC}.boot", b'#!version:1.0.0.1\ninclude:config "0021f2000001.cfg"\n', MAC),
    (f"{MAC}.cfg", OWN, MAC),
    (f"{OTHER}.cfg", b"#!version:1.0.0.1\nlang.gui = English\n", OTHER),
    ("y000000000000.cfg", b"#!version:1.0.0.1\nlang.gui = French\n", ""),
    ("phonebooks/company.xml", b"<x/>\n", ""),
    ("a name.cfg", b"blank\n", ""),
    ("odd%2e.cfg", b"percent\n", ""),
    ("empty.cfg", b"", ""),
    ("large.bin", LARGE, ""),
    *((f"block{size}.cfg", b"z" * size, "") for size in (511, 512, 513, 1024, 1428)),
)
SHELF = shelf_of(ROWS, phones={MAC: "Front desk", OTHER: ""}, revision="a test")
# names that a careless server would turn into a path of its disk
HOSTILE = (
    "../../../../etc/passwd",
    "/etc/passwd",
    "//etc/passwd",
    "..\\..\\etc\\passwd",
    "C:/boot.ini",
    "phonebooks/../0021f2000001.cfg",
    "./0021f2000001.cfg",
    "phonebooks//company.xml",
    "phonebooks",
    "phonebooks/",
    "",
    "/",
    ".",
    "..",
    "~root/.ssh/id_rsa",
    "0021F2000001.CFG",
    "0021f2000001.cfg/",
    "y000000000000.cfg/../0021f2000001.cfg",
    "x" * 700,
    "ünïcode.cfg",
)


@dataclass(slots=True)
class Served:
    """A running server and what it told."""

    port: int
    desk: Desk
    events: list[Event] = field(default_factory=list)

    def until(self, count: int) -> list[Event]:
        """Wait until so many events were told, and return them all."""
        wait_for(lambda: len(self.events) >= count)
        return self.events


def wait_for(is_so: Callable[[], bool], patience_s: float = 20) -> None:
    """Wait until something is so."""
    ends = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < ends, "it did not come to that"
        time.sleep(0.01)


def peak_kib() -> int:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextmanager
def _running(start: Callable[[Desk], Any], policy: Policy, shelf: Shelf) -> Iterator[Served]:
    events: list[Event] = []
    faults: list[object] = []
    former = threading.excepthook
    threading.excepthook = faults.append
    handler = logging.Handler(logging.ERROR)
    handler.emit = faults.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    desk = Desk(shelf, policy, events.append)
    server = start(desk)
    try:
        yield Served(server.port, desk, events)
    finally:
        server.close()
        threading.excepthook = former
        logging.getLogger().removeHandler(handler)
    assert not faults


def http(
    policy: Policy | None = None, *, login: Login | None = None, tls: ssl.SSLContext | None = None, shelf: Shelf = SHELF
) -> Any:
    """Serve the shelf over HTTP."""
    return _running(lambda desk: serve_http(desk, tcp("127.0.0.1", 0), login=login, tls=tls), policy or Policy(), shelf)


def tftp(policy: Policy | None = None, *, host: str = "127.0.0.1", shelf: Shelf = SHELF) -> Any:
    """Serve the shelf over TFTP."""
    return _running(lambda desk: serve_tftp(desk, udp(host, 0)), policy or Policy(), shelf)


def ftp(policy: Policy | None = None, *, login: tuple[str, str] | None = None, shelf: Shelf = SHELF) -> Any:
    """Serve the shelf over FTP."""
    return _running(lambda desk: serve_ftp(desk, tcp("127.0.0.1", 0), login=login), policy or Policy(), shelf)


def talk(port: int, data: bytes, *, patience_s: float = 10) -> bytes:
    """Send bytes to a TCP port, end the sending, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", port), patience_s) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while more := client.recv(65536):
            answer += more
        return answer
