"""`offhook deploy` and `offhook rollout`: staged, stopped, reverted, resumed, killed anywhere."""

from __future__ import annotations

import copy
import csv
import io
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

import peers
import repositories
import sip_peers
from deploys import Works, mac, user
from labs import OFFHOOK
from offhook.cli.main import main
from offhook.problem import OffhookError
from offhook.publish.plan.gate import choose_fleet
from offhook.publish.plan.prepared import Prepared, prepare
from offhook.publish.releases.outcomes import outcomes_of
from offhook.publish.releases.records import read_releases
from offhook.rollout.campaign.progress import Progress
from offhook.rollout.campaign.steps import Action, Wait
from offhook.rollout.routes.table import notify_of, open_route
from offhook.rollout.running import run
from offhook.rollout.running.keeping import keeping_of
from offhook.rollout.running.planning import Manner, changing, plan_of
from offhook.rollout.running.run import Desk, Ran, go_on, start
from phone_farm import farm
from sip_peers import PASSWORD

THREE = [{"phones": 1}, {"share": "30%"}, {"rest": True}]


@contextmanager
def polled(works: Works, value: str) -> Iterator[set[int]]:
    """Phones that poll all the time; gives who ever got the new key."""
    seen: set[int] = set()
    stop = threading.Event()

    def poll() -> None:
        while not stop.is_set():
            seen.update(works.has(value))

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def on_new(report: dict[str, object]) -> set[str]:
    """Who has the new configuration, by a report."""
    phones = report["phones"]
    assert isinstance(phones, list)
    return {one["mac"] for one in phones if one["configuration"] == "new"}


@pytest.mark.parametrize("layout", ["flat", "layered"])
def test_waves_are_switched_told_and_released(tmp_path: Path, layout: str) -> None:
    with farm() as phones:
        works = Works(tmp_path, phones.port, layout=layout, waves=THREE)
        works.commit("2", [1, 2, 4, 5, 6, 7])
        code, report = works.report("deploy", "lab")
        assert (code, report["condition"], report["release"]) == (0, "ended", 2)
        assert [wave["phones"] for wave in report["waves"]] == [1, 2, 3]
        assert {one["state"] for one in report["phones"]} == {"answered"}
        assert sorted(phones.users()) == [user(number) for number in (1, 2, 4, 5, 6, 7)]
        assert works.has("2") == {1, 2, 4, 5, 6, 7}
        assert [one.number for one in read_releases(works.root, "lab")] == [2, 1]
        assert works.run("deploy", "lab").returncode == 0  # nothing to do
        assert len(phones.told) == 6


@pytest.mark.parametrize("layout", ["flat", "layered"])
def test_the_budget_stops_it_and_it_says_who_has_what(tmp_path: Path, layout: str) -> None:
    """Phones that poll all the time never get what their wave was not switched to."""
    with farm(lambda user: 403) as phones:
        works = Works(tmp_path, phones.port, layout=layout, waves=THREE, failures=2)
        works.commit("2")
        with polled(works, "2") as ever:
            code, report = works.report("deploy", "lab")
        assert (code, report["condition"]) == (1, "stopped")
        named = on_new(report)
        assert {mac(number) for number in ever} == named == {mac(number) for number in works.has("2")}
        assert 0 < len(named) < 12
        text = works.run("rollout", "status", "lab")
        assert text.returncode == 1
        assert "offhook rollout revert lab" in text.stdout
        refused = works.run("publish", "lab")
        assert refused.returncode == 1
        assert "offhook rollout" in refused.stderr
        planned = works.run("publish", "lab", "--dry-run")
        assert "a rollout to lab" in planned.stderr
        assert "nothing else can be published before" in planned.stderr
        back = works.run("rollback", "lab")
        assert back.returncode == 1
        assert "offhook rollout revert" in back.stderr
        assert works.run("deploy", "lab").returncode == 1
        rows = list(csv.DictReader(io.StringIO(works.run("rollout", "status", "lab", "--format", "csv").stdout)))
        assert {row["mac"] for row in rows if row["state"] == "gave-up"} == named
        assert {row["hint"][:34] for row in rows if row["state"] == "gave-up"} == {"let the registrar forward NOTIFY f"}
        assert "let the registrar forward NOTIFY for this user" in text.stdout
        suite = ElementTree.fromstring(works.run("rollout", "status", "lab", "--format", "junit").stdout)
        assert suite.get("failures") == str(len(named))
        before = len(phones.told)
        phones.status = lambda user: 200
        with polled(works, "2"):
            code, report = works.report("rollout", "revert", "lab")
        assert (code, report["reverted"], on_new(report)) == (0, True, set())
        assert works.has("2") == set()
        assert works.has("1") == set(range(1, 13))
        assert len(phones.told) == before + len(named)
        told = {one.mac: (one.state, one.why[:14]) for one in outcomes_of(works.root, "lab", 1)}
        assert told == dict.fromkeys(named, ("answered", "the rollout of"))
        assert [one.number for one in read_releases(works.root, "lab")] == [1]
        code, report = works.report("deploy", "lab")
        assert (code, works.has("2")) == (0, set(range(1, 13)))


