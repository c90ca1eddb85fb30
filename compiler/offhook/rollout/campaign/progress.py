"""How far a campaign is: the rows of its journal, folded.

Comes in: rows in the order of the journal. Goes out: `Progress`, which knows of each phone where it was switched to,
whether it was notified, and with which outcome; and of the campaign whether it runs. `rows` gives rows that tell the
same. A phone's states, in the usual order: (queued) switching, switched, verified, sent, answered, fetched, asked,
registered or absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from offhook.rollout.campaign.rows import Row

QUEUED = "queued"
SWITCHING, SWITCHED, VERIFIED, SENT = "switching", "switched", "verified", "sent"
ANSWERED, GAVE_UP, WRONG, UNTOLD = "answered", "gave-up", "wrong", "untold"
FETCHED, ASKED, REGISTERED, ABSENT = "fetched", "asked", "registered", "absent"
OUTCOMES = (ANSWERED, GAVE_UP, WRONG, UNTOLD)
"""answered: well. gave-up: refused, or no answer. wrong: what it would fetch is not right. untold: no address."""

FORGIVEN = "forgiven"
PASSED, WAIVED = "passed", "waived"
PAUSED, RESUMED, STOPPED, REVERTING, ENDED = "paused", "resumed", "stopped", "reverting", "ended"
RUNNING = "running"
NEW, OLD = "new", "old"


@dataclass(frozen=True, slots=True)
class PhoneState:
    """One phone. `to` is "" before it is switched, then new or old; `switched` is False while nobody knows.

    `sends` counts NOTIFYs since it was switched, `sent_at` is when the last one was due; `outcome` is one of
    `OUTCOMES`, or "". Times are seconds since the epoch; `fetched_at` and `registered_at` are 0 where that was not
    seen. `asked_at` is when it was asked whether it is registered, and `absent_at` when the answer was that it is not.
    `forgiven` tells that a person resumed in spite of its failure; one that was wrong is looked at again then.
    `before` says on one line how telling it ended before it was switched back, "" for one that was not.
    """

    to: str = ""
    switched: bool = False
    verified: bool = False
    sends: int = 0
    sent_at: float = 0.0
    outcome: str = ""
    outcome_at: float = 0.0
    status: int = 0
    why: str = ""
    fetched_at: float = 0.0
    asked_at: float = 0.0
    registered_at: float = 0.0
    absent_at: float = 0.0
    forgiven: bool = False
    before: str = ""

    @property
    def has_failed(self) -> bool:
        """Tell whether it failed: one that did not answer, and fetched later, did not."""
        return self.outcome == WRONG or (self.outcome == GAVE_UP and not self.fetched_at)

    @property
    def state(self) -> str:
        """Return the word for how far it is."""
        if self.outcome == WRONG:
            return WRONG
        if self.registered_at and not self.has_failed:  # it is there, and need not have heard
            return REGISTERED
        if self.fetched_at:
            return FETCHED
        if self.outcome or self.sends:
            return self.outcome or SENT
        if not self.to:
            return QUEUED
        return (VERIFIED if self.verified else SWITCHED) if self.switched else SWITCHING

    def switching(self, row: Row) -> PhoneState:
        """Return the state as of a switch to another configuration: nothing is known of that one."""
        status = f" {self.status}" if self.status else ""
        ended = f"{self.state}{status}: {self.why}".removesuffix(": ") if self.outcome or self.sends else ""
        return PhoneState(row.to, switched=row.state == SWITCHED, before=row.why or ended)


_QUEUED = PhoneState()


@dataclass(slots=True)
class Progress:
    """A campaign's phones and how it stands: running, paused, stopped, reverting or ended, since `at`, because `why`.

    `passed` are the numbers of waves whose gate is passed, `waived` of those whose gate a person waived. `failed` are
    the phones that count against the budget. `reverted` tells that a person went back, whoever was switched by then.
    `began` is when this run took the campaign up again, 0 for the first one.
    """

    phones: dict[str, PhoneState] = field(default_factory=dict)
    passed: set[int] = field(default_factory=set)
    waived: set[int] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    condition: str = RUNNING
    at: float = 0.0
    why: str = ""
    reverted: bool = False
    began: float = 0.0

    def of(self, mac: str) -> PhoneState:
        """Return a phone's state."""
        return self.phones.get(mac, _QUEUED)

    def take(self, rows: Iterable[Row]) -> None:
        """Fold rows in, in the order of the journal."""
        for row in rows:
            if not row.mac:
                self._of_campaign(row)
                continue
            state = self.phones[row.mac] = folded(self.of(row.mac), row)
            (self.failed.add if state.has_failed and not state.forgiven else self.failed.discard)(row.mac)

    def begin_again(self, now: float) -> None:
        """Hold times that an earlier run wrote against this one's clock, which may have been set since.

        Nothing was later than now; and whoever was told may have been told just now.
        """
        for mac, one in self.phones.items():
            sent_at, outcome_at, asked_at = (min(at, now) for at in (one.sent_at, one.outcome_at, one.asked_at))
            self.phones[mac] = replace(one, sent_at=sent_at, outcome_at=outcome_at, asked_at=asked_at)
        self.at = min(self.at, now)
        self.began = now

    def told_at(self, mac: str) -> float:
        """Return when a phone that was told may have been told last."""
        return max(self.of(mac).sent_at, self.began)

    def on_new(self) -> tuple[str, ...]:
        """Return the phones that have, or may have, the new configuration; sorted."""
        return tuple(sorted(mac for mac, one in self.phones.items() if one.to == NEW or (one.to and not one.switched)))

    def rows(self) -> Iterator[Row]:
        """Yield the rows that tell the same, for a journal that is compacted."""
        for mac, state in self.phones.items():
            yield from _rows_of(mac, state)
        yield from (Row(PASSED, at=self.at, wave=number) for number in sorted(self.passed))
        yield from (Row(WAIVED, at=self.at, wave=number) for number in sorted(self.waived))
        if self.reverted and self.condition != REVERTING:
            yield Row(REVERTING, at=self.at)
        if self.at:
            yield Row(RESUMED if self.condition == RUNNING else self.condition, at=self.at, why=self.why)

    def _of_campaign(self, row: Row) -> None:
        if row.state in (PASSED, WAIVED):
            (self.passed if row.state == PASSED else self.waived).add(row.wave)
            return
        self.condition = RUNNING if row.state == RESUMED else row.state
        self.reverted = self.reverted or row.state == REVERTING
        self.at, self.why = row.at, row.why


