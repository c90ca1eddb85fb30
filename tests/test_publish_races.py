"""Two publishers at once, one that was paused, clocks that differ: the root is one revision's, never mixed."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import peers
import places
from offhook.problem import OffhookError
from offhook.publish.carry import publication
from offhook.publish.carry.carrying import carry
from offhook.publish.carry.publication import Publication
from offhook.publish.roots.directory import DirectoryState
from offhook.publish.roots.held import HeldRoot
from offhook.publish.roots.swapping import look_and_write
from offhook.publish.state import hold as holding
from offhook.publish.state import signs
from offhook.publish.state.head import Versioned, read_head, read_released, swap
from offhook.publish.state.hold import Hold, Lost, Patience, new_intent, take_hold
from offhook.publish.state.lock import LOCK, Lock
from publishers import (
    KILL,
    QUICK,
    Stage,
    Stop,
    in_bucket,
    is_settled,
    on_folder,
    publish,
    ready,
    released,
    start,
    wait_for,
)

LATE = ("publishes to this environment", "another publish was sooner", "publishes", "took", "too slow for a lock")


def unconditional(environ: dict[str, Any]) -> None:
    """A server that takes conditions, and overwrites all the same."""
    for name in ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"):
        environ.pop(name, None)


@contextmanager
def stage_of(kind: str, folder: Path) -> Iterator[Stage]:
    """The layered fleet on a server of this kind."""
    if kind == "directory":
        yield on_folder(folder, "layered")
        return
    servers: dict[str, Callable[[], Any]] = {
        "moto": peers.moto,
        "without conditions": lambda: peers.moto(unconditional),
        "seaweedfs": lambda: peers.seaweedfs(folder, places.ACCESS_KEY, places.SECRET_KEY),
    }
    with places.environment(), ExitStack() as stack:
        endpoint = stack.enter_context(servers[kind]())
        yield in_bucket(folder, "layered", endpoint)


@pytest.mark.parametrize(
    ("kind", "rounds"),
    [
        ("directory", 20),
        pytest.param("moto", 1, marks=pytest.mark.peer),
        pytest.param("without conditions", 2, marks=pytest.mark.peer),
        pytest.param("directory", 200, marks=pytest.mark.long),
        pytest.param("moto", 200, marks=[pytest.mark.long, pytest.mark.peer]),
        pytest.param("seaweedfs", 200, marks=[pytest.mark.long, pytest.mark.peer]),
        pytest.param("without conditions", 200, marks=[pytest.mark.long, pytest.mark.peer]),
    ],
)
def test_of_two_publishers_one_wins_or_they_take_turns(tmp_path: Path, kind: str, rounds: int) -> None:
    chance = random.Random(0)
    with stage_of(kind, tmp_path) as stage:
        probing = kind == "without conditions"
        patience = Patience(settle_s=0.5)
        for turn in range(rounds):
            last = -(turn % 2)
            stage.at(last)
            delays = [chance.uniform(0, 0.1) for _ in range(2)]
            two = (stage.revisions[1], stage.revisions[2])
            children = [
                start(one, patience=patience, probing=probing, first=lambda delay=delay: time.sleep(delay))
                for one, delay in zip(two, delays, strict=True)
            ]
            ended = [wait_for(child) for child in children]
            hows = [one.how for one in ended]
            assert "done" in hows, hows
            assert all(how == "done" or any(text in how for text in LATE) for how in hows), hows
            won = [one for one in two if one.fleet.source.revision == released(one)[1].commit]
            assert len(won) == 1
            assert hows[two.index(won[0])] == "done"
            is_settled(won[0])
            stage.are_whole(stage.revisions.index(won[0]))


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DirectoryState:
    """A state, and a machine that knows no other's processes."""
    monkeypatch.setattr(DirectoryState, "swaps", lambda self: True)
    return DirectoryState(tmp_path)


def intended(state: DirectoryState, *, process: str = "", at: float | None = None) -> Versioned:
    """Put the intent of a publish on another machine there."""
    intent = replace(new_intent("intents/intent-1.json", "", ""), process=process)
    intent = replace(intent, at=int(time.time()) if at is None else int(at))
    swapped = swap(state, read_head(state), replace(read_head(state).head, intent=intent))
    assert swapped is not None
    return swapped


def taken(state: DirectoryState, patience: Patience = QUICK) -> Hold:
    """Take the hold."""
    before = read_head(state)
    intent = new_intent("intents/intent-2.json", "", "")
    head = replace(before.head, intent=intent)
    return take_hold(state, before, head, place="a folder", patience=patience, say=lambda _: None)


def test_a_holder_gives_signs_of_life_until_it_leaves(state: DirectoryState) -> None:
    with taken(state, Patience(lease_s=60, renew_s=0.01)):
        first = read_head(state).head.serial
        end = time.monotonic() + 20
        while read_head(state).head.serial < first + 3 and time.monotonic() < end:
            time.sleep(0.01)
        assert read_head(state).head.serial >= first + 3
    left = read_head(state).head
    assert left.intent is not None
    assert left.intent.at == 0
    with taken(state):  # at once
        pass


