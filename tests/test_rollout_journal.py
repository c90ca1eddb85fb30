"""The journal and the watch on an access log: torn, damaged, locked, compacted, rotated."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.problem import OffhookError
from offhook.review.serve import entry_json
from offhook.rollout.campaign.config import config_of
from offhook.rollout.campaign.progress import (
    ANSWERED,
    FETCHED,
    FORGIVEN,
    GAVE_UP,
    NEW,
    OLD,
    SENT,
    SWITCHED,
    SWITCHING,
    UNTOLD,
    VERIFIED,
    WRONG,
    Progress,
)
from offhook.rollout.campaign.rows import Row
from offhook.rollout.campaign.steps import Plan
from offhook.rollout.running.answers import told_of
from offhook.rollout.running.fetched import Watch
from offhook.rollout.running.hands import RealHands
from offhook.rollout.running.journal import head_of, line_of, open_journal, parse, read_journal
from offhook.rollout.running.keeping import Campaign
from offhook.rollout.who import Target
from offhook.serve.desk import Event
from offhook.serve.lab import Line

PHONE_WORDS = (SWITCHING, SWITCHED, VERIFIED, SENT, ANSWERED, GAVE_UP, WRONG, UNTOLD, FETCHED, FORGIVEN)
ABOUT = {"campaign": "one"}
ROWS = [
    Row(SWITCHING, "0021f2000001", 1.5, to=NEW),
    Row(SWITCHED, "0021f2000001", 2.5, to=NEW),
    Row(SENT, "0021f2000001", 3.5, status=1),
    Row(ANSWERED, "0021f2000001", 4.5, status=200, why='hostile "} \n \x1b  é'),
]
WHOLE = head_of(ABOUT) + b"".join(map(line_of, ROWS))


def kept(path: Path) -> list[Row]:
    held = read_journal(path)
    assert held is not None
    return list(held.rows)


def test_what_is_synced_is_there_and_what_is_not_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a/journal"
    with open_journal(path, ABOUT) as journal:
        journal.add(ROWS[:2])
        assert kept(path) == []
        journal.sync()
        assert kept(path) == ROWS[:2]
        journal.add(ROWS[2:])
    assert kept(path) == ROWS
    with open_journal(path, {"campaign": "two"}) as journal:
        assert (journal.held.about, list(journal.held.rows)) == (ABOUT, ROWS)


@pytest.mark.parametrize("cut", range(len(WHOLE)))
def test_torn_anywhere_it_holds_the_lines_before(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(WHOLE[:cut])
    before = WHOLE[:cut].count(b"\n")
    with open_journal(path, ABOUT) as journal:
        assert list(journal.held.rows) == ROWS[: max(0, before - 1)]
        journal.add(ROWS[-1:])
    assert kept(path) == [*ROWS[: max(0, before - 1)], ROWS[-1]]


def test_damage_before_the_last_line_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    luck, path = random.Random(1), tmp_path / "journal"
    end = WHOLE.rindex(b"\n", 0, -1)
    for _ in range(200):
        data = bytearray(WHOLE)
        data[luck.randrange(end)] ^= 1 << luck.randrange(8)
        path.write_bytes(data)
        with pytest.raises(OffhookError, match=r"damaged|no journal"), open_journal(path, ABOUT):
            pass
        assert path.read_bytes() == data


def test_one_process_writes(tmp_path: Path) -> None:
    with (
        open_journal(tmp_path / "journal", ABOUT),
        pytest.raises(OffhookError, match="another process"),
        open_journal(tmp_path / "journal", ABOUT),
    ):
        pass


def test_a_disk_that_refuses_leaves_no_half_line(tmp_path: Path) -> None:
    class Full:
        def __init__(self, file: object) -> None:
            self.file = file

        def write(self, data: bytes) -> int:
            if len(data) > 10:
                return self.file.write(data[:10])  # type: ignore[attr-defined, no-any-return]
            raise OSError(28, "No space left on device")

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

    path = tmp_path / "journal"
    with open_journal(path, ABOUT) as journal:
        journal.add(ROWS[:1])
        journal.sync()
        real, journal._file = journal._file, Full(journal._file)  # type: ignore[assignment]
        journal.add(ROWS[1:2])
        with pytest.raises(OffhookError, match="No space left"):
            journal.sync()
        assert kept(path) == ROWS[:1]
        journal._file = real
    assert kept(path) == ROWS[:2]


@given(st.lists(st.tuples(st.sampled_from(PHONE_WORDS), st.integers(0, 3), st.integers(0, 3)), max_size=40))
@settings(max_examples=100, deadline=None)
def test_a_compacted_journal_tells_the_same(tmp_path_factory: pytest.TempPathFactory, said: list[object]) -> None:
    rows = [
        Row(state, f"0021f200000{number}", 10.0 + at, to=("new", "old")[at % 2], status=at + 1, why="w")
        for at, (state, number, _) in enumerate(said)  # type: ignore[misc]
    ]
    path = tmp_path_factory.mktemp("journal") / "journal"
    before = Progress()
    before.take(rows)
    with open_journal(path, ABOUT) as journal:
        journal.add(rows)
        journal.compact(before.rows())
        journal.add(ROWS[:1])
    after = Progress()
    after.take(kept(path)[:-1])
    assert {mac: after.of(mac) for mac in before.phones} == before.phones
    assert (after.failed, after.on_new()) == (before.failed, before.on_new())
    assert kept(path)[-1] == ROWS[0]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_break_it(data: bytes) -> None:
    for content in (data, WHOLE + data, WHOLE + data + b"\n"):
        with contextlib.suppress(OffhookError):
            parse(content, "a journal")


@pytest.mark.parametrize("is_compacted", [False, True])
@pytest.mark.parametrize(
    ("then", "why"),
    [
        ([Row(ANSWERED, at=7.0, status=200)], "; before: gave-up 403: refused: by the PBX"),
        (
            [Row(GAVE_UP, at=7.0, status=404, why="not-registered: nobody is there")],
            "; not-registered: nobody is there; before: gave-up 403: refused: by the PBX",
        ),
    ],
)
def test_what_is_recorded_of_a_rollout_that_was_taken_back(then: list[Row], why: str, is_compacted: bool) -> None:
    mac = "0021f2000001"
    there = [Row(SWITCHING, at=1.0, to=NEW), Row(SWITCHED, at=2.0, to=NEW), Row(SENT, at=3.0, status=1)]
    refused = Row(GAVE_UP, at=4.0, status=403, why="refused: by the PBX")
    back = [Row(SWITCHING, at=5.0, to=OLD), Row(SWITCHED, at=6.0, to=OLD), Row(SENT, at=6.5, status=1)]
    progress = Progress()
    progress.take(replace(row, mac=mac) for row in (*there, refused, *back, *then))
    if is_compacted:
        rows, progress = list(progress.rows()), Progress()
        progress.take(rows)
    about = {"release": 3, "before": 2, "commit": "0123456789abcdef", "allowed": (), "tells": True, "windows": True}
    words = dict.fromkeys(("id", "environment", "sealed", "opened", "at", "by", "reason"), "")
    campaign = Campaign(**words, **about, waves=(), targets={})  # type: ignore[arg-type]
    (told,) = told_of(campaign, progress, reverted=True)
    assert told.why == f"the rollout of 0123456789 was taken back{why}"
    assert (told.state, told.status) == (then[0].state, then[0].status)


LINE = '10.0.0.7 - - [23/Nov/2026:10:21:00 +0000] "GET {} HTTP/1.1" {} 512 "-" "FIP14G"\n'


def test_who_fetched_is_read_from_an_access_log(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text(LINE.format("/0021f2000009.cfg", 200))
    watch = Watch(path)
    assert watch.seen() == []  # before the watch began

    def log(*lines: str) -> list[str]:
        with path.open("a") as file:
            file.write("".join(lines))
        return watch.seen()

    assert log(LINE.format("/0021f2000001.cfg", 200), LINE.format("/a/0021F2000002.cfg?x=1", 304)) == [
        "0021f2000001.cfg",
        "0021f2000002.cfg",
    ]
    assert log(LINE.format("/phones/0021f2000003.0a1b2c3d.cfg", 206)) == ["0021f2000003.0a1b2c3d.cfg"]
    assert log(LINE.format("/0021f2000004.cfg", 401), LINE.format("/y000000000000.boot", 200), "junk\n") == []
    half = LINE.format("/0021f2000005.cfg", 200)
    assert log(half[:40]) == []
    assert log(half[40:]) == ["0021f2000005.cfg"]
    path.rename(tmp_path / "access.log.1")
    assert watch.seen() == []
    assert log(LINE.format("/0021f2000006.cfg", 200)) == ["0021f2000006.cfg"]
    path.write_text("")
    assert watch.seen() == []
    assert log(LINE.format("/0021f2000007.cfg", 200)) == ["0021f2000007.cfg"]
    assert Watch(tmp_path / "nothing").seen() == []


OWN = '127.0.0.1 - - [x] "GET /0021f2000001.cfg HTTP/1.1" 200 9 "-" "offhook virtual phone"\n'
BARE = '127.0.0.1 - - [x] "GET /0021f2000002.cfg HTTP/1.1" 200 9\n'
QUOTED = '10.0.0.7 - - [x] "GET /0021f2000003.cfg HTTP/1.1" 200 9 "a\\"b" "a \\"phone\\"" TLSv1.2\n'


def by_lab(mac: str, protocol: str, agent: str, **said: object) -> str:
    event = Event(protocol, "10.0.0.7", mac, f"phones/{mac}.0a1b2c3d.cfg", "ok", 9, user_agent=agent)
    return entry_json(Line(replace(event, **said), 1.5, "Empfang", "current")) + "\n"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("own", "seen"),
    [
        ("https", ["0021f2000003", "0021f2000004", "0021f2000005"]),
        ("tftp", ["0021f2000002", "0021f2000003", "0021f2000004"]),
        ("", ["0021f2000002", "0021f2000003", "0021f2000004", "0021f2000005"]),
    ],
)
def test_offhook_is_no_phone_that_fetched(tmp_path: Path, own: str, seen: list[str]) -> None:
    """Its virtual phones look at each switched phone's files: what they fetch, or may have, is no phone's."""
    path = tmp_path / "access.log"
    path.write_text("")
    watch = Watch(path, own)
    lab = [
        by_lab("0021f2000001", "http", "offhook virtual phone"),
        by_lab("0021f2000004", "http", "Flyingvoice FIP14G"),
        by_lab("0021f2000005", "tftp", ""),
        by_lab("0021f2000006", "http", "Flyingvoice FIP14G", whole=False),
        by_lab("0021f2000007", "http", "Flyingvoice FIP14G", result="unauthorized"),
        by_lab("0021f2000008", "http", "Flyingvoice FIP14G", name="0021f2000008.boot"),
        '{"kind": "note", "text": "x"}\n{"kind"\n{}\n',
    ]
    path.write_text("".join([OWN, BARE, QUOTED, *lab]))
    assert sorted(name.partition(".")[0] for name in watch.seen()) == seen


def test_what_was_fetched_while_nobody_watched_is_seen(tmp_path: Path) -> None:
    path, kept = tmp_path / "access.log", tmp_path / "watched"
    path.write_text(LINE.format("/0021f2000001.cfg", 200))
    first = Watch(path, kept=kept)
    with path.open("a") as file:
        file.write(LINE.format("/0021f2000002.cfg", 200) + LINE.format("/0021f2000003.cfg", 200)[:50])
    assert first.seen() == ["0021f2000002.cfg"]
    first.keep()
    with path.open("a") as file:
        file.write(LINE.format("/0021f2000003.cfg", 200)[50:])
    again = Watch(path, kept=kept)
    again.go_on()
    assert again.seen() == ["0021f2000003.cfg"]
    assert Watch(path, kept=kept).seen() == []  # another campaign
    kept.write_text("junk")
    lost = Watch(path, kept=kept)
    lost.go_on()
    assert lost.seen() == []


OLD_CFG, NEW_CFG = "phones/{}.0a1b2c3d.cfg", "phones/{}.4e5f6a7b.cfg"


def by_web(name: str) -> str:
    return LINE.format(f"/lab/{name}", 200)


@pytest.mark.parametrize("line", [by_web, lambda name: by_lab("", "http", "FIP14G", name=name)])
@pytest.mark.parametrize(("old", "new"), [("{}.cfg", "{}.cfg"), (OLD_CFG, NEW_CFG), ("{}.cfg", NEW_CFG)])
def test_what_was_there_before_is_not_fetched(tmp_path: Path, line: Callable[[str], str], old: str, new: str) -> None:
    """Phones poll at any time, by caches also after their switch: only what they were switched to counts."""
    path = tmp_path / "access.log"
    path.write_text("")
    macs = [f"0021f200000{number}" for number in range(1, 5)]
    first, second, third, fourth = macs

    def polls(*names: str) -> None:
        with path.open("a") as file:
            file.write("".join(map(line, names)))

    def switched(chosen: Collection[str]) -> None:
        # one asks before its file is replaced; another one is at it already
        polls(*(old.format(mac) for mac in chosen), new.format(first))

    publication = SimpleNamespace(
        switch=switched,
        steps=SimpleNamespace(switches=()),
        survey=SimpleNamespace(files=dict.fromkeys(new.format(mac) for mac in macs)),
    )
    plan = Plan((), {mac: Target(mac) for mac in macs[:3]}, config_of({}), 0)
    hands = RealHands(plan, cast(Any, publication), None, None, Watch(path), print, lambda: 9.0)
    progress = Progress()

    def take(rows: list[Row]) -> list[str]:
        progress.take(rows)
        return [mac for mac in macs if progress.of(mac).fetched_at]

    polls(*(old.format(mac) for mac in macs))
    assert take(hands.news(0.0, 1.0)) == []
    assert take(hands.switch([first], "new")) == []
    assert take(hands.news(0.0, 2.0)) == []
    # what another one fetched meanwhile is not lost with what the switched one did
    assert take(hands.switch([second], "new")) == [first]
    polls(*(new.format(mac) for mac in (third, fourth)))
    assert take(hands.news(0.0, 3.0)) == [first]
    polls(new.format(second))
    assert take(hands.news(0.0, 4.0)) == [first, second]
    if old != new:
        take(hands.switch([third], "new"))
        polls(old.format(third))
        assert take(hands.news(0.0, 5.0)) == [first, second]


def test_a_log_that_tells_nothing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    with pytest.raises(OffhookError, match="no such file"):
        Watch(path).doubt()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OffhookError, match="not a regular file"):
        Watch(tmp_path / "pipe").doubt()
    assert Watch(tmp_path / "pipe").seen() == []
    for text, own, said in (
        ("", "http", ""),
        (OWN, "http", ""),
        (QUOTED + BARE, "", ""),
        (BARE, "tftp", ""),
        (BARE, "http", "no User-Agent"),
        ("GET /0021f2000001.cfg 200\n", "", "not in the common or combined format"),
        (by_lab("0021f2000004", "tftp", ""), "tftp", ""),
    ):
        path.write_text(text)
        assert said in (found := Watch(path, own).doubt())
        assert bool(said) == bool(found)
