"""Where an inventory's bytes come from: the work tree as it is, or any git revision without a checkout.

Comes in: the fleet's root folder (the one that holds inventory/) and, perhaps, a revision.
Goes out: a `Snapshot`, which looks files up, or a `Source`, which has them all in the order of their paths, with
Problems for files that cannot be used.
This is the only module of the front end that reads the disk; git is read through offhook.git.repository.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from offhook.git.refusal import shown
from offhook.git.repository import (
    FOLDER,
    Entry,
    Git,
    bring_blob,
    entry_of,
    inventory_tree,
    is_bare,
    is_repository,
    list_tree,
    open_git,
    read_blob,
    resolve,
)
from offhook.problem import WARNING, Mark, OffhookError, Problem

INVENTORY = FOLDER
WORKTREE = "worktree"
FLEET_FILE = "fleet.yaml"
SECRETS = "secrets"
FOLDERS = {
    "sites": "site",
    "profiles": "profile",
    "accounts": "account",
    "phones": "phone",
    "phonebooks": "phonebook",
}
_YAML = (".yaml", ".yml")
_IGNORED = (".gitkeep", ".gitignore", ".gitattributes", ".sops.yaml", "README.md", "CODEOWNERS")
_UNREADABLE = "an inventory holds plain files that you may read: chmod u+r, or move it away"
# a file that changed less than this ago may change again without a new stamp
_SETTLED_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class InventoryFile:
    """One file of the inventory: its path from the fleet's root, its kind (fleet, site, ... or secret), its blob.

    `blob` is git's id of the content, also for a file of the work tree; the content is read when it is asked for.
    """

    path: str
    kind: str
    blob: str
    _read: Callable[[], bytes] = field(compare=False, repr=False)

    @property
    def content(self) -> bytes:
        """Return the bytes of the file. Raises OffhookError where they cannot be had any more."""
        return self._read()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The inventory's files at one revision (a commit id), or in the work tree ("worktree"), looked up by path.

    `tree` is the id of the inventory's git tree, None for a work tree and where a revision has no inventory.
    `entries` has them all, special files with a blob of None; `read` gives the content of a path's blob. `bring` sees
    to it that a blob can be read: in a partial clone it is fetched, with the others that were listed.
    """

    revision: str
    tree: str | None
    blob_of: Callable[[str], str | None] = field(repr=False)
    entries: Callable[[], list[Entry]] = field(repr=False)
    read: Callable[[str, str], bytes] = field(repr=False)
    bring: Callable[[str], None] = field(repr=False, default=lambda _: None)

    def file(self, path: str, blob: str) -> InventoryFile:
        """Return the file at a path of this snapshot. Raises OffhookError where it cannot be fetched."""
        self.bring(blob)
        return InventoryFile(path, _kind(path)[0] or "", blob, lambda: self.read(path, blob))


@dataclass(frozen=True, slots=True)
class Source:
    """All files of an inventory, sorted by path, at one revision (a commit id) or in the work tree ("worktree")."""

    revision: str
    files: tuple[InventoryFile, ...]
    problems: tuple[Problem, ...]


Stamp = tuple[int, int, int, int]
"""What tells that a file on disk is still the one that was read: size, mtime and ctime (ns), inode."""


@dataclass(slots=True)
class Stamps:
    """What a former run saw of a work tree: path -> (stamp, blob). `fresh` has what this run saw."""

    known: Mapping[str, tuple[Stamp, str]] = field(default_factory=dict)
    fresh: dict[str, tuple[Stamp, str]] = field(default_factory=dict)


def find_root(start: Path, revision: str | None = None) -> Path:
    """Return the fleet's root: `start` or the nearest folder above it that holds inventory/fleet.yaml.

    With a revision the inventory need not be in the work tree, nor need there be one. Raises OffhookError
    where there is no such folder, and where git refuses the revision.
    """
    start = Path(os.path.abspath(start))
    for folder in (start, *start.parents):
        # a link that leads nowhere is there: what is wrong with it, the problem says
        if os.path.lexists(folder / INVENTORY / FLEET_FILE):
            return folder
    if revision is not None and is_repository(start):
        return _root_at(start, revision)
    if is_bare(start):
        raise _no_work_tree(start)
    raise OffhookError(
        f"no {INVENTORY}/{FLEET_FILE} in {start} or above it",
        hint="go to the fleet's repository, or name it: offhook -C DIR ...",
    )


