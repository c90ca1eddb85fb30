"""Writing a tree to a folder, so that nothing half-written is ever there and no stranger's file is lost.

The folder has an index (`.offhook-index`): the paths that offhook wrote. Only files on it are ever replaced
or deleted. A new folder is written beside its place and renamed once; in an existing one each changed file
is replaced by a rename, and the index names old and new files until the last is in place.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from offhook.parallel import map_in_processes, use_in_process
from offhook.problem import OffhookError
from offhook.tree import File

INDEX = ".offhook-index"
_HEADER = "# the files that offhook wrote here; it replaces and deletes no others\n"

_MANY_FILES = 5_000
"""From here on, two processes ask for the files' states sooner than one."""

Share = Callable[[], Iterable[File]]
"""Makes some of a tree's files. Called in whichever process writes them."""


Progress = Callable[[int], None]
"""Is told the number of the share that is being made, from 1."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a folder: paths written anew, changed, deleted, and how many were right already.

    `seconds` is the time that writing a new folder's files took, apart from making them.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    deleted: tuple[str, ...]
    unchanged: int
    seconds: float = 0.0

    @property
    def is_current(self) -> bool:
        """Tell whether the folder held the tree before, byte for byte."""
        return not (self.added or self.changed or self.deleted)


def write_tree(
    folder: Path, shares: Sequence[Share], *, processes: int = 1, progress: Progress = lambda _: None
) -> Written:
    """Make `folder` hold the files of `shares`, and tell `progress` of each share of a new folder.

    Raises OffhookError where the folder or a stranger's file refuses.
    """
    index = _read_index(folder)
    if not index and not (folder.exists() and any(folder.iterdir())):
        told = [_told(share, number, progress) for number, share in enumerate(shares, start=1)]
        return _write_new(folder, told, processes)
    return _write_over(folder, shares, index, processes)


def compare_tree(folder: Path, shares: Sequence[Share], *, processes: int = 1) -> Written:
    """Return what `write_tree` would do, and write nothing."""
    return _compare(folder, shares, _read_index(folder), processes)[0]


def _compare(folder: Path, shares: Sequence[Share], index: set[str], processes: int) -> tuple[Written, set[str]]:
    """What writing would do to a folder, and every path of the tree."""

    def compare(share: Share) -> tuple[list[str], list[str], list[str]]:
        added: list[str] = []
        changed: list[str] = []
        same: list[str] = []
        for file in share():
            found = _content(folder / file.path)
            (added if found is None else same if found == file.text.encode() else changed).append(file.path)
        return added, changed, same

    made: list[list[list[str]]] = map_in_processes(compare, shares, processes=processes, keep=list)
    added, changed, same = ([path for one in made for path in one[column]] for column in range(3))
    paths = {*added, *changed, *same}
    gone = sorted(path for path in index - paths if (folder / path).is_file())
    return Written(tuple(added), tuple(changed), tuple(gone), len(same)), paths


def folder_stamp(folder: Path, *, processes: int = 1) -> str | None:
    """Return a digest of what the system says of the files on a folder's index: size, times, inode; not what they hold.

    None where there is no index, or a file on it is missing or special.
    """
    paths = sorted(_read_index(folder))
    if not paths:
        return None
    top = f"{folder}/"

    def digest(share: list[str]) -> str:
        stamps: list[int] = []
        for path in share:
            try:
                status = os.lstat(top + path)
            except OSError:
                return ""
            stamps += (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        return hashlib.sha256(array("Q", stamps).tobytes()).hexdigest()

    half = -(-len(paths) // processes)
    shares = [[INDEX], *(paths[start : start + half] for start in range(0, len(paths), half))]
    made = map_in_processes(digest, shares, processes=processes if len(paths) > _MANY_FILES else 1, keep=str)
    return None if "" in made else hashlib.sha256("".join((*paths, *made)).encode()).hexdigest()


def _told(share: Share, number: int, progress: Progress) -> Share:
    """A share that tells its number when it is made, in whichever process."""

    def make() -> Iterable[File]:
        progress(number)
        return share()

    return make


def _write_new(folder: Path, shares: Sequence[Share], processes: int) -> Written:
    """Write everything into a staged folder beside the place, then rename it once."""
    stage = folder.parent / f".{folder.name}.{secrets.token_hex(4)}"
    try:  # from here on an interrupt may come at any moment
        folder.parent.mkdir(parents=True, exist_ok=True)
        stage.mkdir(0o700)
        # one writer: two in one directory wait for each other longer than they write
        made = ([(file.path, file.text) for file in share()] for share in shares)
        written = use_in_process(lambda files: _put_new(stage, files), made, processes=processes)
        paths = [path for share, _ in written for path in share]
        (stage / INDEX).write_text(_index_text(paths), encoding="utf-8")
        stage.chmod(0o755)
        os.rename(stage, folder)
    except ChildProcessError as error:
        raise OffhookError(f"cannot write {folder}: {error}", hint="is there room on the disk?") from error
    except OSError as error:
        raise OffhookError(f"cannot write {folder}: {error.strerror}") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return Written(tuple(sorted(paths)), (), (), 0, sum(seconds for _, seconds in written))


def _put_new(stage: Path, files: Iterable[tuple[str, str]]) -> tuple[list[str], float]:
    """Write files that do not exist yet; return their paths, and the seconds that it took.

    os.open is half the price of open(), and there are many.
    """
    start = time.perf_counter()
    top = f"{stage}/"
    known = {""}
    paths = []
    opening, writing, closing, flags = os.open, os.write, os.close, os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for path, text in files:
        folder = path.rpartition("/")[0]
        if folder not in known:
            os.makedirs(top + folder, exist_ok=True)
            known.add(folder)
        data = text.encode()
        descriptor = opening(top + path, flags, 0o644)
        try:
            while data:
                data = data[writing(descriptor, data) :]
        finally:
            closing(descriptor)
        paths.append(path)
    return paths, time.perf_counter() - start


def _write_over(folder: Path, shares: Sequence[Share], index: set[str], processes: int) -> Written:
    """Replace what changed, file by file, in a folder that may hold other people's files too."""
    plan, kept = _compare(folder, shares, index, processes)
    for path in (*plan.added, *plan.changed):
        _refuse_links(folder, path)
    strangers = [path for path in plan.changed if path not in index]
    if strangers:
        raise OffhookError(
            f"{folder / strangers[0]} is not in {INDEX}: offhook did not write it and does not replace it",
            hint="move it away, or compile into another folder with --out",
        )
    if plan.is_current:
        return plan
    wanted = {*plan.added, *plan.changed}
    try:
        _replace(folder, INDEX, _index_text(index | kept).encode())
        for file in (file for share in shares for file in share()):
            if file.path in wanted:
                _replace(folder, file.path, file.text.encode())
        for path in plan.deleted:
            (folder / path).unlink(missing_ok=True)
            _remove_empty(folder, path)
        _replace(folder, INDEX, _index_text(kept).encode())
    except OSError as error:
        raise OffhookError(f"cannot write {folder}: {error.strerror}", hint="run compile again to finish") from error
    return plan


