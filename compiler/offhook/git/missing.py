"""What a partial clone has left with its remote, and how it comes here: in batches, by the git program.

libgit2 does not fetch what a remote has promised ("Partial Clone Design Notes" of git's technical documentation).
What was listed is remembered; when the first of it is read and is not here, all of it is fetched at once, as git
itself does it for a checkout. In a repository without a promise nothing of this runs.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from offhook.git.program import environment
from offhook.problem import OffhookError

_MANY_COMMITS = 4096
# as promisor-remote.c of git asks for what is missing: a tree comes with all trees below it, a blob by itself
_FETCH = (
    *("-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head"),
    *("--recurse-submodules=no", "--no-auto-gc", "--filter=blob:none", "--stdin", "--"),
)


@dataclass(slots=True)
class Promise:
    """The remotes that promised what a partial clone lacks.

    `expected` are objects that were listed, and so are likely to be read; `ahead` is of how many commits the trees
    are fetched next: each time twice as many, so that a walk through history asks seldom.
    """

    remotes: tuple[str, ...]
    expected: set[str] = field(default_factory=set)
    ahead: int = 1


def promise_of(repository: Any) -> Promise | None:
    """Return what was promised to a repository, None where it is no partial clone."""
    config = repository.config
    marked = tuple(name for name in repository.remotes.names() if name and _is_promisor(config, name))
    return Promise(marked) if marked else None


def bring(repository: Any, promise: Promise, wanted: str) -> None:
    """See to it that an object is here; what is expected besides comes with it.

    Raises OffhookError where no remote gives it.
    """
    if _has(repository, wanted):
        return
    everything = {one for one in promise.expected if not _has(repository, one)} | {wanted}
    promise.expected.clear()
    # a remote that lacks one of many gives none of them
    for batch in (everything, {wanted}):
        for remote in promise.remotes:
            _fetch(repository, remote, batch)
            if _has(repository, wanted):
                return
    raise OffhookError(
        f"this is a partial clone: it lacks the object {wanted[:10]}, and git could not fetch it "
        f"from {' or '.join(promise.remotes)}",
        hint="git fetch says why; git fetch --refetch --no-filter makes the clone whole (actions/checkout: no filter)",
    )


def bring_trees(repository: Any, promise: Promise, commit: str, tree: str) -> None:
    """See to it that the tree of a commit is here; where it is not, those of some commits before it come with it."""
    if _has(repository, tree):
        return
    roots = [str(one.tree_id) for one in islice(repository.walk(commit), promise.ahead)]
    promise.ahead = min(2 * promise.ahead, _MANY_COMMITS)
    promise.expected.update(roots)
    bring(repository, promise, tree)


def _has(repository: Any, wanted: str) -> bool:
    """Tell whether an object is here, sound or damaged."""
    import pygit2

    try:
        return wanted in repository
    except (ValueError, pygit2.GitError):
        return True


def _is_promisor(config: Any, remote: str) -> bool:
    key = f"remote.{remote}.promisor"
    old = "extensions.partialclone"
    return (key in config and bool(config.get_bool(key))) or (old in config and config[old] == remote)


def _fetch(repository: Any, remote: str, wanted: Iterable[str]) -> None:
    """Let the git program fetch objects, whatever comes of it: the caller looks. What git says may name a password."""
    variables = environment()
    if variables.get("GIT_NO_LAZY_FETCH", "0").lower() not in ("", "0", "false", "no", "off"):
        return
    try:
        subprocess.run(
            ["git", f"--git-dir={repository.path}", *_FETCH, remote],
            input="".join(f"{one}\n" for one in sorted(wanted)).encode(),
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return
