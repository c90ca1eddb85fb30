"""Signs of life: whether the process that holds an environment still runs, as far as this machine can tell."""

from __future__ import annotations

import os
import time
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def is_alive(process: str) -> bool | None:
    """Tell whether a process (of an intent, of a lock) runs; None where nobody can know: on another machine."""
    parts = process.split(" ")
    ours = this_process().split(" ")
    if len(parts) != 3 or len(ours) != 3 or parts[0] != ours[0] or not parts[1].isdecimal():
        return None
    return _process(int(parts[1])) == process


def this_process() -> str:
    """Return what others on this machine know this process by, "" where nothing is known."""
    return _process(os.getpid())


def is_recent(at: float, lease_s: float) -> bool:
    """Tell whether a sign of life is a recent one. One from the future is not: a clock is wrong, and watching tells."""
    return abs(time.time() - at) < lease_s


def _process(number: int) -> str:
    """A process for others on its machine: the machine's boot and container, the number, the start; "" if unknown."""
    try:
        boot = f"{_BOOT_ID.read_text().strip()}/{os.readlink('/proc/self/ns/pid')}"
        # the name, in parentheses, may hold anything; the 20th field after it is the start (proc(5))
        fields = Path(f"/proc/{number}/stat").read_text(errors="replace").rpartition(")")[2].split()
        state, started = fields[0], fields[19]
    except (OSError, IndexError):
        return ""
    if state in ("Z", "X"):  # it has ended, and nobody asked how
        return ""
    return f"{boot} {number} {started}"
