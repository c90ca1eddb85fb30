"""SFTP as a root, by paramiko: a temporary file in the same folder, then posix-rename over the name.

The rename is OpenSSH's extension posix-rename@openssh.com (PROTOCOL, section 4.3); SFTP's own refuses a name that is
there. Keys come from the agent, `~/.ssh` or the options, a password from the environment or netrc. The host's key must
be in known_hosts; none is ever added. A connection serves one thread at a time.
"""

from __future__ import annotations

import errno
import logging
import os
import posixpath
import socket
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import paramiko

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

_CONNECTIONS = 8
"""OpenSSH refuses at random from 10 connections that have not logged in (sshd_config, MaxStartups)."""

_SYSTEM_KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")
_LOST = (EOFError, ConnectionError, TimeoutError, paramiko.SSHException)

# paramiko logs tracebacks, which without any handler would reach standard error
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class _UnknownHost(Exception):
    """No known_hosts file has a key of this host."""


class _Refuse(paramiko.MissingHostKeyPolicy):
    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        raise _UnknownHost


class _Session:
    """A logged-in connection and its SFTP channel."""

    def __init__(self, client: paramiko.SSHClient, timeout_s: float) -> None:
        self.client = client
        self.sftp = client.open_sftp()
        channel = self.sftp.get_channel()
        if channel:
            channel.settimeout(timeout_s)

    def do(self, operation: Callable[[paramiko.SFTPClient], Result]) -> Result:
        try:
            return operation(self.sftp)
        except OSError as error:
            transport = self.client.get_transport()
            if transport is None or not transport.is_active():
                raise ConnectionResetError from error  # paramiko says "Socket is closed", which looks like a refusal
            raise


