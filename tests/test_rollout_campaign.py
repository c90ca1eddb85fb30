"""A campaign in a world of its own, with a clock that the test turns: killed, slowed down, stopped, reverted."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.review.forecast import forecast_line
from offhook.rollout.campaign.config import config_of
from offhook.rollout.campaign.forecast import forecast
from offhook.rollout.campaign.next import resume, step
from offhook.rollout.campaign.progress import (
    ABSENT,
    ANSWERED,
    ASKED,
    ENDED,
    GAVE_UP,
    NEW,
    OLD,
    PASSED,
    PAUSED,
    REGISTERED,
    REVERTING,
    SENT,
    STOPPED,
    SWITCHED,
    SWITCHING,
    UNTOLD,
    VERIFIED,
    WRONG,
    Progress,
)
from offhook.rollout.campaign.rows import Row
from offhook.rollout.campaign.sends import MAX_SENDS
from offhook.rollout.campaign.steps import Done, Notify, Plan, Send, Stop, Switch, Verify, Wait
from offhook.rollout.campaign.waves import Wave, waves
from offhook.rollout.campaign.windows import Window, closes_at, is_open
from offhook.rollout.running.driver import Listening, drive
from offhook.rollout.running.journal import open_journal
from offhook.rollout.who import Target

START = 1_800_000_000.0  # 2027-01-15 08:00 UTC
RATE = 20.0
NIGHT = Window(frozenset(range(7)), 22 * 60, 2 * 60, timezone(timedelta(hours=1)))


class Killed(Exception):
    """The process is gone."""


@dataclass
class World:
    """Phones, and what is done to them. `silent` never answer, `broken` would fetch the wrong thing, `away` are not
    registered any more once they have fetched. `now` is the true time; where `is_set` somebody sets the machine's clock
    while no process runs, and `behind` is how far the one that a process goes by is from the truth."""

    plan: Plan
    now: float = START
    silent: frozenset[str] = frozenset()
    broken: frozenset[str] = frozenset()
    away: frozenset[str] = frozenset()
    rows: list[Row] = field(default_factory=list)
    has: dict[str, str] = field(default_factory=dict)
    switched: list[tuple[float, str, str]] = field(default_factory=list)
    told: list[tuple[float, str]] = field(default_factory=list)
    asked: list[tuple[float, str]] = field(default_factory=list)
    chance: random.Random = field(default_factory=random.Random)
    deadly: float = 0.0
    is_set: bool = False
    behind: float = 0.0

    def __post_init__(self) -> None:
        self.has = dict.fromkeys(self.plan.targets, OLD)

    def run(self, steps: int = 100_000) -> Done | Stop | Wait:
        """Drive it until it is done, stopped or paused; a kill loses what the process knew, not what was written."""
        for _ in range(steps):
            try:
                found = self._drive()
            except Killed:
                self.now += self.chance.choice([0.0, 0.3, 5.0, 500.0])
                if self.is_set:
                    self.behind = self.chance.choice([-86_400.0, -100.0, 0.0, 100.0, 86_400.0])
                continue
            return found
        raise AssertionError("it never ends")

    def _drive(self) -> Done | Stop | Wait:
        progress = Progress()
        progress.take(self.rows)
        if progress.phones:
            progress.begin_again(self.clock())
        while True:
            asked = step(replace(self.plan, ahead_s=-self.behind), progress, self.clock())
            self._write(progress, asked.rows)
            action = asked.action
            if isinstance(action, Done | Stop):
                return action
            if isinstance(action, Wait):
                if action.until is None:
                    return action
                self.now = max(self.now, action.until - self.behind)
                continue
            self._write(progress, self._done(action))

    def _write(self, progress: Progress, rows: list[Row] | tuple[Row, ...]) -> None:
        self._die()
        self.rows += rows
        progress.take(rows)
        self._die()

    def clock(self) -> float:
        """The time as the process has it."""
        return self.now + self.behind

    def _done(self, action: Switch | Verify | Notify) -> list[Row]:
        if isinstance(action, Switch):
            for mac in action.macs:
                self._die()
                self.has[mac] = action.to
                self.switched.append((self.now, mac, action.to))
            return [Row(SWITCHED, mac, self.clock(), to=action.to) for mac in action.macs]
        if isinstance(action, Verify):
            wrong = {mac for mac in action.macs if mac in self.broken and self.has[mac] == NEW}
            return [Row(WRONG if mac in wrong else VERIFIED, mac, self.clock()) for mac in action.macs]
        rows: list[Row] = []
        for send in action.sends:
            self._die()
            self.now = max(self.now, send.at - self.behind)
            if send.asks:
                self.asked.append((self.now, send.mac))
                rows += send.rows(ABSENT if send.mac in self.away else REGISTERED, self.clock())
                continue
            self.told.append((self.now, send.mac))
            if send.mac in self.silent:
                rows += send.rows(GAVE_UP, self.clock() + 32)
            else:
                rows += send.rows(ANSWERED, self.clock(), status=200)
        return rows

    def _die(self) -> None:
        if self.chance.random() < self.deadly:
            raise Killed


def targets_of(count: int, *, without: int = 0, shared: int = 0, site: str = "") -> dict[str, Target]:
    found = {}
    for number in range(count):
        mac = f"0021f2{number:06x}"
        user = "" if number < without else f"s{number // 2}" if number < without + shared else f"u{number}"
        found[mac] = Target(mac, "FIP14G", site, user=user, registrar="pbx:5060")
    for mac, one in found.items():
        also = tuple(other for other, it in found.items() if it.user and it.user == one.user and other != mac)
        found[mac] = replace(one, also=also)
    return found


def plan_of(targets: dict[str, Target], *, budget: int = 10**6, night: bool = False, **said: object) -> Plan:
    config = config_of({"gate": {"wait": "30 s", "answered": "1%"}, **said})
    return Plan(
        waves=waves(targets.values(), config.waves, seed="release"),
        targets=targets,
        config=config,
        budget=budget,
        windows={"berlin": NIGHT} if night else {},
        rates={("registrar", "pbx:5060"): RATE},
        seen=frozenset({REGISTERED}),
    )


def crowded(told: list[tuple[float, str]]) -> int:
    """The most NOTIFYs in any second."""
    times = sorted(at for at, _ in told)
    return max((sum(1 for one in times[number:] if one < at + 1) for number, at in enumerate(times)), default=0)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 60),
    seed=st.integers(0, 2**32),
    deadly=st.sampled_from([0.0, 0.001, 0.02]),
    without=st.integers(0, 4),
    shared=st.integers(0, 6),
    night=st.booleans(),
    asks=st.booleans(),
    is_set=st.booleans(),
)
def test_a_campaign_that_is_killed_anywhere(
    count: int, seed: int, deadly: float, without: int, shared: int, night: bool, asks: bool, is_set: bool
) -> None:
    chance = random.Random(seed)
    found = targets_of(count, without=without, shared=shared, site="berlin" if night else "")
    gate = {"wait": "30 s", "answered": "1%", **({"registered": "0%"} if asks else {})}
    world = World(plan_of(found, night=night, gate=gate), chance=chance, deadly=deadly, is_set=is_set)
    world.silent = frozenset(mac for mac in found if chance.random() < 0.1)
    world.away = frozenset(mac for mac in found if chance.random() < 0.1)
    ended = world.run()
    progress = Progress()
    progress.take(world.rows)
    if isinstance(ended, Stop):
        # only a gate stops it here: where every phone of a wave is silent
        assert set(ended.new) == {mac for mac, has in world.has.items() if has == NEW}
    else:
        assert set(world.has.values()) == {NEW}
        assert all(progress.of(mac).outcome for mac in found)
    # a wave is judged when everybody in it who was told was asked, too
    order = {mac: wave.number for wave in world.plan.waves for mac in wave.macs}
    stopped = sorted(set(order.values()) - progress.passed)[:1]
    for mac in found:
        state = progress.of(mac)
        known = state.registered_at or state.absent_at
        assert bool(known) == (asks and order[mac] in {*progress.passed, *stopped} and state.sends > 0)
    assert crowded(world.asked) <= RATE + 1 or deadly
    # nobody is told twice within its time, whatever was known when the process was killed
    last: dict[str, float] = {}
    for at, mac in sorted(world.told):
        for heard in (mac, *found[mac].also):
            assert at >= last.get(heard, 0.0) + world.plan.again_s or not last.get(heard)
            last[heard] = at
    assert all(sum(1 for _, one in world.told if one == mac) <= MAX_SENDS for mac in found)
    if not deadly:
        # one NOTIFY an address and wave: before it is switched, a phone has nothing new to fetch
        assert len({(order[mac], found[mac].address) for _, mac in world.told}) == len(world.told)
        assert crowded(world.told) <= RATE + 1
    # a wave begins when those before it have passed
    passed = [row.wave for row in world.rows if row.state == PASSED]
    assert passed == sorted(set(passed))
    firsts = {mac: at for at, mac, _ in reversed(world.switched)}
    for mac, at in firsts.items():
        assert all(firsts[other] <= at for other in found if order[other] < order[mac])
    if night:
        assert all(is_open(NIGHT, at) for at, _, to in world.switched if to == NEW)
        assert all(is_open(NIGHT, at) for at, _ in world.told)


@settings(max_examples=40, deadline=None)
@given(
    sites=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 4)), min_size=1, max_size=4),
    rate=st.sampled_from([0.2, 1.0]),
    by_site=st.booleans(),
    share=st.sampled_from(["10%", "100%"]),
)
def test_whoever_is_switched_is_told_before_the_window_closes(
    sites: list[tuple[int, int]], rate: float, by_site: bool, share: str
) -> None:
    """Sites on one registrar with windows of some minutes, at its rate or at their own."""
    found: dict[str, Target] = {}
    for number, (count, _) in enumerate(sites):
        for one in range(count):
            mac = f"0021f2{number:02x}{one:04x}"
            found[mac] = Target(mac, "FIP14G", f"s{number}", user=mac, registrar="pbx:5060")
    windows = {f"s{number}": Window(frozenset(range(7)), 480, 480 + it[1], UTC) for number, it in enumerate(sites)}
    plan = replace(
        plan_of(found, waves=[{"share": share}, {"rest": True}]),
        windows=windows,
        rates={("site", one.site) if by_site else ("registrar", one.registrar): rate for one in found.values()},
    )
    world = World(plan)
    assert isinstance(world.run(), Done)
    told = {mac: at for at, mac in world.told}
    assert told.keys() == found.keys()
    for at, mac, _ in world.switched:
        closing = closes_at(windows[found[mac].site], at)
        assert closing is not None
        assert at <= told[mac] < closing
    # nor is a window left with room in it
    if share == "100%":
        shortest = min(int(minutes * 60 * rate) for _, minutes in sites)
        assert sum(1 for at in told.values() if at < START + 3_600) >= min(shortest, len(found))


def test_the_budget_stops_it_and_says_who_has_what() -> None:
    found = targets_of(200)
    world = World(plan_of(found, budget=3), silent=frozenset(found))
    world.plan = replace(
        world.plan, config=replace(world.plan.config, gate=config_of({"gate": {"answered": "0%"}}).gate)
    )
    ended = world.run()
    assert isinstance(ended, Stop)
    assert "may" in ended.why
    assert set(ended.new) == {mac for mac, has in world.has.items() if has == NEW}
    assert 3 < len(ended.new) < 200
    again = world.run()
    assert again == ended


def test_the_gate_counts_who_is_registered_again() -> None:
    found = targets_of(30, shared=4)
    gate = {"wait": "30 s", "answered": "1%", "registered": "90%"}
    world = World(plan_of(found, gate=gate, waves=[{"phones": 10}, {"rest": True}]))
    world.away = frozenset([mac for mac in world.plan.waves[0].macs if not found[mac].also][:2])
    stopped = world.run()
    assert isinstance(stopped, Stop)
    assert "8 of 10 registered, 90% are asked for" in stopped.why
    # each was asked once, after the wave had been watched
    assert min(at for at, _ in world.asked) >= max(at for at, _ in world.told) + 30
    assert len(world.asked) == len({found[mac].address for mac in world.plan.waves[0].macs}) == len(world.told)
    progress = Progress()
    progress.take(world.rows)
    copy = Progress()
    copy.take(list(progress.rows()))
    assert copy.phones == progress.phones
    world.asked.clear()
    world.rows.append(Row(REVERTING, at=world.now))
    assert isinstance(world.run(), Done)
    assert world.asked == []  # whoever goes back wants to be through soon


def test_a_question_whose_answer_is_lost_is_put_again() -> None:
    found = targets_of(1)
    gate = {"wait": "30 s", "answered": "1%", "registered": "90%"}
    world = World(plan_of(found, gate=gate))
    assert isinstance(world.run(), Done)
    (mac,) = found
    asked = next(number for number, row in enumerate(world.rows) if row.state == ASKED)
    at = world.rows[asked].at
    del world.rows[asked + 1 :]  # killed right after it was written ahead
    world.asked.clear()
    world.now = at
    assert isinstance(world.run(), Done)
    assert world.asked == [(at + world.plan.again_s, mac)]


def test_who_may_have_been_told_when_the_window_closed_is_told_in_the_next_one() -> None:
    """Killed a minute before it closes, with a NOTIFY under way: that is sent again, and not while it is shut."""
    found = targets_of(1, site="berlin")
    world = World(plan_of(found, night=True))
    (mac,) = found
    closing = START + 17 * 3600  # 2027-01-16 01:00 UTC
    at = closing - 60
    switched = [Row(SWITCHING, mac, at, to=NEW), Row(SWITCHED, mac, at, to=NEW), Row(VERIFIED, mac, at)]
    world.rows += [*switched, Row(SENT, mac, at, status=1)]
    world.has[mac], world.now = NEW, at
    assert isinstance(world.run(), Done)
    assert [told for told, _ in world.told] == [closing + 20 * 3600]


@given(
    count=st.integers(1, 120),
    without=st.integers(0, 4),
    shared=st.integers(0, 10),
    night=st.booleans(),
    asks=st.booleans(),
    verifies=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_forecast_comes_true(count: int, without: int, shared: int, night: bool, asks: bool, verifies: bool) -> None:
    """Where every phone answers at once."""
    found = targets_of(count, without=without, shared=shared, site="berlin" if night else "")
    gate = {"wait": "30 s", **({"registered": "0%"} if asks else {})}
    plan = plan_of(found, night=night, gate=gate, verify=verifies)
    expected = forecast(plan, START)
    world = World(plan)
    assert isinstance(world.run(), Done)
    assert expected.done_at is not None
    assert expected.never == ()
    assert world.now == pytest.approx(expected.done_at, abs=len(plan.waves) + 1 + 3 / RATE * shared)
    hear = {mac: {*found[mac].also} for mac in found}
    for one in expected.waves:
        assert one.others == len(set().union(*(hear[mac] for mac in one.wave.macs)) - {*one.wave.macs})


@settings(max_examples=40, deadline=None)
@given(
    sites=st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=1, max_size=9),
    site_rate=st.sampled_from([0.5, 2.0]),
)
def test_a_forecast_of_sites_with_rates_comes_true(sites: list[tuple[int, bool]], site_rate: float) -> None:
    """Sites are told side by side, each at its own rate, and all of them at the registrar's."""
    found: dict[str, Target] = {}
    for number, (count, _) in enumerate(sites):
        for one in range(count):
            mac = f"0021f2{number:02x}{one:04x}"
            found[mac] = Target(mac, "FIP14G", f"s{number}", user=mac, registrar="pbx:5060")
    plan = plan_of(found, waves=[{"rest": True}])
    by_site: dict[Hashable, float] = {("site", one.site): site_rate for one in found.values()}
    nights = {f"s{number}": NIGHT if is_shut else None for number, (_, is_shut) in enumerate(sites)}
    plan = replace(plan, rates={**plan.rates, **by_site}, windows=nights)
    expected = forecast(plan, START)
    world = World(plan)
    assert isinstance(world.run(), Done)
    assert expected.done_at is not None
    assert world.now == pytest.approx(expected.done_at, abs=2 / site_rate + 2)


