"""One ref fetched from a remote, and pushed to it, by the git program: so that the user's credentials work.

What git says is shown in one line without any address's user or password.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from offhook.git.program import Said, Unanswered, run_git, shown
from offhook.git.repository import Git
from offhook.problem import OffhookError

_LONG = 200

# one ref, and nothing of what the configuration would bring along: tags, submodules, other refs that it maps
_FETCH = (
    *("fetch", "--quiet", "--no-tags", "--no-prune", "--no-write-fetch-head", "--recurse-submodules=no"),
    *("--no-auto-gc", "--no-filter", "--refmap="),
)
_PUSH = ("push", "--quiet", "--no-follow-tags", "--recurse-submodules=no")

_HINTS = (
    (
        r"authentication failed|could not read (username|password)|terminal prompts disabled|permission"
        r"|access (denied|rights)|denied to|error: 40[13]|invalid (credentials|username)|host key verification",
        "git needs credentials that may fetch and push here (GitHub Actions: permissions: contents: write)",
    ),
    (
        r"resolve host|connect|unable to access|unreachable|timed out|hung up|early eof",
        "run it again when the remote answers",
    ),
    (r"shallow update", "fetch the whole history first (actions/checkout: fetch-depth: 0), or push the branch"),
    (r"rejected\]", "let those who publish push to refs/offhook/*"),
)


class Rejected(OffhookError):
    """The remote has something else there than was expected, or a rule or a hook of it refuses."""


def remote_of(git: Git) -> str | None:
    """Return the remote of the branch that is checked out, else "origin", None where there is neither.

    It is a name, or an address where the branch has one instead.
    """
    import pygit2

    repository = git.repository
    try:
        head = repository.lookup_reference("HEAD").target
        found = repository.config[f"branch.{str(head).removeprefix('refs/heads/')}.remote"]
    except (KeyError, ValueError, pygit2.GitError):
        found = ""
    if found and found != ".":  # a dot is this repository
        return str(found)
    return "origin" if "origin" in repository.remotes.names() else None


def fetch_ref(git: Git, remote: str, name: str, *, into: str, depth: int, timeout_s: float) -> bool:
    """Bring a remote's ref here under another name, whatever that held; False where the remote has no such ref.

    `depth` bounds how many commits come into a clone of depth 1, as CI makes them. Raises OffhookError where git fails.
    """
    bounds = (f"--depth={depth}",) if _is_of_depth_one(git) else ()
    said = _run(git, remote, "fetch", name, (*_FETCH, *bounds, "--", remote, f"+{name}:{into}"), timeout_s)
    if said.code == 0:
        return True
    if "couldn't find remote ref" in said.err.lower():
        return False
    raise _refused(remote, "fetch", name, said)


def fetch_commits(git: Git, remote: str, commits: Sequence[str], *, timeout_s: float) -> None:
    """Bring commits here by their ids, whatever comes of it: the caller looks. Not every remote gives one by its id."""
    bounds = ("--depth=1",) if _is_of_depth_one(git) else ()
    for one in commits:
        try:
            run_git(git.repository, *_FETCH, *bounds, "--", remote, one, timeout_s=timeout_s)
        except OffhookError:
            return


def push_ref(git: Git, remote: str, name: str, *, commit: str, timeout_s: float) -> None:
    """Let a remote's ref hold a commit; never by force.

    Raises Rejected where the remote will not have it, and OffhookError where it cannot be asked.
    """
    # a mirror pushes everything, and refuses to push one ref
    single = ("-c", f"remote.{remote}.mirror=false") if remote in git.repository.remotes.names() else ()
    said = _run(git, remote, "push", name, (*single, *_PUSH, "--", remote, f"{commit}:{name}"), timeout_s)
    if said.code != 0:
        raise _refused(remote, "push", name, said)


def _is_of_depth_one(git: Git) -> bool:
    """Tell whether a shallow clone has no commit with its parents: a bounded fetch would take them from one that has.

    To git a depth is that of the whole clone: it shortens a history that is longer ("--depth", git-fetch(1)).
    """
    import pygit2

    repository = git.repository
    if not repository.is_shallow:
        return False
    try:
        return not any(one.peel(pygit2.Commit).parent_ids for one in repository.references.objects)
    except (KeyError, ValueError, pygit2.GitError):
        return False


def _run(git: Git, remote: str, verb: str, name: str, arguments: tuple[str, ...], timeout_s: float) -> Said:
    try:
        return run_git(git.repository, *arguments, timeout_s=timeout_s)
    except Unanswered as error:
        message = f"git could not {verb} {name}: {shown(remote)} gave no answer within {timeout_s:g} s"
        raise Unanswered(message, hint=f"{_call(verb, remote)} shows where it waits") from error


def _refused(remote: str, verb: str, name: str, said: Said) -> OffhookError:
    message = f"git could not {verb} {name} {'to' if verb == 'push' else 'from'} {shown(remote)}: {_reason(said)}"
    hint = next((hint for words, hint in _HINTS if re.search(words, said.err, re.IGNORECASE)), "")
    kind = Rejected if "rejected]" in said.err else OffhookError
    return kind(message, hint=hint or f"{_call(verb, remote)} says more")


def _call(verb: str, remote: str) -> str:
    """The command that shows a fault; what somebody wrote instead of a name is not to be pasted."""
    return f"git {verb} {remote}" if re.fullmatch(r"\w[\w./-]*", remote) else f"git {verb}"


def _reason(said: Said) -> str:
    """The lines that tell why, of all that git and the remote wrote: why it was rejected, and what a hook says."""
    lines = [line.strip() for line in said.err.splitlines()]
    rejected = [found[1] for line in lines if (found := re.search(r"rejected\].*\((.+)\)$", line))]
    remote = [text for line in lines if line.startswith("remote:") and (text := line[7:].strip())]
    own = [found[1] for line in lines if (found := re.match(r"(?:fatal|error): (.+)", line))]
    at = next((at for at, line in enumerate(lines) if "Could not read from remote repository" in line), 0)
    ssh = [line.removeprefix("fatal: ") for line in lines[:at] if line][-1:]  # ssh spoke just before
    told = [*rejected[:1], *remote[:1]] or ssh or own[:1] or lines[-1:] or [f"exit code {said.code}"]
    text = shown(": ".join(told)).rstrip(".")
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."