def test_a_wave_that_is_not_registered_again_is_the_last(tmp_path: Path) -> None:
    """Phones take the NOTIFY and register no more: the campaign stops, and says who."""
    with farm() as phones:
        phones.presence = lambda who: 480 if who == phones.asked[0][1] else 200
        gate = {"wait": "0 s", "registered": "80%"}
        works = Works(tmp_path, phones.port, waves=[{"phones": 4}, {"rest": True}], gate=gate)
        works.commit("2")
        code, report = works.report("deploy", "lab")
        assert (code, report["condition"]) == (1, "stopped")
        assert "3 of 4 registered, 80% are asked for" in report["why"]
        states = {one["mac"]: (one["state"], one["why"]) for one in report["phones"]}
        lost, *others = (mac(int(who)) for _, who in phones.asked)
        assert {one for one, (state, _) in states.items() if state == "registered"} == set(others)
        assert states[lost] == ("answered", "asked whether it is registered: not registered (480 Whatever)")
        assert set(phones.users()) == {who for _, who in phones.asked}
        code, report = works.report("rollout", "resume", "lab")  # in spite of it
        assert (code, report["condition"], len(phones.told)) == (0, "ended", 12)


def test_a_person_goes_on_in_spite_of_failures(tmp_path: Path) -> None:
    with farm(lambda user: 480) as phones:
        works = Works(tmp_path, phones.port, waves=THREE, failures=100)
        works.commit("2")
        code, report = works.report("deploy", "lab")
        assert (code, report["condition"]) == (1, "stopped")
        assert "answered" in report["why"]
        phones.status = lambda user: 200
        code, report = works.report("rollout", "resume", "lab")
        assert (code, report["condition"], len(works.has("2"))) == (0, "ended", 12)
        assert len(phones.told) == 12  # nobody was told twice


def test_what_a_phone_would_get_is_looked_at_before_it_is_told(tmp_path: Path) -> None:
    """A broken server in front of the root: the first phone is found wrong, and not told."""
    with farm() as phones:
        works = Works(tmp_path, phones.port, waves=THREE, failures=0)
        elsewhere = tmp_path / "elsewhere"
        shutil.copytree(works.served, elsewhere)
        works.files["fleet.yaml"]["environments"]["lab"]["url"] = f"file://{elsewhere}/"
        works.commit("2")
        code, report = works.report("deploy", "lab")
        assert (code, report["condition"], phones.told) == (1, "stopped", [])
        assert [one["state"] for one in report["phones"]].count("wrong") == 1
        assert len(works.has("2")) == 1


def test_paused_and_resumed_on_another_machine(tmp_path: Path) -> None:
    with farm() as phones:
        works = Works(tmp_path, phones.port, waves=THREE, gate={"wait": "1 h"})
        works.commit("2")
        process = works.start("deploy", "lab")
        wait_for(lambda: len(phones.told) == 1 and works.report("rollout", "status", "lab")[1]["waves"][0]["answered"])
        assert works.run("rollout", "pause", "lab").returncode == 0
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "is paused: a person paused it" in out
        assert len(works.has("2")) == 1
        other = tmp_path / "other"
        repositories.git(tmp_path, "clone", "-q", str(works.root), str(other))
        works.root = other
        assert works.report("rollout", "status", "lab")[1]["condition"] == "paused"
        back, report = works.report("rollout", "revert", "lab")
        assert (back, report["reverted"], works.has("2")) == (0, True, set())


def clone(works: Works, name: str) -> Works:
    """The same fleet in another clone, on the same root."""
    other = copy.copy(works)
    other.root = works.folder / name
    repositories.git(works.folder, "clone", "-q", str(works.root), str(other.root))
    return other


def test_clones_take_turns(tmp_path: Path) -> None:
    """Each goes on with what the other one knows: nobody is told twice, and whoever was switched goes back."""
    gate = {"wait": "1 h"}
    with farm(lambda who: 403) as phones:
        here = Works(tmp_path, phones.port, waves=[{"phones": 1}, {"phones": 2}, {"rest": True}], failures=0, gate=gate)
        here.commit("2")
        there = clone(here, "there")
        assert here.run("deploy", "lab").returncode == 1
        for works, switched in ((there, 1), (here, 3)):
            status = works.report("rollout", "status", "lab")[1]
            assert (status["condition"], len(on_new(status))) == ("stopped", switched)
            assert works.run("rollout", "resume", "lab").returncode == 1
        assert len(phones.told) == len(set(phones.users())) == len(here.has("2")) == 12
        for works in (here, there):
            assert len(on_new(works.report("rollout", "status", "lab")[1])) == 12
        code, report = there.report("rollout", "revert", "lab")  # all are back, and none took its NOTIFY
        assert (code, report["condition"], on_new(report), here.has("2")) == (1, "ended", set(), set())
        assert len(phones.told) == 24