def test_a_forecast_of_nine_sites_that_share_a_night() -> None:
    """3,000 phones each: 50 minutes at 1/s, side by side at a registrar that takes 20/s."""
    hour = Window(frozenset(range(7)), 8 * 60, 9 * 60, UTC)
    found = {}
    for number in range(27_000):
        mac = f"0021f2{number:06x}"
        found[mac] = Target(mac, site=f"s{number % 9}", user=mac, registrar="pbx:5060")
    plan = plan_of(found, waves=[{"rest": True}], gate={"wait": "0 s"})
    by_site: dict[Hashable, float] = {("site", f"s{number}"): 1.0 for number in range(9)}
    plan = replace(plan, rates={**plan.rates, **by_site}, windows={f"s{number}": hour for number in range(9)})
    assert forecast(plan, START).done_at == pytest.approx(START + 3_000, abs=1)


def test_a_forecast_knows_who_hears_what_others_are_told() -> None:
    """Two phones swap their accounts: the second one hears the first one's NOTIFY, and waits for two minutes."""
    found = targets_of(4)
    one, two, *_ = found
    for mac, other in ((one, two), (two, one)):
        account = f"{found[other].user}@{found[other].registrar}"
        found[mac] = replace(found[mac], other=account, also=(other,))
    plan = plan_of(found)
    plan = replace(
        plan, waves=(Wave(1, "1 phone", (one,)), Wave(2, "the rest", tuple(mac for mac in found if mac != one)))
    )
    world = World(plan)
    assert isinstance(world.run(), Done)
    assert forecast(plan, START).done_at == pytest.approx(world.now, abs=2)
    assert world.now > START + plan.again_s


