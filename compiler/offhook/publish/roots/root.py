"""What every kind of root promises, and which paths it takes.

A root holds objects by path. A path is the tree's: `sites/berlin.cfg`, UTF-8, parts joined by `/`, never absolute,
never with `.` or `..`. Every method may be called by several threads at once, and raises OffhookError, with one line,
a next step and no credential, where the world refuses: no such place, no permission, no room, no answer.
"""

from __future__ import annotations

import re
import secrets
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from offhook.problem import OffhookError

MAX_PATH_BYTES = 900
"""Bytes of a path in UTF-8. Amazon S3 takes keys of 1,024 (User Guide, "Naming Amazon S3 objects"), prefix included."""

OWN = ".offhook-"
"""How the names of offhook's own files in a root begin: temporary files, locks and probes."""

TEMPORARY = "part"
"""What `own_path` is told for a temporary file."""

_REFUSED = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")


class Stored(NamedTuple):
    """One object: its path below the root, and its size in bytes."""

    path: str
    size: int


class Content(NamedTuple):
    """An object to write: its path below the root, and its bytes."""

    path: str
    data: bytes


class About(NamedTuple):
    """What is said of an object, where the kind of root can keep it; empty texts are not said.

    S3 keeps all three, the commit as metadata `commit`. A PUT says the content type. Others keep none.
    """

    content_type: str = ""
    cache_control: str = ""
    commit: str = ""


NOTHING = About()
"""Nothing to say."""


class Root(Protocol):
    """A place that holds a tree. `name` is its address for people: it never holds a password."""

    @property
    def name(self) -> str:
        """The address as it was given."""

    def list(self) -> Iterator[Stored]:
        """Return everything below the root, and nothing beside it; links and folders are nothing.

        Temporary files of a write, running or killed, are among it: `is_own` tells them. The order is the kind's.
        Raises Unlistable where the kind has no way to ask.
        """

    def read(self, path: str) -> bytes | None:
        """Return the content, or None where it is not there."""

    def write(self, path: str, content: bytes, about: About = NOTHING) -> None:
        """Put the content there, whole or not at all, also for who reads meanwhile; folders below the root are made."""

    def delete(self, paths: Sequence[str]) -> None:
        """Delete these objects. Those that are not there are fine; a folder is refused, and never emptied."""

    def close(self) -> None:
        """Let go of connections. The root may not be used afterwards; closing twice is fine."""


class Versioned(Protocol):
    """What a state location (manifest, intents, locks) needs: compare-and-swap.

    A version is opaque and stands for a content: a content that was there before may have its old version again. What
    must not be mistaken for an older one needs something of its own in it, as intents and manifests have.
    """

    def read_version(self, path: str) -> tuple[bytes, str] | None:
        """Return content and version, or None where it is not there."""

    def write_version(self, path: str, content: bytes, version: str | None) -> bool:
        """Write where the version is still this one (None: where nothing is there); False: somebody was sooner.

        Only to be believed where `swaps` says so; elsewhere it is a look and then a write.
        """

    def swaps(self) -> bool:
        """Return whether `write_version` can be believed: tried on probe objects the first time, never assumed."""


class State(Root, Versioned, Protocol):
    """A state location is a root, too: intents are listed and deleted."""


class Unlistable(OffhookError):
    """This kind of root has no way to list what is there."""


class Passing(OffhookError):
    """What may pass by itself: throttling, an error of the server's own, a lost connection. It was tried in vain."""


@dataclass(frozen=True, slots=True)
class RootOptions:
    """What an address does not say. Credentials are never among it: see `credentials` and the pages of each kind.

    `endpoint`, `region` and `addressing` (auto, path, virtual) are S3's; empty ones are boto3's to find. `ca_file`
    holds authorities to trust instead of the usual ones. `known_hosts` and `ssh_key` are SFTP's, `~/.ssh` otherwise.
    `username_variable` and `password_variable` name environment variables. `attempts` bounds how often something that
    may pass (throttling, 5xx, a lost connection) is tried, with growing random pauses.
    """

    endpoint: str = ""
    region: str = ""
    addressing: str = "auto"
    ca_file: Path | None = None
    known_hosts: Path | None = None
    ssh_key: Path | None = None
    username_variable: str = "OFFHOOK_ROOT_USERNAME"
    password_variable: str = "OFFHOOK_ROOT_PASSWORD"
    timeout_s: float = 30.0
    attempts: int = 5


def check_path(path: str) -> str:
    """Return the path, or raise OffhookError where no tree has such a one."""
    if not path or _REFUSED.search(path) or any(part in ("", ".", "..") for part in path.split("/")):
        raise OffhookError(f"{path!a} is no path below a root", hint="a/b.cfg is: no /, . or .. at its ends or inside")
    if len(path.encode()) > MAX_PATH_BYTES:
        raise OffhookError(
            f"{path[:40]!a}... is too long for a path: at most {MAX_PATH_BYTES} bytes", hint="shorten it"
        )
    return path


def is_path(path: str) -> bool:
    """Tell whether `check_path` takes it."""
    try:
        check_path(path)
    except OffhookError:
        return False
    return True


def is_own(path: str) -> bool:
    """Tell whether a listed path is offhook's own: left by a killed run, unless one is running now."""
    return path.rpartition("/")[2].startswith(OWN)


def is_temporary(path: str) -> bool:
    """Tell whether a listed path is a write's temporary file."""
    return path.rpartition("/")[2].startswith(f"{OWN}{TEMPORARY}-")


def forget(error: BaseException) -> None:
    """Clear the variables of what an exception came through: libraries keep pieces of files, which hold passwords."""
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen = seen.__context__


def own_path(path: str, what: str) -> str:
    """Return a new name for offhook's own use in the folder of `path`; it begins with a dot, so few servers show it."""
    folder, slash, _ = path.rpartition("/")
    return f"{folder}{slash}{OWN}{what}-{secrets.token_hex(8)}"