def test_another_clone_ended_it(tmp_path: Path) -> None:
    with farm(lambda who: 403) as phones:
        here = Works(tmp_path, phones.port, count=4, waves=THREE, failures=0)
        here.commit("2")
        there = clone(here, "there")
        assert here.run("deploy", "lab").returncode == 1
        phones.status = lambda who: 200
        assert there.run("rollout", "revert", "lab").returncode == 0
        code, report = here.report("rollout", "status", "lab")
        assert (code, report["condition"], report["reverted"]) == (0, "ended", True)
        assert report["why"].startswith("another clone ended it, and lab is at release 1")
        assert on_new(report) == set()
        assert 'condition="ended"} 1' in here.run("rollout", "status", "lab", "--format", "prometheus").stdout
        for verb in ("resume", "revert", "pause"):
            done = here.run("rollout", verb, "lab")
            assert (done.returncode, "no rollout to lab is under way" in done.stderr) == (1, True)
        phones.status = lambda who: 403
        assert here.run("deploy", "lab").returncode == 1
        phones.status = lambda who: 200
        assert there.run("rollout", "resume", "lab").returncode == 0
        code, report = here.report("rollout", "status", "lab")
        assert (code, report["condition"], report["reverted"], len(on_new(report))) == (0, "ended", False, 4)


def test_a_pause_from_another_clone(tmp_path: Path) -> None:
    """Whoever reaches the state may pause a run that goes on elsewhere; nobody goes on beside it."""
    with farm() as phones:
        here = Works(tmp_path, phones.port, waves=THREE, gate={"wait": "1 h"})
        here.commit("2")
        there = clone(here, "there")
        process = here.start("deploy", "lab")
        wait_for(lambda: bool(phones.told) and here.report("rollout", "status", "lab")[1]["waves"][0]["answered"])
        unknown = there.run("rollout", "status", "lab")
        assert (unknown.returncode, "works on a rollout to lab" in unknown.stderr) == (1, True)
        for verb in ("resume", "revert"):
            refused = there.run("rollout", verb, "lab")
            assert refused.returncode == 1
            assert "works on this rollout" in refused.stderr
            assert "is lost" not in refused.stderr
        assert there.run("rollout", "pause", "lab").returncode == 0
        assert process.wait(60) == 1
        for works in (here, there):
            assert works.report("rollout", "status", "lab")[1]["condition"] == "paused"
        again = there.run("rollout", "pause", "lab")
        assert (again.returncode, "nobody works on this rollout" in again.stdout) == (0, True)
        killed = there.start("rollout", "resume", "lab")
        wait_for(lambda: there.report("rollout", "status", "lab")[1]["worked_on"])
        killed.kill()
        killed.communicate()
        left = here.run("rollout", "status", "lab")
        assert (left.returncode, "its journal is there" in left.stderr) == (1, True)
        assert len(phones.told) == 1


def test_a_revert_is_not_paused_and_not_resumed(tmp_path: Path) -> None:
    with farm(lambda who: 403) as phones:
        works = Works(tmp_path, phones.port, count=3, waves=[{"rest": True}], failures=0)
        works.commit("2")
        assert works.run("deploy", "lab").returncode == 1
        phones.status = lambda who: 0  # silent: the revert waits for answers
        process = works.start("rollout", "revert", "lab")
        wait_for(lambda: len(phones.told) > 3)
        refused = works.run("rollout", "pause", "lab")
        assert (refused.returncode, "is not paused" in refused.stderr) == (1, True)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        refused = works.run("rollout", "resume", "lab")
        assert (refused.returncode, "is being reverted" in refused.stderr) == (1, True)


@pytest.mark.parametrize("broken", ["campaign.json", "fleet.yaml"])
def test_a_way_back_is_there_whatever_is_broken(tmp_path: Path, broken: str) -> None:
    with farm(lambda who: 403) as phones:
        works = Works(tmp_path, phones.port, count=4, waves=THREE, failures=0)
        works.commit("2")
        assert works.run("deploy", "lab").returncode == 1
        if broken == "fleet.yaml":
            (works.root / "inventory/fleet.yaml").write_text("environments: [\n")
            repositories.git(works.root, "commit", "-qam", "broken")
            assert works.report("rollout", "status", "lab")[1]["condition"] == "stopped"
            refused = works.run("deploy", "lab")
            assert (refused.returncode, "fleet.yaml" in refused.stderr) == (1, True)
        else:
            path = keeping_of(works.root, "lab").folder / broken
            path.write_text("{")
            refused = works.run("rollout", "revert", "lab")
            assert (refused.returncode, "move it away" in refused.stderr) == (1, True)
            path.unlink()
            assert works.report("rollout", "status", "lab")[1]["condition"] == "stopped"  # there is the state's copy
        phones.status = lambda who: 200
        assert works.run("rollout", "revert", "lab").returncode == 0
        assert (works.has("2"), len(works.has("1"))) == (set(), 4)


