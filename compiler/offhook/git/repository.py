"""The one door to git: revisions, commits, trees and blobs, read as objects; nothing is ever checked out.

Comes in: a folder inside a repository (or a bare one), and what people write for a revision. Goes out: ids as
hex text, `Commit`s, and (path, blob) pairs of the inventory. Paths are those of the fleet: they begin with
`inventory/`, wherever in a larger repository that folder lies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from offhook.problem import OffhookError

DEEPEN = "fetch the whole history: git fetch --unshallow (actions/checkout: fetch-depth: 0)"
_REGULAR = (0o100644, 0o100755)


@dataclass(frozen=True, slots=True)
class Git:
    """An open repository. `prefix` is the path from its top to the fleet's root: "" or "phones/acme"."""

    repository: Any
    prefix: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit. `when` is the author's time in seconds since 1970, `offset` minutes east of UTC; `committed` is the
    committer's time.

    `boundary` tells that a shallow clone ends here: the parents exist, and are not in this repository.
    """

    id: str
    parents: tuple[str, ...]
    author: str
    email: str
    when: int
    offset: int
    committed: int
    message: str
    boundary: bool

    @property
    def date(self) -> str:
        """Return the author's time as 2026-11-23 10:21 +0100."""
        moment = datetime.fromtimestamp(self.when, timezone(timedelta(minutes=self.offset)))
        return moment.strftime("%Y-%m-%d %H:%M %z")

    @property
    def subject(self) -> str:
        """Return the first line of the message."""
        return self.message.strip().partition("\n")[0].strip()


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
    return (root / "objects").is_dir() and (root / "HEAD").is_file()


def open_git(root: Path) -> Git:
    """Return the repository around `root`. Raises OffhookError where there is none, or git may not use it."""
    import pygit2

    try:
        found = pygit2.discover_repository(str(root))
        repository = pygit2.Repository(found) if found else None
    except (pygit2.GitError, ValueError) as error:
        raise _refused(root, str(error)) from error
    if repository is None:
        raise OffhookError(f"{root} is in no git repository", hint="leave out --rev to use the files as they are")
    if repository.workdir is None:
        return Git(repository, "")
    relative = os.path.relpath(root.resolve(), Path(repository.workdir).resolve())
    return Git(repository, "" if relative == "." else PurePosixPath(relative).as_posix())


def resolve(git: Git, revision: str) -> str:
    """Return the id of the commit that a revision names: a branch, a tag, HEAD~2, an id.

    Raises OffhookError where there is none, with a next step where the clone is shallow.
    """
    import pygit2

    try:
        if git.repository.is_empty or (revision == "HEAD" and git.repository.head_is_unborn):
            raise OffhookError("this repository has no commit yet", hint="git add inventory && git commit")
        return str(git.repository.revparse_single(revision).peel(pygit2.Commit).id)
    except (KeyError, ValueError, pygit2.GitError) as error:
        if isinstance(error, pygit2.GitError) and "ambiguous" in str(error):
            hint = "write more of the commit's id"
        elif git.repository.is_shallow:
            hint = f"this clone is shallow; {DEEPEN}"
        else:
            hint = "git log --oneline --all names the commits; a remote's branch is origin/NAME"
        raise OffhookError(f'no revision "{revision}" in this repository', hint=hint) from error


def merge_base(git: Git, one: str, other: str) -> str:
    """Return the id of the best common ancestor of two commits. Raises OffhookError where there is none."""
    found = git.repository.merge_base(one, other)
    if found is None:
        hint = f"this clone is shallow; {DEEPEN}" if git.repository.is_shallow else "compare the two with A..B"
        raise OffhookError(f"{one[:10]} and {other[:10]} have no common ancestor here", hint=hint)
    return str(found)


def read_commit(git: Git, commit: str) -> Commit:
    """Return a commit by its id."""
    found = _object(git, commit)
    parents = tuple(str(one) for one in found.parent_ids)
    # libgit2 shows a shallow clone as if history ended there; the commit itself still names its parents
    boundary = not parents and git.repository.is_shallow and b"\nparent " in found.read_raw().partition(b"\n\n")[0]
    author = found.author
    return Commit(
        str(found.id),
        parents,
        author.name or "",
        author.email or "",
        author.time,
        author.offset,
        found.commit_time,
        found.message,
        boundary,
    )


