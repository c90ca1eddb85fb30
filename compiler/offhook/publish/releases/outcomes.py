"""What became of telling phones about a release, kept in git beside its record: added, and read.

Comes in: a folder of the fleet's repository, an environment and the number of a release. An outcome is one more commit
on refs/offhook/ENV, and is fetched and pushed with the records (`records`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from offhook.git.refs import identity, move_ref, person, write_commit
from offhook.git.repository import Git, open_git
from offhook.problem import OffhookError
from offhook.publish.releases.ledger import (
    ATTEMPTS,
    OUTCOMES,
    TRAILER,
    Chain,
    OutcomeCommit,
    always_moved,
    no_release,
    parsed,
    read_chain,
    ref_of,
)
from offhook.publish.releases.release import DAMAGED
from offhook.publish.releases.told import REACHED, STATES, Outcome, Told, outcome_bytes, outcome_of

__all__ = ["REACHED", "STATES", "Told", "add_outcomes", "outcomes_in", "outcomes_of"]


def add_outcomes(root: Path, environment: str, number: int, told: Iterable[Told], *, by: str) -> None:
    """Put what became of telling phones on top of the environment's records; `push_releases` takes it to the remote.

    `by` is "Name <mail>", or what CI says. Rows that are there already are left: a campaign may add all of its rows
    after each wave. Raises OffhookError where no such release is recorded, where a row is not what it must be or a
    phone has two, and where the repository cannot be written to.
    """
    outcome = Outcome(environment, number, by, tuple(sorted(told, key=lambda row: row.mac)))
    ref = ref_of(environment)
    outcome_bytes(outcome)
    git = open_git(root)
    for _ in range(ATTEMPTS):
        chain = read_chain(git, ref)
        if not any(one.release.number == number for one in chain.records) and not chain.is_cut:
            raise no_release(number, [one.release for one in chain.records])
        known = _rows(git, chain, environment, number, lambda _: None)
        fresh = tuple(row for row in outcome.told if row not in known)
        if not fresh or chain.tip is None:
            return
        if move_ref(git, ref, _write(git, replace(outcome, told=fresh), chain.tip), old=chain.tip):
            return
    raise always_moved(ref)


def outcomes_of(
    root: Path, environment: str, number: int, *, warn: Callable[[str], None] = lambda _: None
) -> tuple[Told, ...]:
    """Return what became of telling the phones of a release: the latest row of each, sorted by MAC.

    Of two rows of one time the one that was added later counts. A commit that is damaged is passed over, and `warn` is
    told. Raises OffhookError where there is no repository, or no such environment can be.
    """
    git = open_git(root)
    return outcomes_in(git, read_chain(git, ref_of(environment)), environment, number, warn=warn)


def outcomes_in(
    git: Git, chain: Chain, environment: str, number: int, *, warn: Callable[[str], None] = lambda _: None
) -> tuple[Told, ...]:
    """Return the same for a chain that was read already."""
    latest: dict[str, Told] = {}
    for row in _rows(git, chain, environment, number, warn):
        if row.mac not in latest or row.at >= latest[row.mac].at:
            latest[row.mac] = row
    return tuple(latest[mac] for mac in sorted(latest))


def _rows(git: Git, chain: Chain, environment: str, number: int, warn: Callable[[str], None]) -> dict[Told, None]:
    """All rows of a release, in the order in which they were added, each once."""
    found: dict[Told, None] = {}
    for one in chain.outcomes:
        if one.number == number:
            try:
                found |= dict.fromkeys(_read(git, environment, one).told)
            except OffhookError as error:
                warn(f"what became of telling phones of release {number} is passed over: {error.message}")
    return found


def _read(git: Git, environment: str, one: OutcomeCommit) -> Outcome:
    data, where = parsed(git, one.commit, OUTCOMES)
    outcome = outcome_of(data, where)
    if (outcome.environment, outcome.number) != (environment, one.number):
        message = (
            f"{where} tells of release {outcome.number} of {outcome.environment}, "
            f"its commit of {one.number} of {environment}"
        )
        raise OffhookError(message, hint=DAMAGED)
    return outcome


def _write(git: Git, outcome: Outcome, tip: str) -> str:
    latest = int(datetime.fromisoformat(max(row.at for row in outcome.told)).timestamp())
    return write_commit(
        git,
        {OUTCOMES: outcome_bytes(outcome)},
        _message(outcome),
        parents=[tip],
        author=person(outcome.by, latest),
        committer=identity(git) or person(outcome.by, int(time.time())),
    )


def _message(outcome: Outcome) -> str:
    """Such as "prod: release 12: 47 of 50 phones told"; then the trailer that makes it an outcome."""
    reached = sum(row.state in REACHED for row in outcome.told)
    phones = "phone" if len(outcome.told) == 1 else "phones"
    subject = f"{outcome.environment}: release {outcome.number}: {reached} of {len(outcome.told)} {phones} told"
    return f"{subject}\n\n{TRAILER}: {outcome.number}\n"