def test_what_nobody_works_on_says_so(tmp_path: Path) -> None:
    """Ctrl-C, and a kill: by the journal it runs, and no process does."""
    with farm() as phones:
        works = Works(tmp_path, phones.port, waves=THREE, gate={"wait": "1 h"})
        works.commit("2")
        for signal_of, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
            process = works.start(*(["rollout", "resume"] if code < 0 else ["deploy"]), "lab")
            wait_for(lambda: bool(phones.told) and works.report("rollout", "status", "lab")[1]["worked_on"])
            assert "is under way" in works.run("rollout", "status", "lab").stdout
            process.send_signal(signal_of)
            out, _ = process.communicate(timeout=60)
            assert process.returncode == code
            left = works.run("rollout", "status", "lab")
            assert left.returncode == 1
            assert "is not done: nobody works on it" in left.stdout
            for said in [left.stdout, *([out] if out else [])]:
                assert "1 phone has the new configuration, 11 the old one" in said
                assert "go on:    offhook rollout resume lab" in said
            metrics = works.run("rollout", "status", "lab", "--format", "prometheus").stdout
            assert 'offhook_rollout_worked_on{environment="lab"} 0' in metrics
        assert len(phones.told) == 1


def test_answers_that_came_are_kept_when_it_is_interrupted(tmp_path: Path) -> None:
    with farm() as phones:
        works = Works(tmp_path, phones.port, count=3, waves=[{"rest": True}], gate={"wait": "1 h"})
        works.commit("2")

        def show(progress: Progress, action: Action) -> None:
            if isinstance(action, Wait) and progress.of(mac(1)).sends:
                time.sleep(0.5)  # they answer
                raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            for name, value in works.environment().items():
                patch.setenv(name, value)
            ran = run_here(works, show)
        assert (ran.interrupted, len(phones.told)) == (True, 3)
        for progress in (ran.progress, keeping_of(works.root, "lab").progress()):
            assert {progress.of(mac(number)).state for number in range(1, 4)} == {"answered"}
        report = works.report("rollout", "status", "lab")[1]
        assert (report["condition"], report["waits"]) == ("running", "")  # a person did that: no machine goes on


@pytest.mark.parametrize("what", ["served", "served.offhook-state"])
def test_what_is_refused_in_mid_run_is_reported(tmp_path: Path, what: str) -> None:
    with farm() as phones:
        works = Works(tmp_path, phones.port, count=4, waves=[{"phones": 1}, {"rest": True}], gate={"wait": "4 s"})
        works.commit("2")
        metrics = tmp_path / "offhook.prom"
        process = works.start("deploy", "lab", "--format", "json", "--metrics", str(metrics))
        wait_for(lambda: phones.told)
        wait_for(lambda: works.report("rollout", "status", "lab")[1]["waves"][0]["answered"])
        (tmp_path / what).rename(tmp_path / "away")
        (tmp_path / what).write_text("no folder")
        out, err = process.communicate(timeout=60)
        report = json.loads(out)
        assert (process.returncode, report["condition"], report["worked_on"]) == (1, "running", False)
        assert report["why"] in err
        assert 'offhook_rollout_worked_on{environment="lab"} 0' in metrics.read_text()
        (tmp_path / what).unlink()
        (tmp_path / "away").rename(tmp_path / what)
        assert len(on_new(works.report("rollout", "status", "lab")[1])) in (1, 4)
        assert (works.run("rollout", "resume", "lab").returncode, len(phones.told)) == (0, 4)


@pytest.mark.parametrize("verb", ["deploy", "revert"])
def test_killed_before_its_release_it_is_not_done(tmp_path: Path, verb: str) -> None:
    """Every wave is done, or every phone is back, and the manifest is not in its place."""
    with farm(lambda who: 403 if verb == "revert" else 200) as phones:
        works = Works(tmp_path, phones.port, count=2, waves=[{"rest": True}], failures=0)
        works.commit("2")
        if verb == "revert":
            assert works.run("deploy", "lab").returncode == 1
            phones.status = lambda who: 200
        words = ["deploy", "lab"] if verb == "deploy" else ["rollout", "revert", "lab"]
        killed_before_its_release(works, words)
        code, report = works.report("rollout", "status", "lab")
        condition = "running" if verb == "deploy" else "reverting"
        assert (code, report["condition"], report["waits"], report["worked_on"]) == (1, condition, "", False)
        said = works.run("rollout", "status", "lab").stdout
        assert "is not released yet" in said
        on = "resume" if verb == "deploy" else "revert"
        assert f"offhook rollout {on} lab" in said
        assert works.run("rollout", on, "lab").returncode == 0
        assert (len(works.has("2")), len(phones.told)) == ((2, 2) if verb == "deploy" else (0, 4))
        assert works.run("rollout", "status", "lab").returncode == 0


def killed_before_its_release(works: Works, words: list[str]) -> None:
    """Run offhook in a child that is killed where it would write what is left, and release."""

    def work() -> None:
        os.environ.update(works.environment())
        run._finish = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
        sys.argv = ["offhook", "-C", str(works.root), *words]
        main()

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL


