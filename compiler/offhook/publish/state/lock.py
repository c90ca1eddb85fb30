"""A lock object, for state locations that cannot compare and swap: an owner, and a sign of life.

Whoever finds none writes its own, waits until the writes of others that looked at the same time have settled, and
looks again: the last one that was written stays, and all see the same. A writer that took longer than half of that
wait starts again. A lock whose sign of life is not a recent one is watched first: clocks may differ. It is weaker than
compare-and-swap: a write that the server sits on for seconds could break it.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import NamedTuple

from offhook.problem import OffhookError
from offhook.publish.roots.root import State
from offhook.publish.state.signs import is_alive, is_recent, this_process

LOCK = "lock.json"
_ATTEMPTS = 5


class Lock:
    """One run's lock object."""

    def __init__(self, state: State, owner: str, *, lease_s: float, renew_s: float, settle_s: float) -> None:
        self._state = state
        self._owner = owner
        self._id = secrets.token_hex(16)
        self._lease_s = lease_s
        self._renew_s = renew_s
        self._settle_s = settle_s

    def take(self) -> None:
        """Take the lock. Raises OffhookError where somebody else has it."""
        self._watch(self._state.read(LOCK))
        for _ in range(_ATTEMPTS):
            start = time.monotonic()
            self._refuse_holder(self._state.read(LOCK))
            self._state.write(LOCK, self._content())
            if time.monotonic() - start > self._settle_s / 2:
                continue
            time.sleep(self._settle_s)
            self._refuse_holder(self._state.read(LOCK))
            return
        raise OffhookError(f"{self._state.name} is too slow for a lock", hint="try again, or keep the state elsewhere")

    def renew(self) -> None:
        """Give a sign of life. Raises OffhookError where the lock is somebody else's."""
        holder = self._holder(self._state.read(LOCK))
        if holder.id not in ("", self._id):
            raise self._refusal(holder.owner)
        self._state.write(LOCK, self._content())

    def leave(self) -> None:
        """Give the lock back, where it is this run's."""
        try:
            if self._holder(self._state.read(LOCK)).id == self._id:
                self._state.delete([LOCK])
        except OffhookError:
            return  # it ends by itself

    def _watch(self, content: bytes | None) -> None:
        """Look whether a lock that gave no recent sign of life stays as it is for longer than its lease."""
        self._refuse_holder(content)
        if not self._holder(content).id or is_alive(self._holder(content).process) is False:
            return
        end = time.monotonic() + self._lease_s + self._renew_s
        while time.monotonic() < end:
            time.sleep(min(1.0, self._renew_s / 5))
            now = self._state.read(LOCK)
            if now != content and self._holder(now).id:
                raise self._refusal(self._holder(now).owner)

    def _content(self) -> bytes:
        body = {"id": self._id, "owner": self._owner, "process": this_process(), "at": time.time()}
        return json.dumps(body).encode()

    def _refuse_holder(self, content: bytes | None) -> None:
        holder = self._holder(content)
        if holder.id in ("", self._id) or is_alive(holder.process) is False:
            return
        if is_recent(holder.at, self._lease_s):
            raise self._refusal(holder.owner)

    def _refusal(self, owner: str) -> OffhookError:
        return OffhookError(
            f"{owner} publishes to this environment",
            hint=f"wait until it is done; if it was stopped, run this again in {self._lease_s:.0f} seconds",
        )

    def _holder(self, content: bytes | None) -> _Holder:
        try:
            body = json.loads(content or b"")
            return _Holder(str(body["id"]), str(body["owner"]), str(body["process"]), float(body["at"]))
        except (ValueError, KeyError, TypeError):
            return _Holder("", "", "", 0.0)


class _Holder(NamedTuple):
    """Whose lock it is; all empty where it is nobody's."""

    id: str
    owner: str
    process: str
    at: float