def _root_at(start: Path, revision: str) -> Path:
    """The folder, from `start` up to the top of its repository, that has the inventory of a revision."""
    commit = resolve(open_git(start), revision)
    for folder in (start, *start.parents):
        git = open_git(folder)
        if inventory_tree(git, commit, INVENTORY) is not None:
            return folder
        if not git.prefix:
            break
    raise OffhookError(
        f"revision {shown(revision)} has no folder {INVENTORY}/ in {start} or above it",
        hint="go to the fleet's folder, or name it: offhook -C DIR ...",
    )


def snapshot(root: Path, revision: str | None, stamps: Stamps | None = None) -> Snapshot:
    """Return the inventory's files at `revision`, or in the work tree where that is None.

    `revision` is anything git understands (a branch, a tag, HEAD~2, a commit id). With `stamps`, files of the work
    tree that look as they did are not read again. Raises OffhookError where there is no repository or no such
    revision, and where a file cannot be read. A revision without an inventory has no entries.
    """
    if revision is None:
        return _worktree(root, stamps or Stamps())
    git = open_git(root)
    return snapshot_of(git, resolve(git, revision))


def snapshot_of(git: Git, commit: str) -> Snapshot:
    """Return the inventory's files at a commit of an open repository."""
    tree = inventory_tree(git, commit, INVENTORY)
    found: dict[str, str | None] = {}

    def blob_of(path: str) -> str | None:
        if path not in found:
            found[path] = None if tree is None else entry_of(git, tree, path.removeprefix(f"{INVENTORY}/"))
        return found[path]

    def entries() -> list[Entry]:
        return [] if tree is None else list(list_tree(git, tree, INVENTORY))

    def read(path: str, blob: str) -> bytes:
        return read_blob(git, blob)

    return Snapshot(commit, tree, blob_of, entries, read, lambda blob: bring_blob(git, blob))


def read_source(root: Path, revision: str | None, stamps: Stamps | None = None) -> Source:
    """Return the whole inventory at `revision`, or in the work tree where that is None.

    Raises what `snapshot` raises, and OffhookError where the revision has no inventory.
    """
    if revision is None:
        return whole(snapshot(root, None, stamps))
    git = open_git(root)
    found = snapshot_of(git, resolve(git, revision))
    if found.tree is None:
        place = f"{git.prefix}/{INVENTORY}/" if git.prefix else f"{INVENTORY}/"
        raise OffhookError(
            f"revision {shown(revision)} has no folder {place}",
            hint=f"git log --oneline -- {shlex.quote(f':/{place}')} names the commits that changed it",
        )
    return whole(found)


def whole(found: Snapshot) -> Source:
    """Return all files of a snapshot, and the problems of those that cannot be used."""
    files: list[InventoryFile] = []
    problems: list[Problem] = []
    for path, blob in found.entries():
        kind, problem = (None, _not_a_file(path)) if blob is None else _kind(path)
        if problem is not None:
            problems.append(problem)
        elif kind is not None and blob is not None:
            files.append(found.file(path, blob))
    files.sort(key=lambda file: file.path)
    problems.sort(key=lambda problem: problem.sort_key)
    return Source(found.revision, tuple(files), tuple(problems))


def has_inventory(root: Path, revision: str) -> bool:
    """Tell whether `revision` exists in the repository around `root`, and holds an inventory that can be had."""
    if not is_repository(root):
        return False
    try:
        git = open_git(root)
        found = snapshot_of(git, resolve(git, revision))
        if found.tree is not None and git.promise is not None:
            whole(found)
    except OffhookError:
        return False
    return found.tree is not None


def kind_of(path: str) -> str | None:
    """Return what a file of the inventory is for: a kind of entity, "secret", or None where nothing reads it."""
    return _kind(path)[0]