def test_a_lost_journal(tmp_path: Path) -> None:
    """The machine is gone, with its journal: the state's head still tells who was switched."""
    with farm() as phones:
        works = Works(tmp_path, phones.port, waves=THREE, gate={"wait": "1 h"})
        works.commit("2")
        process = works.start("deploy", "lab")
        wait_for(lambda: len(phones.told) == 1)
        process.kill()
        process.communicate()
        shutil.rmtree(works.root / ".git" / "offhook")
        lost = works.run("rollout", "status", "lab")
        assert lost.returncode == 1
        assert "journal" in lost.stderr
        done = works.run("rollout", "revert", "lab")
        assert done.returncode == 0, done.stderr
        assert works.has("2") == set()


def test_a_lost_revert_is_gone_on_with(tmp_path: Path) -> None:
    """The machine that took it back is gone: every phone that it switched back, and may not have told, is told."""
    with farm(lambda who: 403) as phones:
        here = Works(tmp_path, phones.port, count=4, waves=[{"rest": True}], failures=0)
        here.commit("2")
        assert here.run("deploy", "lab").returncode == 1
        there = clone(here, "there")
        phones.status = lambda who: 0  # silent: the revert waits for answers
        killed = there.start("rollout", "revert", "lab")
        wait_for(lambda: len(phones.told) >= 5)
        killed.kill()
        killed.communicate()
        shutil.rmtree(there.root)
        phones.status = lambda who: 200
        refused = here.run("rollout", "resume", "lab")
        assert (refused.returncode, "rollout revert lab goes on with that" in refused.stderr) == (1, True)
        told = len(phones.told)
        process = here.start("rollout", "revert", "lab")
        wait_for(lambda: here.run("rollout", "status", "lab", "--format", "json").stdout)
        wait_for(lambda: here.report("rollout", "status", "lab")[1]["worked_on"])
        report = here.report("rollout", "status", "lab")[1]
        assert (report["condition"], report["reverted"], len(report["phones"])) == ("reverting", True, 4)
        assert {(one["state"], one["configuration"]) for one in report["phones"]} == {("sent", "old")}
        assert len(phones.told) == told  # and nobody twice within two minutes
        process.kill()
        process.communicate()


@pytest.mark.parametrize("layout", ["flat", "layered"])
def test_a_revert_touches_only_who_was_switched(tmp_path: Path, layout: str) -> None:
    """A secret was rotated meanwhile: that comes to the others in waves, as everything does."""
    with farm(lambda who: 403) as phones:
        works = Works(tmp_path, phones.port, count=4, layout=layout, waves=THREE, failures=0)
        before = works.texts()
        works.commit("2", [1, 2, 3])
        assert works.run("deploy", "lab").returncode == 1
        (switched,) = works.has("2")
        works.password = "another-password"
        phones.status = lambda who: 200
        told = len(phones.told)
        done = clone(works, "there").run("rollout", "revert", "lab")
        assert (done.returncode, phones.users()[told:]) == (0, [user(switched)])
        report = works.report("rollout", "status", "lab")[1]
        assert (report["condition"], report["reverted"], on_new(report)) == ("ended", True, set())
        assert "3 phones that this rollout did not switch" in done.stderr
        after = works.texts()
        assert [number for number in before if after[number] != before[number]] == [switched]
        assert "another-password" in after[switched]
        assert works.run("status", "lab").returncode == 0  # the manifest is true
        told = len(phones.told)
        assert works.run("deploy", "lab", "--rev", "HEAD~1").returncode == 0
        assert sorted(phones.users()[told:]) == [user(number) for number in range(1, 5) if number != switched]
        assert all("another-password" in text for text in works.texts().values())


def test_a_revert_touches_who_may_have_been_switched_last(tmp_path: Path) -> None:
    """Killed when all waves were done: a phone that goes away may be gone, and is there again."""
    with farm(lambda who: 403) as phones:
        works = Works(tmp_path, phones.port, count=4, waves=[{"rest": True}], failures=0)
        works.files["phones/all.yaml"].pop(mac(4))
        works.files["accounts/all.yaml"].pop("a4")
        works.commit("2", [1])
        stopped = works.run("deploy", "lab", "--allow", f"removed:{mac(4)}")
        assert "has stopped" in stopped.stdout, stopped.stderr
        (works.served / f"{mac(4)}.cfg").unlink()
        works.password, phones.status = "another-password", lambda who: 200
        assert works.run("rollout", "revert", "lab").returncode == 0
        assert [number for number, text in works.texts().items() if "another-password" in text] == [1, 4]
        assert works.run("status", "lab").returncode == 0


