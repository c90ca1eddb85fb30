"""The journal of a campaign: what was done to each phone, written before it is done, in a file that survives a kill.

Comes in: `Row`s, each one fact about one phone (or, without a MAC, about the campaign). Goes out: lines of JSON, each
with a checksum, and a file that only ever grows: one process has its lock, `sync` brings a group of rows to the disk,
and after that they may be acted on. A last line that is torn is dropped: nothing was done for it yet. Damage before
the last line is refused. `compact` rewrites the file with what still counts and replaces it in one step.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import RawIOBase
from pathlib import Path
from typing import Any

from offhook.problem import OffhookError
from offhook.rollout.campaign.rows import Row

FORMAT = 1
_SUM = ',"sum":"'
_DIGITS = 16
_TAIL = len(_SUM) + _DIGITS + len('"}')
_LIKE = {"state": str, "mac": str, "at": (int, float), "to": str, "status": int, "why": str, "wave": int}


@dataclass(frozen=True, slots=True)
class Held:
    """What a journal holds. `about` is what was said when it was made; `size` is how many of its bytes are whole."""

    about: dict[str, Any]
    rows: tuple[Row, ...]
    size: int


@dataclass(slots=True)
class Journal:
    """A journal that this process writes. `rows` waits for `sync`: only then may anything be done for them."""

    path: Path
    held: Held
    _file: RawIOBase = field(repr=False)
    _waiting: list[bytes] = field(default_factory=list, repr=False)

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows; they are not on the disk before `sync`."""
        self._waiting.extend(map(line_of, rows))

    def sync(self) -> None:
        """Bring every row that was taken to the disk, in one write. Raises OffhookError where the disk refuses."""
        if not self._waiting:
            return
        size = self._file.seek(0, os.SEEK_END)
        try:
            _write(self._file, b"".join(self._waiting))
        except OSError as error:
            # half a line must not stand before the next one
            with suppress(OSError):
                self._file.truncate(size)
            raise OffhookError(
                f"{self.path}: the journal cannot be written: {error.strerror}",
                hint="nothing more is done that could not be accounted for; make room and resume",
            ) from error
        self._waiting.clear()

    def compact(self, rows: Iterable[Row]) -> None:
        """Replace the file by these rows, which must tell the same. Stopped at any moment, one of the two is there."""
        self.sync()
        new = self.path.with_name(self.path.name + ".new")
        with new.open("wb", buffering=0) as file:
            _write(file, head_of(self.held.about) + b"".join(map(line_of, rows)))
        new.replace(self.path)
        _sync_folder(self.path.parent)
        self._file.close()
        self._file = self.path.open("ab", buffering=0)


def head_of(about: dict[str, Any]) -> bytes:
    """Return a journal's first line: plain data that says which campaign it is."""
    return _line({"format": FORMAT, "about": about})


def line_of(row: Row) -> bytes:
    """Return a row as a line; what it does not say is left out."""
    said = {name: value for name in _LIKE if (value := getattr(row, name)) or name == "state"}
    return _line(said)


def parse(content: bytes, place: str) -> Held:
    """Return what a journal holds; a torn last line is left out. Raises OffhookError where it is damaged elsewhere."""
    lines = content.split(b"\n")
    whole = [_parsed(line) for line in lines[:-1]]
    if whole and whole[-1] is None:
        whole.pop()
    if not whole:
        return Held({}, (), 0)
    head, *others = whole
    if head is None or None in others:
        raise damaged(place)
    if head.get("format") != FORMAT or not isinstance(head.get("about"), dict):
        raise OffhookError(f"{place} is no journal that this offhook knows", hint="a newer one may have written it")
    rows = tuple(_row(one, place) for one in others if one is not None)
    return Held(head["about"], rows, sum(len(line) + 1 for line in lines[: len(whole)]))


def read_journal(path: Path) -> Held | None:
    """Return what a journal holds, without a lock, for a report; None where there is none."""
    try:
        return parse(path.read_bytes(), str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        said = f"{path}: the journal cannot be read: {error.strerror}"
        raise OffhookError(said, hint="look at its rights") from error


class Busy(OffhookError):
    """Another process writes the journal."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the journal at a path. Raises Busy where another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # the lock is a file of its own, as compacting gives the journal's name to another one
    with path.with_name(path.name + ".lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(
                f"{path}: another process writes this journal",
                hint="one run at a time: `offhook rollout pause` lets the other one rest",
            ) from error
        yield


@contextmanager
def open_journal(path: Path, about: dict[str, Any], *, first: Callable[[], None] = lambda: None) -> Iterator[Journal]:
    """Yield the journal at a path; one that is there goes on, and `about` is only for a new one.

    `first` is done when nobody else can write it any more. Rows that are not synced when the block ends are synced.
    Raises Busy where another process writes it.
    """
    with locked(path):
        first()
        held = read_journal(path)
        if held is None or not held.size:
            _begin(path, about)
            held = Held(about, (), len(head_of(about)))
        with path.open("r+b") as file:
            file.truncate(held.size)
            os.fsync(file.fileno())
        journal = Journal(path, held, path.open("ab", buffering=0))
        try:
            yield journal
            journal.sync()
        finally:
            journal._file.close()


def damaged(place: str) -> OffhookError:
    """Return the refusal of a journal that is damaged before its last line."""
    return OffhookError(
        f"{place} is damaged: a line before the last is not what offhook wrote",
        hint="move it away and run `offhook rollout resume` or `revert`: the state knows who was switched, "
        "and who was notified is not known any more",
    )


def _begin(path: Path, about: dict[str, Any]) -> None:
    new = path.with_name(path.name + ".new")
    with new.open("wb", buffering=0) as file:
        _write(file, head_of(about))
    new.replace(path)
    _sync_folder(path.parent)


def _write(file: RawIOBase, content: bytes) -> None:
    """Write all of it, to the disk."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) or 0 :]
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _line(data: dict[str, Any]) -> bytes:
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))[:-1]
    return f'{text}{_SUM}{_digest(text.encode())}"}}\n'.encode()


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A line's data; None where its checksum is wrong."""
    text, end = line[:-_TAIL], line[-_TAIL:]
    if end != f'{_SUM}{_digest(text)}"}}'.encode():
        return None
    try:
        data = json.loads(text + b"}")
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _row(data: dict[str, Any], place: str) -> Row:
    known = {name: value for name, value in data.items() if name in _LIKE}
    for name, value in known.items():
        if not isinstance(value, _LIKE[name]) or isinstance(value, bool):  # type: ignore[arg-type]
            raise damaged(place)
    if "state" not in known:
        raise damaged(place)
    return Row(**known)


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:_DIGITS]