def test_one_that_is_alive_is_not_taken_over(state: DirectoryState) -> None:
    before = intended(state, process=signs.this_process(), at=time.time() - 9_000)
    with pytest.raises(Lost, match="publishes to this environment") as raised:
        taken(state)
    assert f"end process {os.getpid()}" in raised.value.hint
    assert read_head(state) == before


@pytest.mark.parametrize("hours", [-9, -1, 1, 9])
def test_no_clock_is_believed(state: DirectoryState, hours: int) -> None:
    """One that gave no sign of life is taken over after as long as it may believe itself alive, not sooner."""
    intended(state, at=time.time() + 3_600 * hours)
    began = time.monotonic()
    with taken(state):
        assert time.monotonic() - began > QUICK.lease_s


@pytest.mark.parametrize("hours", [-9, 9])
def test_one_whose_clock_differs_and_that_gives_signs_is_left_alone(state: DirectoryState, hours: int) -> None:
    before = intended(state, at=time.time() + 3_600 * hours)
    intent = before.head.intent
    assert intent is not None
    sleep = time.sleep

    def sleeping(seconds: float) -> None:
        now = read_head(state)
        swap(state, now, replace(now.head, intent=intent))
        sleep(seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holding.time, "sleep", sleeping)
        with pytest.raises(Lost, match="publishes to this environment"):
            taken(state)
    assert read_head(state).head.intent == intent


def test_a_killed_process_that_nobody_waited_for_is_gone() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    try:
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        boot, _, started = signs.this_process().split(" ")
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        assert fields[0] == "Z"
        assert signs.is_alive(f"{boot} {child} {fields[19]}") is False
    finally:
        os.waitpid(child, 0)
    assert started


