"""A lock object, for state locations that cannot compare and swap: an owner, and a sign of life.

Whoever finds none writes its own, waits until the writes of others that looked at the same time have settled, and
looks again: the last one that was written stays, and all see the same. A writer that took longer than half of that
wait starts again. It is weaker than compare-and-swap: a write that the server sits on for seconds could break it.
"""

from __future__ import annotations

import json
import secrets
import time

from offhook.problem import OffhookError
from offhook.publish.roots.root import State

LOCK = "lock.json"
_ATTEMPTS = 5


class Lock:
    """One run's lock object."""

    def __init__(self, state: State, owner: str, *, lease_s: float, settle_s: float) -> None:
        self._state = state
        self._owner = owner
        self._id = secrets.token_hex(16)
        self._lease_s = lease_s
        self._settle_s = settle_s

    def take(self) -> None:
        """Take the lock. Raises OffhookError where somebody else has it."""
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
        self._refuse_holder(self._state.read(LOCK))
        self._state.write(LOCK, self._content())

    def leave(self) -> None:
        """Give the lock back, where it is this run's."""
        try:
            if self._holder(self._state.read(LOCK))[0] == self._id:
                self._state.delete([LOCK])
        except OffhookError:
            return  # it ends by itself

    def _content(self) -> bytes:
        return json.dumps({"id": self._id, "owner": self._owner, "at": int(time.time())}).encode()

    def _refuse_holder(self, content: bytes | None) -> None:
        holder, owner, at = self._holder(content)
        if holder not in ("", self._id) and abs(time.time() - at) < self._lease_s:
            raise OffhookError(
                f"{owner} publishes to this environment",
                hint=f"wait until it is done; if it was stopped, run this again in {self._lease_s:.0f} seconds",
            )

    def _holder(self, content: bytes | None) -> tuple[str, str, float]:
        try:
            body = json.loads(content or b"")
            return str(body["id"]), str(body["owner"]), float(body["at"])
        except (ValueError, KeyError, TypeError):
            return "", "", 0.0
