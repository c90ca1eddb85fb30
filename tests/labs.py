"""`offhook serve` as a process of its own, whose JSON lines a test waits for."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema

import inventories

OFFHOOK = Path(sys.executable).parent / "offhook"
PATIENCE_S = 60
SCHEMA = jsonschema.Draft202012Validator(json.loads((inventories.ROOT / "schema/output/serve.schema.json").read_text()))


@dataclass(slots=True)
class LabServer:
    """A running server: its process, its first line, and its lines after that as they come."""

    process: subprocess.Popen[str]
    lines: queue.Queue[str]
    greeting: dict[str, Any] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def http(self) -> str:
        """The address over HTTP, by loopback."""
        return self.url("http")

    def url(self, protocol: str) -> str:
        """An address, by loopback."""
        scheme, rest = self.greeting["urls"][protocol].split("://")
        return f"{scheme}://127.0.0.1:{rest.split('/')[0].rpartition(':')[2]}/"

    def next(self, kind: str = "request") -> dict[str, Any]:
        """Return the next line of a kind, and pass over what comes before."""
        while True:
            line = self.lines.get(timeout=PATIENCE_S)
            assert line, f"it ended: {''.join(self.errors)}"
            entry: dict[str, Any] = json.loads(line)
            SCHEMA.validate(entry)
            if entry["kind"] == kind:
                return entry

    def summary(self) -> dict[str, dict[str, Any]]:
        """Ask for the summary, and return its phones by MAC."""
        self.process.send_signal(signal.SIGUSR1)
        return {one["mac"] or one["client"]: one for one in self.next("summary")["phones"]}

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextmanager
def serving(
    folder: Path,
    *options: str,
    where: Sequence[str] = (),
    secrets: dict[str, str] | None = None,
    quiet: bool = False,
) -> Iterator[LabServer]:
    """Run `offhook serve` on a fleet, on free ports unless `options` say others, without plug and play.

    With `quiet` nobody reads what it prints after its first line: what that takes is not this process's.
    """
    words = [*where, str(OFFHOOK), "-C", str(folder), "serve", "--format", "json"]
    if "--http" not in options:
        words += ["--http", "0"]
    if "--tftp" not in options:
        words += ["--tftp", "0"]
    if "--pnp" not in options:
        words += ["--no-pnp"]
    environment = {**os.environ, "OFFHOOK_CACHE": str(folder.parent / "cache"), **(secrets or {})}
    process = subprocess.Popen(
        [*words, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    made = LabServer(process, queue.Queue())

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if not quiet or made.lines.empty():
                made.lines.put(line)
        made.lines.put("")

    def complain() -> None:
        assert process.stderr is not None
        made.errors.extend(process.stderr)

    threads = [threading.Thread(target=one, daemon=True) for one in (read, complain)]
    for thread in threads:
        thread.start()
    try:
        made.greeting = made.next("listening")
        yield made
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert "Traceback" not in "".join(made.errors)
