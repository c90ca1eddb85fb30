"""`rollout:` of an environment: what it may say, and what holds where it says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import inventories
from offhook.compile import read_fleet
from offhook.rollout.campaign.config import Config, GateRule, WaveRule, budget, config_of, rate_per_s, seconds_of

DEFAULT = Config(
    waves=(WaveRule("phones", 1), WaveRule("share", 1), WaveRule("share", 10), WaveRule("rest")),
    gate=GateRule(answered=90, fetched=None, registered=None, wait_s=300),
    failures="5%",
    verify=True,
    respects_windows=True,
)


def said(folder: Path, rollout: object) -> tuple[Config | None, list[str]]:
    """The configuration of an environment that says this, and the problems."""
    files = inventories.minimal()
    files["fleet.yaml"]["environments"] = {"production": {"url": "https://prov.example.com/", "rollout": rollout}}
    fleet = read_fleet(inventories.write_inventory(folder, files))
    words = [f"{one.path} {one.message}" for one in fleet.problems]
    environment = fleet.inventory.fleet.environments.get("production")
    return (config_of(environment.rollout) if environment and not words else None), words


def test_what_holds_unless_said(tmp_path: Path) -> None:
    assert said(tmp_path, {}) == (DEFAULT, [])
    assert config_of({}) == DEFAULT
    assert rate_per_s() == 20


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    rollout = {
        "waves": [
            {"phones": "3"},
            {"sites": ["berlin"]},
            {"models": ["FIP14G"]},
            {"labels": ["Lab *"]},
            {"rest": "true"},
        ],
        "gate": {"answered": "80%", "fetched": "70%", "registered": "100%", "wait": "90 s"},
        "access_log": "/var/log/nginx/access.log",
        "failures": "7",
        "verify": "false",
        "window": "ignore",
    }
    rules = (
        WaveRule("phones", 3),
        WaveRule("sites", 0, ("berlin",)),
        WaveRule("models", 0, ("FIP14G",)),
        WaveRule("labels", 0, ("Lab *",)),
        WaveRule("rest"),
    )
    assert said(tmp_path, rollout) == (Config(rules, GateRule(80, 70, 100, 90), 7, False, False), [])


@pytest.mark.parametrize(
    ("rollout", "words"),
    [
        ({"waves": []}, "waves is empty"),
        ({"waves": [{"share": "1%", "phones": "1"}]}, "waves.0"),
        ({"waves": [{"share": "1"}]}, "no share such as 90%"),
        ({"waves": [{"share": "0%"}, {"rest": True}]}, '"0%" is no share such as 90%, from 1% up'),
        ({"waves": [{"rest": "false"}]}, "waves.0.rest"),
        ({"gate": {"wait": "5m"}}, "no time such as 90 s, 5 min or 2 h"),
        ({"failures": "some"}, "no number of phones and no share"),
        ({"window": "mostly"}, "window"),
    ],
)
def test_what_cannot_be_said(rollout: object, words: str, tmp_path: Path) -> None:
    _, problems = said(tmp_path, rollout)
    assert len(problems) == 1
    assert words in problems[0]


def test_numbers() -> None:
    assert [budget("5%", phones) for phones in (1, 19, 40, 312)] == [1, 1, 2, 15]
    assert (budget(0, 100), budget("0%", 100)) == (0, 1)
    assert (rate_per_s("20/s"), rate_per_s("600/min"), rate_per_s("1800/h")) == (20, 10, 0.5)
    assert [seconds_of(text) for text in ("0 s", "90 s", "5 min", "2 h")] == [0, 90, 300, 7200]


def test_a_wave_of_a_site_that_nobody_has_is_a_mistake(tmp_path: Path) -> None:
    files = inventories.minimal()
    rollout = {"waves": [{"sites": ["berlin", "berln"]}, {"rest": True}]}
    files["fleet.yaml"]["environments"] = {"lab": {"url": "https://x.example/", "publish": "../x", "rollout": rollout}}
    (problem,) = read_fleet(inventories.write_inventory(tmp_path, files)).problems
    assert (problem.id, problem.message) == ("unknown-reference", 'there is no site "berln" (did you mean "berlin"?)')
