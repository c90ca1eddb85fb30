"""Non-INVITE client transactions (RFC 3261 section 17.1.2): what is sent when, and when nobody answers any more.

What comes in: a request to send, answers, the clock. What goes out: calls of `resend`, and one call of the
transaction's `done` with the final response or a `Failure`. Nothing here knows sockets or tasks: a hundred thousand
transactions are a hundred thousand small objects, a dict and one heap.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from offhook.sip.message import Response

TIMEOUT = "no answer"
UNREACHABLE = "unreachable"
LOST = "connection lost"
NO_SIP = "no SIP"
TLS_REFUSED = "TLS refused"


@dataclass(frozen=True, slots=True)
class Timers:
    """RFC 3261 table 4, in seconds: T1 is the round trip that is hoped for, T2 and T4 are its bounds."""

    t1_s: float = 0.5
    t2_s: float = 4.0
    t4_s: float = 5.0

    @property
    def give_up_s(self) -> float:
        """Timer F: 64 times T1."""
        return 64 * self.t1_s


@dataclass(frozen=True, slots=True)
class Failure:
    """Why no response came: TIMEOUT, UNREACHABLE, LOST, NO_SIP or TLS_REFUSED, and a few words of who said what.

    `is_broken` tells that there was a connection, and that it broke: of what was sent on it nobody knows the fate.
    """

    word: str
    detail: str = ""
    is_broken: bool = False


Done: TypeAlias = Callable[[Response | Failure], None]


@dataclass(slots=True, eq=False)
class Transaction:
    """One request under way: its bytes as sent, who is told how it ends, and its timers.

    `key` is the branch of its Via and its method (section 17.1.3). `peer` is where it goes, in the words of whoever
    sends. `sends` counts the datagrams. `reliable` says that the transport repeats by itself.
    """

    key: tuple[str, str]
    data: bytes = field(repr=False)
    peer: object
    done: Done = field(repr=False)
    reliable: bool = False
    sends: int = 1
    fresh: bool = True
    provisional: bool = False
    repeat_s: float = 0.0
    gives_up_at: float = 0.0


class Transactions:
    """All transactions of a client. `clock` gives seconds that never go back; `resend` sends a transaction's bytes."""

    def __init__(self, timers: Timers, *, clock: Callable[[], float], resend: Callable[[Transaction], None]) -> None:
        self._timers = timers
        self._clock = clock
        self._resend = resend
        self._open: dict[tuple[str, str], Transaction] = {}
        self._due: list[tuple[float, int, Transaction]] = []
        self._number = 0
        self._completed: deque[tuple[float, tuple[str, str]]] = deque()
        self._absorbing: set[tuple[str, str]] = set()
        self.fresh = 0
        """How many are not older than T1, and were not heard of: what a sender keeps small, or it floods the server."""

    def __len__(self) -> int:
        """Return how many are under way."""
        return len(self._open)

    @property
    def next_due(self) -> float | None:
        """When `tick` must be called at the latest, by the clock; None where nothing waits."""
        while self._due and self._due[0][2].key not in self._open:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def start(self, transaction: Transaction) -> None:
        """Take a transaction whose request is being sent for the first time: state "trying"."""
        now = self._clock()
        transaction.gives_up_at = now + self._timers.give_up_s
        transaction.repeat_s = self._timers.t1_s
        self._open[transaction.key] = transaction
        self.fresh += 1
        self._wait(transaction, now)

    def answer(self, branch: str, method: str, response: Response) -> bool:
        """Hand a response to its transaction; False where none waits for it, also for a final answer's repetition."""
        key = (branch, method)
        transaction = self._open.get(key)
        if transaction is None:
            return False
        if response.status < 200:
            if not transaction.provisional:  # timer E goes on, at T2 (17.1.2.2, state "proceeding")
                transaction.provisional = True
                self._settle(transaction)
            return True
        self._end(transaction, response)
        return True

    def fail(self, key: tuple[str, str], failure: Failure) -> None:
        """End a transaction whose transport failed (17.1.4); one that has ended stays as it is."""
        transaction = self._open.get(key)
        if transaction is not None:
            self._end(transaction, failure)

    def is_absorbing(self, branch: str, method: str) -> bool:
        """Tell whether this was answered within timer K (T4): its answer's repetitions are nobody's concern."""
        self._forget(self._clock())
        return (branch, method) in self._absorbing

    def tick(self) -> None:
        """Repeat what is due by timer E, and give up what is due by timer F."""
        now = self._clock()
        while self._due and self._due[0][0] <= now:
            transaction = heapq.heappop(self._due)[2]
            if transaction.key not in self._open:
                continue
            if now >= transaction.gives_up_at:
                self._end(transaction, Failure(TIMEOUT))
                continue
            self._settle(transaction)
            if not transaction.reliable:
                self._repeat(transaction)
            if transaction.key in self._open:
                self._wait(transaction, now)
        self._forget(now)

    def _repeat(self, transaction: Transaction) -> None:
        transaction.sends += 1
        longer = self._timers.t2_s if transaction.provisional else 2 * transaction.repeat_s
        transaction.repeat_s = min(longer, self._timers.t2_s)
        self._resend(transaction)

    def _wait(self, transaction: Transaction, now: float) -> None:
        due = transaction.gives_up_at
        if transaction.fresh or not transaction.reliable:
            due = min(due, now + transaction.repeat_s)
        self._number += 1
        heapq.heappush(self._due, (due, self._number, transaction))

    def _settle(self, transaction: Transaction) -> None:
        """It is fresh no more: it was heard of, or repeated; over a reliable transport, it is older than T1."""
        if transaction.fresh:
            transaction.fresh = False
            self.fresh -= 1

    def _end(self, transaction: Transaction, result: Response | Failure) -> None:
        del self._open[transaction.key]
        self._settle(transaction)
        if not transaction.reliable:
            self._absorbing.add(transaction.key)
            self._completed.append((self._clock() + self._timers.t4_s, transaction.key))
        transaction.data = b""
        transaction.done(result)

    def _forget(self, now: float) -> None:
        while self._completed and self._completed[0][0] <= now:
            self._absorbing.discard(self._completed.popleft()[1])
