"""What is said of a rollout: who has which configuration, who failed, and what to do about it."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from offhook.review.rollout import status_json, status_junit, status_text
from offhook.rollout.campaign.progress import GAVE_UP, NEW, SENT, STOPPED, SWITCHED, SWITCHING, WRONG, Progress
from offhook.rollout.campaign.rows import Row
from offhook.rollout.campaign.waves import Wave
from offhook.rollout.running.keeping import Campaign
from offhook.rollout.who import Target
from offhook.sip.outcome import MEANINGS, Outcome, next_step

REFUSED, WAITS, DOUBTFUL, BROKEN = (f"0021f200000{number}" for number in range(1, 5))
MACS = (REFUSED, WAITS, DOUBTFUL, BROKEN)


def campaign() -> Campaign:
    targets = {mac: Target(mac, "FIP14G", "berlin", user="101", registrar="pbx.example.com") for mac in MACS}
    about = ("c", "lab", 2, 1, "", "", "", "", "", "", (), True, True)
    return Campaign(*about, waves=(Wave(1, "the rest", MACS),), targets=targets)


def progress() -> Progress:
    found = Progress()
    said = Outcome("refused", 403)
    found.take(
        [
            *(Row(SWITCHING, mac, 1, to=NEW) for mac in (REFUSED, DOUBTFUL, BROKEN)),
            *(Row(SWITCHED, mac, 2, to=NEW) for mac in (REFUSED, BROKEN)),
            Row(SENT, REFUSED, 3, status=1),
            Row(GAVE_UP, REFUSED, 3, status=403, why=f"{said.word}: {said.sentence}"),
            Row(WRONG, BROKEN, 3, why="missing"),
            Row(STOPPED, at=4, why="too many"),
        ]
    )
    return found


def test_a_switch_that_nobody_saw_end_is_unsure() -> None:
    phones = json.loads(status_json(campaign(), progress()))["phones"]
    assert {one["mac"]: one["configuration"] for one in phones} == {
        REFUSED: "new",
        WAITS: "old",
        DOUBTFUL: "unsure",
        BROKEN: "new",
    }
    words = "2 phones have the new configuration, 1 the old one, 1 were being switched and may have either"
    assert words in status_text(campaign(), progress())


def test_whoever_failed_is_told_what_to_do() -> None:
    hints = {REFUSED: MEANINGS[403].hint, BROKEN: "mend what the server hands out: resume looks at it again, revert"}
    phones = json.loads(status_json(campaign(), progress()))["phones"]
    assert {one["mac"]: one["hint"][: len(hints[one["mac"]])] for one in phones if one["hint"]} == hints
    text = status_text(campaign(), progress())
    assert all(hint in text for hint in hints.values())


def test_every_outcome_has_its_next_step() -> None:
    for key, meaning in MEANINGS.items():
        assert next_step(meaning.word, key if isinstance(key, int) else 0) == meaning.hint
    assert next_step("missing") == ""


def test_junit_passes_nobody_without_an_outcome() -> None:
    suite = ElementTree.fromstring(status_junit(campaign(), progress()))
    assert {word: suite.get(word) for word in ("tests", "failures", "skipped")} == {
        "tests": "4",
        "failures": "2",
        "skipped": "2",
    }
    found = {case.get("name"): [child.tag for child in case] for case in suite}
    assert found == {REFUSED: ["failure"], WAITS: ["skipped"], DOUBTFUL: ["skipped"], BROKEN: ["failure"]}
