"""NOTIFYs a second through Kamailio to one SIPp, beside a bare asyncio sender of the same datagrams; and memory.

`python tests/bench/notify.py [--notifies 20000] [--runs 3] [--silent 100000]`

The bare sender knows its datagrams beforehand, keeps as many under way, counts what comes back, and does nothing else:
no timers, no outcomes; what is lost it does not repeat. All run on this machine at the same time, so look at the ratio.
The memory is that of a process of its own in which so many phones are silent.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent))

import sip_peers
from offhook.rollout.routes import registrar
from offhook.rollout.routes.call import Call
from offhook.rollout.routes.sip_notify import FRESH, request_to
from offhook.rollout.telling import notify_many
from offhook.sip.message import Headers, Request, render

_USERS = 500


def calls(port: int, count: int) -> Iterator[Call]:
    """Return so many calls to the registered users, in turns."""
    return (Call("", f"u{number % _USERS}", f"127.0.0.1:{port}") for number in range(count))


@contextmanager
def pbx() -> Iterator[int]:
    """Run Kamailio with two workers and a phone for all users; gives the registrar's port."""
    with tempfile.TemporaryDirectory(prefix="offhook-bench-") as name:
        folder = Path(name)
        with (
            sip_peers.sipp(sip_peers.answering(), folder) as phone,
            sip_peers.kamailio(workers=2, timer_j_ms=1000) as running,
        ):
            sip_peers.register(running.port, {f"u{number}": phone for number in range(_USERS)}, folder)
            yield running.port


def ours(port: int, count: int) -> tuple[float, int]:
    """Send with offhook; returns the seconds it took, and how many were repeated."""

    async def run() -> tuple[float, int]:
        repeated = 0
        started = time.perf_counter()
        async with registrar.opened(registrar.Settings(f"sip:127.0.0.1:{port}")) as sender:
            async for told in notify_many(calls(port, count), sender):
                assert told.outcome.is_answered, told
                repeated += told.outcome.sends - 1
        return time.perf_counter() - started, repeated

    return asyncio.run(run())


class _Bare(asyncio.DatagramProtocol):
    def __init__(self, datagrams: list[bytes]) -> None:
        self.datagrams = datagrams
        self.left = len(datagrams)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def next(self) -> None:
        if self.datagrams:
            self.transport.sendto(self.datagrams.pop())

    def datagram_received(self, data: bytes, addr: object) -> None:
        assert data.startswith(b"SIP/2.0 200"), data
        self.left -= 1
        self.next()
        if not self.left and not self.done.done():
            self.done.set_result(None)


def bare(port: int, count: int) -> float:
    """Send the same datagrams with next to nothing around; returns the seconds it took."""

    async def run() -> float:
        datagrams = []
        for call in calls(port, count):
            request = request_to(call, call.address, sender="sip:offhook@127.0.0.1")
            branch = f"z9hG4bK{secrets.token_hex(10)}"
            way = ("Via", f"SIP/2.0/UDP 127.0.0.1:5060;branch={branch};rport")
            headers = Headers.of(way, *request.headers.items(), ("CSeq", "1 NOTIFY"), ("Contact", "<sip:a@127.0.0.1>"))
            datagrams.append(render(Request(request.method, request.uri, headers)))
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(
            lambda: _Bare(datagrams), remote_addr=("127.0.0.1", port)
        )
        started = time.perf_counter()
        before = 0
        while not protocol.done.done():
            if protocol.left == before or not before:  # what was lost is not repeated
                protocol.left = len(protocol.datagrams)
                for _ in range(FRESH):
                    protocol.next()
            before = protocol.left
            await asyncio.wait([protocol.done], timeout=0.5)
        transport.close()
        return time.perf_counter() - started

    return asyncio.run(run())


def silence(count: int) -> tuple[float, float]:
    """Have so many phones be silent at once; returns the process's peak memory in MiB, and bytes a phone."""
    code = f"import notify; print(*notify.wait_for_nobody({count}))"
    folder = str(Path(__file__).resolve().parent)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True)
    peak, before = map(int, done.stdout.split())
    return peak / 1024, (peak - before) * 1024 / count


def wait_for_nobody(count: int) -> tuple[int, int]:
    """Begin so many NOTIFYs that nobody answers; returns the peak memory in KiB, and that before."""
    import socket

    async def run() -> tuple[int, int]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
            nobody.bind(("127.0.0.1", 0))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            settings = registrar.Settings(f"sip:127.0.0.1:{nobody.getsockname()[1]}")
            async with registrar.opened(settings) as sender:
                for number in range(count):
                    sender.begin(Call("", f"u{number}", "pbx.example.com"), lambda _: None)
                await asyncio.sleep(2)  # timer E has its say
                return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, before

    return asyncio.run(run())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notifies", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--silent", type=int, default=100_000)
    wanted = parser.parse_args()
    with pbx() as port:
        rows = [(bare(port, wanted.notifies), *ours(port, wanted.notifies)) for _ in range(wanted.runs)]
    plain, own = (statistics.median(row[column] for row in rows) for column in (0, 1))
    print(f"a bare asyncio sender  {wanted.notifies / plain:8.0f}/s")
    print(f"offhook                {wanted.notifies / own:8.0f}/s  ({plain / own:.2f} of it)")
    print(f"repeated by timer E    {[row[2] for row in rows]}")
    peak, each = silence(wanted.silent)
    print(f"{wanted.silent:,} silent phones: {peak:.0f} MiB at the peak, {each:.0f} bytes a phone")


if __name__ == "__main__":
    main()
