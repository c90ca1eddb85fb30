"""What the lab server hands out in a second, beside nginx and tftpd-hpa, as one table.

`python tests/bench/serve.py [--phones 1000] [--runs 3] [--folder DIR]`

The same folder of phones' files, the same client, in turns on one machine: over HTTP ab with 100 connections, kept
alive and one for each request; over TFTP one program with a socket for each phone, which all ask at once. offhook is
the whole verb with its log, as it stands. Look at the ratios.
"""

from __future__ import annotations

import argparse
import re
import selectors
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

import peers  # noqa: E402
from labs import serving  # noqa: E402

OURS, NGINX, TFTPD = "offhook serve", "nginx", "tftpd-hpa"
KEPT, EACH, TFTP = "http, kept alive", "http, each its own", "tftp, all at once"
_BYTES = 2537
"""The size of the file in the guide's capture."""

_AGAIN_S = 1.0
_LONGEST_S = 60.0
_RATE = re.compile(r"Requests per second:\s+([0-9.]+)")
_FAILED = re.compile(r"(?:Failed requests|Non-2xx responses):\s+([1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class Places:
    """Where each server answers: over HTTP and over TFTP."""

    http: dict[str, str]
    tftp: dict[str, int]


def mac_of(number: int) -> str:
    """The MAC of a phone of the folder."""
    return f"0021f2{number:06x}"


def make(folder: Path, phones: int) -> None:
    """Write a file for each phone."""
    folder.mkdir(parents=True)
    for number in range(phones):
        line = f"account.1.label = {mac_of(number)}\n"
        text = "#!version:1.0.0.1\n" + line * (_BYTES // len(line))
        (folder / f"{mac_of(number)}.cfg").write_text(text)
    for path in (folder, *folder.parents):
        if path.stat().st_uid == 0 and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o755)
        if path.parent in (Path("/tmp"), Path("/dev/shm")):
            break


@contextmanager
def servers(root: Path) -> Iterator[Places]:
    """Run all of them on one folder."""
    with (
        peers.nginx(root) as web,
        peers.tftpd(root) as tftp,
        serving(root.parent, "--from", str(root), quiet=True) as lab,
    ):
        port = int(tftp.rstrip("/").rpartition(":")[2])
        ours = int(lab.url("tftp").rstrip("/").rpartition(":")[2])
        yield Places({NGINX: web, OURS: lab.http}, {TFTPD: port, OURS: ours})


def http_rate(url: str, *, kept: bool, requests: int) -> float:
    """Return requests a second of 100 connections. Raises RuntimeError where one fails."""
    words = [peers.program("ab"), "-q", "-n", str(requests), "-c", "100", *(["-k"] if kept else [])]
    done = subprocess.run([*words, f"{url}{mac_of(0)}.cfg"], capture_output=True, text=True, check=False)
    rate = _RATE.search(done.stdout)
    if rate is None or _FAILED.search(done.stdout):
        raise RuntimeError(f"{url}: {done.stderr or done.stdout}")
    return float(rate[1])


@dataclass(slots=True)
class _Phone:
    """One that fetches its file: what it said last, to whom, and how often in vain."""

    asks: bytes
    says: bytes
    to: tuple[str, int]
    in_vain: int = 0


def tftp_rate(port: int, phones: int) -> float:
    """Return files a second when so many phones ask at once; each repeats itself after a second without a word."""
    server = ("127.0.0.1", port)
    waiting: dict[socket.socket, _Phone] = {}
    began = time.monotonic()
    with selectors.DefaultSelector() as ready:
        for number in range(phones):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setblocking(False)
            sock.bind(("127.0.0.1", 0))
            # as in the guide's capture
            asks = b"\0\1" + f"{mac_of(number)}.cfg\0octet\0tsize\0000\0blksize\000512\0timeout\0006\0".encode()
            waiting[sock] = _Phone(asks, asks, server)
            ready.register(sock, selectors.EVENT_READ)
            sock.sendto(asks, server)
        while waiting:
            events = ready.select(_AGAIN_S)
            if not events:
                _repeat(waiting, server)
                if time.monotonic() - began > _LONGEST_S:
                    raise RuntimeError(f"port {port}: {len(waiting)} files did not come")
            for key, _ in events:
                if _take(key.fileobj, waiting):  # type: ignore[arg-type]
                    ready.unregister(key.fileobj)
    return phones / (time.monotonic() - began)


def _take(sock: socket.socket, waiting: dict[socket.socket, _Phone]) -> bool:
    """Answer a packet; tell whether the file is whole with it."""
    packet, sender = sock.recvfrom(2048)
    phone = waiting[sock]
    if phone.says is not phone.asks and sender != phone.to:
        return False  # of a second transfer, which a repeated request has started
    number = 0 if packet[1] == 6 else int.from_bytes(packet[2:4], "big")
    phone.says, phone.to, phone.in_vain = struct.pack("!HH", 4, number), sender, 0
    sock.sendto(phone.says, sender)
    if packet[1] != 3 or len(packet) >= 516:
        return False
    del waiting[sock]
    return True


def _repeat(waiting: dict[socket.socket, _Phone], server: tuple[str, int]) -> None:
    for sock, phone in waiting.items():
        phone.in_vain += 1
        if phone.in_vain > 3:
            phone.says, phone.to, phone.in_vain = phone.asks, server, 0
        sock.sendto(phone.says, phone.to)


def race(root: Path, *, phones: int, runs: int, requests: int) -> dict[tuple[str, str], list[float]]:
    """Return (what, server) -> its rates, a run each, in turns."""
    taken: dict[tuple[str, str], list[float]] = {}

    def run(what: str, name: str, measure: Callable[[], float]) -> None:
        taken.setdefault((what, name), []).append(measure())

    with servers(root) as places:
        for _ in range(runs):
            for name, url in places.http.items():
                run(KEPT, name, lambda url=url: http_rate(url, kept=True, requests=requests))
                run(EACH, name, lambda url=url: http_rate(url, kept=False, requests=requests // 2))
            for name, port in places.tftp.items():
                run(TFTP, name, lambda port=port: tftp_rate(port, phones))
    return taken


def table(taken: dict[tuple[str, str], list[float]]) -> str:
    """Return medians, and how they compare with offhook's, as aligned text."""
    lines = [f"{'':20} {'':16} {'files/s':>9} {'/ offhook':>10}"]
    for (what, name), rates in taken.items():
        rate, ours = statistics.median(rates), statistics.median(taken[what, OURS])
        lines.append(f"{what:20} {name:16} {rate:9,.0f} {rate / ours:10.2f}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Print the table that the command line asks for."""
    parser = argparse.ArgumentParser(description="the lab server beside nginx and tftpd-hpa")
    parser.add_argument("--phones", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, help="where to make a temporary folder")
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="offhook-bench-", dir=chosen.folder))
    try:
        make(folder / "tree", chosen.phones)
        print(table(race(folder / "tree", phones=chosen.phones, runs=chosen.runs, requests=chosen.requests)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