def test_a_forecast_says_what_cannot_be() -> None:
    """One NOTIFY in an hour does not fit into windows of half an hour."""
    narrow = Window(frozenset(range(7)), 22 * 60, 22 * 60 + 30, UTC)
    plan = plan_of(targets_of(3, site="berlin"))
    plan = replace(plan, windows={"berlin": narrow}, rates={("site", "berlin"): 1 / 3600})
    found = forecast(plan, START)
    assert (found.done_at, found.never) == (None, ("berlin",))
    assert "no maintenance window of berlin has room" in forecast_line(found, START, restarts=None)


@dataclass
class Deeds:
    """A world as the driver sees it. Its machine's clock is set, by so much, ten seconds after the beginning."""

    world: World
    by: float
    found: list[Row] = field(default_factory=list)
    under_way: int = 0

    def wall(self) -> float:
        return self.world.now + (self.by if self.world.now > START + 10 else 0.0)

    def switch(self, macs: Sequence[str], to: str) -> list[Row]:
        return self.world._done(Switch(tuple(macs), to))

    def verify(self, macs: Sequence[str]) -> list[Row]:
        return self.world._done(Verify(tuple(macs)))

    def tell(self, sends: Sequence[Send], now: float) -> None:
        self.found += self.world._done(Notify(tuple(sends)))

    def news(self, timeout_s: float, now: float) -> list[Row]:
        self.world.now += timeout_s
        found, self.found = self.found, []
        return found

    def written(self) -> None:
        pass