def inventory_tree(git: Git, commit: str, folder: str) -> str | None:
    """Return the id of the tree at `folder` (from the fleet's root) in a commit, None where it has none."""
    path = "/".join(part for part in (git.prefix, folder) if part)
    try:
        found = _object(git, commit).tree[path]
    except KeyError:
        return None
    return str(found.id) if found.type_str == "tree" else None


def list_tree(git: Git, tree: str, folder: str) -> Iterator[Entry]:
    """Yield every file below a tree, whose own path is `folder`; in git's order."""
    for entry in _object(git, tree):
        path = f"{folder}/{_text(entry.raw_name)}"
        if entry.type_str == "tree":
            yield from list_tree(git, str(entry.id), path)
        else:
            yield Entry(path, str(entry.id) if entry.filemode in _REGULAR else None)


def entry_of(git: Git, tree: str, path: str) -> str | None:
    """Return the blob at a path relative to a tree, None where there is no regular file."""
    try:
        found = _object(git, tree)[path]
    except KeyError:
        return None
    return str(found.id) if found.filemode in _REGULAR else None


def compare_trees(git: Git, old: str | None, new: str | None, folder: str) -> list[Delta]:
    """Return the paths whose blobs differ between two trees, sorted; None stands for an empty tree."""
    import pygit2

    if old == new:
        return []
    if old is None or new is None:
        one_sided = list_tree(git, old or new or "", folder)
        deltas = [Delta(path, blob, None) if new is None else Delta(path, None, blob) for path, blob in one_sided]
        return sorted(one for one in deltas if one.old or one.new)
    # typechange entries come as one delta with two modes
    flags = pygit2.enums.DiffOption.INCLUDE_TYPECHANGE | pygit2.enums.DiffOption.SKIP_BINARY_CHECK
    deltas = []
    for delta in _object(git, old).diff_to_tree(_object(git, new), flags=flags).deltas:
        path = f"{folder}/{_text(delta.new_file.raw_path)}"
        sides = (str(side.id) if side.mode in _REGULAR else None for side in (delta.old_file, delta.new_file))
        deltas.append(Delta(path, *sides))
    return sorted(one for one in deltas if one.old != one.new)


def read_blob(git: Git, blob: str) -> bytes:
    """Return the content of a blob. Raises OffhookError where this clone does not have it."""
    return bytes(_object(git, blob).data)


def read_file(git: Git, commit: str, path: str) -> bytes | None:
    """Return a file's content at a commit by its path from the fleet's root, None where there is none."""
    full = "/".join(part for part in (git.prefix, path) if part)
    try:
        found = _object(git, commit).tree[full]
    except KeyError:
        return None
    return bytes(found.data) if found.filemode in _REGULAR else None


def signature_of(git: Git, commit: str) -> tuple[bytes | None, bytes]:
    """Return a commit's signature (None where it has none) and what it signs."""
    signature, payload = _object(git, commit).gpg_signature
    return signature, payload or b""


def _object(git: Git, identifier: str) -> Any:
    try:
        return git.repository[identifier]
    except KeyError as error:
        raise OffhookError(
            f"this clone lacks the object {identifier[:10]}",
            hint="a partial clone fetches it so: git fetch --refetch --no-filter (actions/checkout: no filter)",
        ) from error


def _refused(root: Path, reason: str) -> OffhookError:
    reason = reason.strip().rstrip(".")
    if "owned by" in reason:
        return OffhookError(
            f"the repository at {root} belongs to another user",
            hint=f'if you trust it: git config --global --add safe.directory "{root.absolute()}"',
        )
    if "object format" in reason or "objectformat" in reason:
        return OffhookError(
            f"the repository at {root} is of git's SHA-256 format, which libgit2 does not read",
            hint="check and compile read the work tree all the same: leave out --rev",
        )
    return OffhookError(f"git refuses the repository at {root}: {reason}")


def _text(name: bytes) -> str:
    """A path as Python writes it: bytes that are no UTF-8 become surrogates, as in os.fsdecode."""
    return name.decode("utf-8", "surrogateescape")