def _worktree(root: Path, stamps: Stamps) -> Snapshot:
    """The files on disk. Content that had to be read for its id is kept; the rest is read when asked for."""
    kept: dict[str, bytes] = {}
    found: list[Entry] = []
    settled = time.time_ns() - _SETTLED_NS
    if not os.path.isdir(root / INVENTORY):
        raise _no_work_tree(root)
    for path, status in _walk(root, INVENTORY):
        if not stat.S_ISREG(status.st_mode):
            found.append(Entry(path, None))
            continue
        if _kind(path)[0] is None:
            found.append(Entry(path, ""))
            continue
        stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        known = stamps.known.get(path)
        if known is not None and known[0] == stamp:
            blob = known[1]
        else:
            kept[path] = _read(root / path)
            blob = blob_id(kept[path])
        if max(status.st_mtime_ns, status.st_ctime_ns) < settled:
            stamps.fresh[path] = (stamp, blob)
        found.append(Entry(path, blob))
    blobs = dict(found)

    def read(path: str, blob: str) -> bytes:
        content = kept[path] if path in kept else _read(root / path)
        if path not in kept and blob_id(content) != blob:
            raise OffhookError(f"{path} changed while it was being read", hint="run it again")
        return content

    return Snapshot(WORKTREE, None, blobs.get, lambda: found, read)


def blob_id(content: bytes) -> str:
    """Return git's id of a content: SHA-1 over a header and the bytes (gitformat-pack, "object name")."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _no_work_tree(root: Path) -> OffhookError:
    if is_bare(root):
        return OffhookError(
            f"there is no work tree: {root} is a bare repository",
            hint="name a revision: --rev HEAD; diff takes two: offhook diff BASE HEAD",
        )
    return OffhookError(
        f"the work tree {root} has no folder {INVENTORY}/",
        hint="name a revision: --rev HEAD; diff takes two: offhook diff BASE HEAD",
    )


def _walk(root: Path, top: str) -> Iterator[tuple[str, os.stat_result]]:
    """Every path below `top` (from the root, with /), and its status; links are not followed.

    A folder that is a repository of its own is not entered: git has none of its files.
    """
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(root / folder))
        except OSError as error:
            raise OffhookError(f"cannot read {folder}: {error.strerror}", hint=_UNREADABLE) from error
        if folder != top and any(entry.name == ".git" for entry in entries):
            yield folder, os.stat(root / folder, follow_symlinks=False)
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}"
            if not entry.is_dir(follow_symlinks=False):
                yield path, entry.stat(follow_symlinks=False)
            elif not entry.name.startswith("."):
                folders.append(path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OffhookError(f"cannot read {path}: {error.strerror}", hint=_UNREADABLE) from error


def _kind(path: str) -> tuple[str | None, Problem | None]:
    """What a path is for: a kind of entity, "secret", None for a file that is none of ours; or the Problem it is."""
    parts = path.split("/")
    name = parts[-1]
    if not path.isprintable():
        shown = path.encode("ascii", "backslashreplace").decode()
        shown = "".join(letter if letter.isprintable() else "?" for letter in shown)
        message = "the file's name has a control character, or is not UTF-8"
        return None, Problem("not-a-file", Mark(shown, 1, 1), message, hint="rename it")
    if name in _IGNORED or name.endswith("~") or (name.startswith(".") and not name.endswith(_YAML)):
        return None, None
    if parts[1:] == [FLEET_FILE]:
        return "fleet", None
    if len(parts) > 2 and parts[1] == SECRETS:
        return "secret", None
    if len(parts) > 2 and parts[1] in FOLDERS and name.endswith(_YAML) and not name.startswith("."):
        return FOLDERS[parts[1]], None
    folders = ", ".join(f"{folder}/" for folder in (*FOLDERS, SECRETS))
    return None, Problem(
        "stray-file",
        Mark(path, 1, 1),
        f"nothing reads this file: an inventory has {FLEET_FILE} and .yaml files in {folders}",
        hint="move it out of inventory/, or rename it",
        severity=WARNING,
    )


def _not_a_file(path: str) -> Problem:
    return Problem(
        "not-a-file",
        Mark(path, 1, 1),
        "a link or special file is not followed; an inventory holds plain files",
        hint="put the file itself here; of a submodule, its files",
    )
