"""A campaign's hands: switching phones on the root, looking at what they would fetch, sending NOTIFYs.

Comes in: the actions of `offhook.rollout.campaign.steps`. Goes out: the rows that tell what came of them. What the
world refuses to a single phone is a row; what it refuses to all is an OffhookError, and the campaign can be resumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from offhook.publish.carry.cloudfront import invalidate
from offhook.publish.carry.publication import Publication
from offhook.publish.tree.paths import owner_of, phone_of
from offhook.rollout.calls import call_to
from offhook.rollout.campaign.progress import (
    ABSENT,
    ANSWERED,
    FETCHED,
    GAVE_UP,
    REGISTERED,
    SENT,
    SWITCHED,
    VERIFIED,
    WRONG,
)
from offhook.rollout.campaign.rows import Row
from offhook.rollout.campaign.sends import MAX_SENDS
from offhook.rollout.campaign.steps import Plan, Send
from offhook.rollout.running.fetched import Watch
from offhook.rollout.running.teller import Answer, Job, Teller
from offhook.rollout.who import Target
from offhook.sip.outcome import ANSWERED as TOOK_IT
from offhook.sip.outcome import NOT_THERE, PASSED_ON, is_registered

Look = Callable[[Sequence[str]], dict[str, str]]
"""Boots virtual phones; MAC -> what is wrong with what it gets, in words; phones that are not in it are right."""


class Hands(Protocol):
    """What a campaign needs of the world."""

    def switch(self, macs: Sequence[str], to: str) -> list[Row]:
        """Switch phones; each is told as switched."""

    def verify(self, macs: Sequence[str]) -> list[Row]:
        """Look at what phones would fetch; each is told as verified or wrong."""

    def tell(self, sends: Sequence[Send], now: float) -> None:
        """Hand NOTIFYs over, to be sent when they are due."""

    def news(self, timeout_s: float, now: float) -> list[Row]:
        """Return what happened since, waiting for so many seconds for something."""

    def written(self) -> None:
        """Go on: what was returned so far is in the journal."""

    @property
    def under_way(self) -> int:
        """How many NOTIFYs have not ended."""


@dataclass(slots=True)
class RealHands:
    """Hands on a publication that has the hold; a teller where anybody is told, a watch where there is a log."""

    plan: Plan
    publication: Publication
    look: Look | None
    teller: Teller | None
    watch: Watch | None
    warn: Callable[[str], None]
    clock: Callable[[], float]
    _moved: set[str] = field(default_factory=set)
    _next: list[Job] = field(default_factory=list)

    def switch(self, macs: Sequence[str], to: str) -> list[Row]:
        """Switch phones to the publication's tree, whichever of the two that is.

        What they fetched up to now may have been the other one: of them that is forgotten.
        """
        chosen = frozenset(macs)
        self.publication.switch(chosen)
        paths = [path for path in self.publication.steps.switches if phone_of(path) in chosen]
        if paths and (warning := invalidate(self.publication.place, paths)):
            self.warn(warning)
        at = self.clock()
        others = (row for row in self._fetched(at) if row.mac not in chosen)
        return [*others, *(Row(SWITCHED, mac, at, to=to) for mac in macs)]

    def verify(self, macs: Sequence[str]) -> list[Row]:
        """Boot a virtual phone for each of them; one that is to have nothing any more is not looked at."""
        there = [mac for mac in macs if mac in self.publication.survey.phones]
        wrong = self.look(there) if self.look is not None and there else {}
        at = self.clock()
        return [Row(WRONG, mac, at, why=wrong[mac]) if mac in wrong else Row(VERIFIED, mac, at) for mac in macs]

    def tell(self, sends: Sequence[Send], now: float) -> None:
        """Hand NOTIFYs to the teller, whose clock never jumps."""
        assert self.teller is not None
        monotonic = time.monotonic()
        for send in sends:
            target = self.plan.targets[send.mac]
            target = target.fetched if send.asks else target
            call = call_to(target, asks=send.asks)
            self.teller.tell(Job(send, call, self.plan.places_of(target), monotonic + max(0.0, send.at - now)))

    def news(self, timeout_s: float, now: float) -> list[Row]:
        """Return how NOTIFYs ended, and who fetched."""
        rows: list[Row] = []
        if self.teller is not None and self.teller.under_way:
            rows += self._ended(self.teller.answers(timeout_s))
        elif timeout_s > 0:
            time.sleep(timeout_s)
        return [*rows, *self._fetched(now)]

    @property
    def under_way(self) -> int:
        """How many NOTIFYs have not ended."""
        return len(self._next) + (self.teller.under_way if self.teller is not None else 0)

    def written(self) -> None:
        """Call phones by their new accounts, which is written ahead now; what the log told is in the journal, too."""
        if self.watch is not None:
            self.watch.keep()
        while self._next and self.teller is not None:
            self.teller.tell(self._next.pop(0))

    def _fetched(self, at: float) -> list[Row]:
        """Which phones fetched what the publication's tree has for them, since the last look."""
        files = self.publication.survey.files
        names = self.watch.seen() if self.watch is not None else ()
        known = (name for name in names if name in files or f"phones/{name}" in files)
        return [Row(FETCHED, mac, at) for mac in map(owner_of, known) if mac in self.plan.targets]

    def _ended(self, answers: Collection[Answer]) -> Iterator[Row]:
        at = self.clock()
        for one in answers:
            outcome = one.outcome
            if one.send.asks:
                is_there = is_registered(outcome)
                why = "" if is_there else f"asked whether it is registered: {outcome.short}"
                yield from one.send.rows(REGISTERED if is_there else ABSENT, at, status=outcome.status, why=why)
                continue
            if outcome.word in (TOOK_IT, PASSED_ON):
                why = "" if outcome.is_answered else outcome.sentence
                yield from one.send.rows(ANSWERED, at, status=outcome.status, why=why)
                continue
            moved = self._moving(one) if outcome.word in NOT_THERE else ()
            yield from self._by_new_account(moved, at)
            rows = one.send.rows(GAVE_UP, at, status=outcome.status, why=f"{outcome.word}: {outcome.sentence}")
            yield from (row for row in rows if row.mac not in moved)

    def _moving(self, answer: Answer) -> tuple[str, ...]:
        """Phones that may be known by another account since they fetched, and were not called by it."""
        macs = (answer.send.mac, *answer.send.also)
        return tuple(mac for mac in macs if self.plan.targets[mac].other and mac not in self._moved)

    def _by_new_account(self, macs: Collection[str], at: float) -> Iterator[Row]:
        groups: dict[str, list[Target]] = {}
        for mac in macs:
            fetched = self.plan.targets[mac].fetched
            groups.setdefault(fetched.address, []).append(fetched)
        for first, *others in groups.values():
            send = Send(at, first.mac, tuple(one.mac for one in others))
            self._next.append(Job(send, call_to(first), self.plan.places_of(first), time.monotonic()))
            # it is not called by the old account again, whatever happens to this run
            yield from send.rows(SENT, at, status=MAX_SENDS)
        self._moved.update(macs)
