"""From an address to an open root or state location: one table of schemes, each with its opener.

Opening may not reach the server yet; the first use does. Libraries are imported here, when an address asks for them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from offhook.problem import OffhookError
from offhook.publish.roots.address import Address, parse_address
from offhook.publish.roots.root import Root, RootOptions, State

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEFAULTS = RootOptions()


class Writers(NamedTuple):
    """How many write at once: processes, and threads in each."""

    processes: int
    threads: int


ONE = Writers(1, 1)


class Kind(NamedTuple):
    """How an address becomes a root, and how a state location; `extra` is what pip installs for it.

    `writers` are what was quickest, and no more than a kind's connections. Two that write into one folder of a disk
    wait for each other.
    """

    root: Callable[[Address, RootOptions], Root]
    state: Callable[[Address, RootOptions], State]
    extra: str = ""
    writers: Writers = ONE


def open_root(address: str, *, options: RootOptions = _DEFAULTS) -> Root:
    """Return the root at an address. Raises OffhookError where there is no such kind, or its library is missing."""
    parsed = parse_address(address)
    kind = _kind(parsed)
    with _library(kind, parsed):
        return kind.root(parsed, options)


def open_state(address: str, *, options: RootOptions = _DEFAULTS) -> State:
    """Return the state location at an address, like `open_root`. Ask its `swaps` before its `write_version`."""
    parsed = parse_address(address)
    kind = _kind(parsed)
    with _library(kind, parsed):
        return kind.state(parsed, options)


def writers(address: str) -> Writers:
    """Return how many may write to an address at once. Raises OffhookError where there is no such kind."""
    return _kind(parse_address(address)).writers


def _directory(address: Address, options: RootOptions) -> Root:
    from offhook.publish.roots.directory import Directory

    return Directory(Path(address.path))


def _directory_state(address: Address, options: RootOptions) -> State:
    from offhook.publish.roots.directory import DirectoryState

    return DirectoryState(Path(address.path))


def _s3(address: Address, options: RootOptions) -> State:
    from offhook.publish.roots.s3_quick import open_quick_s3

    return open_quick_s3(address, options)


def _sftp(address: Address, options: RootOptions) -> Root:
    from offhook.publish.roots.sftp import Sftp

    return Sftp(address, options)


def _sftp_state(address: Address, options: RootOptions) -> State:
    from offhook.publish.roots.locked import LockedState
    from offhook.publish.roots.sftp import Sftp

    return LockedState(Sftp(address, options))


def _ftp(address: Address, options: RootOptions) -> Root:
    from offhook.publish.roots.ftp import Ftp

    return Ftp(address, options)


def _ftp_state(address: Address, options: RootOptions) -> State:
    from offhook.publish.roots.ftp import Ftp
    from offhook.publish.roots.locked import LockedState

    return LockedState(Ftp(address, options))


def _http(address: Address, options: RootOptions) -> Root:
    from offhook.publish.roots.http import Http

    return Http(address, options)


def _http_state(address: Address, options: RootOptions) -> State:
    from offhook.publish.roots.http_state import HttpState

    return HttpState(address, options)


_FTP = Kind(_ftp, _ftp_state, writers=Writers(1, 4))
_HTTP = Kind(_http, _http_state, "webdav", Writers(1, 8))

KINDS = {
    "": Kind(_directory, _directory_state),
    "s3": Kind(_s3, _s3, "s3", Writers(2, 16)),
    "sftp": Kind(_sftp, _sftp_state, "sftp", Writers(1, 8)),
    "ftp": _FTP,
    "ftps": _FTP,
    "webdav": _HTTP,
    "webdavs": _HTTP,
    "http": _HTTP,
    "https": _HTTP,
}
"""Scheme -> kind; a folder has none."""


def _kind(address: Address) -> Kind:
    try:
        return KINDS[address.scheme]
    except KeyError:
        raise OffhookError(
            f"offhook cannot publish to {address.scheme}://",
            hint=f"a folder, or one of {', '.join(filter(None, KINDS))}",
        ) from None


@contextmanager
def _library(kind: Kind, address: Address) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("offhook"):
            raise
        raise OffhookError(
            f"{address.scheme}:// needs the package {error.name}", hint=f"pip install 'offhook[{kind.extra}]'"
        ) from error
