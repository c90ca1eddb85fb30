"""A new shelf when the inventory changes; the last good one while it has mistakes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

_LOOK_S = 0.2
_MOST_LOOKS = 10
_SHARE = 9
"""A large folder is looked at less often, so that looking takes a tenth of the time at most."""

Stamp = frozenset[tuple[str, int, int, int]]


def stamp_of(root: Path) -> Stamp:
    """Return what tells whether a folder's files have changed: their names, sizes, times and numbers."""
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            try:
                about = os.lstat(path)
            except OSError:
                continue  # it went while we looked; the next look will tell
            found.append((path, about.st_size, about.st_mtime_ns, about.st_ino))
    return frozenset(found)


class Watch:
    """Calls `changed` in a thread of its own, once for all changes that come together, until it is closed.

    `known` is what `look` returned before the first shelf was made: what has changed since then counts.
    """

    def __init__(
        self, look: Callable[[], Stamp], known: Stamp, changed: Callable[[], None], *, every_s: float = _LOOK_S
    ) -> None:
        self._look = look
        self._changed = changed
        self._every_s = every_s
        self._end = threading.Event()
        self._known = known
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        pause_s = self._every_s
        while not self._end.wait(pause_s):
            began = time.monotonic()
            now = self._look()
            pause_s = max(self._every_s, _SHARE * (time.monotonic() - began))
            if now == self._known:
                continue
            # an editor or git writes several files: wait until two looks see the same
            for _ in range(_MOST_LOOKS):
                if self._end.wait(self._every_s) or (later := self._look()) == now:
                    break
                now = later
            self._known = now
            self._changed()
