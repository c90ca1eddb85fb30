"""The token bucket: what any second holds, and the average, with clocks that are late, stop and jump."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.rollout.pace import Bucket, Pace

RATES = [1, 3, 7, 20, 49, 50, 99, 100, 333, 1000, 5000]


def most_in_a_second(sent: list[float]) -> int:
    """The largest number of NOTIFYs in any second; one that begins with a NOTIFY is enough to look at."""
    most = start = 0
    for end, at in enumerate(sent):
        while at - sent[start] >= 1 - 1e-9:
            start += 1
        most = max(most, end - start + 1)
    return most


def run(
    rate: float,
    phones: int,
    *,
    late: Callable[[], float] = lambda: 0.0,
    breaks: dict[int, float] | None = None,
    kills: frozenset[int] = frozenset(),
    jumps: dict[int, float] | None = None,
) -> list[float]:
    """Send to so many phones, and return when, in real seconds. Before the NOTIFY of that number there is a break, a
    kill (a new bucket begins), or the clock jumps."""
    real, shift, sent = 0.0, 0.0, []
    bucket = Bucket(rate, real, resumed=False)
    for number in range(phones):
        real += (breaks or {}).get(number, 0.0)
        shift += (jumps or {}).get(number, 0.0)
        if number in kills:
            bucket = Bucket(rate, real + shift)
        while not bucket.take(real + shift):
            real += max(bucket.wait(real + shift), 1e-6) + late()
        sent.append(real)
    return sent


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("late_s", [0.0, 0.0005, 0.002])
def test_ten_thousand_phones(rate: int, late_s: float) -> None:
    luck = random.Random(rate)
    phones = min(10_000, rate * 60)
    sent = run(rate, phones, late=lambda: luck.random() * late_s)
    assert most_in_a_second(sent) <= rate * 1.02
    average = (phones - 1) / (sent[-1] - sent[0])
    assert rate * 0.99 <= average <= rate * 1.0000001


@given(
    st.sampled_from(RATES),
    st.integers(0, 2**32),
    st.dictionaries(st.integers(0, 3000), st.floats(0, 3), max_size=5),
    st.frozensets(st.integers(0, 3000), max_size=5),
    st.dictionaries(st.integers(0, 3000), st.floats(-5, 0), max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_no_interruption_makes_a_second_too_full(
    rate: int, seed: int, breaks: dict[int, float], kills: frozenset[int], jumps: dict[int, float]
) -> None:
    luck = random.Random(seed)
    phones = min(3000, rate * 20)
    sent = run(rate, phones, late=lambda: luck.random() * 0.004, breaks=breaks, kills=kills, jumps=jumps)
    assert most_in_a_second(sent) <= rate * 1.02


@given(st.sampled_from([500, 1000, 5000]), st.dictionaries(st.integers(0, 3000), st.floats(0, 1e6), max_size=1))
@settings(max_examples=30, deadline=None)
def test_a_clock_that_jumps_ahead_gives_next_to_nothing(rate: int, jumps: dict[int, float]) -> None:
    assert most_in_a_second(run(rate, 3000, jumps=jumps)) <= rate * 1.02


def test_a_clock_that_jumps_back_does_not_stop_it() -> None:
    sent = run(20, 100, jumps={50: -1e9})
    assert sent[-1] - sent[0] < 5.1


def test_a_slow_timer_costs_no_more_than_it_is_late() -> None:
    """Where every wake-up is 5 ms late, 200 wake-ups a second are enough for 1,000 NOTIFYs."""
    sent = run(1000, 5000, late=lambda: 0.005)
    assert 999 / 1.01 <= 4999 / (sent[-1] - sent[0]) <= 1000


@pytest.mark.parametrize("rate", [600 / 60, 100 / 60, 1000 / 3600])
def test_rates_by_the_minute_and_the_hour(rate: float) -> None:
    sent = run(rate, 200)
    assert most_in_a_second(sent) <= math.ceil(rate)
    assert (len(sent) - 1) / (sent[-1] - sent[0]) == pytest.approx(rate, rel=0.001)


def test_after_a_restart_nothing_goes_for_a_second() -> None:
    assert Bucket(5000, 100.0).wait(100.0) == 1.0
    assert Bucket(5000, 100.0, resumed=False).take(100.0)


def test_no_bursts() -> None:
    sent = run(1000, 3000)
    assert min(b - a for a, b in itertools.pairwise(sent)) > 0.00099


def test_a_registrar_and_a_site_hold_both() -> None:
    pace = Pace({"pbx": 10.0, "berlin": 2.0}, 0.0, resumed=False)
    assert pace.take(["pbx", "berlin", "nowhere"], 0.0)
    assert not pace.take(["pbx", "berlin"], 0.25)
    assert pace.wait(["pbx", "berlin"], 0.25) == pytest.approx(0.25)
    assert pace.take(["pbx"], 0.25)
    assert pace.take(["pbx", "berlin"], 0.5)
    assert pace.wait(["nowhere"], 0.5) == 0.0


def test_what_one_place_refuses_costs_the_other_nothing() -> None:
    pace = Pace({"pbx": 10.0, "berlin": 1.0}, 0.0, resumed=False)
    assert pace.take(["berlin"], 0.0)
    assert not pace.take(["pbx", "berlin"], 0.5)
    assert pace.take(["pbx"], 0.5)


def test_a_place_that_comes_later_has_waited_long_enough() -> None:
    pace = Pace({"pbx": 10.0}, 0.0)
    assert pace.wait(["pbx"], 0.5) == 0.5
    assert pace.take(["pbx"], 7.0)


def test_a_real_clock_and_a_real_timer() -> None:
    bucket, sent = Bucket(5000, time.monotonic(), resumed=False), []
    while len(sent) < 10_000:
        now = time.monotonic()
        if bucket.take(now):
            sent.append(now)
        else:
            time.sleep(bucket.wait(now))
    assert most_in_a_second(sent) <= 5100