def _refuse_links(folder: Path, path: str) -> None:
    """A link to a folder inside the tree could lead a write anywhere."""
    for parent in list(PurePosixPath(path).parents)[:-1]:
        if (folder / parent).is_symlink():
            raise OffhookError(f"{folder / parent} is a link: offhook does not write through it")


def _replace(folder: Path, path: str, data: bytes) -> None:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        os.chmod(name, 0o644)
        os.replace(name, target)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _remove_empty(folder: Path, path: str) -> None:
    for parent in list(PurePosixPath(path).parents)[:-1]:
        try:
            (folder / parent).rmdir()
        except OSError:
            return


def _content(path: Path) -> bytes | None:
    if path.is_symlink():
        return b"\0link"
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise OffhookError(f"cannot read {path}: {error.strerror}") from error


def _read_index(folder: Path) -> set[str]:
    """The paths on a folder's index; those that lead out of the folder are not believed."""
    if folder.exists() and not folder.is_dir():
        raise OffhookError(f"{folder} is a file: a tree needs a folder", hint="name another one with --out")
    try:
        lines = (folder / INDEX).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return set()
    except (OSError, UnicodeDecodeError) as error:
        raise OffhookError(f"cannot read {folder / INDEX}: {error}") from error
    paths = (line for line in lines if line and not line.startswith("#"))
    return {path for path in paths if not path.startswith("/") and ".." not in path.split("/") and path != INDEX}


def _index_text(paths: Iterable[str]) -> str:
    return _HEADER + "".join(f"{path}\n" for path in sorted(set(paths)))
