"""In which wave each phone is."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from offhook.rollout.campaign.config import WaveRule, config_of
from offhook.rollout.campaign.waves import waves
from offhook.rollout.who import Target

RULES = st.one_of(
    st.builds(WaveRule, st.just("phones"), st.integers(1, 30)),
    st.builds(WaveRule, st.just("share"), st.integers(0, 100)),
    st.builds(
        lambda names: WaveRule("sites", 0, names), st.sampled_from([("berlin",), ("lyon", "rome"), ("nowhere",)])
    ),
    st.builds(lambda names: WaveRule("models", 0, names), st.sampled_from([("FIP10",), ("FIP16Plus",)])),
    st.builds(lambda names: WaveRule("labels", 0, names), st.sampled_from([("Lab *",), ("*",), ("Desk",)])),
    st.just(WaveRule("rest")),
)
FLEETS = st.lists(
    st.builds(
        Target,
        st.integers(0, 2**48 - 1).map(lambda number: f"{number:012x}"),
        st.sampled_from(["FIP10", "FIP14G", "FIP16PLUS"]),
        st.sampled_from(["", "berlin", "lyon", "rome"]),
        st.sampled_from(["", "Desk", "Lab 1", "Lab \n2"]),
        user=st.sampled_from(["", "0101"]),
    ),
    max_size=60,
    unique_by=lambda one: one.mac,
)


@given(FLEETS, st.lists(RULES, max_size=6), st.text(max_size=4), st.randoms())
def test_every_phone_is_in_one_wave(fleet: list[Target], rules: list[WaveRule], seed: str, luck: Any) -> None:
    found = waves(fleet, rules, seed=seed)
    macs = [mac for wave in found for mac in wave.macs]
    assert sorted(macs) == sorted(one.mac for one in fleet)
    assert all(wave.macs for wave in found)
    assert [wave.number for wave in found] == list(range(1, len(found) + 1))
    luck.shuffle(fleet)
    assert waves(fleet, rules, seed=seed) == found


@given(FLEETS)
def test_first_comes_one_phone_of_each_model(fleet: list[Target]) -> None:
    models = Counter(one.model for one in fleet)
    by_mac = {one.mac: one for one in fleet}
    first = waves(fleet, [WaveRule("phones", len(models) or 1)])[:1]
    taken = [by_mac[mac] for wave in first for mac in wave.macs]
    assert {one.model for one in taken} == set(models)
    for one in taken:  # and one that can answer, where the model has such a phone
        assert one.is_addressed or not any(other.is_addressed for other in fleet if other.model == one.model)


def test_the_usual_waves() -> None:
    fleet = [Target(f"{number:012x}", "FIP14G" if number % 3 else "FIP10", user="1") for number in range(312)]
    found = waves(fleet, config_of({}).waves)
    assert [(wave.name, len(wave.macs)) for wave in found] == [
        ("1 phone", 1),
        ("1%", 4),
        ("10%", 32),
        ("the rest", 275),
    ]
    assert int(found[0].macs[0], 16) % 3 != 0  # the most frequent model
    assert int(found[1].macs[0], 16) % 3 == 0
    assert waves(fleet, config_of({}).waves, seed="another") != found


def test_waves_by_site_model_and_label() -> None:
    rows = [("a", "FIP10", "berlin", "Lab 1"), ("b", "FIP16PLUS", "berlin", "Desk"), ("c", "FIP10", "lyon", "Lab")]
    rows += [("d", "FIP16PLUS", "lyon", "Hall (2)"), ("e", "FIP10", "", "")]
    fleet = [Target(mac, model, site, label) for mac, model, site, label in rows]
    rules = [
        WaveRule("labels", 0, ("Lab *", "Hall (2)")),
        WaveRule("models", 0, ("FIP16Plus",)),
        WaveRule("sites", 0, ("lyon",)),
    ]
    found = waves(fleet, rules)
    assert [(wave.name, sorted(wave.macs)) for wave in found] == [
        ("labels Lab *, Hall (2)", ["a", "d"]),
        ("models FIP16Plus", ["b"]),
        ("sites lyon", ["c"]),
        ("the rest", ["e"]),
    ]
