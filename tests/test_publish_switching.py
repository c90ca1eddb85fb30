"""Switching as a step of its own: uploaded for all, switched for some, taken up again by another process, and back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection

import pytest

from offhook.publish.carry.carrying import begin, hold_of, next_manifest
from offhook.publish.carry.publication import Publication
from offhook.publish.tree.opened import opened_tree
from publishers import (
    KILL,
    LOSE,
    PATIENT,
    UNLISTED,
    Revision,
    Stage,
    Stop,
    boots,
    is_settled,
    mac,
    on_folder,
    phones_of,
    publish,
    ready,
    run,
    secrets_of,
)

FIRST, SECOND = [mac(1), mac(2), mac(8)], [mac(4)]
"""Two waves: of the first, one phone is new."""


@pytest.fixture(scope="module", params=["flat", "layered", "to layered", "to flat"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A folder; `to`: from the second revision on it is in another layout."""
    layout = request.param.rpartition(" ")[2]
    first = layout if layout == request.param else other(layout)
    return on_folder(tmp_path_factory.mktemp("folder"), layout, first_layout=first)


@pytest.fixture
def stage(folder: Stage) -> Stage:
    """A folder on which the first revision is published."""
    folder.at(0)
    return folder


def other(layout: str) -> str:
    return "flat" if layout == "layered" else "layered"


def have(stage: Stage, switched: Collection[str]) -> None:
    """Hold each phone to the new configuration where it was switched, to the old one elsewhere."""
    old, new = stage.revisions[:2]
    for phone, settings in boots(old, phones_of([old, new]), stage.folder / "copy").items():
        assert settings == (new if phone in switched else old).of(phone), phone


def carried(
    one: Revision, work: Callable[[Publication], None], *, finish: bool = False, stop: Stop | None = None
) -> str:
    """Do some of the steps of a revision's publish in a child; return how it ended."""

    def steps() -> None:
        prepared = ready(one)
        with hold_of(prepared, patience=PATIENT, say=lambda _: None) as hold:
            publication = begin(prepared, hold, processes=1, progress=lambda *_: None)
            work(publication)
            if finish:
                publication.finish(next_manifest(prepared))
        prepared.close()

    return run(steps, stop).how


def killed(publication: Publication) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_upload_switches_nobody(stage: Stage) -> None:
    assert carried(stage.revisions[1], Publication.upload) == "done"
    have(stage, [])
    stage.completes(1)


def test_waves_and_another_process_that_goes_on(stage: Stage) -> None:
    one = stage.revisions[1]

    def first(publication: Publication) -> None:
        publication.upload()
        publication.switch(FIRST)
        killed(publication)

    def second(publication: Publication) -> None:
        publication.upload()
        have(stage, FIRST)
        publication.switch(SECOND)

    def last(publication: Publication) -> None:
        publication.upload()
        publication.switch()

    assert carried(one, first) == "killed"
    have(stage, FIRST)
    assert carried(one, second) == "done"
    have(stage, [*FIRST, *SECOND])
    assert carried(one, last, finish=True) == "done"
    is_settled(one)
    stage.are_whole(1)


def test_what_was_switched_is_not_written_again(stage: Stage) -> None:
    one = stage.revisions[1]

    def first(publication: Publication) -> None:
        publication.upload()
        publication.switch(FIRST)

    assert carried(one, first) == "done"
    prepared = ready(one)
    prepared.close()
    assert not prepared.steps.referred
    assert not [path for path in prepared.steps.switches if path.partition(".")[0] in FIRST]
    assert [path for path in prepared.steps.switches if path.startswith(SECOND[0])]


def back(stage: Stage, passwords: str, macs: Collection[str] = FIRST) -> Callable[[Publication], None]:
    """Switch phones back to the first revision, opened with today's passwords."""
    old = stage.revisions[0]

    def work(publication: Publication) -> None:
        former = opened_tree(old.fleet, secrets_of(old, passwords), publication.tree.key)
        publication.switch_back(macs, former, former.survey())

    return work


def switched(publication: Publication) -> None:
    publication.upload()
    publication.switch([*FIRST, *SECOND])


def test_back_and_again(stage: Stage) -> None:
    one = stage.revisions[1]

    def work(publication: Publication) -> None:
        switched(publication)
        back(stage, one.passwords)(publication)
        have(stage, SECOND)
        publication.switch(FIRST)
        have(stage, [*FIRST, *SECOND])
        publication.switch()

    assert carried(one, work, finish=True) == "done"
    is_settled(one)
    stage.are_whole(1)


@pytest.mark.parametrize("number", [0, 2])
def test_back_and_another_revision(stage: Stage, number: int) -> None:
    assert carried(stage.revisions[1], lambda one: (switched(one), back(stage, "1")(one))[0]) == "done"
    have(stage, SECOND)
    stage.completes(number, grace=True)


def test_back_with_other_passwords_leaves_nothing_behind(stage: Stage) -> None:
    one = stage.with_passwords(1, "9")

    def work(publication: Publication) -> None:
        switched(publication)
        back(stage, "9")(publication)
        publication.switch()

    assert carried(one, work, finish=True) == "done"
    is_settled(one)
    assert boots(one, [UNLISTED, *FIRST], stage.folder / "copy") == {
        phone: one.of(phone) for phone in [UNLISTED, *FIRST]
    }


@pytest.mark.parametrize("every", [19, pytest.param(1, marks=pytest.mark.long)])
def test_back_with_other_passwords_stopped_anywhere(stage: Stage, every: int) -> None:
    one = stage.with_passwords(1, "9")
    old = stage.with_passwords(0, "9")
    for turn, number in enumerate(range(16, 90, every)):
        stage.at(0)
        ended = carried(
            one, lambda at: (switched(at), back(stage, "9")(at))[0], stop=Stop((KILL, LOSE)[turn % 2], number)
        )
        several = [stage.revisions[0], one, old]
        for phone, settings in boots(one, phones_of(several), stage.folder / "copy").items():
            assert settings in [each.of(phone) for each in several], phone
        final = publish((one, stage.revisions[0])[turn % 2])
        assert final.how == "done", final
        is_settled((one, stage.revisions[0])[turn % 2])
        if ended == "done":
            break
