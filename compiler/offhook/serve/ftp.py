"""The tree over FTP, by pyftpdlib: read only, from memory, with the listings of an empty folder.

pyftpdlib has the protocol, its limits and its loop; here is what it may see: a file system that is the desk's shelf.
A listing would be a directory of the fleet, so there is none; a phone asks for its files by name.
"""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import socket
import stat
import threading
from collections.abc import Callable
from typing import Any

from offhook.problem import OffhookError
from offhook.serve.desk import FORBIDDEN, FTP, OK, Asked, Desk, Reply

MAX_CONNECTIONS = 512
MAX_OF_ONE = 256
_IDLE_S = 30
_LOOK_S = 0.2
_NAME = "phones"


class FtpServer:
    """A running server."""

    def __init__(self, server: Any) -> None:
        self.port: int = server.address[1]
        self._server = server
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name=FTP, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and end every connection."""
        self._is_closing = True
        self._thread.join()

    def _run(self) -> None:
        while not self._is_closing:
            self._server.ioloop.loop(timeout=_LOOK_S, blocking=False)
        self._server.close_all()


def serve_ftp(desk: Desk, listening: socket.socket, *, login: tuple[str, str] | None = None) -> FtpServer:
    """Serve the desk's files on a listening socket; with `login` (name, password) for those who know it.

    Raises OffhookError where pyftpdlib is missing.
    """
    try:
        from pyftpdlib.filesystems import AbstractedFS, FilesystemError
        from pyftpdlib.handlers import DTPHandler, FTPHandler
        from pyftpdlib.ioloop import IOLoop
        from pyftpdlib.servers import FTPServer
    except ImportError as error:
        raise OffhookError(
            "FTP needs the Python package pyftpdlib, which is not installed", hint="pip install 'offhook[serve]'"
        ) from error

    class Shelved(AbstractedFS):  # type: ignore[misc]
        """A file system of one folder in which files can be opened by name and nothing be listed or changed."""

        def ftp2fs(self, ftppath: str) -> str:
            return str(self.ftpnorm(ftppath))

        def fs2ftp(self, fspath: str) -> str:
            return str(fspath)

        def validpath(self, path: str) -> bool:
            return True

        def open(self, filename: str, mode: str) -> io.BytesIO:
            if mode != "rb":
                raise FilesystemError("this server is only read from")
            return _opened(desk, self.cmd_channel, filename)

        def listdir(self, path: str) -> list[str]:
            return []

        def listdirinfo(self, path: str) -> list[str]:
            return []

        def isdir(self, path: str) -> bool:
            return str(path).strip("/") in ("", desk.policy.prefix.strip("/"))

        def isfile(self, path: str) -> bool:
            return _looked_up(desk, self.cmd_channel, path) is not None

        def islink(self, path: str) -> bool:
            return False

        def lexists(self, path: str) -> bool:
            return self.isdir(path) or self.isfile(path)

        def realpath(self, path: str) -> str:
            return path

        def chdir(self, path: str) -> None:
            self._cwd = self.fs2ftp(path)

        def getsize(self, path: str) -> int:
            found = _looked_up(desk, self.cmd_channel, path)
            if found is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            return len(found)

        def stat(self, path: str) -> os.stat_result:
            kind = stat.S_IFDIR | 0o555 if self.isdir(path) else stat.S_IFREG | 0o444
            size = 0 if self.isdir(path) else self.getsize(path)
            return os.stat_result((kind, 0, 0, 1, 0, 0, size, 0, 0, 0))

        lstat = stat

        def getmtime(self, path: str) -> float:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

        def format_list(self, *_: object, **__: object) -> Any:
            return iter(())

        def format_mlsx(self, *_: object, **__: object) -> Any:
            return iter(())

    class Sending(DTPHandler):  # type: ignore[misc]
        """A data connection that says how much of a file was taken."""

        def close(self) -> None:
            taken = self.file_obj
            count, is_whole = self.tot_bytes_sent, bool(self.transfer_finished)
            super().close()
            if isinstance(taken, _File):
                taken.told(count, whole=is_whole and count == len(taken.reply.data))

    class Session(FTPHandler):  # type: ignore[misc]
        """A control connection."""

        dtp_handler = Sending
        abstracted_fs = Shelved
        timeout = _IDLE_S
        banner = "offhook"
        max_login_attempts = 3
        permit_foreign_addresses = False
        use_gmt_times = True
        use_sendfile = False

        def log(self, msg: str, *_: object, **__: object) -> None:
            """Nothing: the desk tells what was asked for."""

        logline = logerror = log

    logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)  # the desk tells what there is to tell
    Session.authorizer = _authorizer(login)
    with contextlib.suppress(AttributeError):
        Sending.timeout = _IDLE_S
    listening.setblocking(False)
    loop = IOLoop()
    server = FTPServer(listening, Session, ioloop=loop)
    server.max_cons = MAX_CONNECTIONS
    server.max_cons_per_ip = MAX_OF_ONE
    return FtpServer(server)


class _File(io.BytesIO):
    """An opened file of the shelf, which remembers who asked for it."""

    name = "file"

    def __init__(self, reply: Reply, told: Callable[[int, bool], None]) -> None:
        super().__init__(reply.data)
        self.reply = reply
        self._told: Callable[[int, bool], None] | None = told

    def told(self, count: int, *, whole: bool) -> None:
        """Say once how much was taken."""
        if self._told is not None:
            self._told(count, whole)
            self._told = None


def _asked(channel: Any, path: str) -> Asked:
    client = str(channel.remote_ip).removeprefix("::ffff:")
    return Asked(FTP, client, path, trusted=bool(channel.authenticated))


def _opened(desk: Desk, channel: Any, path: str) -> _File:
    asked = _asked(channel, path)
    reply = desk.answer(asked)
    if reply.result != OK:
        code = errno.EACCES if reply.result == FORBIDDEN else errno.ENOENT
        raise OSError(code, os.strerror(errno.ENOENT))
    return _File(reply, lambda count, whole: desk.sent(asked, reply, count, whole=whole))


def _looked_up(desk: Desk, channel: Any, path: str) -> bytes | None:
    """A file's content for a question about it, which nobody is told of."""
    reply = desk.judged(_asked(channel, path))
    return reply.data if reply.result == OK else None


def _authorizer(login: tuple[str, str] | None) -> Any:
    from pyftpdlib.authorizers import AuthenticationFailed, DummyAuthorizer

    class Door(DummyAuthorizer):  # type: ignore[misc]
        """One name and password, or anyone; the same for all: to look, never to write."""

        def validate_authentication(self, username: str, password: str, handler: object) -> None:
            import hmac

            if login is None:
                return
            shown = f"{username}\0{password}".encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(shown, f"{login[0]}\0{login[1]}".encode()):
                raise AuthenticationFailed("530 Authentication failed.")

        def has_user(self, username: str) -> bool:
            return True

        def has_perm(self, username: str, perm: str, path: str | None = None) -> bool:
            return perm in "elr"

        def get_perms(self, username: str) -> str:
            return "elr"

        def get_home_dir(self, username: str) -> str:
            return "/"

        def get_msg_login(self, username: str) -> str:
            return "230 Login successful."

        def get_msg_quit(self, username: str) -> str:
            return "221 Goodbye."

        def impersonate_user(self, username: str, password: str) -> None:
            pass

        def terminate_impersonation(self, username: str) -> None:
            pass

    return Door()
