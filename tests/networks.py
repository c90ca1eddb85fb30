"""Networks of a test's own: two network namespaces with a cable between them, gone when the test ends."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import peers


@dataclass(frozen=True, slots=True)
class Network:
    """A namespace: what runs in it starts with `prefix`. `address` is its end of the cable, `device` its name."""

    name: str
    address: str
    device: str

    def command(self, *words: str) -> list[str]:
        """Return a command that runs in this namespace."""
        return ["ip", "netns", "exec", self.name, *words]

    def run(self, *words: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command in this namespace to its end."""
        return subprocess.run(self.command(*words), capture_output=True, text=True, timeout=timeout_s, check=False)


@contextlib.contextmanager
def cable(server: str = "192.168.50.18", phone: str = "192.168.50.163") -> Iterator[tuple[Network, Network]]:
    """Give two namespaces that see each other, the server's first; multicast and everything else goes to the cable."""
    if os.geteuid() or shutil.which("ip") is None:
        peers.missing("network namespaces need root and iproute2")
    number = secrets.token_hex(3)
    ends = [
        Network(f"offhook-{side}-{number}", address, f"{side}{number}")
        for side, address in (("s", server), ("p", phone))
    ]
    here, there = ends
    try:
        for end in ends:
            _ip("netns", "add", end.name)
        _ip(
            "link",
            "add",
            here.device,
            "netns",
            here.name,
            "type",
            "veth",
            "peer",
            "name",
            there.device,
            "netns",
            there.name,
        )
        for end in ends:
            _in(end, "addr", "add", f"{end.address}/24", "dev", end.device)
            for device in ("lo", end.device):
                _in(end, "link", "set", device, "up")
            _in(end, "route", "add", "default", "dev", end.device)
        yield here, there
    finally:
        for end in ends:
            subprocess.run(["ip", "netns", "del", end.name], capture_output=True, check=False)


def _in(end: Network, *words: str) -> None:
    _ip("-n", end.name, *words)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
