"""The chain of records on a ref: one commit a release, on top of the former one's.

A record's tree holds `release.json` and `phones.json`. Its first parent is the former record, its last the source
commit; the first record has only that one, the record of a work tree only the other. Comes in: an open repository.
Others can push to the ref: what is no record of this environment is passed over, and named.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from offhook.git.refs import (
    Person,
    copy_commit,
    file_of,
    has_commit,
    identity,
    move_ref,
    named_parents,
    person,
    read_ref,
    write_commit,
)
from offhook.git.refusal import shown
from offhook.git.repository import Git, read_commit
from offhook.problem import OffhookError
from offhook.publish.releases.release import (
    Phones,
    Release,
    from_json,
    is_environment,
    phones_data,
    phones_of,
    release_data,
    release_of,
    to_json,
)
from offhook.texts import one_line

_RELEASE, _PHONES = "release.json", "phones.json"
_STRANGERS = 64  # in a row: then it is somebody's branch, and not a ledger
_ATTEMPTS = 20
_ID = 10


@dataclass(frozen=True, slots=True)
class Record:
    """A release, and the commit that records it."""

    release: Release
    commit: str


@dataclass(frozen=True, slots=True)
class Chain:
    """What a ref holds. `tip` is None where there is no such ref; `commits` are those that were walked.

    `records` has each number once, the highest first. `strangers` say what was passed over, a line each. `is_cut` tells
    that older records exist, and that a shallow clone does not have them.
    """

    ref: str
    tip: str | None
    records: tuple[Record, ...]
    commits: frozenset[str]
    strangers: tuple[str, ...]
    is_cut: bool


def ref_of(environment: str) -> str:
    """Return the ref of an environment's records. Raises OffhookError where no environment can have that name."""
    return f"refs/offhook/{_checked(environment)}"


def remote_ref_of(environment: str) -> str:
    """Return the ref that holds what a remote had when it was last asked; raises what `ref_of` raises."""
    return f"refs/offhook-remote/{_checked(environment)}"


def read_chain(git: Git, ref: str) -> Chain:
    """Return the records on a ref.

    Of two records with one number the older one counts. Raises OffhookError where the ref holds no commit.
    """
    tip = read_ref(git, ref)
    found: list[Record] = []
    strangers: list[str] = []
    perhaps: list[str] = []  # below a stranger: the source commits that its parent leads to, unless a record follows
    commits: set[str] = set()
    is_cut = False
    here, is_below_stranger = tip, False
    while here is not None and here not in commits and len(perhaps) < _STRANGERS:
        if here != tip and git.repository.is_shallow and not has_commit(git, here):
            is_cut = True
            break
        commits.add(here)
        parents = named_parents(git, here)
        release, fault = _judged(git, here, ref)
        if release is None and not fault and is_below_stranger:
            perhaps.append(f"{here[:_ID]} has no {_RELEASE}")
        else:
            strangers += perhaps
            perhaps = []
            if release is None:
                strangers.append(fault or f"{here[:_ID]} has no {_RELEASE}")
            else:
                found.append(Record(release, here))
        is_below_stranger = release is None
        is_first = release is not None and parents == (release.commit,) and not _is_record(git, *parents, ref)
        here = None if is_first else next(iter(parents), None)
    records = _by_number(ref, found, strangers)
    return Chain(ref, tip, records, frozenset(commits), tuple(strangers), is_cut)


def read_phones(git: Git, record: Record) -> Phones:
    """Return the phones of a record. Raises OffhookError where the list is not there, or is none."""
    return phones_of(*_parsed(git, record.commit, _PHONES))


def append(git: Git, release: Release, phones: Phones) -> None:
    """Add a record to the ref of its environment; one that is there already is left.

    Raises OffhookError where the ref has another release with that number, and where it cannot be written.
    """
    ref = ref_of(release.environment)
    files = {_RELEASE: to_json(release_data(release)), _PHONES: to_json(phones_data(phones))}
    phones = phones_of(phones_data(phones), "phones")
    for _ in range(_ATTEMPTS):
        chain = read_chain(git, ref)
        known = next((one for one in chain.records if one.release.number == release.number), None)
        if known is not None:
            return _demand_same(git, known, release, phones)
        source = [release.commit] if release.commit and has_commit(git, release.commit) else []
        former = [chain.tip] if chain.tip is not None else []
        author = person(release.by, int(datetime.fromisoformat(release.at).timestamp()))
        parents = [*former, *source]
        message = _message(git, release, has_source=bool(source))
        commit = write_commit(git, files, message, parents=parents, author=author, committer=_committer(git, release))
        if move_ref(git, ref, commit, old=chain.tip):
            return None
    raise _always_moved(ref)


