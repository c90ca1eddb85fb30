"""The records of releases in git: read, added, fetched and pushed; and all of it as the last step of a publish.

Comes in: a folder of the fleet's repository and an environment. What was released where stands in refs/offhook/ENV,
which an auditor reads with plain git; what the remote was last seen to have, in refs/offhook-remote/ENV.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from offhook.git.program import TIMEOUT_S
from offhook.git.refs import has_commit, move_ref, read_ref
from offhook.git.remote import Rejected, fetch_commits, fetch_ref, push_ref, remote_of
from offhook.git.repository import Git, open_git
from offhook.problem import OffhookError
from offhook.publish.releases.ledger import (
    Chain,
    append,
    join,
    no_release,
    read_chain,
    read_phones,
    ref_of,
    remote_ref_of,
)
from offhook.publish.releases.release import Phones, Release
from offhook.texts import listed

__all__ = [
    "Recorded",
    "add_release",
    "fetch_releases",
    "find_release",
    "phones_of_release",
    "push_releases",
    "read_releases",
    "record",
]

_DEPTH = 100
"""How many records come into a shallow clone that has none: each names a source commit, whose history comes along."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of recording: the numbers that need not wait in the state any more, sorted; and what went wrong.

    `warning` is "" where nothing did, else one line, with its next step in `hint`.
    """

    numbers: tuple[int, ...]
    warning: str = ""
    hint: str = ""


def read_releases(root: Path, environment: str, *, warn: Callable[[str], None] = lambda _: None) -> list[Release]:
    """Return the releases that are recorded in the repository around `root`, the newest first.

    `warn` is told what was passed over, and where a shallow clone lacks older ones. Raises OffhookError where there is
    no repository, no such environment can be, or the ref holds no commit.
    """
    chain = read_chain(open_git(root), ref_of(environment))
    for line in notes(chain):
        warn(line)
    return [one.release for one in chain.records]


def notes(chain: Chain) -> list[str]:
    """Return what is to be said of a chain: that something in it is no record, and that its end is not here."""
    lines = []
    if chain.strangers:
        lines.append(f"on {chain.ref} is what offhook did not write; passed over: {listed(chain.strangers)}")
    if chain.is_cut:
        lines.append("this clone is shallow and lacks older releases: git fetch --unshallow")
    return lines


def phones_of_release(root: Path, environment: str, number: int) -> Phones:
    """Return which phones a recorded release changed. Raises OffhookError where it is not recorded, or damaged."""
    git = open_git(root)
    chain = read_chain(git, ref_of(environment))
    found = next((one for one in chain.records if one.release.number == number), None)
    if found is None:
        raise no_release(number, [one.release for one in chain.records])
    return read_phones(git, found)


def find_release(releases: Sequence[Release], number: int | None) -> Release:
    """Return the release of that number; for None the newest whose tree differs from that of the newest one.

    `releases` is what `read_releases` returns. Raises OffhookError where there is none.
    """
    if number is not None:
        found = next((one for one in releases if one.number == number), None)
        if found is None:
            raise no_release(number, releases)
        return found
    before = next((one for one in releases if one.sealed != releases[0].sealed), None)
    if before is None:
        what = "every recorded release has the same tree" if releases else "no release is recorded"
        raise OffhookError(
            f"{what}: there is nothing to go back to",
            hint="git revert, and publish, goes back too; a rollout that is not done: offhook rollout revert",
        )
    return before


def add_release(root: Path, release: Release, phones: Phones) -> None:
    """Record a release on refs/offhook/ENV of the repository around `root`; one that is there already is left.

    The commit's author is who released, its committer who git says commits here. A source commit that is not in this
    repository is named, but is no parent. Raises OffhookError where another release has that number already, naming
    both, and where the repository cannot be written to.
    """
    append(open_git(root), release, phones)


def fetch_releases(root: Path, environment: str, *, timeout_s: float = TIMEOUT_S) -> None:
    """Bring the remote's records here, and put those that only this clone has on top of them.

    The remote is that of the branch that is checked out, else origin; where there is none nothing is done. Raises
    OffhookError where git cannot fetch, and where two different releases have one number, naming both.
    """
    git = open_git(root)
    remote = remote_of(git)
    if remote is not None:
        _fetch(git, remote, environment, timeout_s)
        join(open_git(root), environment)


def push_releases(root: Path, environment: str, *, timeout_s: float = TIMEOUT_S) -> bool:
    """Push the records, never by force; return False where there is no remote, or nothing to push.

    Where the remote has other records since, they are fetched, and the push is tried once more. Raises OffhookError
    where it is refused.
    """
    git = open_git(root)
    remote, tip = remote_of(git), read_ref(git, ref_of(environment))
    if remote is None or tip is None:
        return False
    try:
        _push(git, remote, environment, tip, timeout_s)
    except Rejected:
        fetch_releases(root, environment, timeout_s=timeout_s)
        git = open_git(root)
        joined = read_ref(git, ref_of(environment))
        if joined is None or joined == tip:
            raise
        _push(git, remote, environment, joined, timeout_s)
    return True


def record(
    root: Path,
    release: Release,
    phones: Phones,
    *,
    waiting: Sequence[tuple[Release, Phones]] = (),
    timeout_s: float = TIMEOUT_S,
) -> Recorded:
    """Record a release that was published, and those that former runs could not push; the last step of a publish.

    Returns which numbers are where others see them: pushed, or in a repository without a remote. The phones have the
    release by now: what the world refuses is a warning, and the rest waits in the state.
    """
    environment = release.environment
    every = sorted([*waiting, (release, phones)], key=lambda pair: pair[0].number)
    faults: list[OffhookError] = []
    remote: str | None = None
    try:
        remote = remote_of(open_git(root))
        fetch_releases(root, environment, timeout_s=timeout_s)
        _bring_sources(root, [one for one, _ in every], remote, timeout_s)
    except OffhookError as error:
        faults.append(error)
    is_reached = not faults
    added = []
    for one, its in every:
        try:
            add_release(root, one, its)
            added.append(one)
        except OffhookError as error:
            faults.append(error)
    try:
        if is_reached and remote is not None:
            push_releases(root, environment, timeout_s=timeout_s)
    except OffhookError as error:
        faults.append(error)
    visible = _visible(root, environment, remote)
    safe = {one.number for one in added if one in visible}
    return _recorded(release, safe, faults)


def _recorded(release: Release, safe: set[int], faults: Sequence[OffhookError]) -> Recorded:
    if not faults:
        return Recorded(tuple(sorted(safe)))
    first = faults[0]
    where = "is recorded" if release.number in safe else "is published; its record waits"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    warning = f"release {release.number} of {release.environment} {where}: {first.message}{more}"
    return Recorded(tuple(sorted(safe)), warning, first.hint)


def _visible(root: Path, environment: str, remote: str | None) -> list[Release]:
    """What others see: what the remote has, or, where there is none, what this repository has."""
    try:
        ref = ref_of(environment) if remote is None else remote_ref_of(environment)
        return [one.release for one in read_chain(open_git(root), ref).records]
    except OffhookError:
        return []


def _fetch(git: Git, remote: str, environment: str, timeout_s: float) -> None:
    ref, seen = ref_of(environment), remote_ref_of(environment)
    if not fetch_ref(git, remote, ref, into=seen, depth=_DEPTH, timeout_s=timeout_s):
        _remember(git, environment, None)


def _push(git: Git, remote: str, environment: str, tip: str, timeout_s: float) -> None:
    push_ref(git, remote, ref_of(environment), commit=tip, timeout_s=timeout_s)
    _remember(git, environment, tip)


def _remember(git: Git, environment: str, tip: str | None) -> None:
    """Note what the remote has. Where somebody else notes something at the same time, theirs stands."""
    ref = remote_ref_of(environment)
    old = read_ref(git, ref)
    if old != tip:
        move_ref(git, ref, tip, old=old)


def _bring_sources(root: Path, releases: Sequence[Release], remote: str | None, timeout_s: float) -> None:
    """Fetch the source commits of records that other clones made, where this one does not have them."""
    git = open_git(root)
    lacking = [one.commit for one in releases if one.commit and not has_commit(git, one.commit)]
    if remote is not None and lacking:
        fetch_commits(git, remote, lacking, timeout_s=timeout_s)
