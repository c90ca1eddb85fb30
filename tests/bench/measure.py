"""One run of a command, measured: wall clock, processor time of all its processes, peak memory, what it said."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SAMPLE_EVERY_S = 0.02
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Run:
    """What a run took. `cpu_s` is user and system time of all processes; `peak_bytes` is None unless sampled."""

    code: int
    wall_s: float
    cpu_s: float
    peak_bytes: int | None
    stdout: str
    stderr: str

    @property
    def complaint(self) -> str:
        """Return the last line of standard error, else of standard output: why a failed run failed."""
        lines = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return lines[-1] if lines else f"exit code {self.code}"


def measure(command: Sequence[str], *, memory: bool = False) -> Run:
    """Run a command to its end and return what it took.

    With `memory`, the memory of its process tree is sampled every 20 ms. Sampling slows large processes
    down, so the times of such a run are not for comparing.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=error,
            env=os.environ | _bytecode(),
        )
        peak = _watch(process.pid) if memory else None
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)  # it is no longer Popen's to wait for
        texts = [_text(stream.fileno()) for stream in (out, error)]
    return Run(process.returncode, wall, usage.ru_utime + usage.ru_stime, peak, *texts)


@cache
def _bytecode() -> dict[str, str]:
    """Variables that let Python keep byte code, as it does for what is installed, where this environment forbids it."""
    if not os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return {}
    folder = tempfile.mkdtemp(prefix="offhook-bytecode-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": folder}


def _text(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(os.dup(descriptor), "rb") as stream:
        return stream.read().decode(errors="replace")


def _watch(process: int) -> int | None:
    """The largest sum of memory over the process tree until its root ends (which is left to be waited for)."""
    peak = 0
    while os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        peak = max(peak, sum(_memory(one) for one in _tree(process)))
        time.sleep(SAMPLE_EVERY_S)
    return peak or None


def _tree(process: int) -> Iterator[int]:
    yield process
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue  # it has ended meanwhile
        for child in children:
            yield from _tree(int(child))


def _memory(process: int) -> int:
    """Bytes of a process: its proportional set, where pages shared after a fork count once, else its resident set."""
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0