def join(git: Git, environment: str) -> None:
    """Make of our records and those that the remote was last seen to have one chain: the remote's, and on it ours.

    Raises OffhookError where both have a release of one number, and not the same one.
    """
    for _ in range(_ATTEMPTS):
        ours, theirs = read_chain(git, ref_of(environment)), read_chain(git, remote_ref_of(environment))
        if theirs.tip is None or theirs.tip in ours.commits:
            return
        tip = theirs.tip
        if ours.tip not in theirs.commits:
            for record in _only_ours(git, ours, theirs):
                source = [one for one in named_parents(git, record.commit) if one == record.release.commit]
                tip = copy_commit(git, record.commit, [tip, *source])
        if move_ref(git, ours.ref, tip, old=ours.tip):
            return
    raise _always_moved(ref_of(environment))


def _only_ours(git: Git, ours: Chain, theirs: Chain) -> list[Record]:
    """Our records that the remote lacks, in the order of their numbers."""
    known = {one.release.number: one for one in theirs.records}
    lacking = []
    for record in reversed(ours.records):
        other = known.get(record.release.number)
        if other is None:
            lacking.append(record)
        elif other.commit != record.commit:
            _demand_same(git, other, record.release, read_phones(git, record))
    return lacking


def _demand_same(git: Git, known: Record, release: Release, phones: Phones) -> None:
    """Raise OffhookError, which names both, where a record is not that of this release."""
    if known.release == release and read_phones(git, known) == phones:
        return
    number, environment = release.number, release.environment
    raise OffhookError(
        f"there are two releases {number} of {environment}: {_told(known.release)}, in the record "
        f"{known.commit[:_ID]}; and {_told(release)}",
        hint=f"git log -p --first-parent {ref_of(environment)} {remote_ref_of(environment)} shows what is recorded",
    )


def _told(release: Release) -> str:
    return f"{release.at} by {release.by or 'nobody'} of {release.commit[:_ID] or 'a work tree'}"


def _is_record(git: Git, commit: str, ref: str) -> bool:
    """Tell whether a commit is a record: one that calls it its source must not hide it, and all before it."""
    return has_commit(git, commit) and _judged(git, commit, ref)[0] is not None


def _judged(git: Git, commit: str, ref: str) -> tuple[Release | None, str]:
    """The release that a commit records; where it records none, why: "" where it has no such file."""
    try:
        if file_of(git, commit, _RELEASE) is None:
            return None, ""
        release = release_of(*_parsed(git, commit, _RELEASE))
    except OffhookError as error:
        return None, error.message
    if release.environment != ref.rpartition("/")[2]:
        return None, f"{commit[:_ID]} is a record of {release.environment}"
    return release, ""


def _parsed(git: Git, commit: str, path: str) -> tuple[object, str]:
    """What a file of a record holds, and how to call it in messages."""
    where = f"{path} of {commit[:_ID]}"
    content = file_of(git, commit, path)
    if content is None:
        raise OffhookError(f"{commit[:_ID]} has no {path}", hint="somebody else wrote it: git show says who")
    return from_json(content, where), where


def _by_number(ref: str, found: Sequence[Record], strangers: list[str]) -> tuple[Record, ...]:
    """One record a number, the highest first; `found` has the youngest first. Others are added to `strangers`."""
    kept: dict[int, Record] = {}
    for record in reversed(found):
        other = kept.setdefault(record.release.number, record)
        if other.release != record.release:
            strangers.append(f"{record.commit[:_ID]} is a second, other release {record.release.number}")
    return tuple(kept[number] for number in sorted(kept, reverse=True))


def _message(git: Git, release: Release, *, has_source: bool) -> str:
    """The message of a record: for people first, then for programs (git-interpret-trailers(1))."""
    environment, number = release.environment, release.number
    lines = [f"{environment}: release {number}", ""]
    if release.rollback_of is not None:
        lines += [f"Rollback of release {release.rollback_of}.", ""]
    if release.reason:
        lines += [release.reason, ""]
    lines.append(f"Offhook-Release: {number}")
    if release.commit:
        subject = one_line(read_commit(git, release.commit).subject) if has_source else "(not in this repository)"
        lines.append(f"Offhook-Commit: {release.commit} {subject}".rstrip())
    return "\n".join(lines) + "\n"


def _committer(git: Git, release: Release) -> Person:
    """Whoever git says commits here; the one who released where it does not know, as in CI."""
    return identity(git) or person(release.by, int(time.time()))


def _checked(environment: str) -> str:
    if not is_environment(environment):
        raise OffhookError(
            f'"{shown(environment)}" is no name of an environment',
            hint="lower-case letters, digits, - and _; at most 63, the first a letter or digit",
        )
    return environment


def _always_moved(ref: str) -> OffhookError:
    return OffhookError(f"somebody else moved {ref} {_ATTEMPTS} times", hint="run it again")
