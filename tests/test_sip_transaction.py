"""Timers E, F and K of RFC 3261 section 17.1.2, with a clock that the tests turn."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from offhook.sip.message import Headers, Response
from offhook.sip.transaction import TIMEOUT, UNREACHABLE, Failure, Timers, Transaction, Transactions

OK = Response(200, "OK", Headers.of())
TRYING = Response(100, "Trying", Headers.of())
KEY = ("z9hG4bK1", "NOTIFY")


@dataclass(slots=True)
class World:
    """A clock, when what was sent, and how it ended."""

    now: float = 1000.0
    sent: list[float] = field(default_factory=list)
    ended: list[tuple[float, Response | Failure]] = field(default_factory=list)

    def transactions(self, timers: Timers | None = None) -> Transactions:
        return Transactions(timers or Timers(), clock=lambda: self.now, resend=lambda _: self.sent.append(self.now))

    def start(self, transactions: Transactions, *, reliable: bool = False, key: tuple[str, str] = KEY) -> Transaction:
        one = Transaction(
            key,
            b"NOTIFY",
            "peer",
            lambda result: self.ended.append((round(self.now - 1000, 6), result)),
            reliable=reliable,
        )
        transactions.start(one)
        return one

    def run(self, transactions: Transactions, until: float) -> list[float]:
        """Tick whenever something is due until then; returns when something was sent, from the start."""
        while (due := transactions.next_due) is not None and due <= 1000 + until:
            self.now = max(self.now, due)
            transactions.tick()
        self.now = 1000 + until
        return [round(at - 1000, 6) for at in self.sent]


def test_a_request_is_repeated_by_timer_e_and_given_up_by_timer_f() -> None:
    world = World()
    transactions = world.transactions()
    one = world.start(transactions)
    # T1, doubled up to T2, and nothing after 64 * T1: the schedule of section 17.1.2.2
    assert world.run(transactions, 100) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert world.ended == [(32.0, Failure(TIMEOUT))]
    assert (one.sends, one.data, len(transactions), transactions.next_due) == (11, b"", 0, None)


def test_after_a_provisional_answer_it_is_repeated_every_t2() -> None:
    world = World()
    transactions = world.transactions()
    world.start(transactions)
    world.run(transactions, 0.6)
    assert transactions.answer(*KEY, TRYING)
    assert world.run(transactions, 100) == [0.5, 1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5]
    assert world.ended == [(32.0, Failure(TIMEOUT))]


@pytest.mark.parametrize("provisional", [False, True])
def test_nothing_is_sent_after_a_final_answer(provisional: bool) -> None:
    world = World()
    transactions = world.transactions()
    world.start(transactions)
    world.run(transactions, 1)
    if provisional:
        transactions.answer(*KEY, TRYING)
    assert transactions.answer(*KEY, OK)
    assert world.run(transactions, 100) == [0.5]
    assert world.ended == [(1.0, OK)]


def test_an_answer_that_is_repeated_ends_nothing_twice_and_is_absorbed_for_t4() -> None:
    world = World()
    transactions = world.transactions()
    world.start(transactions)
    transactions.answer(*KEY, OK)
    assert not transactions.answer(*KEY, Response(404, "Not Found", Headers.of()))
    assert transactions.is_absorbing(*KEY)
    world.run(transactions, 5)
    assert not transactions.is_absorbing(*KEY)
    assert world.ended == [(0.0, OK)]


@pytest.mark.parametrize("key", [("z9hG4bK2", "NOTIFY"), ("z9hG4bK1", "OPTIONS"), ("", "NOTIFY")])
def test_an_answer_of_another_branch_or_method_is_not_ours(key: tuple[str, str]) -> None:
    world = World()
    transactions = world.transactions()
    world.start(transactions)
    assert not transactions.answer(*key, OK)
    assert world.ended == []


def test_a_reliable_transport_repeats_by_itself() -> None:
    world = World()
    transactions = world.transactions()
    one = world.start(transactions, reliable=True)
    assert world.run(transactions, 100) == []
    assert world.ended == [(32.0, Failure(TIMEOUT))]
    assert one.sends == 1


def test_a_transport_that_fails_ends_it_once() -> None:
    world = World()
    transactions = world.transactions()
    world.start(transactions)
    failure = Failure(UNREACHABLE, "connection refused")
    transactions.fail(KEY, failure)
    transactions.fail(KEY, Failure(UNREACHABLE, "again"))
    assert world.run(transactions, 100) == []
    assert world.ended == [(0.0, failure)]


def test_what_fails_while_it_is_sent_again_is_not_waited_for() -> None:
    """The system may refuse the repetition at once."""
    world = World()
    transactions = Transactions(
        Timers(), clock=lambda: world.now, resend=lambda one: transactions.fail(one.key, Failure(UNREACHABLE))
    )
    world.start(transactions)
    world.run(transactions, 100)
    assert world.ended == [(0.5, Failure(UNREACHABLE))]
    assert transactions.next_due is None


@pytest.mark.parametrize("reliable", [False, True])
def test_fresh_is_what_was_neither_heard_of_nor_older_than_t1(reliable: bool) -> None:
    world = World()
    transactions = world.transactions()
    for number in range(5):
        world.start(transactions, reliable=reliable, key=(str(number), "NOTIFY"))
    assert transactions.fresh == 5
    transactions.answer("0", "NOTIFY", TRYING)
    transactions.answer("0", "NOTIFY", OK)
    transactions.answer("1", "NOTIFY", OK)
    transactions.fail(("2", "NOTIFY"), Failure(UNREACHABLE))
    assert transactions.fresh == 2
    world.run(transactions, 0.5)
    assert (transactions.fresh, len(transactions)) == (0, 2)
    world.run(transactions, 100)
    assert (transactions.fresh, len(transactions)) == (0, 0)


def test_a_clock_that_stood_still_does_not_make_a_burst() -> None:
    """A machine that slept repeats each request once, not as often as it would have."""
    world = World()
    transactions = world.transactions()
    world.start(transactions)
    world.now += 20
    transactions.tick()
    assert world.sent == [1020.0]


def test_t1_shortens_everything() -> None:
    world = World()
    transactions = world.transactions(Timers(t1_s=0.01, t2_s=0.08, t4_s=0.1))
    world.start(transactions)
    assert world.run(transactions, 100)[:5] == [0.01, 0.03, 0.07, 0.15, 0.23]
    assert world.ended == [(0.64, Failure(TIMEOUT))]
