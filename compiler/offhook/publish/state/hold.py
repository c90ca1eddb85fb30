"""One publisher at a time: who holds an environment, signs of life, and taking over from one that was stopped.

The hold is the intent in the head. Whoever has it renews it; where it is not renewed for a while it may be taken over,
at once where its process is known to be gone. Clocks of different machines are never trusted to agree: one that looks
old is watched for a while by this machine's own clock first.
"""

from __future__ import annotations

import getpass
import mmap
import os
import platform
import secrets
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType

from offhook.problem import OffhookError
from offhook.publish.roots.root import State
from offhook.publish.state.head import Head, Intent, Versioned, read_head, swap
from offhook.publish.state.lock import Lock
from offhook.publish.state.signs import is_alive, is_recent, this_process

SOONER = "look at what it did, and run publish again"
"""What to do where another publish began or ended after this one had looked."""

_TIME = struct.Struct("=d")


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
        self._process = os.getpid()
        # forked children write for this process, and must see when it has lost the hold
        self._alive = mmap.mmap(-1, _TIME.size)
        self._lives(time.monotonic())
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
        """Raise Lost where somebody took over, or where this run gave no sign of life for too long.

        A forked child may ask, too: it has lost the hold with its parent, and when that has ended.
        """
        if self._lost:
            raise Lost(self._lost, hint="see who publishes; then run publish again")
        if self._process not in (os.getpid(), os.getppid()):
            raise Lost("the publish that this process worked for has ended", hint="run publish again")
        (alive,) = _TIME.unpack_from(self._alive)
        if alive < 0:
            raise Lost(f"another publish took {self._state.name} over", hint="see who publishes; then run it again")
        if time.monotonic() - alive > self._patience.lease_s:
            self._lost = f"{self._state.name} did not take a sign of life for {self._patience.lease_s:.0f} seconds"
            self.check()

    def change(self, make: Callable[[Head], Head], *, leaving: bool = False) -> Head:
        """Swap the head for what `make` makes of it. Raises Lost where somebody else swapped it.

        `leaving` says that this run goes and may be taken over at once.
        """
        with self._guard:
            self.check()
            # whoever watches may have seen the sign as soon as it was sent
            began = time.monotonic()
            swapped = self._swapped(make, leaving=leaving)
            if swapped is None:
                self._lost = f"another publish took {self._state.name} over"
                self._lives(-1.0)
                self.check()
                raise AssertionError
            self._held = swapped
            self._lives(began)
            return swapped.head

    def _swapped(self, make: Callable[[Head], Head], *, leaving: bool) -> Versioned | None:
        """Swap the head; once more where the one that is there is this run's: an answer was lost on its way."""
        held = self._held
        for _ in range(2):
            head = make(held.head)
            if head.intent is not None:
                head = replace(head, intent=replace(head.intent, at=0 if leaving else int(time.time())))
            swapped = swap(self._state, held, head)
            if swapped is not None:
                return swapped
            held, former = read_head(self._state), held.head.intent
            if held.head.intent is None or former is None or held.head.intent.id != former.id:
                return None
        return None

    def _lives(self, at: float) -> None:
        """Say when the last sign of life was, by the monotonic clock; below zero: the hold is lost."""
        _TIME.pack_into(self._alive, 0, at)

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
    place: str,
    patience: Patience,
    say: Callable[[str], None],
) -> Hold:
    """Return the hold on an environment whose head was read as `before`, putting `head` with this run's intent there.

    `place` knows the state: whether it compares and swaps is tried once for each. Raises Lost where somebody else holds
    it, or swapped the head meanwhile.
    """
    began = time.monotonic()
    lock = None
    head = replace(head, compares=place)
    if before.head.compares != place and not state.swaps():
        head = replace(head, compares="")
        say(f"{state.name} does not compare and swap: a lock file is used, which is weaker; publish from one place")
        lock = Lock(state, owner_name(), lease_s=patience.lease_s, renew_s=patience.renew_s, settle_s=patience.settle_s)
        lock.take()
    try:
        if before.head.intent is not None:
            _take_over(state, before, patience, say, began)
        held = swap(state, before, head)
        if held is None:
            now = read_head(state).head
            who = f"{now.intent.owner} publishes" if now.intent else "another publish was sooner"
            raise Lost(f"{state.name}: {who}", hint=SOONER)
    except BaseException:
        if lock is not None:
            lock.leave()
        raise
    return Hold(state, before.head, held, lock, patience)


def is_worked_on(intent: Intent, patience: Patience) -> bool:
    """Tell whether the run of an intent goes on; of one on another machine its last sign of life tells."""
    alive = is_alive(intent.process)
    if alive is None:
        return intent.at != 0 and is_recent(intent.at, patience.lease_s)
    return alive and intent.at != 0


def new_intent(plan: str, commit: str, sealed: str, root: str = "", *, id_: str = "") -> Intent:
    """Return an intent of this process; `id_` knows the run, where somebody has to know it before."""
    id_ = id_ or secrets.token_hex(8)
    return Intent(id_, owner_name(), this_process(), int(time.time()), plan, commit, sealed, root)


def owner_name() -> str:
    """Return who runs this, for people: alice@ci-7, with the run's number on GitHub."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid()) if hasattr(os, "getuid") else "somebody"
    run = os.environ.get("GITHUB_RUN_ID", "")
    return f"{user}@{platform.node() or 'somewhere'}{f' (run {run})' if run else ''}"


def _take_over(state: State, before: Versioned, patience: Patience, say: Callable[[str], None], began: float) -> None:
    """Return where the holder is gone. Raises Lost where it is not, or may not be.

    `began` is when the head was known to be as it was read, by the monotonic clock. A holder that is cut off stops by
    itself when it could give no sign for `lease_s`, and is watched for longer than that: no clock is believed.
    """
    intent = before.head.intent
    assert intent is not None
    alive = is_alive(intent.process)
    if alive is False or intent.at == 0:
        return
    if is_worked_on(intent, patience):
        number = intent.process.split(" ")[1] if alive else ""
        stopped = f"end process {number}" if alive else f"run this again in {patience.lease_s:.0f} seconds"
        raise Lost(
            f"{intent.owner} publishes to this environment", hint=f"wait until it is done; if it hangs, {stopped}"
        )
    say(f"the publish of {intent.owner} gave no sign of life; it is watched before it is taken over")
    end = began + patience.lease_s + patience.renew_s
    while True:
        if read_head(state).version != before.version:
            raise Lost(f"{intent.owner} publishes to this environment", hint="wait until it is done")
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(1.0, patience.renew_s / 5, left))
