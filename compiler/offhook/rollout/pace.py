"""Pace: how soon the next NOTIFY may go, for each registrar and each site. A token bucket that never bursts.

Comes in: a rate, and the seconds of a monotonic clock. Goes out: how long to wait, and leave to send. NOTIFYs keep the
distance that the rate says. A timer that wakes late may catch up, by 8 ms and no more, so that the average holds; and
in no second are there more than the rate says and 2 % (a rate that is no whole number a second is rounded up). A pause
gives no credit. The bucket's own time never passes what is due by more than 8 ms: a clock that jumps ahead gives no
more than that, and one that jumps back takes nothing.
After a restart a bucket begins empty for a second, because nobody knows what was sent in the second before.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

CATCH_UP_S = 0.008
_SECOND = 1.0
_LOGGED_BELOW = 100
"""From this rate on, the distance and what may be caught up hold every second's number by themselves."""

EMPTY_S = 1.0
"""How long a bucket gives nothing after a restart."""


@dataclass(slots=True)
class Bucket:
    """The pace of one registrar or site: `rate` NOTIFYs a second, more than 0. `now` is when it is made."""

    rate: float
    now: float
    resumed: bool = True
    _time: float = field(init=False, default=0.0)
    _due: float = field(init=False)
    _log: deque[float] = field(init=False)

    def __post_init__(self) -> None:
        self._due = EMPTY_S if self.resumed else 0.0
        most = max(math.ceil(self.rate), math.floor(self.rate * 1.02))
        self._log = deque(maxlen=most if self.rate < _LOGGED_BELOW else 0)

    def wait(self, now: float) -> float:
        """Return how many seconds the next NOTIFY has to wait; 0.0: it may go."""
        ready = self._ready()
        elapsed, self.now = max(0.0, now - self.now), now
        self._time = min(self._time + elapsed, max(self._time, ready) + CATCH_UP_S)
        return max(0.0, ready - self._time)

    def take(self, now: float) -> bool:
        """Take leave to send one NOTIFY; False where it has to wait."""
        if self.wait(now) > 0:
            return False
        self._due = max(self._due, self._time - CATCH_UP_S) + 1 / self.rate
        self._log.append(self._time)
        return True

    def _ready(self) -> float:
        """When the next one may go, in the bucket's own time."""
        if self._log and len(self._log) == self._log.maxlen:
            return max(self._due, self._log[0] + _SECOND)
        return self._due


@dataclass(slots=True)
class Pace:
    """The buckets of a campaign. `rates`: a registrar or site -> NOTIFYs a second; what is not in it has no limit.

    `started` is when this run began, by the monotonic clock.
    """

    rates: Mapping[Hashable, float]
    started: float
    resumed: bool = True
    _buckets: dict[Hashable, Bucket] = field(default_factory=dict)

    def wait(self, places: Iterable[Hashable], now: float) -> float:
        """Return how many seconds a NOTIFY that passes these places has to wait."""
        return max((bucket.wait(now) for bucket in self._of(places)), default=0.0)

    def take(self, places: Iterable[Hashable], now: float) -> bool:
        """Take leave of all these places at once; of none where one of them has to wait."""
        buckets = self._of(places)
        if any(bucket.wait(now) > 0 for bucket in buckets):
            return False
        for bucket in buckets:
            bucket.take(now)
        return True

    def _of(self, places: Iterable[Hashable]) -> list[Bucket]:
        found = []
        for place in dict.fromkeys(places):
            if place in self.rates:
                bucket = self._buckets.get(place)
                if bucket is None:
                    bucket = self._buckets[place] = Bucket(self.rates[place], self.started, self.resumed)
                found.append(bucket)
        return found
