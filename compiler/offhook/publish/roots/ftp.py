"""FTP as a root (RFC 959, MLSD of RFC 3659), and over TLS (RFC 4217): a temporary file, then RNFR and RNTO.

`ftps://` is explicit TLS (AUTH TLS) with the data under it, too. Names are UTF-8 (RFC 2640). FTP cannot tell "not
there" from "not allowed" (550 is both), so the folder's list is asked. A connection serves one thread at a time.
"""

from __future__ import annotations

import ftplib
import io
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from offhook.problem import OffhookError
from offhook.publish.roots.address import Address
from offhook.publish.roots.connections import Connections
from offhook.publish.roots.credentials import credentials_hint, find_credentials
from offhook.publish.roots.root import (
    NOTHING,
    TEMPORARY,
    About,
    RootOptions,
    Stored,
    check_path,
    forget,
    is_path,
    own_path,
)

Result = TypeVar("Result")

_CONNECTIONS = 4
_LOST = (EOFError, ConnectionError, TimeoutError, ftplib.error_temp)
_UNKNOWN = ("500", "502", "504")

_REPLIES = {
    "421": ("the server is busy or shuts down", "try again later, with fewer threads"),
    "425": ("no data connection comes about", "open the server's passive ports in the firewall"),
    "450": ("the file is in use", "try again later"),
    "452": ("the server's disk is full", "make room, and publish again"),
    "552": ("the quota is used up", "make room, and publish again"),
    "550": ("no such folder, or permission denied", "does the folder exist, and may this login write there?"),
    "553": ("the server does not take this name", "shorten it; may this login write there?"),
    "534": ("the server has no TLS", "use ftp:// where a password may be read on the way"),
    "500": ("the server does not know a command that is needed", "use another server or kind"),
    "502": ("the server does not know a command that is needed", "use another server or kind"),
    "522": ("the server demands TLS for the data", "use ftps://"),
}


class _Tls(ftplib.FTP_TLS):
    """FTP over TLS whose data connections resume the control connection's session, as vsftpd and others demand."""

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        sock, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        session = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
        return self.context.wrap_socket(sock, server_hostname=self.host, session=session), size


class Ftp:
    """A folder on a server, below the folder that the login ends in."""

    def __init__(self, address: Address, options: RootOptions) -> None:
        self.name = address.name
        self._address = address
        self._options = options
        self._connections: Connections[_Session] = Connections(
            self._connect,
            lambda session: session.ftp.close(),
            passing=_LOST,
            attempts=options.attempts,
            limit=_CONNECTIONS,
        )

    def list(self) -> Iterator[Stored]:
        """Return every file below."""
        return iter(self._run("", lambda session: session.walk()))

    def read(self, path: str) -> bytes | None:
        """Return the content, or None."""
        check_path(path)
        return self._run(path, lambda session: session.read(path))

    def write(self, path: str, content: bytes, about: About = NOTHING) -> None:
        """Put the content there by a rename; nothing of `about` is kept."""
        check_path(path)
        self._run(path, lambda session: session.write(path, content))

    def delete(self, paths: Sequence[str]) -> None:
        """Delete these files."""
        for path in paths:
            check_path(path)
            self._run(path, _deletion(path))

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def make_folder(self, path: str) -> bool:
        """Make the folder; False where it is there."""
        return self._run(path, lambda session: session.make_folder(path), again=False)

    def remove_folder(self, path: str) -> None:
        """Remove the empty folder."""
        self._run(path, lambda session: session.remove_folder(path), again=False)

    def _run(self, path: str, operation: Callable[[_Session], Result], *, again: bool = True) -> Result:
        where = f"{self.name.rstrip('/')}/{path}" if path else self.name
        try:
            return self._connections.run(operation, again=again)
        except UnicodeDecodeError:
            raise OffhookError(f"{where} holds a name that is not UTF-8", hint="rename it on the server") from None
        except (OSError, EOFError, ftplib.Error) as error:
            forget(error)
            raise _refused(error, where) from error

    def _connect(self) -> _Session:
        found = find_credentials(self._address, self._options)
        ftp = self._new()
        try:
            ftp.connect(self._address.host, self._address.port or ftplib.FTP_PORT)
            try:
                # over TLS, login begins with AUTH TLS
                ftp.login(found.username, found.password)
            except ftplib.error_perm as error:
                if str(error)[:3] in ("530", "332"):
                    raise OffhookError(
                        f"{self.name}: the server refuses the login", hint=credentials_hint(self._options)
                    ) from error
                raise
            if isinstance(ftp, ftplib.FTP_TLS):
                ftp.prot_p()
            ftp.voidcmd("TYPE I")
            return _Session(ftp, self._address.path, self.name)
        except BaseException:
            ftp.close()
            raise

    def _new(self) -> ftplib.FTP:
        timeout_s = self._options.timeout_s
        if self._address.scheme == "ftp":
            return ftplib.FTP(timeout=timeout_s)
        try:
            context = ssl.create_default_context(cafile=self._options.ca_file)
        except OSError as error:
            raise OffhookError(
                f"{self._options.ca_file} cannot be read", hint="it holds authorities, as PEM"
            ) from error
        return _Tls(context=context, timeout=timeout_s)


def _deletion(path: str) -> Callable[[_Session], None]:
    return lambda session: session.delete(path)