@pytest.mark.parametrize("is_killed", [False, True])
def test_of_two_that_begin_together_one_goes_on(tmp_path: Path, is_killed: bool) -> None:
    """The other one had looked before: it leaves the journal alone, of a run under way and of one that was killed."""
    with farm() as phones:
        works = Works(tmp_path, phones.port, count=3, waves=[{"phones": 1}, {"rest": True}], gate={"wait": "1 h"})
        works.commit("2")
        with pytest.MonkeyPatch.context() as patch, closing(looked(works, patch)) as prepared:
            process = works.start("deploy", "lab")
            wait_for(lambda: bool(phones.told) and works.report("rollout", "status", "lab")[1]["waves"][0]["answered"])
            if is_killed:
                process.kill()
                process.communicate()
            plan = plan_of(prepared, changing(prepared, None), Manner(verifies=False))
            desk = Desk(keeping_of(works.root, "lab"), None, None, None, lambda line: None)
            with pytest.raises(OffhookError, match="was sooner" if is_killed else "another process writes"):
                start(prepared, plan, desk, manner=Manner(), allowed=(), opened="", reason="")
        report = works.report("rollout", "status", "lab")[1]
        assert (report["condition"], len(on_new(report))) == ("running", 1)
        process.kill()
        process.communicate()


def looked(works: Works, patch: pytest.MonkeyPatch) -> Prepared:
    """A deploy that has looked, in this process, and has not begun."""
    for name, value in works.environment().items():
        patch.setenv(name, value)
    return prepare(works.root, choose_fleet(works.root, "lab", None))


def test_windows_are_left_and_found_again(tmp_path: Path) -> None:
    with farm() as phones:
        works = Works(tmp_path, phones.port, waves=[{"rest": True}])
        now = time.gmtime()
        opens = (now.tm_hour + 3) % 24
        window = {"from": f"{opens:02d}:00", "to": f"{(opens + 2) % 24:02d}:00"}
        works.files["sites/all.yaml"]["berlin"] = {"time_zone": "UTC", "maintenance": window}
        works.commit("2")
        planned = json.loads(works.run("deploy", "lab", "--dry-run", "--format", "json").stdout)
        assert 2 * 3600 - 60 <= planned["forecast"]["waves"][0]["begins_in_s"] <= 3 * 3600
        code, report = works.report("deploy", "lab", "--leave")
        assert (code, report["condition"], report["waits"], works.has("2")) == (0, "running", "window", set())
        assert "is not done: it waits for a maintenance window" in works.run("rollout", "status", "lab").stdout
        assert works.report("rollout", "resume", "lab", "--leave")[0] == 0
        there = clone(works, "there")
        assert there.report("rollout", "status", "lab")[1]["waits"] == "window"
        # a pause lasts until a person goes on, whoever works on it meanwhile
        assert there.run("rollout", "pause", "lab").returncode == 0
        report = works.report("rollout", "status", "lab")[1]
        assert (report["condition"], report["waits"], report["why"]) == ("paused", "", "a person paused it")
        left = works.run("rollout", "resume", "lab", "--leave", "--unless-paused")
        assert (left.returncode, "a person paused this rollout" in left.stdout) == (0, True)
        assert works.report("rollout", "status", "lab")[1]["condition"] == "paused"
        assert works.report("rollout", "resume", "lab", "--leave")[0] == 0
        assert works.report("rollout", "resume", "lab", "--leave", "--unless-paused")[1]["waits"] == "window"
        assert works.report("rollout", "revert", "lab")[0] == 0
        code, _ = works.report("deploy", "lab", "--now")
        assert (code, len(works.has("2")), len(phones.told)) == (0, 12, 12)


def test_who_fetched_is_seen_in_the_access_log(tmp_path: Path) -> None:
    """Nobody answers, and half of them are seen to fetch: these did not fail."""
    log = tmp_path / "access.log"
    log.write_text("")

    def fetches(user: str) -> None:
        if int(user) % 2:
            with log.open("a") as file:
                file.write(f'127.0.0.1 - - [x] "GET /{mac(int(user))}.cfg HTTP/1.1" 200 99 "-" "Flyingvoice FIP14G"\n')

    with farm(lambda user: 403) as phones:
        phones.heard = fetches
        works = Works(
            tmp_path, phones.port, waves=[{"rest": True}], failures=100, access_log=str(log),
            gate={"answered": "0%", "fetched": "50%", "wait": "2 s"},
        )  # fmt: skip
        works.commit("2")
        code, report = works.report("deploy", "lab")
        assert code == 0, report["why"]
        assert {one["mac"] for one in report["phones"] if one["state"] == "fetched"} == {
            mac(number) for number in range(1, 13, 2)
        }


