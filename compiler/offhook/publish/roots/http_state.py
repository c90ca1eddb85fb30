"""A web server as a state location: under a lock that MKCOL makes.

If-Match is not used. nginx does not compare at all; Apache compares before it has received the body, so that of two
who write at once both may be told that they won (docs/decisions/0009-roots.md has the figures).
"""

from __future__ import annotations

from offhook.publish.roots.address import Address
from offhook.publish.roots.http import Http
from offhook.publish.roots.locked import LockedState
from offhook.publish.roots.root import RootOptions
from offhook.publish.roots.swapping import look_and_write


class HttpState(LockedState):
    """A folder on a web server; where it makes no folders, writes are a look and a PUT, and `swaps` says so."""

    def __init__(self, address: Address, options: RootOptions) -> None:
        self._http = Http(address, options)
        self._has_lock: bool | None = None
        super().__init__(self._http)

    def swaps(self) -> bool:
        """Try whether folders can be made, and then the lock."""
        return self._can_lock() and super().swaps()

    def write_version(self, path: str, content: bytes, version: str | None) -> bool:
        """Compare and write, under the lock where there can be one."""
        if self._can_lock():
            return super().write_version(path, content, version)
        return look_and_write(self, path, content=content, version=version)

    def _can_lock(self) -> bool:
        if self._has_lock is None:
            self._has_lock = self._http.makes_folders()
        return self._has_lock