@pytest.mark.parametrize("by", [-86_400.0, -60.0, 60.0, 86_400.0])
@pytest.mark.parametrize("night", [False, True])
def test_a_clock_that_is_set_moves_windows_and_nothing_else(tmp_path: Path, by: float, night: bool) -> None:
    def told(by: float) -> list[float]:
        found = targets_of(8, site="berlin" if night else "", shared=4)
        plan = plan_of(found, night=night, waves=[{"phones": 3}, {"phones": 2}, {"rest": True}])
        world = World(plan)
        deeds, progress = Deeds(world, by), Progress()
        with open_journal(tmp_path / f"journal {by}", {}) as journal:
            ended = drive(
                plan, progress, journal, deeds, listening=Listening(), clock=lambda: world.now, wall=deeds.wall
            )
        assert isinstance(ended, Done)
        assert {mac for _, mac in world.told} <= found.keys()
        if night:
            assert all(is_open(NIGHT, at + (by if at > START + 10 else 0.0)) for at, _ in world.told)
        return [at - START for at, _ in world.told]

    if night:
        assert told(by)[0] == pytest.approx(told(0.0)[0] - by, abs=2) or abs(by) > 3_600
    else:
        assert told(by) == told(0.0)


def test_a_wave_of_nothing_but_wrong_phones_is_no_good_one() -> None:
    """The canary would fetch the wrong thing: nobody was told, and that is no reason to go on."""
    found = targets_of(30)
    world = World(plan_of(found, waves=[{"phones": 1}, {"rest": True}]))
    (canary,) = world.plan.waves[0].macs
    world.broken = frozenset([canary])
    stopped = world.run()
    assert isinstance(stopped, Stop)
    assert "0 of 1 answered, 1% are asked for" in stopped.why
    assert stopped.new == (canary,)