def folded(state: PhoneState, row: Row) -> PhoneState:
    """Return a phone's state after a row. An answer to what was never sent, or after a good one, changes nothing.

    Nor does a fetch before the switch: that was of what was there before.
    """
    if row.state == SWITCHING:
        return state if state.to == row.to else state.switching(row)
    if row.state == SWITCHED:
        return replace(state, switched=True) if state.to == row.to else state.switching(row)
    if row.state == VERIFIED:
        return replace(state, verified=True)
    if row.state == SENT:
        return replace(state, sends=row.status, sent_at=row.at)
    if row.state == FETCHED:
        return replace(state, fetched_at=row.at) if state.switched else state
    if row.state == ASKED:
        return replace(state, asked_at=row.at)
    if row.state == REGISTERED:
        return replace(state, registered_at=row.at)
    if row.state == ABSENT:
        return replace(state, absent_at=row.at, why=state.why or row.why)
    if row.state == FORGIVEN:
        again = replace(state, outcome="", outcome_at=0.0, status=0, why="") if state.outcome == WRONG else state
        return replace(again, forgiven=True)
    is_stale = state.outcome == ANSWERED or (row.state in (ANSWERED, GAVE_UP) and not state.sends)
    if row.state not in OUTCOMES or is_stale:
        return state
    return replace(state, outcome=row.state, outcome_at=row.at, status=row.status, why=row.why)


def _rows_of(mac: str, state: PhoneState) -> Iterator[Row]:
    if state.to:
        yield Row(SWITCHED if state.switched else SWITCHING, mac, to=state.to, why=state.before)
    if state.verified:
        yield Row(VERIFIED, mac)
    if state.sends:
        yield Row(SENT, mac, state.sent_at, status=state.sends)
    if state.forgiven:  # before what it came to: it may have been wrong again since
        yield Row(FORGIVEN, mac)
    if state.outcome:
        yield Row(state.outcome, mac, state.outcome_at, status=state.status, why=state.why)
    if state.fetched_at:
        yield Row(FETCHED, mac, state.fetched_at)
    if state.asked_at:
        yield Row(ASKED, mac, state.asked_at)
    if state.registered_at:
        yield Row(REGISTERED, mac, state.registered_at)
    if state.absent_at:
        yield Row(ABSENT, mac, state.absent_at, why=state.why)
