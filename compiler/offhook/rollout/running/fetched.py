"""What phones fetched, by the log of whoever hands their files out.

Comes in: a web server's access log in the common or combined format, as nginx, Apache and lighttpd write it
(https://httpd.apache.org/docs/2.4/logs.html#common), or the lab server's (`offhook serve --format json`); from the
place at which it ends when the watch begins, or where an earlier run left off. Goes out: names of phones' own files
(MAC.cfg, MAC.HASH.cfg) that were handed out, or found unchanged, since the last look: whoever asks knows which of them
are new. A log that is rotated goes on from its beginning; a line that is no such line is passed over. So is what
offhook's own virtual phones fetched: by HTTP they say so, and of what they fetch by what says nothing no line is
counted.
"""

from __future__ import annotations

import errno
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from offhook.phone.request import VIRTUAL_PHONE
from offhook.problem import OffhookError
from offhook.rollout.running.files import replace_file

_REQUEST = re.compile(rb'"[A-Z]{1,20} [^"]{0,4000} HTTP/[0-9.]{1,5}" [0-9]{3}\b')
_LINE = re.compile(
    rb'"GET [^" ]{0,500}?/([0-9A-Fa-f]{12}(?:\.[0-9a-f]{8})?\.cfg)[^" ]{0,100} HTTP/[0-9.]{1,5}" (?:200|206|304)\b'
    rb'(?: \S{1,20} "(?:[^"\\]|\\.){0,4000}" "((?:[^"\\]|\\.){0,4000})")?'
)
_NAME = re.compile(r"(?:.*/)?([0-9a-f]{12}(?:\.[0-9a-f]{8})?\.cfg)")
_AT_ONCE = 4 << 20
_TAIL = 64 << 10


@dataclass(slots=True)
class Watch:
    """A log that is read on. A log that is not there yet is read from its beginning when it is.

    `own` is the scheme by which offhook's virtual phones look, "" where none do; `kept` is the file that holds how far
    it was read.
    """

    path: Path
    own: str = ""
    kept: Path | None = None
    _inode: int = 0
    _position: int = 0
    _rest: bytes = field(default=b"", repr=False)
    _saved: int = -1

    def __post_init__(self) -> None:
        try:
            found = self.path.stat()
        except OSError:
            return
        self._inode, self._position = found.st_ino, found.st_size

    def go_on(self) -> None:
        """Begin where an earlier run left off, if that is known."""
        with suppress(OSError, ValueError, TypeError):
            if self.kept is not None:
                inode, position = json.loads(self.kept.read_bytes())
                self._inode, self._position = int(inode), int(position)

    def keep(self) -> None:
        """Write down how far it was read: what was seen is in the journal."""
        read = self._position - len(self._rest)
        if self.kept is not None and read != self._saved:
            with suppress(OffhookError):  # it would be read again
                replace_file(self.kept, json.dumps([self._inode, read]).encode())
            self._saved = read

    def doubt(self) -> str:
        """Return why nobody will be seen to fetch, "" where nothing speaks against it. Raises OffhookError.

        It does where the log cannot be read.
        """
        try:
            with self._open() as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
                last = next((line for line in reversed(file.read().split(b"\n")) if line.strip()), b"")
        except OSError as error:
            raise OffhookError(
                f"{self.path}: {(error.strerror or 'refused').lower()}; who fetches is to be seen there",
                hint="see access_log in the environment's rollout; whoever deploys has to be able to read it",
            ) from error
        if not last or last.startswith(b"{"):
            return ""
        if not _REQUEST.search(last):
            return f"{self.path} is not in the common or combined format: who fetches is not seen there"
        if self.own.startswith("http") and not re.search(rb'" [0-9]{3} \S+ "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*"', last):
            return (
                f"{self.path} has no User-Agent, so that phones and offhook's virtual ones look the same there: who "
                "fetches is not counted; log in the combined format, or say verify: false"
            )
        return ""

    def seen(self) -> list[str]:
        """Return the names of what was fetched since the last look, up to where the log ends now, each once.

        A log that cannot be read tells nothing.
        """
        found: dict[str, None] = {}
        for _ in range(1 + self._left() // _AT_ONCE):
            found.update((name, None) for name in map(self._fetched, self._read()) if name)
        return list(found)

    def _left(self) -> int:
        """How many bytes there are to be read."""
        with suppress(OSError):
            about = self.path.stat()
            is_same = about.st_ino == self._inode and about.st_size >= self._position
            return about.st_size - (self._position if is_same else 0)
        return 0

    def _open(self) -> BinaryIO:
        if self.path.exists() and not self.path.is_file():  # nobody may ever write to a pipe
            raise OSError(errno.EINVAL, "not a regular file")
        return self.path.open("rb")

    def _read(self) -> list[bytes]:
        """The next whole lines."""
        try:
            with self._open() as file:
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
        return whole.split(b"\n") if newline else []

    def _fetched(self, line: bytes) -> str:
        """The phone's own file that was fetched, by a line; "" for none, and where a virtual one may have."""
        if line.startswith(b"{"):
            return self._by_lab(line)
        match = _LINE.search(line)
        if match is None or self._is_own("http", match[2]):
            return ""
        return match[1].decode().lower()

    def _by_lab(self, line: bytes) -> str:
        try:
            said = json.loads(line)
            is_whole = said["kind"] == "request" and said["result"] == "ok" and said["whole"] is True
            match = _NAME.fullmatch(said["name"]) if is_whole else None
            agent = said["user_agent"].encode("utf-8", "replace") or None if match else None
            is_own = match is None or self._is_own(said["protocol"], agent)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return ""
        return match[1] if match is not None and not is_own else ""

    def _is_own(self, protocol: str, agent: bytes | None) -> bool:
        """Tell whether a virtual phone may have asked: it says so, or nothing is said and they look by this."""
        if agent is not None:
            return agent == VIRTUAL_PHONE.encode()
        return self.own.removesuffix("s") == protocol.removesuffix("s")