class Sftp:
    """A folder on a server; the path of the address is absolute, `/~/phones` begins at the login folder."""

    def __init__(self, address: Address, options: RootOptions) -> None:
        self.name = address.name
        self._address = address
        self._options = options
        home = address.path.removeprefix("~/") if address.path.startswith("~/") else ""
        self._top = home or ("." if address.path == "~" else f"/{address.path}")
        self._connections: Connections[_Session] = Connections(
            self._connect,
            lambda session: session.client.close(),
            passing=_LOST,
            attempts=options.attempts,
            limit=_CONNECTIONS,
        )

    def list(self) -> Iterator[Stored]:
        """Return every regular file below."""
        return iter(self._run("", self._walk))

    def read(self, path: str) -> bytes | None:
        """Return the content, or None."""
        full = self._full(path)

        def read(sftp: paramiko.SFTPClient) -> bytes | None:
            try:
                with sftp.open(full, "rb") as file:
                    file.prefetch()
                    return file.read()
            except FileNotFoundError:
                return None

        return self._run(path, read)

    def write(self, path: str, content: bytes, about: About = NOTHING) -> None:
        """Put the content there by a rename; nothing of `about` is kept."""
        full = self._full(path)
        self._run(path, lambda sftp: self._write(sftp, full, content))

    def delete(self, paths: Sequence[str]) -> None:
        """Remove these files."""
        for path in paths:
            full = self._full(path)

            def remove(sftp: paramiko.SFTPClient, full: str = full) -> None:
                try:
                    sftp.remove(full)
                except FileNotFoundError:
                    return

            self._run(path, remove)

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def make_folder(self, path: str) -> bool:
        """Make the folder; False where it is there."""
        full = self._full(path)

        def make(sftp: paramiko.SFTPClient) -> bool:
            for last in (False,) * 9 + (True,):
                try:
                    sftp.mkdir(full)
                except OSError as error:
                    if _exists(sftp, full):
                        return False
                    if last or error.errno is not None:
                        raise  # nobody is removing it between the two questions: the server makes none
                else:
                    return True
            raise AssertionError("the last try returns or raises")

        return self._run(path, make, again=False)

    def remove_folder(self, path: str) -> None:
        """Remove the empty folder."""
        full = self._full(path)
        self._run(path, lambda sftp: sftp.rmdir(full), again=False)

    def _full(self, path: str) -> str:
        return posixpath.join(self._top, check_path(path))

    def _walk(self, sftp: paramiko.SFTPClient) -> Iterable[Stored]:
        found, folders = [], [""]
        while folders:
            folder = folders.pop()
            for entry in sftp.listdir_attr(posixpath.join(self._top, folder)):
                path = posixpath.join(folder, entry.filename)
                mode = entry.st_mode or 0
                if stat.S_ISDIR(mode):
                    folders.append(path)
                elif stat.S_ISREG(mode) and is_path(path):
                    found.append(Stored(path, entry.st_size or 0))
        return found

    def _write(self, sftp: paramiko.SFTPClient, full: str, content: bytes) -> None:
        temporary = own_path(full, TEMPORARY)
        try:
            try:
                _put(sftp, temporary, content)
            except FileNotFoundError:
                self._make_folders(sftp, full)
                _put(sftp, temporary, content)
            sftp.posix_rename(temporary, full)
        except OSError:
            with suppress(OSError):
                sftp.remove(temporary)
            raise

    def _make_folders(self, sftp: paramiko.SFTPClient, full: str) -> None:
        sftp.stat(self._top)  # the root itself is not made
        folder = self._top
        for part in posixpath.dirname(full)[len(self._top) :].strip("/").split("/"):
            folder = posixpath.join(folder, part)
            try:
                sftp.mkdir(folder)
            except OSError:
                if not _exists(sftp, folder):
                    raise

    def _run(self, path: str, operation: Callable[[paramiko.SFTPClient], Result], *, again: bool = True) -> Result:
        where = f"{self.name.rstrip('/')}/{path}" if path else self.name
        try:
            return self._connections.run(lambda session: session.do(operation), again=again)
        except UnicodeDecodeError:
            raise OffhookError(f"{where} holds a name that is not UTF-8", hint="rename it on the server") from None
        except _LOST as error:
            forget(error)
            raise self._lost(error, where) from error
        except OSError as error:
            forget(error)
            raise _refused(error, where) from error

    def _connect(self) -> _Session:
        found = find_credentials(self._address, self._options)
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(_Refuse())
        timeout_s = self._options.timeout_s
        key = self._options.ssh_key
        if key and not os.access(key, os.R_OK):
            raise OffhookError(f"{key} cannot be read", hint="it holds the private key to log in with")
        try:
            self._load_known_hosts(client)
            client.connect(
                self._address.host,
                self._address.port or 22,
                username=found.username or None,
                password=found.password or None,
                key_filename=str(key) if key else None,
                look_for_keys=key is None,
                timeout=timeout_s,
                banner_timeout=timeout_s,
                auth_timeout=timeout_s,
            )
            return _Session(client, timeout_s)
        except BaseException as error:
            client.close()
            if isinstance(error, (_UnknownHost, paramiko.BadHostKeyException, paramiko.AuthenticationException)):
                raise self._distrusted(error) from error
            if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
                raise ConnectionRefusedError(errno.ECONNREFUSED, "connection refused") from error
            raise

    def _load_known_hosts(self, client: paramiko.SSHClient) -> None:
        named = self._options.known_hosts
        try:
            client.load_system_host_keys(str(named) if named else None)
            if named is None and _SYSTEM_KNOWN_HOSTS.exists():
                client.load_system_host_keys(str(_SYSTEM_KNOWN_HOSTS))
        except (OSError, UnicodeDecodeError, paramiko.SSHException) as error:
            raise OffhookError(f"{named or 'known_hosts'} cannot be read", hint="does the file exist?") from error

    def _distrusted(self, error: Exception) -> OffhookError:
        host, port = self._address.host, self._address.port or 22
        entry = host if port == 22 else f"[{host}]:{port}"
        if isinstance(error, _UnknownHost):
            return OffhookError(
                f"{self.name}: the key of host {entry} is not known",
                hint=f"ssh-keyscan -p {port} {host}, compare it with the server's own, add it to known_hosts",
            )
        if isinstance(error, paramiko.BadHostKeyException):
            return OffhookError(
                f"{self.name}: the key of host {entry} is another one than known_hosts has",
                hint="ask the server's owner: somebody may be in between; if it was renewed, change known_hosts",
            )
        return OffhookError(
            f"{self.name}: the server refuses the login",
            hint=f"ssh-add -l shows the agent's keys; or {credentials_hint(self._options)}",
        )

    def _lost(self, error: Exception, where: str) -> OffhookError:
        if isinstance(error, ConnectionRefusedError):
            return OffhookError(f"{where}: connection refused", hint="does the server run, and on this port?")
        if isinstance(error, TimeoutError):
            return OffhookError(f"{where}: the server does not answer", hint="can it be reached from here?")
        return OffhookError(
            f"{where}: the connection breaks off", hint="is it an SSH server with SFTP? try again later"
        )


def _put(sftp: paramiko.SFTPClient, full: str, content: bytes) -> None:
    with sftp.open(full, "wbx") as file:
        file.set_pipelined(True)
        file.write(content)
    # errors of pipelined writes may come after the last look at them
    size = sftp.stat(full).st_size
    if size != len(content):
        raise OSError(None, f"{size} of {len(content)} bytes arrived")


def _exists(sftp: paramiko.SFTPClient, full: str) -> bool:
    try:
        sftp.stat(full)
    except OSError:
        return False
    return True


def _refused(error: OSError, where: str) -> OffhookError:
    """What to say of a status of the server's (draft-ietf-secsh-filexfer-02, section 7), or of a host's name."""
    if isinstance(error, socket.gaierror):
        return OffhookError(f"{where}: there is no such host", hint="check the name in the address")
    if error.errno == errno.ENOENT:
        return OffhookError(f"{where}: no such folder", hint="make the root's folder on the server")
    if error.errno == errno.EACCES:
        return OffhookError(f"{where}: permission denied", hint="whose folder is it, and who logs in?")
    if error.errno == errno.EHOSTUNREACH or error.errno == errno.ENETUNREACH:
        return OffhookError(f"{where}: {os.strerror(error.errno)}".lower(), hint="check the network")
    return OffhookError(
        f"{where}: the server fails, and does not say why",
        hint="is its disk full, is a folder in the way, does it have posix-rename@openssh.com?",
    )
