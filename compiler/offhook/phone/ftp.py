"""Files over FTP (RFC 959): passive, binary, with the URL's credentials.

Source: guide, "Configuring an FTP Server".
"""

from __future__ import annotations

import ftplib
from contextlib import closing

from offhook.phone.request import ERROR, NOT_FOUND, OK, TOO_BIG, UNAUTHORIZED, Answer, FetchOptions
from offhook.phone.target import Target
from offhook.phone.watch import TimeLimit

_MAX_REPLY_LINES = 500
"""Lines on the control connection in one exchange; the standard library would collect an endless reply."""


class _Control(ftplib.FTP):
    """A control connection within a time limit."""

    def __init__(self, limit: TimeLimit) -> None:
        super().__init__()
        self._limit = limit
        self._lines = 0

    def open(self, target: Target) -> None:
        """Connect, and log in: anonymously where the target has no username."""
        self.host = target.host
        self.timeout = self._limit.remaining_s
        self.sock = self._limit.connect(target.host, target.port)
        self.af = self.sock.family
        self.file = self.sock.makefile("r", encoding=self.encoding)
        self.welcome = self.getresp()
        self.login(target.username or "anonymous", target.password)

    def getline(self) -> str:
        self._lines += 1
        if self._lines > _MAX_REPLY_LINES:
            raise ftplib.error_proto("endless reply")
        return super().getline()

    def retrieve(self, command: str, max_bytes: int) -> bytes | None:
        """Return what a command gives (RETR a file, NLST a folder's names), or None where it is over `max_bytes`."""
        self.voidcmd("TYPE I")
        body = bytearray()
        with self.transfercmd(command) as data:
            self._limit.guard(data)
            while chunk := data.recv(min(65536, max_bytes + 1 - len(body))):
                body += chunk
                if len(body) > max_bytes:
                    return None
        self.voidresp()
        return bytes(body)


def fetch(target: Target, options: FetchOptions) -> Answer:
    """Return the file's content."""
    return _fetched(target, options)


def names(target: Target, options: FetchOptions) -> Answer:
    """Return the names in the folder where a login ends up, a line each. No phone asks for them."""
    return _fetched(target, options, command="NLST")


def _fetched(target: Target, options: FetchOptions, *, command: str = "") -> Answer:
    """Return what the command gives, RETR of the target unless another is said.

    The reply 550 is "not found" (RFC 959 section 4.2.1; servers say it, too, where the file may not be
    read). Raises OSError where the server cannot be reached.
    """
    with TimeLimit(options.timeout_s) as limit, closing(_Control(limit)) as control:
        try:
            control.open(target)
        except ftplib.error_perm as error:
            return Answer(UNAUTHORIZED, message=f"the server refuses the login: {error}")
        except (ftplib.Error, EOFError) as error:
            return Answer(ERROR, message=_broken(error))
        try:
            body = control.retrieve(command or f"RETR {target.name}", options.max_bytes)
        except ftplib.error_perm as error:
            if str(error).startswith("550"):
                return Answer(NOT_FOUND)
            return Answer(ERROR, message=_broken(error))
        except (ftplib.Error, EOFError) as error:
            return Answer(ERROR, message=_broken(error))
    if body is None:
        return Answer(TOO_BIG, message=f"more than {options.max_bytes} bytes")
    return Answer(OK, body)


def _broken(error: ftplib.Error | EOFError) -> str:
    if isinstance(error, EOFError):
        return "the server closes the connection"
    return f"the server answers {error}"
