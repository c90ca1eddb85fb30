"""The git program, run for what needs the user's credentials, hooks and identity: fetch, push, a ref's new value.

It never asks: no terminal is left to it, so what would prompt fails. It has a time to end in, and whoever it started
ends with it.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from typing import IO, Any, NamedTuple

from offhook.problem import OffhookError
from offhook.texts import one_line

TIMEOUT_S = 60.0
"""How long one call may take: a remote that answers gives or takes a few records in a second or two."""

_PATIENCE_S = 3.0  # to remove its locks and temporary files
_MOST = 65_536  # bytes that are read of what it says

# `git rev-parse --local-env-vars` without those that carry configuration: what a hook says of another repository
_OF_A_HOOK = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)
# up to the last @ of a word: a password may hold one, or a slash, though it should not
_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s'\"]*@")
_QUERY = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s'\"?]*)\?[^\s'\"]*")


class Said(NamedTuple):
    """What came of a call: its exit code (0: done), and what it wrote, of which the first 64 KiB are kept."""

    code: int
    out: str
    err: str


_SECRETS = ("OFFHOOK_", "SOPS_")


class Unanswered(OffhookError):
    """The git program did not end in time."""


def environment() -> dict[str, str]:
    """Return the variables that the git program gets: the user's own, no hook's, no secret's, and no questions."""
    kept = {
        name: value for name, value in os.environ.items() if name not in _OF_A_HOOK and not name.startswith(_SECRETS)
    }
    return kept | {"GIT_TERMINAL_PROMPT": "0"}


def run_git(repository: Any, *arguments: str, timeout_s: float = TIMEOUT_S) -> Said:
    """Run the git program on an open repository to its end, in English, without a shell and without a terminal.

    Raises OffhookError where there is no such program, Unanswered where it takes longer than `timeout_s` seconds.
    """
    place = repository.workdir  # from which relative addresses of remotes count
    folder = place if place and os.path.isdir(place) else repository.path
    command = ["git", f"--git-dir={repository.path}", *arguments]
    try:
        # files, not pipes: a connection that ssh keeps for later (ControlPersist) would hold a pipe open
        with _file() as out, _file() as err:
            code = _run(command, folder, out, err, timeout_s)
            return Said(code, _text(out), _text(err))
    except OSError as error:
        raise OffhookError(f"cannot run git: {error.strerror}", hint="install git 2.29 or later") from error


def _file() -> IO[bytes]:
    """A file without a name: in memory, where the system can."""
    return os.fdopen(os.memfd_create("git"), "w+b") if hasattr(os, "memfd_create") else tempfile.TemporaryFile()


def _run(command: Sequence[str], folder: str, out: IO[bytes], err: IO[bytes], timeout_s: float) -> int:
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment() | {"LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        start_new_session=True,
    )
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired as error:
        raise Unanswered(f"git did not end within {timeout_s:g} s", hint="git status says whether it works") from error
    finally:
        _end(process)


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read(_MOST).decode("utf-8", "replace")


def shown(text: str) -> str:
    """Return a line that git wrote as it may be shown: no user, password or query in an address, one line."""
    return one_line(_QUERY.sub(r"\1", _USERINFO.sub(r"\1", text)))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what still runs, with all that it started: they share a session of their own."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
