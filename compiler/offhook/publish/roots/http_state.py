"""A web server as a state location: under a lock made by MKCOL, or else by If-Match where that can be believed.

The lock comes first: Apache compares before it receives the body, so that two who write at once may both be told they
won, and nginx does not compare at all.
"""

from __future__ import annotations

import hashlib

from offhook.publish.roots.address import Address
from offhook.publish.roots.http import Http
from offhook.publish.roots.locked import LockedState
from offhook.publish.roots.root import RootOptions
from offhook.publish.roots.swapping import can_swap, look_and_write

_LOCK, _TAGS, _NOTHING = "lock", "tags", "nothing"


class HttpState(LockedState):
    """A folder on a web server. A version is the content's SHA-256, whichever way writes are compared."""

    def __init__(self, address: Address, options: RootOptions) -> None:
        self._http = Http(address, options)
        self._way = ""
        super().__init__(self._http)

    def swaps(self) -> bool:
        """Try the lock, then If-Match."""
        if not self._way:
            self._way = _LOCK if self._http.makes_folders() else _TAGS
            if not can_swap(self):
                self._way = _NOTHING
        return self._way != _NOTHING

    def write_version(self, path: str, content: bytes, version: str | None) -> bool:
        """Compare and write, the way that was found."""
        if not self._way:
            self.swaps()
        if self._way == _LOCK:
            return super().write_version(path, content, version)
        if self._way == _NOTHING:
            return look_and_write(self, path, content=content, version=version)
        found = self._http.read_tagged(path)
        if (hashlib.sha256(found[0]).hexdigest() if found else None) != version:
            return False
        return self._http.put_if(path, content, found[1] if found else None)
