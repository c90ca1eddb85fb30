"""A ref of offhook's own, and the commits on it: read, written as objects, moved by compare-and-swap."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from offhook.git.program import run_git, shown
from offhook.git.refusal import FSCK
from offhook.git.repository import Git, entry_of, read_commit, read_file
from offhook.problem import OffhookError

_NOTHING = "0" * 40
_IDENTITY = re.compile(r"(.*) <(.*)> ([0-9]+) ([+-])([0-9]{2})([0-9]{2})\n?", re.DOTALL)
_FALLBACK = ("offhook", "offhook@offhook.invalid")


class Person(NamedTuple):
    """Who wrote a commit: `when` in seconds since 1970, `offset` minutes east of UTC."""

    name: str
    mail: str
    when: int
    offset: int


def read_ref(git: Git, name: str) -> str | None:
    """Return the id that a ref holds, None where there is no such ref.

    Raises OffhookError where it stands for another ref: to move it would move that one.
    """
    import pygit2

    try:
        found = git.repository.lookup_reference(name)
    except KeyError:
        return None
    except (ValueError, pygit2.GitError) as error:
        raise OffhookError(f"cannot read {name}: {shown(str(error))}", hint=FSCK) from error
    if found.type == pygit2.enums.ReferenceType.SYMBOLIC:
        raise OffhookError(f"{name} stands for {shown(str(found.target))}", hint=f"git symbolic-ref --delete {name}")
    return str(found.target)


def move_ref(git: Git, name: str, new: str | None, *, old: str | None) -> bool:
    """Let a ref hold `new`, or delete it (None), where it holds `old` (None: where it is not there); False elsewhere.

    By the git program: libgit2 creates a ref without a look at who was sooner. Raises OffhookError where git refuses.
    """
    values = ("-d", name, old or _NOTHING) if new is None else (name, new, old or _NOTHING)
    said = run_git(git.repository, "update-ref", "--no-deref", *values)
    if said.code == 0:
        return True
    if read_ref(git, name) != old:
        return False
    reason = shown(said.err.strip().rpartition("\n")[2]) or f"exit code {said.code}"
    hint = "the repository must be writable, and no other ref may stand in the way: git for-each-ref refs/offhook"
    raise OffhookError(f"git could not move {name}: {reason}", hint=hint)


def has_commit(git: Git, commit: str) -> bool:
    """Tell whether a commit is in this clone."""
    import pygit2

    try:
        return commit in git.repository and git.repository[commit].type == pygit2.enums.ObjectType.COMMIT
    except (KeyError, ValueError, pygit2.GitError):
        return False


def named_parents(git: Git, commit: str) -> tuple[str, ...]:
    """Return the parents that a commit names, also those that a shallow clone does not have."""
    read_commit(git, commit)  # which says what is wrong with it
    header = git.repository[commit].read_raw().partition(b"\n\n")[0]
    return tuple(line[7:].decode("ascii", "replace") for line in header.split(b"\n") if line.startswith(b"parent "))


def file_of(git: Git, commit: str, path: str) -> bytes | None:
    """Return a file's content at a commit by its path from the top of the commit, None where there is none."""
    return read_file(replace(git, prefix=""), commit, path)


def has_file(git: Git, commit: str, path: str) -> bool:
    """Tell whether a commit has a regular file at a path from its top, without reading it."""
    return entry_of(git, tree_of(git, commit), path) is not None


def tree_of(git: Git, commit: str) -> str:
    """Return the id of a commit's tree. Raises OffhookError where the commit is not there."""
    read_commit(git, commit)  # which says what is wrong with it
    return str(git.repository[commit].tree_id)


def identity(git: Git) -> Person | None:
    """Return who commits here and now, as git is told by its configuration or environment; None where it is not."""
    said = run_git(git.repository, "-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT")
    found = _IDENTITY.fullmatch(said.out)
    if said.code != 0 or found is None:
        return None
    name, mail, when, sign, hours, minutes = found.groups()
    offset = int(hours) * 60 + int(minutes)
    return Person(
        _plain(name) or _FALLBACK[0], _plain(mail) or _FALLBACK[1], int(when), -offset if sign == "-" else offset
    )


def person(by: str, when: int) -> Person:
    """Return who "Name <mail>" is, at a time in UTC; where no mail is said, one that leads nowhere."""
    name, _, mail = by.partition("<")
    return Person(_plain(name) or _FALLBACK[0], _plain(mail) or _FALLBACK[1], max(when, 0), 0)


def write_commit(
    git: Git, files: Mapping[str, bytes], message: str, *, parents: Sequence[str], author: Person, committer: Person
) -> str:
    """Write a commit whose tree has these files, and return its id; no ref is moved.

    Raises OffhookError where the repository cannot be written to.
    """
    import pygit2

    def write(repository: Any) -> Any:
        builder = repository.TreeBuilder()
        for path, content in files.items():
            builder.insert(path, repository.create_blob(content), pygit2.enums.FileMode.BLOB)
        who, hand = (pygit2.Signature(*one) for one in (author, committer))
        return repository.create_commit(None, who, hand, message, builder.write(), list(parents))

    return _written(git, write)


def copy_commit(git: Git, commit: str, parents: Sequence[str]) -> str:
    """Write a commit that is another one but for its parents, and return its id. Raises what `write_commit` raises."""

    def write(repository: Any) -> Any:
        old = repository[commit]
        return repository.create_commit(None, old.author, old.committer, old.message, old.tree_id, list(parents))

    return _written(git, write)


def _written(git: Git, write: Any) -> str:
    import pygit2

    try:
        return str(write(git.repository))
    except (OSError, KeyError, ValueError, pygit2.GitError) as error:
        message = f"cannot write to the repository at {git.repository.path}: {shown(str(error))}"
        raise OffhookError(message, hint="its folder must be writable, and have room") from error


def _plain(text: str) -> str:
    """A name or a mail address as a commit can hold it ("Commit Information", git-commit-tree(1))."""
    return re.sub(r"[<>\x00-\x1f\x7f]", "", text).strip(" .,:;\"'\\")
