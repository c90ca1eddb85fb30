"""Publishers that are stopped anywhere: each phone has its whole old or its whole new configuration, and a second run
completes and leaves nothing behind."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import peers
import places
from offhook.publish.carry.publication import Publication
from publishers import KILL, LOSE, ONCE, REFUSE, Stage, Stop, in_bucket, on_folder, publish

CHANGES = [(-1, 1), (0, 2), (1, 0), (2, 1), (3, 2)]
"""The revision that was published last (-1: none), and another one to publish after its successor was stopped."""

HOWS = (KILL, REFUSE, ONCE, LOSE)


@pytest.fixture(scope="module", params=["flat", "layered"])
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A folder."""
    folder = tmp_path_factory.mktemp(request.param)
    return on_folder(folder, request.param)


def stop_each(stage: Stage, last: int, other: int, stops: list[Stop], *, inside: bool = False) -> None:
    """Stop the successor of a revision; then it, or the other revision, completes."""
    for number, stop in enumerate(stops):
        stage.at(last)
        stage.stopped(last + 1, stop, inside=inside)
        stage.completes(other if number % 2 else last + 1, grace=number % 4 < 2)


def some(stage: Stage, last: int, every: int, hows: tuple[str, ...]) -> list[Stop]:
    """Every so many calls, each stopped in one of these ways in turn."""
    numbers = range((last + 1) % every, stage.calls(last + 1) + 1, every)
    return [Stop(hows[turn % len(hows)], number) for turn, number in enumerate(numbers)]


@pytest.mark.parametrize(("last", "other"), CHANGES)
def test_a_second_run_completes(stage: Stage, last: int, other: int) -> None:
    stop_each(stage, last, other, some(stage, last, 11, (KILL, LOSE)))


@pytest.mark.long
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(("last", "other"), CHANGES)
def test_a_second_run_completes_wherever_the_first_was_stopped(stage: Stage, last: int, other: int, how: str) -> None:
    stop_each(stage, last, other, some(stage, last, 1, (how,)))


@pytest.mark.parametrize("every", [29, pytest.param(1, marks=pytest.mark.long)])
def test_killed_inside_of_a_write(stage: Stage, every: int) -> None:
    stops = [Stop(KILL, number) for number in range(0, 140, every)]
    stop_each(stage, 0, 2, stops, inside=True)


@pytest.mark.parametrize("number", [18, 22, 26])
def test_what_a_stopped_run_may_have_written_is_never_believed_to_be_there(stage: Stage, number: int) -> None:
    """The run is stopped while it writes, the old revision is published again, and then the same one once more."""
    for last in (0, 3):
        stage.at(last)
        stage.stopped(last + 1, Stop(KILL, number))
        stage.completes(last)
        stage.completes(last + 1)


def test_what_an_earlier_stopped_run_may_have_written_is_no_surer_for_the_next_one(stage: Stage) -> None:
    """One is stopped while it uploads, another one when it has uploaded; then the first one is published after all."""
    stage.at(0)
    stage.stopped(1, Stop(KILL, 15))
    assert publish(stage.revisions[2], first=killed_before_it_switches).how == "killed"
    stage.are_whole(0, 1)
    stage.completes(1)


def killed_before_it_switches() -> None:
    Publication.switch = lambda *_: os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("seeds", [range(3), pytest.param(range(3, 120), marks=pytest.mark.long)])
def test_three_stopped_one_after_the_other(stage: Stage, seeds: range) -> None:
    for seed in seeds:
        chance = random.Random(seed)
        last = chance.randrange(-1, 5)
        stage.at(last)
        known = [last]
        for _ in range(3):
            number = chance.randrange(5)
            known.append(number)
            stop = Stop(chance.choice(HOWS), chance.randrange(stage.calls(number)))
            ended = publish(stage.revisions[number], stop)
            stage.are_whole(*known)
            if ended.how == "done":
                known = [number]
        stage.completes(chance.randrange(5), grace=True)


@pytest.fixture
def credentials() -> Iterator[None]:
    with places.environment():
        yield


@pytest.mark.peer
@pytest.mark.parametrize("layout", ["flat", "layered"])
def test_in_a_bucket(tmp_path: Path, credentials: None, layout: str) -> None:
    with peers.moto() as endpoint:
        stage = in_bucket(tmp_path, layout, endpoint)
        stage.at(0)
        stage.stopped(1, Stop(KILL, {"flat": 16, "layered": 24}[layout]))
        stage.completes(1)


@pytest.mark.peer
@pytest.mark.long
@pytest.mark.parametrize("layout", ["flat", "layered"])
@pytest.mark.parametrize("kind", ["moto", "seaweedfs"])
def test_in_a_bucket_wherever_it_was_stopped(tmp_path: Path, credentials: None, layout: str, kind: str) -> None:
    starts: dict[str, Any] = {
        "moto": peers.moto,
        "seaweedfs": lambda: peers.seaweedfs(tmp_path, places.ACCESS_KEY, places.SECRET_KEY),
    }
    with starts[kind]() as endpoint:
        stage = in_bucket(tmp_path, layout, endpoint)
        for last, other in CHANGES:
            stop_each(stage, last, other, some(stage, last, 2, HOWS))
