"""The one door to git: revisions, commits, trees and blobs, read as objects; nothing is ever checked out.

Comes in: a folder inside a repository (or a bare one), and what people write for a revision. Goes out: ids as
hex text, `Commit`s, and (path, blob) pairs of the inventory. Paths are those of the fleet: they begin with
`inventory/`, wherever in a larger repository that folder lies.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from offhook.git.commit import Commit, commit_of
from offhook.git.loose import is_cut_off, objects_of
from offhook.git.missing import Promise, bring, bring_trees, promise_of
from offhook.git.refusal import DEEPEN, FSCK, no_revision, refused_repository, shown
from offhook.problem import OffhookError

__all__ = [
    "FOLDER",
    "Commit",
    "Delta",
    "Entry",
    "Git",
    "bring_blob",
    "compare_trees",
    "entry_of",
    "inventory_tree",
    "is_bare",
    "is_repository",
    "list_tree",
    "merge_base",
    "open_git",
    "read_blob",
    "read_commit",
    "read_file",
    "resolve",
    "signature_of",
]

FOLDER = "inventory"
_REGULAR = (0o100644, 0o100755)
_LINK = 0o120000
_SUBMODULE = 0o160000


@dataclass(frozen=True, slots=True)
class Git:
    """An open repository. `prefix` is the path from its top to the fleet's root: "" or "phones/acme".

    `objects` is the folder of its loose objects; `promise` is None but in a partial clone. `sound` are the commits
    and trees that were looked at.
    """

    repository: Any
    prefix: str
    objects: Path
    promise: Promise | None = None
    sound: set[str] = field(default_factory=set, repr=False)


class Entry(NamedTuple):
    """A path below inventory/ and its blob; None where the path is a link, a submodule or another special file."""

    path: str
    blob: str | None


class Delta(NamedTuple):
    """A path whose blob differs between two trees; None where it is not there, or is no regular file."""

    path: str
    old: str | None
    new: str | None


def is_repository(root: Path) -> bool:
    """Tell whether `root` lies in a git repository, without importing anything."""
    root = root.absolute()
    if any((folder / ".git").exists() for folder in (root, *root.parents)):
        return True
    return is_bare(root)


def is_bare(root: Path) -> bool:
    """Tell whether `root` is itself a repository without a work tree, without importing anything."""
    return (root / "objects").is_dir() and (root / "HEAD").is_file()


def open_git(root: Path) -> Git:
    """Return the repository around `root`. Raises OffhookError where there is none, or git may not use it.

    `root` alone decides: GIT_DIR and its like, as hooks have them, are not followed.
    """
    import pygit2

    try:
        found = pygit2.discover_repository(str(root))
        # by the folder: a repository that lies apart from its work tree does not know where that is
        repository = pygit2.Repository(str(root)) if found else None
        if repository is not None:
            _add_quarantine(repository)
            promise = promise_of(repository)
    except (pygit2.GitError, KeyError, ValueError) as error:
        raise refused_repository(root, str(error)) from error
    if repository is None:
        hint = "check, compile and show need none: leave out --rev"
        raise OffhookError(f"{root} is in no git repository", hint=hint)
    relative = "."
    if repository.workdir is not None:
        relative = os.path.relpath(root.resolve(), Path(repository.workdir).resolve())
    prefix = "" if relative == "." else PurePosixPath(relative).as_posix()
    return Git(repository, prefix, objects_of(repository.path), promise)


def resolve(git: Git, revision: str) -> str:
    """Return the id of the commit that a revision names: a branch, a tag, HEAD~2, an id.

    Raises OffhookError where there is none, with a next step where the clone is shallow; and where the inventory
    of that commit is a link or a submodule.
    """
    import pygit2

    if not revision:
        raise OffhookError("the name of the revision is empty", hint="HEAD is the commit that is checked out")
    _look_at(git, revision)
    try:
        found = git.repository.revparse_single(revision)
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise no_revision(git.repository, revision, str(error)) from error
    try:
        commit = str(found.peel(pygit2.Commit).id)
    except (KeyError, ValueError, pygit2.GitError) as error:
        message = f'"{shown(revision)}" is no commit but a {found.type_str}'
        raise OffhookError(message, hint="name a branch, a tag or a commit's id") from error
    _refuse_link(git, commit, revision)
    return commit


def merge_base(git: Git, one: str, other: str) -> str:
    """Return the id of the best common ancestor of two commits. Raises OffhookError where there is none."""
    import pygit2

    try:
        found = git.repository.merge_base(one, other)
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise OffhookError(f"the history of {one[:10]} and {other[:10]} has a gap", hint=FSCK) from error
    if found is None:
        hint = f"this clone is shallow; {DEEPEN}" if git.repository.is_shallow else "compare the two with A..B"
        raise OffhookError(f"{one[:10]} and {other[:10]} have no common ancestor here", hint=hint)
    return str(found)


def read_commit(git: Git, commit: str) -> Commit:
    """Return a commit by its id."""
    found = _object(git, commit, "commit")
    return commit_of(found, is_shallow=not found.parent_ids and git.repository.is_shallow)


def inventory_tree(git: Git, commit: str, folder: str) -> str | None:
    """Return the id of the tree at `folder` (from the fleet's root) in a commit, None where it has none."""
    found = _at_commit(git, commit, folder)
    return str(found.id) if found is not None and found.type_str == "tree" else None


def list_tree(git: Git, tree: str, folder: str) -> Iterator[Entry]:
    """Yield every file below a tree, whose own path is `folder`; in git's order."""
    open_folders = [(folder, iter(_object(git, tree, "tree")))]
    while open_folders:
        parent, entries = open_folders[-1]
        entry = next(entries, None)
        if entry is None:
            open_folders.pop()
            continue
        path = f"{parent}/{_text(entry.raw_name)}"
        if entry.type_str == "tree":
            open_folders.append((path, iter(_object(git, str(entry.id), "tree"))))
        else:
            yield Entry(path, _expected(git, str(entry.id)) if entry.filemode in _REGULAR else None)


def entry_of(git: Git, tree: str, path: str) -> str | None:
    """Return the blob at a path relative to a tree, None where there is no regular file."""
    found = _below(git, tree, path)
    return str(found.id) if found is not None and found.filemode in _REGULAR else None


def compare_trees(git: Git, old: str | None, new: str | None, folder: str) -> list[Delta]:
    """Return the paths whose blobs differ between two trees, sorted; None stands for an empty tree."""
    if old == new:
        return []
    if old is None or new is None:
        one_sided = list_tree(git, old or new or "", folder)
        deltas = [Delta(path, blob, None) if new is None else Delta(path, None, blob) for path, blob in one_sided]
        return sorted(one for one in deltas if one.old or one.new)
    deltas = []
    for delta in _deltas(git, old, new, folder):
        path = f"{folder}/{_text(delta.new_file.raw_path)}"
        sides = (
            _expected(git, str(side.id)) if side.mode in _REGULAR else None for side in (delta.old_file, delta.new_file)
        )
        deltas.append(Delta(path, *sides))
    return sorted(one for one in deltas if one.old != one.new)


def bring_blob(git: Git, blob: str) -> None:
    """See to it that a blob is here: in a partial clone it is fetched, and with it all that was listed and is not here.

    To be called before processes are started: each would fetch by itself. Raises OffhookError where it fails.
    """
    if git.promise is not None:
        bring(git.repository, git.promise, blob)


def read_blob(git: Git, blob: str) -> bytes:
    """Return the content of a blob. Raises OffhookError where this clone does not have it."""
    return bytes(_object(git, blob, "blob").data)


def read_file(git: Git, commit: str, path: str) -> bytes | None:
    """Return a file's content at a commit by its path from the fleet's root, None where there is none."""
    found = _at_commit(git, commit, path)
    return read_blob(git, str(found.id)) if found is not None and found.filemode in _REGULAR else None


def signature_of(git: Git, commit: str) -> tuple[bytes | None, bytes]:
    """Return a commit's signature (None where it has none) and what it signs."""
    signature, payload = _object(git, commit, "commit").gpg_signature
    return signature, payload or b""


def _object(git: Git, identifier: str, kind: str | None = None) -> Any:
    import pygit2

    if git.promise is not None:
        bring(git.repository, git.promise, identifier)
    if identifier not in git.sound:
        if is_cut_off(git.objects, identifier):
            raise _damaged(identifier)
        if kind != "blob":
            git.sound.add(identifier)
    try:
        found = git.repository[identifier]
    except KeyError as error:
        raise OffhookError(f"this clone lacks the object {identifier[:10]}", hint=FSCK) from error
    except (ValueError, pygit2.GitError) as error:
        raise _damaged(identifier) from error
    if kind is not None and found.type_str != kind:
        raise OffhookError(f"the object {identifier[:10]} is a {found.type_str}, not a {kind}", hint=FSCK)
    return found


def _damaged(identifier: str) -> OffhookError:
    return OffhookError(f"the object {identifier[:10]} of this clone is damaged", hint=FSCK)


def _at_commit(git: Git, commit: str, path: str) -> Any | None:
    """The entry at a path (from the fleet's root) of a commit, None where there is none."""
    root = str(_object(git, commit, "commit").tree_id)
    if git.promise is not None:
        bring_trees(git.repository, git.promise, commit, root)
    return _below(git, root, "/".join(part for part in (git.prefix, path) if part))


def _below(git: Git, tree: str, path: str) -> Any | None:
    """The entry at a path below a tree, None where there is none.

    Folder by folder: to libgit2 a tree that is missing on the way looks like a path that is not there.
    """
    import pygit2

    found = None
    for part in path.split("/"):
        if found is not None and found.type_str != "tree":
            return None
        try:
            found = _object(git, tree if found is None else str(found.id), "tree")[part]
        except (KeyError, ValueError, pygit2.GitError):
            return None
    return found


def _deltas(git: Git, old: str, new: str, folder: str) -> list[Any]:
    """What libgit2 finds to differ between two trees."""
    import pygit2

    # typechange entries come as one delta with two modes
    flags = pygit2.enums.DiffOption.INCLUDE_TYPECHANGE | pygit2.enums.DiffOption.SKIP_BINARY_CHECK

    def compare() -> list[Any]:
        before, after = sides = [_object(git, tree, "tree") for tree in (old, new)]
        for below in (entry for side in sides for entry in side if entry.type_str == "tree"):
            _object(git, str(below.id), "tree")
        return list(before.diff_to_tree(after, flags=flags).deltas)

    try:
        return compare()
    except (KeyError, ValueError, pygit2.GitError):
        # a tree below is not here or damaged: this walk fetches it, or names it
        for tree in (old, new):
            list(list_tree(git, tree, folder))
        return compare()


def _expected(git: Git, blob: str) -> str:
    if git.promise is not None:
        git.promise.expected.add(blob)
    return blob


def _look_at(git: Git, revision: str) -> None:
    """Raise OffhookError where a branch or tag is there, and what it points to is not or is damaged."""
    import pygit2

    name = re.split(r"[~^@:]", revision, maxsplit=1)[0] or "HEAD"
    try:
        target = str(git.repository.lookup_reference_dwim(name).resolve().target)
    except (KeyError, ValueError, pygit2.GitError):
        return
    _object(git, target)


def _refuse_link(git: Git, commit: str, revision: str) -> None:
    """A link leads out of the commit, and a submodule's history is another repository's."""
    found = _at_commit(git, commit, FOLDER)
    mode = 0 if found is None else found.filemode
    if mode == _SUBMODULE:
        raise OffhookError(
            f"{FOLDER}/ is a submodule at {shown(revision)}: its files are in another repository",
            hint=f"let the submodule be the folder around {FOLDER}/, and name that: offhook -C DIR ...",
        )
    if mode == _LINK:
        raise OffhookError(
            f"{FOLDER} is a symbolic link at {shown(revision)}, which is not followed",
            hint="name the folder that it leads to: offhook -C DIR ...",
        )


def _add_quarantine(repository: Any) -> None:
    """Let the hooks of a push see what is pushed ("Quarantine Environment", git-receive-pack(1))."""
    quarantine, place = os.environ.get("GIT_QUARANTINE_PATH"), os.environ.get("GIT_DIR")
    is_this = place is not None and os.path.realpath(place) == os.path.realpath(repository.path)
    if quarantine and is_this and os.path.isdir(quarantine):
        repository.odb.add_disk_alternate(quarantine)


def _text(name: bytes) -> str:
    """A path as Python writes it: bytes that are no UTF-8 become surrogates, as in os.fsdecode."""
    return name.decode("utf-8", "surrogateescape")
