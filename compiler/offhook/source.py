"""Where an inventory's bytes come from: the work tree as it is, or any git revision without a checkout.

Comes in: the fleet's root folder (the one that holds inventory/) and, perhaps, a revision.
Goes out: `InventoryFile`s in the order of their paths, and Problems for files that cannot be used.
This is the only module of the front end that reads the disk or git.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from offhook.problem import WARNING, Mark, OffhookError, Problem

INVENTORY = "inventory"
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


@dataclass(frozen=True, slots=True)
class InventoryFile:
    """One file of the inventory: its path from the fleet's root, its kind (fleet, site, ... or secret), its bytes."""

    path: str
    kind: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Source:
    """All files of an inventory, sorted by path, at one revision (a commit id) or in the work tree ("worktree")."""

    revision: str
    files: tuple[InventoryFile, ...]
    problems: tuple[Problem, ...]


def find_root(start: Path, revision: str | None = None) -> Path:
    """Return the fleet's root: `start` or the nearest folder above it that holds inventory/fleet.yaml.

    With a revision the inventory need not be in the work tree, nor need there be one. Raises OffhookError
    where there is no such folder.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        if (folder / INVENTORY / FLEET_FILE).exists():
            return folder
    for folder in (start, *start.parents) if revision is not None else ():
        with contextlib.suppress(OffhookError):
            _inventory_tree(folder, revision or "HEAD")
            return folder
    raise OffhookError(
        f"no {INVENTORY}/{FLEET_FILE} in {start} or above it",
        hint="go to the fleet's repository, or name it: offhook -C DIR ...",
    )


def read_worktree(root: Path) -> Source:
    """Return the inventory as it stands on disk. Raises OffhookError where a file cannot be read."""
    files: list[InventoryFile] = []
    problems: list[Problem] = []
    for path, is_file in _walk(root, INVENTORY):
        kind, problem = _kind(path) if is_file else (None, _not_a_file(path))
        if problem is not None:
            problems.append(problem)
        elif kind is not None:
            files.append(InventoryFile(path, kind, _read(root / path)))
    return _source("worktree", files, problems)


def read_revision(root: Path, revision: str) -> Source:
    """Return the inventory as a git revision has it; the work tree is neither read nor touched.

    `revision` is anything git understands (a branch, a tag, HEAD~2, a commit id). Raises OffhookError
    where there is no repository, no such revision, or no inventory in it.
    """
    import pygit2

    commit, tree = _inventory_tree(root, revision)
    files: list[InventoryFile] = []
    problems: list[Problem] = []
    for path, entry in _walk_tree(tree, INVENTORY):
        is_file = entry.filemode in (pygit2.enums.FileMode.BLOB, pygit2.enums.FileMode.BLOB_EXECUTABLE)
        kind, problem = _kind(path) if is_file else (None, _not_a_file(path))
        if problem is not None:
            problems.append(problem)
        elif kind is not None:
            files.append(InventoryFile(path, kind, bytes(entry.data)))
    return _source(commit, files, problems)


def read_source(root: Path, revision: str | None) -> Source:
    """Return the inventory at `revision`, or the work tree where that is None."""
    return read_worktree(root) if revision is None else read_revision(root, revision)


def has_inventory(root: Path, revision: str) -> bool:
    """Tell whether `revision` exists in the repository around `root`, and holds an inventory."""
    if not any((folder / ".git").exists() for folder in (root.absolute(), *root.absolute().parents)):
        return False
    try:
        _inventory_tree(root, revision)
    except OffhookError:
        return False
    return True


def _inventory_tree(root: Path, revision: str) -> tuple[str, Any]:
    """The commit id of a revision, and its inventory's git tree."""
    import pygit2

    repository, prefix = _open_repository(root)
    try:
        commit = repository.revparse_single(revision).peel(pygit2.Commit)
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise OffhookError(
            f'no revision "{revision}" in this repository',
            hint="a shallow clone may lack it: fetch with full depth (actions/checkout: fetch-depth: 0)",
        ) from error
    folder = "/".join(part for part in (prefix, INVENTORY) if part)
    try:
        return str(commit.id), commit.tree[folder]
    except KeyError as error:
        raise OffhookError(f"revision {revision} has no folder {folder}/") from error


def _open_repository(root: Path) -> tuple[Any, str]:
    """The repository around `root`, and the path from its top to `root` ("" or "phones/acme")."""
    import pygit2

    try:
        found = pygit2.discover_repository(str(root))
        repository = pygit2.Repository(found) if found else None
    except pygit2.GitError as error:
        raise OffhookError(f"git refuses the repository at {root}: {error}") from error
    if repository is None:
        raise OffhookError(f"{root} is in no git repository", hint="leave out --rev to use the files as they are")
    if repository.workdir is None:
        return repository, ""
    relative = os.path.relpath(root.resolve(), Path(repository.workdir).resolve())
    return repository, "" if relative == "." else PurePosixPath(relative).as_posix()


def _walk(root: Path, folder: str) -> Iterator[tuple[str, bool]]:
    """Every path below `folder` (from the root, with /), and whether it is a regular file; links are not followed."""
    try:
        entries = list(os.scandir(root / folder))
    except OSError as error:
        raise OffhookError(f"cannot read {folder}: {error.strerror}") from error
    for entry in entries:
        path = f"{folder}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith("."):
                yield from _walk(root, path)
        else:
            yield path, stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode)


def _walk_tree(tree: Any, folder: str) -> Iterator[tuple[str, Any]]:
    for entry in tree:
        path = f"{folder}/{entry.name}"
        if entry.type_str == "tree":
            yield from _walk_tree(entry, path)
        else:
            yield path, entry


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OffhookError(f"cannot read {path}: {error.strerror}") from error


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
        hint="put the file itself here",
    )


def _source(revision: str, files: list[InventoryFile], problems: list[Problem]) -> Source:
    files.sort(key=lambda file: file.path)
    problems.sort(key=lambda problem: problem.sort_key)
    return Source(revision, tuple(files), tuple(problems))
