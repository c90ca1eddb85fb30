"""One publisher at a time: who holds an environment, signs of life, and taking over from one that was stopped.

The hold is the intent in the head. Whoever has it renews it; where it is not renewed for a while it may be taken over,
at once where its process is known to be gone. Clocks of different machines are never trusted to agree: one that looks
old is watched for a while by this machine's own clock first.
"""

from __future__ import annotations

import getpass
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from offhook.problem import OffhookError
from offhook.publish.head import Head, Intent, Versioned, read_head, swap
from offhook.publish.lock import Lock
from offhook.publish.roots.root import State

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things last, in seconds: a hold without a sign of life, between two signs, for a lock to settle."""

    lease_s: float = 60.0
    renew_s: float = 15.0
    settle_s: float = 2.0


class Lost(OffhookError):
    """Somebody else holds the environment: nothing more may be written."""


class Hold:
    """This run's right to write to an environment's root.

    `before` is the head as it was. Leaving the block stops the signs of life. An intent that is still there may then be
    taken over at once.
    """

    def __init__(self, state: State, before: Head, held: Versioned, lock: Lock | None, patience: Patience) -> None:
        self.before = before
        self._state = state
        self._held = held
        self._lock = lock
        self._patience = patience
        self._guard = threading.Lock()
        self._lost = ""
        self._alive = time.monotonic()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)

    @property
    def head(self) -> Head:
        """Return the head as this run wrote it last."""
        return self._held.head

    def __enter__(self) -> Hold:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()
        if self._held.head.intent is not None:
            with suppress(OffhookError):
                self.change(lambda head: head, leaving=True)
        if self._lock is not None:
            self._lock.leave()

    def check(self) -> None:
        """Raise Lost where somebody took over, or where this run gave no sign of life for too long."""
        if self._lost:
            raise Lost(self._lost, hint="see who publishes; then run publish again")
        if time.monotonic() - self._alive > self._patience.lease_s:
            self._lost = f"{self._state.name} did not take a sign of life for {self._patience.lease_s:.0f} seconds"
            self.check()

    def change(self, make: Callable[[Head], Head], *, leaving: bool = False) -> Head:
        """Swap the head for what `make` makes of it. Raises Lost where somebody else swapped it.

        `leaving` says that this run goes and may be taken over at once.
        """
        with self._guard:
            self.check()
            head = make(self._held.head)
            if head.intent is not None:
                head = replace(head, intent=replace(head.intent, at=0 if leaving else int(time.time())))
            swapped = swap(self._state, self._held, head)
            if swapped is None:
                self._lost = f"another publish took {self._state.name} over"
                self.check()
                raise AssertionError
            self._held = swapped
            self._alive = time.monotonic()
            return swapped.head

    def _renew(self) -> None:
        while not self._ending.wait(self._patience.renew_s):
            if self._held.head.intent is None:
                return
            # what refuses now may do so no more when the step under way asks
            with suppress(OffhookError):
                if self._lock is not None:
                    self._lock.renew()
                self.change(lambda head: head)


def take_hold(
    state: State,
    before: Versioned,
    head: Head,
    *,
    patience: Patience,
    say: Callable[[str], None],
) -> Hold:
    """Return the hold on an environment whose head was read as `before`, putting `head` with this run's intent there.

    Raises Lost where somebody else holds it, or swapped the head meanwhile.
    """
    lock = None
    if not state.swaps():
        say(f"{state.name} does not compare and swap: a lock file is used, which is weaker; publish from one place")
        lock = Lock(state, owner_name(), lease_s=patience.lease_s, settle_s=patience.settle_s)
        lock.take()
    try:
        if before.head.intent is not None:
            _take_over(state, before, patience, say)
        held = swap(state, before, head)
        if held is None:
            now = read_head(state).head
            who = f"{now.intent.owner} publishes" if now.intent else "another publish was sooner"
            raise Lost(f"{state.name}: {who}", hint="look at what it did, and run publish again")
    except BaseException:
        if lock is not None:
            lock.leave()
        raise
    return Hold(state, before.head, held, lock, patience)


def new_intent(plan: str, commit: str, sealed: str) -> Intent:
    """Return an intent of this process."""
    return Intent(secrets.token_hex(8), owner_name(), _process(os.getpid()), int(time.time()), plan, commit, sealed)


def owner_name() -> str:
    """Return who runs this, for people: alice@ci-7, with the run's number on GitHub."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid()) if hasattr(os, "getuid") else "somebody"
    run = os.environ.get("GITHUB_RUN_ID", "")
    return f"{user}@{platform.node() or 'somewhere'}{f' (run {run})' if run else ''}"


def is_alive(intent: Intent) -> bool | None:
    """Tell whether the process of an intent runs; None where that cannot be known: on another machine."""
    parts = intent.process.split(" ")
    ours = _process(os.getpid()).split(" ")
    if len(parts) != 3 or len(ours) != 3 or parts[0] != ours[0] or not parts[1].isdecimal():
        return None
    return _process(int(parts[1])) == intent.process


def _take_over(state: State, before: Versioned, patience: Patience, say: Callable[[str], None]) -> None:
    """Return where the holder is gone. Raises Lost where it is not, or may not be."""
    intent = before.head.intent
    assert intent is not None
    alive = is_alive(intent)
    if alive is False or intent.at == 0:
        return
    age = time.time() - intent.at
    if alive or age < patience.lease_s:
        clocks = "; the clocks of its machine and of this one differ" if age < -patience.lease_s else ""
        raise Lost(
            f"{intent.owner} publishes to this environment{clocks}",
            hint=f"wait until it is done; if it was stopped, run this again in {patience.lease_s:.0f} seconds",
        )
    say(f"the publish of {intent.owner} gave no sign of life; it is watched before it is taken over")
    end = time.monotonic() + 2 * patience.renew_s
    while time.monotonic() < end:
        time.sleep(min(1.0, patience.renew_s / 5))
        if read_head(state).version != before.version:
            raise Lost(f"{intent.owner} publishes to this environment", hint="wait until it is done")


def _process(number: int) -> str:
    """A process for others on its machine: the machine's boot and container, the number, the start; "" if unknown."""
    try:
        boot = f"{_BOOT_ID.read_text().strip()}/{os.readlink('/proc/self/ns/pid')}"
        # the name, in parentheses, may hold anything; the 20th field after it is the start (proc(5))
        started = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError, UnicodeDecodeError):
        return ""
    return f"{boot} {number} {started}"
