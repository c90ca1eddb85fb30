"""A folder as a root, and as a state location.

A write is a temporary file in the same folder, fsync, rename, fsync of the folder: nobody sees half a file, also after
a power cut. No link below the folder is followed: every step is relative to an open folder (openat(2), O_NOFOLLOW), so
that nobody can swap one in meanwhile. The folder must exist: a mount that is not there must not be published beside.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from offhook.problem import OffhookError
from offhook.publish.roots.root import NOTHING, OWN, TEMPORARY, About, Stored, check_path, is_path, own_path
from offhook.publish.roots.swapping import can_swap, look_and_write

_LOCK = f"{OWN}lock"
_LOCK_WAIT_S = 10.0
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

_HINTS = {
    errno.EACCES: "whose folder is it, and who runs offhook?",
    errno.EPERM: "whose folder is it, and who runs offhook?",
    errno.EROFS: "mount it for writing",
    errno.ENOSPC: "make room, and publish again",
    errno.EDQUOT: "make room in the quota, and publish again",
    errno.ENAMETOOLONG: "shorten the name",
    errno.EISDIR: "move the folder away",
    errno.ENOTDIR: "a part of the path is a file: move it away",
}


class Directory:
    """A folder. Threads share nothing but its path."""

    def __init__(self, path: Path, *, file_mode: int = 0o666, folder_mode: int = 0o777) -> None:
        self._path = path
        self._file_mode = file_mode
        self._folder_mode = folder_mode

    @property
    def name(self) -> str:
        """The folder."""
        return str(self._path)

    def list(self) -> Iterator[Stored]:
        """Return every regular file below, sorted in each folder; those with names that are not UTF-8 are left out."""
        with self._refusals(""), self._folder((), make=False) as top:
            for folder, folders, files, descriptor in os.fwalk(".", dir_fd=top, onerror=_refuse):
                folders.sort()
                for name in sorted(files):
                    path = f"{folder}/{name}"[2:]
                    found = _status(name, descriptor)
                    if found and stat.S_ISREG(found.st_mode) and is_path(path):
                        yield Stored(path, found.st_size)

    def read(self, path: str) -> bytes | None:
        """Return the content, or None; a link or a device is refused."""
        *folders, name = check_path(path).split("/")
        with self._refusals(path):
            try:
                with self._folder(folders, make=False) as folder:
                    # without waiting: the name may be a pipe's
                    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                    with open(os.open(name, flags, dir_fd=folder), "rb") as file:
                        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                            raise OffhookError(f"{self._path / path} is no regular file", hint="move it away")
                        return file.read()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def write(self, path: str, content: bytes, about: About = NOTHING) -> None:
        """Put the content there by a rename; nothing of `about` is kept."""
        *folders, name = check_path(path).split("/")
        with self._refusals(path), self._folder(folders, make=True) as folder:
            found = _status(name, folder)
            if found and not stat.S_ISREG(found.st_mode):
                raise OffhookError(f"{self._path / path} is no regular file", hint="move it away")
            temporary = own_path("", TEMPORARY)
            try:
                self._write_new(temporary, content, folder)
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                _unlink(temporary, folder)
                raise
            os.fsync(folder)

    def delete(self, paths: Sequence[str]) -> None:
        """Unlink these files."""
        for path in paths:
            *folders, name = check_path(path).split("/")
            with self._refusals(path):
                try:
                    with self._folder(folders, make=False) as folder:
                        _unlink(name, folder)
                except (FileNotFoundError, NotADirectoryError):
                    continue

    def close(self) -> None:
        """Do nothing: no call leaves anything open."""

    def _write_new(self, name: str, content: bytes, folder: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(name, flags, self._file_mode, dir_fd=folder)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _folder(self, parts: Sequence[str], *, make: bool) -> Iterator[int]:
        """Open a folder below the root, part by part, and none that is a link."""
        try:
            descriptor = os.open(self._path, _FOLDER)
        except FileNotFoundError as error:
            raise OffhookError(f"{self._path} does not exist", hint=f"mkdir -p {self._path}, or mount it") from error
        except NotADirectoryError as error:
            raise OffhookError(f"{self._path} is no folder", hint="name a folder") from error
        try:
            for part in parts:
                found = _status(part, descriptor)
                if found is None and make:
                    self._make_folder(part, descriptor)
                elif found and stat.S_ISLNK(found.st_mode):
                    raise OffhookError(f"{self._path} has a link {part}, which is not followed", hint="move it away")
                inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)

    def _make_folder(self, name: str, folder: int) -> None:
        try:
            os.mkdir(name, self._folder_mode, dir_fd=folder)
        except FileExistsError:
            return  # another thread was sooner
        os.fsync(folder)

    @contextmanager
    def _refusals(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = self._path / path if path else self._path
            hint = _HINTS.get(error.errno or 0, "look at it on the machine itself")
            raise OffhookError(f"{where}: {(error.strerror or 'refused').lower()}", hint=hint) from error


class DirectoryState(Directory):
    """A folder as a state location: for its owner's eyes, compared and swapped under a file lock (flock(2)).

    The lock is the kernel's and ends with its process, however that ends. A version is the content's SHA-256.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, file_mode=0o600, folder_mode=0o700)
        self._probed: bool | None = None

    def read_version(self, path: str) -> tuple[bytes, str] | None:
        """Return content and its digest."""
        content = self.read(path)
        return None if content is None else (content, hashlib.sha256(content).hexdigest())

    def write_version(self, path: str, content: bytes, version: str | None) -> bool:
        """Compare and write while nobody else does."""
        with self._locked():
            return look_and_write(self, path, content=content, version=version)

    def swaps(self) -> bool:
        """Try it: some network file systems have no locks that hold."""
        if self._probed is None:
            self._probed = can_swap(self)
        return self._probed

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._refusals(_LOCK), self._folder((), make=False) as folder:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(_LOCK, flags, 0o600, dir_fd=folder)
        try:
            with self._refusals(_LOCK):
                self._wait_for(descriptor)
            yield
        finally:
            os.close(descriptor)  # which unlocks

    def _wait_for(self, descriptor: int) -> None:
        end = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise OffhookError(
                        f"{self._path / _LOCK} stays locked", hint="another offhook hangs there: fuser names it"
                    ) from None
            time.sleep(0.005)


def _status(name: str, folder: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _unlink(name: str, folder: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _refuse(error: OSError) -> None:
    raise error