def test_the_lab_server_tells_who_fetched(tmp_path: Path) -> None:
    """Virtual phones look at every file by HTTP, and are no phones; two real ones fetch, one while nobody watches."""
    log, port = tmp_path / "lab.log", peers.free_port()
    gate = {"answered": "0%", "fetched": "40%", "wait": "3 s"}

    def fetch(*numbers: int) -> None:
        for number in numbers:
            asked = urllib.request.Request(f"http://127.0.0.1:{port}/{mac(number)}.cfg", headers={"User-Agent": "FIP"})
            urllib.request.urlopen(asked).read()

    with farm(lambda who: 403) as phones, ExitStack() as stack:
        works = Works(
            tmp_path, phones.port, count=5, waves=[{"rest": True}], failures=100, gate=gate, access_log=str(log)
        )
        refused = works.run("deploy", "lab")  # nothing changes
        assert refused.returncode == 1
        assert "no such file" in refused.stderr
        out = stack.enter_context(log.open("w"))
        serve = [str(OFFHOOK), "serve", "--from", str(works.served), "--host", "127.0.0.1", "--no-pnp", "--tftp", "off"]
        lab = subprocess.Popen([*serve, "--http", str(port), "--format", "json"], stdout=out)
        stack.callback(lab.wait)
        stack.callback(lab.terminate)
        wait_for(lambda: "listening" in log.read_text())
        works.files["fleet.yaml"]["environments"]["lab"]["url"] = f"http://127.0.0.1:{port}/"
        works.files["fleet.yaml"]["environments"]["lab"]["accept"] = ["plain-secret-transport"]
        works.commit("2")
        code, report = works.report("deploy", "lab")
        assert (code, {one["state"] for one in report["phones"]}) == (1, {"gave-up"})
        assert "0 of 5 fetched, 40% are asked for" in report["why"]
        assert log.read_text().count("offhook virtual phone") >= 5
        fetch(1, 2)
        wait_for(lambda: log.read_text().count('"FIP"') == 2)
        code, report = works.report("rollout", "resume", "lab")
        states = {one["mac"]: one["state"] for one in report["phones"]}
        assert (code, [number for number in range(1, 6) if states[mac(number)] == "fetched"]) == (0, [1, 2])


def test_metrics_for_prometheus(tmp_path: Path) -> None:
    with farm() as phones:
        works = Works(tmp_path, phones.port, waves=THREE)
        works.commit("2")
        assert works.run("deploy", "lab", "--metrics", str(tmp_path / "offhook.prom")).returncode == 0
        lines = (tmp_path / "offhook.prom").read_text().splitlines()
        assert 'offhook_rollout_phones{environment="lab",state="answered"} 12' in lines
        assert 'offhook_rollout_condition{environment="lab",condition="ended"} 1' in lines
        works.commit("3")
        refused = works.run("deploy", "lab", "--metrics", str(tmp_path / "nowhere/offhook.prom"))
        assert (refused.returncode, "there is no folder" in refused.stderr, works.has("3")) == (1, True, set())


def test_a_damaged_journal_can_be_moved_away(tmp_path: Path) -> None:
    with farm(lambda who: 0 if who == user(5) else 200) as phones:
        works = Works(tmp_path, phones.port, count=6, waves=[{"phones": 5}, {"rest": True}], failures=0)
        works.commit("2")
        assert works.run("deploy", "lab").returncode == 1
        told, new = phones.users(), works.has("2")
        journal = keeping_of(works.root, "lab").folder / "journal"
        data = bytearray(journal.read_bytes())
        data[100] ^= 1
        journal.write_bytes(data)
        for verb in ("status", "resume", "revert"):
            done = works.run("rollout", verb, "lab")
            assert (done.returncode, "is damaged" in done.stderr, "move it away" in done.stderr) == (1, True, True)
        journal.rename(tmp_path / "damaged")
        assert works.has("2") == new
        assert works.run("rollout", "revert", "lab").returncode == 1  # one is silent still
        assert works.has("2") == set()
        assert phones.users()[: len(told)] == told


# real peers -----------------------------------------------------------------------------------------------------------


@pytest.mark.peer
def test_phones_behind_a_real_registrar(tmp_path: Path) -> None:
    """Kamailio asks for credentials; one phone answers, one is silent, one is away, and one never registered."""
    kinds = [sip_peers.answering(), sip_peers.silent(), sip_peers.answering("480 Temporarily Unavailable")]
    with ExitStack() as stack:
        phones = {
            user(number): stack.enter_context(sip_peers.sipp(words, tmp_path))
            for number, words in enumerate(kinds, start=1)
        }
        pbx = stack.enter_context(sip_peers.kamailio(digest="SHA-256", fr_timer_ms=1500))
        sip_peers.register(pbx.port, phones, tmp_path)
        gate = {"wait": "0 s", "answered": "25%"}
        works = Works(tmp_path, pbx.port, count=4, waves=[{"rest": True}], failures=3, gate=gate)
        works.commit("2")
        code, report = works.report("deploy", "lab")
        states = {one["mac"]: (one["state"], one["status"]) for one in report["phones"]}
        assert states == {
            mac(1): ("answered", 200),
            mac(2): ("gave-up", 408),
            mac(3): ("gave-up", 480),
            mac(4): ("gave-up", 404),
        }
        assert (code, report["condition"], report["release"]) == (0, "ended", 2)
        assert all(one["why"] for one in report["phones"] if one["state"] == "gave-up")
        told = {one.mac: (one.state, one.status, one.wave) for one in outcomes_of(works.root, "lab", 2)}
        assert told == {number: (*state, 1) for number, state in states.items()}
        assert PASSWORD not in json.dumps(report) + repositories.git(works.root, "log", "-p", "refs/offhook/lab")