def test_a_child_has_lost_the_hold_when_its_parent_has_ended(state: DirectoryState) -> None:
    reading, writing = os.pipe()
    parent = os.fork()
    if not parent:
        held = taken(state, Patience())
        if os.fork():
            os.kill(os.getpid(), signal.SIGKILL)
        end = time.monotonic() + 20
        try:
            while time.monotonic() < end:
                held.check()
                time.sleep(0.005)
        except Lost as lost:
            os.write(writing, lost.message.encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(parent, 0)
    with os.fdopen(reading, "rb") as pipe:
        assert b"has ended" in pipe.read()


def test_a_child_sees_that_its_parent_was_taken_over(state: DirectoryState) -> None:
    held = taken(state, Patience())
    asked, answered = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        said = b""
        try:
            held.check()
            os.read(asked[0], 1)
            held.check()
        except Lost as lost:
            said = lost.message.encode()
        finally:
            os.write(answered[1], said)
            os._exit(0)
    intended(state)
    with pytest.raises(Lost):
        held.change(lambda head: head)
    os.write(asked[1], b".")
    assert b"took" in os.read(answered[0], 999)
    os.waitpid(child, 0)


def test_an_answer_that_was_lost_does_not_lose_the_hold(state: DirectoryState, monkeypatch: pytest.MonkeyPatch) -> None:
    read = state.read_version

    def broken(path: str) -> tuple[bytes, str] | None:
        monkeypatch.setattr(state, "read_version", read)
        raise OffhookError("the connection breaks off")

    with taken(state, Patience()) as held:
        write = DirectoryState.write_version

        def written(self: DirectoryState, path: str, content: bytes, version: str | None) -> bool:
            done = write(self, path, content, version)
            monkeypatch.setattr(state, "read_version", broken)
            return done

        with monkeypatch.context() as patch:
            patch.setattr(DirectoryState, "write_version", written)
            with pytest.raises(OffhookError, match="breaks off"):
                held.change(lambda head: head)
        assert held.change(lambda head: replace(head, manifest="manifests/1.json")).manifest == "manifests/1.json"


@pytest.mark.parametrize("step", range(5))
def test_a_paused_publisher_writes_nothing_more(tmp_path: Path, step: int) -> None:
    """It is stopped before a group of files, the deletion or the manifest, taken over, and goes on."""
    stage = on_folder(tmp_path, "layered")
    stage.at(0)
    stopped = start(stage.revisions[1], patience=QUICK, first=lambda: pause_before(step))
    _, status = os.waitpid(stopped.process, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    time.sleep(QUICK.lease_s)
    ended = publish(stage.revisions[2], patience=QUICK)
    assert ended.how == "done", ended
    os.kill(stopped.process, signal.SIGCONT)
    late = wait_for(stopped)
    assert late.kind == "Lost", late
    is_settled(stage.revisions[2])


def pause_before(step: int) -> None:
    """Stop this process before a step of its work; to others it runs on another machine."""
    holding.this_process = lambda: ""
    steps = iter(range(99))
    groups, delete, write = publication._groups, Publication._delete, publication.write_manifest

    def pause() -> None:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGSTOP)

    def grouped(paths: Iterable[str]) -> Iterator[list[str]]:
        for group in groups(paths):
            pause()
            yield group

    publication._groups = grouped
    Publication._delete = lambda *arguments: (pause(), delete(*arguments))[1]
    publication.write_manifest = lambda *arguments: (pause(), write(*arguments))[1]


def test_a_publisher_that_can_give_no_sign_of_life_stops(tmp_path: Path) -> None:
    stage = on_folder(tmp_path, "flat")
    stage.at(0)

    def cut_off() -> None:
        Hold._renew = lambda self: None
        send = Publication._send
        Publication._send = lambda self, *arguments: (time.sleep(0.5), send(self, *arguments))[1]

    ended = publish(stage.revisions[1], patience=QUICK, first=cut_off)
    assert "did not take a sign of life" in ended.how
    stage.are_whole(0)
    stage.completes(1)


class Unconditional(DirectoryState):
    """A state without compare-and-swap."""

    def swaps(self) -> bool:
        return False

    def write_version(self, path: str, content: bytes, version: str | None) -> bool:
        return look_and_write(self, path, content=content, version=version)


def lock(state: DirectoryState, owner: str = "anna") -> Lock:
    return Lock(state, owner, lease_s=QUICK.lease_s, renew_s=QUICK.renew_s, settle_s=0.2)


class TestLock:
    """The lock object, for states without compare-and-swap."""

    def test_one_has_it(self, tmp_path: Path) -> None:
        state = Unconditional(tmp_path)
        first = lock(state)
        first.take()
        with pytest.raises(OffhookError, match="anna publishes"):
            lock(state, "bert").take()
        first.renew()
        first.leave()
        second = lock(state, "bert")
        second.take()
        with pytest.raises(OffhookError, match="bert publishes"):
            first.renew()
        first.leave()
        assert b"bert" in (state.read(LOCK) or b"")

    @pytest.mark.parametrize("hours", [-9, 9])
    def test_no_clock_is_believed(self, tmp_path: Path, hours: int) -> None:
        state = Unconditional(tmp_path)
        body = {"id": "1", "owner": "carla", "process": "", "at": time.time() + 3_600 * hours}
        state.write(LOCK, json.dumps(body).encode())
        sleep = time.sleep

        def sleeping(seconds: float) -> None:
            body["at"] += 1
            state.write(LOCK, json.dumps(body).encode())
            sleep(seconds)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("offhook.publish.state.lock.time.sleep", sleeping)
            with pytest.raises(OffhookError, match="carla publishes"):
                lock(state).take()
        began = time.monotonic()
        lock(state).take()
        assert time.monotonic() - began > QUICK.lease_s

    def test_a_killed_one_is_known_to_be_gone(self, tmp_path: Path) -> None:
        state = Unconditional(tmp_path)
        child = os.fork()
        if not child:
            lock(state).take()
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        began = time.monotonic()
        Lock(state, "bert", lease_s=60, renew_s=15, settle_s=0.2).take()
        assert time.monotonic() - began < 60


def test_a_head_is_read_again_where_its_manifest_goes_meanwhile(tmp_path: Path) -> None:
    stage = on_folder(tmp_path, "flat")
    stage.at(0)
    one, two = stage.revisions[:2]
    place_state = Path(one.fleet.environment.state if one.fleet.environment else "")
    state = DirectoryState(place_state)
    read = state.read

    def slow(path: str) -> bytes | None:
        if path.startswith("manifests/1"):
            state.read = read  # type: ignore[method-assign]
            assert publish(two).how == "done"
        return read(path)

    state.read = slow  # type: ignore[method-assign]
    assert read_released(state)[1].release == 2


class Ending:
    """A state; when the publish has ended, and before anything is deleted, something else happens."""

    def __init__(self, state: Any, meanwhile: Callable[[], None]) -> None:
        self._state = state
        self._meanwhile = [meanwhile]

    def __getattr__(self, name: str) -> Any:
        if name in ("list", "delete") and self._meanwhile and read_head(self._state).head.intent is None:
            self._meanwhile.pop()()
        return getattr(self._state, name)


def test_nobody_deletes_what_the_next_publisher_has_just_written(tmp_path: Path) -> None:
    """One ends while the next one takes the hold; that one is then killed, and its plan is still there."""
    stage = on_folder(tmp_path, "layered")
    stage.at(0)
    one, two = stage.revisions[1:3]

    def next_one() -> None:
        assert publish(two, first=killed_at_its_first_write).how == "killed"

    prepared = ready(one)
    carry(replace(prepared, state=Ending(prepared.state, next_one)))
    intent = read_head(prepared.state).head.intent
    assert intent is not None
    assert prepared.state.read(intent.plan) is not None
    stage.completes(1)


def killed_at_its_first_write() -> None:
    """Kill this process where it first writes to its root."""
    HeldRoot.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)


def test_where_a_plan_is_gone_everything_is_written_again(tmp_path: Path) -> None:
    stage = on_folder(tmp_path, "flat")
    stage.at(0)
    assert publish(stage.revisions[1], Stop(KILL, stage.calls(1) - 8)).how == "killed"
    for plan in (tmp_path / "state/intents").iterdir():
        plan.unlink()
    ended = publish(stage.revisions[1], adopt=True)
    assert ended.how == "done", ended
    is_settled(stage.revisions[1])
