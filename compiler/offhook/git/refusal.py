"""What git refuses, in one line with a next step: repositories that cannot be opened, revisions that are not there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from offhook.problem import OffhookError
from offhook.texts import one_line

DEEPEN = "fetch the whole history: git fetch --unshallow (actions/checkout: fetch-depth: 0)"
FSCK = "git fsck names what is missing or damaged; a new clone has it"
_LONG = 80


def refused_repository(root: Path, reason: str) -> OffhookError:
    """Return why libgit2 does not open the repository around `root`; `reason` is what it says."""
    root = root.absolute()
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    reason = one_line(reason).strip().rstrip(".")
    if "owned by" in reason:
        return OffhookError(
            f"the repository at {top} belongs to another user",
            hint=f"if you trust it: git config --global --add safe.directory {shlex.quote(str(top))}",
        )
    hint = "check, compile and show read the work tree all the same: leave out --rev"
    if "object format" in reason or "objectformat" in reason:
        message = f"the repository at {top} is of git's SHA-256 format, which libgit2 does not read"
        return OffhookError(message, hint=hint)
    return OffhookError(f"the repository at {top} cannot be read: {reason}", hint=hint)


def no_revision(repository: Any, revision: str, reason: str) -> OffhookError:
    """Return why a revision names nothing in an open repository; `reason` is what libgit2 says."""
    unborn = repository.head_is_unborn
    if unborn and not any(True for _ in repository.references):
        return OffhookError("this repository has no commit yet", hint="git add inventory && git commit")
    if unborn and re.match(r"(HEAD|@)(?![\w/.-])", revision):
        branch = str(repository.lookup_reference("HEAD").target).removeprefix("refs/heads/")
        hint = "name another revision: git branch --all lists the branches"
        return OffhookError(f'HEAD is the branch "{shown(branch)}", which has no commit', hint=hint)
    if "ambiguous" in reason:
        hint = "write more of the commit's id"
    elif repository.is_shallow:
        hint = f"this clone is shallow; {DEEPEN}"
    else:
        hint = "git log --oneline --all names the commits; a remote's branch is origin/NAME"
    return OffhookError(f'no revision "{shown(revision)}" in this repository', hint=hint)


def shown(name: str) -> str:
    """Return what somebody wrote for a revision, as it may stand in a message."""
    name = one_line(name)
    return name if len(name) <= _LONG else f"{name[:_LONG]}..."