@pytest.mark.parametrize("is_mended", [True, False])
def test_what_was_wrong_is_looked_at_again(is_mended: bool) -> None:
    found = targets_of(10)
    world = World(plan_of(found, budget=0, waves=[{"phones": 4}, {"rest": True}]))
    broken = world.plan.waves[0].macs[2]
    world.broken = frozenset([broken])
    assert isinstance(world.run(), Stop)
    assert broken not in {mac for _, mac in world.told}
    progress = Progress()
    progress.take(world.rows)
    if is_mended:
        world.broken = frozenset()
    world.rows += resume(progress, world.now)
    assert isinstance(world.run(), Done)  # in spite of it, as the person said
    assert (broken in {mac for _, mac in world.told}) == is_mended
    progress = Progress()
    progress.take(world.rows)
    assert progress.of(broken).state == (ANSWERED if is_mended else WRONG)


def test_what_is_wrong_is_told_nothing() -> None:
    found = targets_of(30)
    broken = frozenset(list(found)[::10])
    world = World(plan_of(found), broken=broken)
    assert isinstance(world.run(), Done)
    assert not broken & {mac for _, mac in world.told}


def test_phones_without_an_account_are_switched_and_not_told() -> None:
    world = World(plan_of(targets_of(3, without=3)))
    assert isinstance(world.run(), Done)
    assert set(world.has.values()) == {NEW}
    assert [row.state for row in world.rows if row.state == UNTOLD] == [UNTOLD] * 3
    assert world.told == []


