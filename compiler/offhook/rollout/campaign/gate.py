"""The gate after a wave, and the one budget of failures.

Comes in: a wave's phones, how far they are, and what is asked. Goes out: counts, and a `Verdict` in words. A share that
nobody can see (no access log, no PBX that tells) is not judged, and the words say so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from offhook.rollout.campaign.config import GateRule
from offhook.rollout.campaign.progress import ANSWERED, FETCHED, REGISTERED, WRONG, Progress


@dataclass(frozen=True, slots=True)
class Counts:
    """What a wave's phones did. `notified` are those that were told, `wrong` those that were not, because of what they
    would fetch; `failed` also counts what is forgiven."""

    phones: int
    notified: int
    answered: int
    fetched: int
    registered: int
    wrong: int
    failed: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a gate is passed, and one sentence for each share that was judged, or could not be."""

    passed: bool
    words: tuple[str, ...]


def counts(macs: Iterable[str], progress: Progress) -> Counts:
    """Return what some phones did."""
    every = [progress.of(mac) for mac in macs]
    return Counts(
        phones=len(every),
        notified=sum(1 for one in every if one.sends),
        answered=sum(1 for one in every if one.outcome == ANSWERED),
        fetched=sum(1 for one in every if one.fetched_at),
        registered=sum(1 for one in every if one.registered_at),
        wrong=sum(1 for one in every if one.outcome == WRONG),
        failed=sum(1 for one in every if one.has_failed),
    )


def judge(rule: GateRule, counted: Counts, seen: Collection[str]) -> Verdict:
    """Return whether a wave may be followed by the next. `seen` are those of fetched and registered that are told.

    A phone that would fetch the wrong thing was not told, and counts as one that did not answer.
    """
    told = counted.notified + counted.wrong
    asked = [
        (ANSWERED, rule.answered, counted.answered, told, True),
        (FETCHED, rule.fetched, counted.fetched, counted.phones, FETCHED in seen),
        (REGISTERED, rule.registered, counted.registered, told, REGISTERED in seen),
    ]
    passed, words = True, []
    for name, percent, number, of, is_seen in asked:
        if percent is None or not of:
            continue
        if not is_seen:
            words.append(f"nobody can tell here how many phones {name}: {percent}% are asked for")
            continue
        passed = passed and number * 100 >= percent * of
        words.append(f"{number:,} of {of:,} {name}, {percent}% are asked for")
    return Verdict(passed, tuple(words))


def over_budget(progress: Progress, budget: int) -> str:
    """Return why everything has to stop, "" where it has not: more phones failed, in all waves, than may."""
    failed = len(progress.failed)
    if failed <= budget:
        return ""
    return f"{failed:,} {'phone' if failed == 1 else 'phones'} failed, and {budget:,} may"