class _Session:
    """One connection, logged in."""

    def __init__(self, ftp: ftplib.FTP, folder: str, name: str) -> None:
        self.ftp = ftp
        self._name = name
        home = ftp.pwd().rstrip("/")
        self._top = f"{home}/{folder}" if folder else home or "/"

    def walk(self) -> list[Stored]:
        found, folders = [], [""]
        while folders:
            folder = folders.pop()
            for name, kind, size in self._entries(self._full(folder)):
                path = f"{folder}/{name}" if folder else name
                if kind == "dir":
                    folders.append(path)
                elif kind == "file" and is_path(path):
                    found.append(Stored(path, size))
        return found

    def read(self, path: str) -> bytes | None:
        body = io.BytesIO()
        try:
            self.ftp.retrbinary(f"RETR {self._full(path)}", body.write)
        except ftplib.error_perm as error:
            if str(error).startswith("550") and not self._is_there(path):
                return None
            raise
        return body.getvalue()

    def write(self, path: str, content: bytes) -> None:
        temporary = own_path(path, TEMPORARY)
        try:
            try:
                self._store(temporary, content)
            except ftplib.error_perm as error:
                if "/" not in path or str(error)[:3] not in ("550", "553"):
                    raise
                self._make_folders(path)
                self._store(temporary, content)
            self._rename(temporary, path)
        except (OffhookError, ftplib.Error):
            with suppress(ftplib.Error, OSError, EOFError):
                self.ftp.delete(self._full(temporary))
            raise

    def delete(self, path: str) -> None:
        try:
            self.ftp.delete(self._full(path))
        except ftplib.error_perm as error:
            if not str(error).startswith("550") or self._is_there(path):
                raise

    def make_folder(self, path: str) -> bool:
        for last in (False,) * 9 + (True,):
            try:
                self.ftp.voidcmd(f"MKD {self._full(path)}")
            except ftplib.error_perm:
                if self._is_there(path):
                    return False
                if last:
                    raise  # nobody is removing it between the two questions: the server makes none
            else:
                return True
        raise AssertionError("the last try returns or raises")

    def remove_folder(self, path: str) -> None:
        self.ftp.rmd(self._full(path))

    def _full(self, path: str) -> str:
        return f"{self._top.rstrip('/')}/{path}" if path else self._top

    def _store(self, path: str, content: bytes) -> None:
        self.ftp.storbinary(f"STOR {self._full(path)}", io.BytesIO(content), blocksize=65536)

    def _rename(self, temporary: str, path: str) -> None:
        try:
            self.ftp.rename(self._full(temporary), self._full(path))
        except ftplib.error_perm as error:
            if self._is_there(path):
                raise OffhookError(
                    f"{self._name}: the server does not rename over {path}, which is there",
                    hint="no file can be replaced in one step here: let the server overwrite, or use another kind",
                ) from error
            raise

    def _make_folders(self, path: str) -> None:
        parts = path.split("/")[:-1]
        for end in range(1, len(parts) + 1):
            try:
                self.ftp.voidcmd(f"MKD {self._full('/'.join(parts[:end]))}")
            except ftplib.error_perm:
                continue  # it is there; if not, the next command says so

    def _is_there(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        try:
            return any(entry[0] == name for entry in self._entries(self._full(folder)))
        except ftplib.error_perm:
            # no such folder, or one that may not be listed: then what is in it may be there
            if folder:
                return self._is_there(folder)
            raise

    def _entries(self, full: str) -> list[tuple[str, str, int]]:
        """Name, kind (file, dir, or another) and size of what a folder holds."""
        try:
            return [
                (name, facts.get("type", "").lower(), int(facts.get("size", 0)))
                for name, facts in self.ftp.mlsd(full, ["type", "size"])
            ]
        except ftplib.error_perm as error:
            if not str(error).startswith(_UNKNOWN):
                raise
        return self._entries_without_mlsd(full)

    def _entries_without_mlsd(self, full: str) -> list[tuple[str, str, int]]:
        """vsftpd has no MLSD: what has a size is a file, what can be entered a folder."""
        self.ftp.cwd(full)
        names = self._names("-a") or self._names()  # with names that begin with a dot, where the server knows how
        return [
            self._entry(full, name.rpartition("/")[2]) for name in names if name.rpartition("/")[2] not in (".", "..")
        ]

    def _names(self, *options: str) -> list[str]:
        try:
            return self.ftp.nlst(*options)
        except ftplib.error_perm as error:
            if str(error).startswith("550"):
                return []  # so some say that a folder is empty
            raise
        finally:
            self.ftp.voidcmd("TYPE I")  # nlst makes it text, of which servers tell no size

    def _entry(self, full: str, name: str) -> tuple[str, str, int]:
        path = f"{full.rstrip('/')}/{name}"
        try:
            return name, "file", self.ftp.size(path) or 0
        except ftplib.error_perm:
            pass
        try:
            self.ftp.cwd(path)
        except ftplib.error_perm:
            return name, "other", 0
        return name, "dir", 0


def _refused(error: Exception, where: str) -> OffhookError:
    """What to say of a reply (RFC 959, section 4.2) or of a connection; the server's own text is not shown."""
    if isinstance(error, ssl.SSLError):
        return OffhookError(
            f"{where}: no TLS connection that can be trusted",
            hint="name the certificate's authority with a CA file; check the host name",
        )
    if isinstance(error, socket.gaierror):
        return OffhookError(f"{where}: there is no such host", hint="check the name in the address")
    if isinstance(error, ConnectionRefusedError):
        return OffhookError(f"{where}: connection refused", hint="does the server run, and on this port?")
    if isinstance(error, TimeoutError):
        return OffhookError(f"{where}: the server does not answer", hint="can it be reached from here?")
    if isinstance(error, (EOFError, OSError)):
        return OffhookError(f"{where}: the connection breaks off", hint="is it an FTP server? try again later")
    reply = str(error)[:3]
    message, hint = _REPLIES.get(reply, ("the server refuses", "look at its log"))
    return OffhookError(f"{where}: {message} (reply {reply})", hint=hint)