def test_a_revert_brings_every_switched_phone_back_and_tells_it() -> None:
    found = targets_of(150)
    world = World(plan_of(found, budget=0), silent=frozenset(found))
    stopped = world.run()
    assert isinstance(stopped, Stop)
    assert stopped.new
    world.told.clear()
    world.silent = frozenset()
    world.rows.append(Row(REVERTING, at=world.now, why="somebody said so"))
    assert isinstance(world.run(), Done)
    assert set(world.has.values()) == {OLD}
    assert {mac for _, mac in world.told} == set(stopped.new)
    assert world.rows[-1].state == ENDED


@pytest.mark.parametrize("deadly", [0.01, 0.05])
def test_a_revert_that_is_killed_anywhere_ends_with_every_phone_back(deadly: float) -> None:
    for seed in range(20):
        found = targets_of(40)
        world = World(plan_of(found), chance=random.Random(seed))
        world.rows.append(Row(PAUSED, at=world.now))
        assert isinstance(world.run(), Wait)
        assert set(world.has.values()) == {OLD}
        world.rows += resume(Progress(), world.now)
        world.deadly = deadly
        with_some = [Row(REVERTING, at=world.now)]
        for _ in range(seed):
            try:
                world._drive()
            except Killed:
                break
        world.rows += with_some
        assert isinstance(world.run(), Done)
        ended = Progress()
        ended.take(world.rows)
        assert set(world.has.values()) == {OLD} or ended.condition == ENDED


def test_a_gate_that_a_person_waives_is_passed() -> None:
    found = targets_of(20)
    world = World(plan_of(found, gate={"answered": "100%", "wait": "1 s"}), silent=frozenset(found))
    stopped = world.run()
    assert isinstance(stopped, Stop)
    assert "0 of 1 answered, 100% are asked for" in stopped.why
    progress = Progress()
    progress.take(world.rows)
    assert progress.condition == STOPPED
    world.silent = frozenset()
    world.rows += resume(progress, world.now, waive=1)
    assert isinstance(world.run(), Done)
    assert set(world.has.values()) == {NEW}
