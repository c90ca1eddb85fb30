"""Which phones fetched, by the access log of the web server that hands their files out.

Comes in: a log in the common or combined format, as nginx, Apache, lighttpd and `offhook serve --access-log` write it
(https://httpd.apache.org/docs/2.4/logs.html#common), from the place at which it ends when the watch begins. Goes out:
MACs whose own file was handed out, or was found unchanged, since the last look. A log that is rotated goes on from its
beginning; a line that is no such line is passed over.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

_LINE = re.compile(
    rb'"GET [^" ]{0,500}?/([0-9A-Fa-f]{12})(?:\.[0-9a-f]{8})?\.cfg[^" ]{0,100} HTTP/[0-9.]{1,5}" (?:200|206|304)\b'
)
_AT_ONCE = 4 << 20


@dataclass(slots=True)
class Watch:
    """An access log that is read on. A log that is not there yet is read from its beginning when it is."""

    path: Path
    _inode: int = 0
    _position: int = 0
    _rest: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        try:
            found = self.path.stat()
        except OSError:
            return
        self._inode, self._position = found.st_ino, found.st_size

    def seen(self) -> list[str]:
        """Return the phones that fetched since the last look, each once. A log that cannot be read tells nothing."""
        try:
            with self.path.open("rb") as file:
                about = os.fstat(file.fileno())
                if about.st_ino != self._inode or about.st_size < self._position:
                    self._inode, self._position, self._rest = about.st_ino, 0, b""
                file.seek(self._position)
                data = file.read(_AT_ONCE)
        except OSError:
            return []
        self._position += len(data)
        whole, newline, rest = (self._rest + data).rpartition(b"\n")
        self._rest = rest[-_AT_ONCE:]
        found = (_LINE.search(line) for line in whole.split(b"\n")) if newline else ()
        return list(dict.fromkeys(match[1].decode().lower() for match in found if match))
