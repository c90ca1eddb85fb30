"""The chain of records on a ref: one commit a release, on top of the former one's.

A record's tree holds `release.json` and `phones.json`. Its first parent is the former commit of the chain, its last the
source commit; the first record has only that one, the record of a work tree only the other. What became of telling the
phones is a commit of the chain, too: its tree holds `outcomes.json`, a trailer says of which release, and its parent is
the former commit. Comes in: an open repository. Others can push to the ref: what is neither is passed over, and named.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from offhook.git.refs import (
    Person,
    copy_commit,
    file_of,
    has_commit,
    has_file,
    identity,
    move_ref,
    named_parents,
    person,
    read_ref,
    tree_of,
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
from offhook.texts import listed, one_line

_RELEASE, _PHONES = "release.json", "phones.json"
OUTCOMES = "outcomes.json"
TRAILER = "Offhook-Outcome"
"""The file and the trailer of a commit that tells of an outcome."""

ATTEMPTS = 20
"""How often somebody else may move a ref before we give up."""

_NUMBER = re.compile(rf"^{TRAILER}: ([1-9][0-9]{{0,8}})$", re.MULTILINE)
_STRANGERS = 64  # in a row: then it is somebody's branch, and not a ledger
_ID = 10


@dataclass(frozen=True, slots=True)
class Record:
    """A release, and the commit that records it."""

    release: Release
    commit: str


@dataclass(frozen=True, slots=True)
class OutcomeCommit:
    """A commit that says what became of telling the phones of release `number`. Nobody has looked at what it says."""

    number: int
    commit: str


@dataclass(frozen=True, slots=True)
class Chain:
    """What a ref holds. `tip` is None where there is no such ref; `commits` are those that were walked.

    `records` has each number once, the highest first; `outcomes` are in the order in which they were added. `strangers`
    say what was passed over, a line each. `is_cut` tells that older records exist, and that a shallow clone does not
    have them.
    """

    ref: str
    tip: str | None
    records: tuple[Record, ...]
    outcomes: tuple[OutcomeCommit, ...]
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
    outcomes: list[OutcomeCommit] = []
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
        what = _judged(git, here, ref)
        if what == "" and is_below_stranger:
            perhaps.append(f"{here[:_ID]} has no {_RELEASE}")
        else:
            strangers += perhaps
            perhaps = []
            if isinstance(what, str):
                strangers.append(what or f"{here[:_ID]} has no {_RELEASE}")
            elif isinstance(what, OutcomeCommit):
                outcomes.append(what)
            else:
                found.append(Record(what, here))
        is_below_stranger = isinstance(what, str)
        is_first = isinstance(what, Release) and parents == (what.commit,) and not _is_ours(git, *parents, ref)
        here = None if is_first else next(iter(parents), None)
    records = _by_number(ref, found, strangers)
    return Chain(ref, tip, records, tuple(reversed(outcomes)), frozenset(commits), tuple(strangers), is_cut)


def read_phones(git: Git, record: Record) -> Phones:
    """Return the phones of a record. Raises OffhookError where the list is not there, or is none."""
    return phones_of(*parsed(git, record.commit, _PHONES))


def append(git: Git, release: Release, phones: Phones) -> None:
    """Add a record to the ref of its environment; one that is there already is left.

    Raises OffhookError where the ref has another release with that number, and where it cannot be written.
    """
    ref = ref_of(release.environment)
    files = {_RELEASE: to_json(release_data(release)), _PHONES: to_json(phones_data(phones))}
    phones = phones_of(phones_data(phones), "phones")
    for _ in range(ATTEMPTS):
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
    raise always_moved(ref)


def join(git: Git, environment: str) -> None:
    """Make of our records and those that the remote was last seen to have one chain: the remote's, and on it ours.

    Outcomes that only we have come last, in their order.

    Raises OffhookError where both have a release of one number, and not the same one.
    """
    for _ in range(ATTEMPTS):
        ours, theirs = read_chain(git, ref_of(environment)), read_chain(git, remote_ref_of(environment))
        if theirs.tip is None or theirs.tip in ours.commits:
            return
        tip = theirs.tip
        if ours.tip not in theirs.commits:
            for record in _only_ours(git, ours, theirs):
                source = [one for one in named_parents(git, record.commit) if one == record.release.commit]
                tip = copy_commit(git, record.commit, [tip, *source])
            for told in _outcomes_only_ours(git, ours, theirs):
                tip = copy_commit(git, told.commit, [tip])
        if move_ref(git, ours.ref, tip, old=ours.tip):
            return
    raise always_moved(ref_of(environment))


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


def _outcomes_only_ours(git: Git, ours: Chain, theirs: Chain) -> list[OutcomeCommit]:
    """Our outcomes that the remote lacks, in their order; a copy with another parent is the same outcome."""
    there = {_content_of(git, one.commit) for one in theirs.outcomes}
    return [one for one in ours.outcomes if _content_of(git, one.commit) not in there]


def _content_of(git: Git, commit: str) -> tuple[str, ...]:
    found = read_commit(git, commit)
    return (tree_of(git, commit), found.author, found.email, str(found.when), found.message)


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


def _is_ours(git: Git, commit: str, ref: str) -> bool:
    """Tell whether a commit is of the chain: a record that calls it its source must not hide it, and all before it."""
    return has_commit(git, commit) and not isinstance(_judged(git, commit, ref), str)


def _judged(git: Git, commit: str, ref: str) -> Release | OutcomeCommit | str:
    """The release or outcome that a commit is of; where it is of neither, why: "" where it has no such file."""
    try:
        if file_of(git, commit, _RELEASE) is None:
            return _judged_outcome(git, commit)
        release = release_of(*parsed(git, commit, _RELEASE))
    except OffhookError as error:
        return error.message
    if release.environment != ref.rpartition("/")[2]:
        return f"{commit[:_ID]} is a record of {release.environment}"
    return release


def _judged_outcome(git: Git, commit: str) -> OutcomeCommit | str:
    """Judged by its message alone: 100,000 phones have many megabytes, and few who ask for releases want them."""
    if not has_file(git, commit, OUTCOMES):
        return ""
    said = _NUMBER.search(read_commit(git, commit).message.strip().rpartition("\n\n")[2])
    return OutcomeCommit(int(said[1]), commit) if said else f"{commit[:_ID]} has {OUTCOMES}, and no {TRAILER}"


def parsed(git: Git, commit: str, path: str) -> tuple[object, str]:
    """Return what a file of a commit holds, and how to call it in messages. Raises OffhookError where it is no JSON."""
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


def always_moved(ref: str) -> OffhookError:
    """Return the refusal where a ref was moved each time that we looked at it."""
    return OffhookError(f"somebody else moved {ref} {ATTEMPTS} times", hint="run it again")


def no_release(number: int, releases: Sequence[Release]) -> OffhookError:
    """Return the refusal of a number that no record has, with those that are recorded."""
    known = listed(str(one.number) for one in releases)
    hint = f"recorded are {known}" if known else "nothing is recorded: offhook publish makes the first release"
    return OffhookError(f"no release {number} is recorded", hint=hint)
