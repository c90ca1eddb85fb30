"""State locations on servers without compare-and-swap: look and write under a lock that is a folder.

Making a folder that is there is refused by SFTP, FTP and WebDAV servers alike (mkdir(2), MKD, MKCOL): whoever made it
has the lock. It is held for one look and one write. A run that is killed in between leaves it, and no clock is believed
to say so: the next run names the folder, and somebody deletes it.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from offhook.problem import OffhookError
from offhook.publish.roots.root import NOTHING, OWN, About, Root, Stored
from offhook.publish.roots.swapping import can_swap, look_and_write

_LOCK = f"{OWN}lock"
_LOCK_WAIT_S = 15.0


class Lockable(Root, Protocol):
    """A root that can make and remove folders one at a time."""

    def make_folder(self, path: str) -> bool:
        """Make the folder, once at most; False where it is there, or the server makes none."""

    def remove_folder(self, path: str) -> None:
        """Remove the empty folder."""


class LockedState:
    """A state location over a root. A version is the content's SHA-256."""

    def __init__(self, root: Lockable, *, wait_s: float = _LOCK_WAIT_S) -> None:
        self._root = root
        self._wait_s = wait_s
        self._probed: bool | None = None

    @property
    def name(self) -> str:
        """The root's name."""
        return self._root.name

    def list(self) -> Iterator[Stored]:
        """Return everything below."""
        return self._root.list()

    def read(self, path: str) -> bytes | None:
        """Return the content, or None."""
        return self._root.read(path)

    def write(self, path: str, content: bytes, about: About = NOTHING) -> None:
        """Write without a look."""
        self._root.write(path, content, about)

    def delete(self, paths: Sequence[str]) -> None:
        """Delete these objects."""
        self._root.delete(paths)

    def close(self) -> None:
        """Let go of connections."""
        self._root.close()

    def read_version(self, path: str) -> tuple[bytes, str] | None:
        """Return content and its digest."""
        content = self._root.read(path)
        return None if content is None else (content, hashlib.sha256(content).hexdigest())

    def write_version(self, path: str, content: bytes, version: str | None) -> bool:
        """Compare and write under the lock."""
        with self._locked():
            return look_and_write(self, path, content=content, version=version)

    def swaps(self) -> bool:
        """Try it."""
        if self._probed is None:
            self._probed = can_swap(self)
        return self._probed

    @contextmanager
    def _locked(self) -> Iterator[None]:
        end = time.monotonic() + self._wait_s
        while not self._root.make_folder(_LOCK):
            if time.monotonic() > end:
                raise OffhookError(
                    f"{self.name} stays locked by the folder {_LOCK}",
                    hint="when no other publish runs, a killed one left it: remove the folder",
                )
            time.sleep(random.uniform(0.01, 0.1))
        try:
            yield
        finally:
            self._root.remove_folder(_LOCK)