def test_what_phones_answered_stands_in_git(tmp_path: Path) -> None:
    with farm(lambda who: 0 if who == user(3) else 200) as phones:
        works = Works(tmp_path, phones.port, count=4, waves=[{"rest": True}], gate={"wait": "0 s", "answered": "1%"})
        remote = tmp_path / "remote.git"
        repositories.git(tmp_path, "init", "-q", "--bare", str(remote))
        repositories.git(works.root, "remote", "add", "origin", str(remote))
        works.commit("2")
        quiet = works.run("deploy", "lab", "--no-notify")
        assert quiet.returncode == 0
        assert "nobody is told" in quiet.stderr
        assert "nobody is to be told: it fetches when it polls" in quiet.stderr
        assert "no account" not in quiet.stderr + quiet.stdout
        assert {one.state for one in outcomes_of(works.root, "lab", 2)} == {"untold"}
        works.commit("3", [1, 2])
        assert works.run("deploy", "lab").returncode == 0
        assert [(one.mac, one.state) for one in outcomes_of(works.root, "lab", 3)] == [
            (mac(1), "answered"),
            (mac(2), "answered"),
        ]
        assert outcomes_of(remote, "lab", 3) == outcomes_of(works.root, "lab", 3)


def test_answers_that_could_not_be_pushed_wait_in_the_state(tmp_path: Path) -> None:
    """A clone whose push is refused, as CI's, is gone afterwards: the next one brings what it knew."""
    with farm() as phones:
        here = Works(tmp_path, phones.port, count=2, waves=[{"rest": True}])
        here.commit("2")
        gone = clone(here, "gone")
        hook = here.root / ".git" / "hooks" / "pre-receive"
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
        refused = gone.run("deploy", "lab")
        assert refused.returncode == 0
        assert "record waits" in refused.stderr
        shutil.rmtree(gone.root)
        hook.unlink()
        here.commit("3", [1])
        assert clone(here, "next").run("deploy", "lab").returncode == 0
        assert [(one.mac, one.state) for one in outcomes_of(here.root, "lab", 2)] == [
            (mac(1), "answered"),
            (mac(2), "answered"),
        ]
        assert [one.mac for one in outcomes_of(here.root, "lab", 3)] == [mac(1)]


# killed anywhere ------------------------------------------------------------------------------------------------------

AGAIN_S = 1.5


def run_here(works: Works, show: Callable[[Progress, Action], None]) -> Ran:
    """Begin or take up the campaign in this process, with a short time after which somebody may be told again."""
    fleet = choose_fleet(works.root, "lab", None)
    prepared = prepare(works.root, fleet)
    with closing(prepared):
        keeping = keeping_of(works.root, "lab")
        campaign = keeping.campaign()
        desk = Desk(keeping, None, lambda: route(prepared), None, lambda line: None, show)
        if campaign is not None and prepared.before.head.intent is not None:
            plan = plan_of(prepared, campaign.targets, Manner(verifies=False))
            plan = replace(plan, waves=campaign.waves, again_s=AGAIN_S)
            return go_on(prepared, plan, campaign, desk, opened="")
        plan = plan_of(prepared, changing(prepared, None), Manner(verifies=False))
        plan = replace(plan, again_s=AGAIN_S)
        return start(prepared, plan, desk, manner=Manner(), allowed=(), opened="", reason="")


def route(prepared: Prepared) -> object:
    environment = prepared.rule.environment
    assert environment is not None
    return open_route(notify_of(prepared.rule.inventory.fleet, environment), root=prepared.root)


def killed_at(works: Works, step: int) -> bool:
    """Run in a child that is killed before its step of this number; tell whether it came to its end before that."""

    def work() -> None:
        steps = iter(range(step))

        def show(progress: Progress, action: Action) -> None:
            if next(steps, None) is None:
                time.sleep(0.2)  # what was handed to another thread is done by then
                os.kill(os.getpid(), signal.SIGKILL)

        os.environ.update(works.environment())
        ran = run_here(works, show)
        os._exit(0 if ran.release else 1)

    child = multiprocessing.get_context("fork").Process(target=work)
    child.start()
    child.join(60)
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode == 0


@pytest.mark.parametrize("step", [0, 1, 2, 3, 5, 7, 9, 12])
def test_killed_anywhere_it_is_resumed_and_nobody_is_told_twice(tmp_path: Path, step: int) -> None:
    with farm() as phones:
        works = Works(tmp_path, phones.port, count=5, waves=[{"phones": 1}, {"rest": True}])
        works.commit("2")
        killed_at(works, step)
        shown = keeping_of(works.root, "lab").progress()
        new = {mac(number) for number in works.has("2")}
        assert new <= set(shown.on_new())
        killed_at(works, step + 1)
        killed_at(works, 10_000)
        assert works.has("2") == {1, 2, 3, 4, 5}
        assert set(phones.users()) == {user(number) for number in range(1, 6)}
        for one in set(phones.users()):
            times = [at for at, who in phones.told if who == one]
            assert all(later - earlier >= AGAIN_S - 0.1 for earlier, later in pairwise(times))


def wait_for(found: Callable[[], object]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + 60
    while not found():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)
