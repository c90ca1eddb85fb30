"""What became of telling phones, in git: real repositories, remotes, clones that race, and what others may write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

import inventories
from offhook.problem import OffhookError
from offhook.publish.releases.outcomes import STATES, Told, add_outcomes, outcomes_of
from offhook.publish.releases.records import (
    add_release,
    fetch_releases,
    find_release,
    push_releases,
    read_releases,
    record,
)
from offhook.publish.releases.release import Phones, Release, release_data, to_json
from repositories import commit, git, start

REF = "refs/offhook/production"
BEA = "Bea Müller <bea@example.com>"
ONE = Told("0021f2000001", "2026-11-23T10:22:00Z", "answered", 200, "OK", 1)
TWO = Told("0021f2000002", "2026-11-23T10:23:00Z", "gave-up", 0, "no answer within 32 s", 2)


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's git configuration, and nobody who commits, as in CI."""
    home = tmp_path / "home"
    home.mkdir()
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name, value in (("HOME", str(home)), ("GIT_CONFIG_NOSYSTEM", "1"), ("EMAIL", "guessed@example.com")):
        monkeypatch.setenv(name, value)


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A repository with one commit that was released twice, and no remote."""
    root = start(tmp_path / "fleet")
    commit(root, inventories.minimal(), "the first phone")
    for number in (1, 2):
        add_release(root, release(number, root), Phones())
    return root


@pytest.fixture
def remote(fleet: Path, tmp_path: Path) -> str:
    """The address of a bare repository with the fleet's history and records; the fleet has it as origin."""
    git(tmp_path, "clone", "-q", "--bare", str(fleet), "remote.git")
    address = (tmp_path / "remote.git").as_uri()
    git(fleet, "remote", "add", "origin", address)
    push_releases(fleet, "production")
    return address


def release(number: int, root: Path) -> Release:
    """A release of the commit that is checked out."""
    source = git(root, "rev-parse", "HEAD")
    texts = {"by": BEA, "where": "s3://phones/prov", "version": "0.1.0", "layout": "flat", "manifest": "b" * 32}
    counts = {"changed": 2, "added": 0, "removed": 0}
    return Release(number, "production", source, "2026-11-23T10:21:00Z", sealed=f"{number:064x}", **texts, **counts)


def clone(tmp_path: Path, address: str, name: str, *options: str) -> Path:
    """A clone of a remote, with its records."""
    git(tmp_path, "clone", "-q", *options, address, name)
    fetch_releases(tmp_path / name, "production")
    return tmp_path / name


def notes(root: Path) -> tuple[list[int], list[str]]:
    """The releases that are read, and what is said of the rest."""
    said: list[str] = []
    return [one.number for one in read_releases(root, "production", warn=said.append)], said


def add(root: Path, *told: Told, number: int = 1) -> None:
    """Add what became of telling phones of a release."""
    add_outcomes(root, "production", number, told, by=BEA)


def refusal(call: Callable[[], object]) -> str:
    """What a call refuses with: one line and a next step."""
    with pytest.raises(OffhookError) as found:
        call()
    assert found.value.message.isprintable()
    assert found.value.hint
    return found.value.message


# The ref, as an auditor reads it with plain git.


def test_plain_git_answers_an_auditor(fleet: Path) -> None:
    former = git(fleet, "rev-parse", REF)
    add(fleet, TWO, ONE, number=2)
    assert git(fleet, "log", "-1", "--format=%P|%an|%ae|%ai|%cn", REF) == (
        f"{former}|Bea Müller|bea@example.com|2026-11-23 10:23:00 +0000|Bea Müller"
    )
    message = git(fleet, "log", "-1", "--format=%B", REF)
    assert message == "production: release 2: 1 of 2 phones told\n\nOffhook-Outcome: 2"
    assert git(fleet, "log", "-1", "--format=%(trailers:key=Offhook-Outcome,valueonly)", REF) == "2"
    assert git(fleet, "ls-tree", "--name-only", REF) == "outcomes.json"
    assert git(fleet, "show", f"{REF}:outcomes.json").splitlines() == [
        f'{{"environment": "production", "number": 2, "by": "{BEA}", "told": [',
        '  {"mac": "0021f2000001", "at": "2026-11-23T10:22:00Z", "state": "answered", "status": 200, "why": "OK", '
        '"wave": 1},',
        '  {"mac": "0021f2000002", "at": "2026-11-23T10:23:00Z", "state": "gave-up", "status": 0, "why": '
        '"no answer within 32 s", "wave": 2}',
        "]}",
    ]
    assert git(fleet, "fsck", "--strict", "--no-dangling") == ""
    assert outcomes_of(fleet, "production", 2, warn=pytest.fail) == (ONE, TWO)
    assert outcomes_of(fleet, "production", 1) == ()


def test_an_outcome_is_no_stranger(fleet: Path) -> None:
    """Wherever it stands: on top, in between, many in a row, and below a record that came later."""
    for wave in range(1, 80):
        add(fleet, replace(ONE, wave=wave))
    assert notes(fleet) == ([2, 1], [])
    add_release(fleet, release(3, fleet), Phones())
    add(fleet, ONE, number=3)
    assert notes(fleet) == ([3, 2, 1], [])
    assert len(git(fleet, "log", "--first-parent", "--format=%h", REF, "^main").splitlines()) == 83
    assert find_release(read_releases(fleet, "production"), None).number == 2


def test_an_older_chain_has_no_outcomes(fleet: Path) -> None:
    assert outcomes_of(fleet, "production", 1, warn=pytest.fail) == ()
    assert outcomes_of(fleet, "production", 9) == ()
    assert outcomes_of(fleet, "lab", 1) == ()


def test_the_latest_row_of_a_phone_counts(fleet: Path) -> None:
    """By its own time: a row that another clone added late may be older."""
    later = replace(ONE, at="2026-11-23T11:00:00Z", state="fetched")
    add(fleet, replace(ONE, state="queued"), TWO)
    add(fleet, later)
    add(fleet, replace(ONE, at="2026-11-23T10:00:00Z", state="wrong", status=486))
    assert outcomes_of(fleet, "production", 1) == (later, TWO)
    add(fleet, replace(later, state="registered"))
    assert outcomes_of(fleet, "production", 1)[0].state == "registered"


def test_rows_that_are_there_are_not_added_again(fleet: Path) -> None:
    add(fleet, ONE)
    before = git(fleet, "rev-parse", REF)
    add(fleet, ONE)
    add(fleet)
    assert git(fleet, "rev-parse", REF) == before
    add(fleet, ONE, TWO)
    assert git(fleet, "log", "-1", "--format=%s", REF) == "production: release 1: 0 of 1 phone told"
    assert outcomes_of(fleet, "production", 1) == (ONE, TWO)


def test_a_release_that_is_not_recorded_has_no_outcome(fleet: Path) -> None:
    assert refusal(lambda: add(fleet, ONE, number=3)) == "no release 3 is recorded"
    assert refusal(lambda: add_outcomes(fleet, "lab", 1, [ONE], by=BEA)) == "no release 1 is recorded"
    assert refusal(lambda: add_outcomes(fleet, "a/b", 1, [ONE], by=BEA)) == '"a/b" is no name of an environment'


# A remote.


def test_an_outcome_travels(fleet: Path, remote: str, tmp_path: Path) -> None:
    add(fleet, ONE)
    assert push_releases(fleet, "production")
    other = clone(tmp_path, remote, "other")
    assert outcomes_of(other, "production", 1) == (ONE,)
    assert notes(other) == ([2, 1], [])
    assert record(other, release(3, other), Phones()).numbers == (3,)
    assert outcomes_of(tmp_path / "remote.git", "production", 1) == (ONE,)


def test_two_clones_that_both_add_keep_both(fleet: Path, remote: str, tmp_path: Path) -> None:
    other = clone(tmp_path, remote, "other")
    add(fleet, ONE)
    add(fleet, replace(ONE, at="2026-11-23T10:30:00Z", state="fetched"))
    add_release(fleet, release(3, fleet), Phones())
    add(other, TWO)
    assert push_releases(other, "production")
    assert push_releases(fleet, "production")
    expected = (replace(ONE, at="2026-11-23T10:30:00Z", state="fetched"), TWO)
    bare = tmp_path / "remote.git"
    assert outcomes_of(bare, "production", 1) == expected
    assert notes(bare) == ([3, 2, 1], [])
    fetch_releases(other, "production")
    assert outcomes_of(other, "production", 1) == expected
    assert len({git(root, "rev-parse", REF) for root in (fleet, other, bare)}) == 1
    assert git(bare, "log", "--first-parent", "--format=%an", "-4", REF).splitlines() == ["Bea Müller"] * 4
    assert git(bare, "fsck", "--strict", "--no-dangling") == ""


def test_what_was_joined_before_is_not_joined_twice(fleet: Path, remote: str, tmp_path: Path) -> None:
    """Where our ref could not be moved after the push, the remote has copies of what we still have ourselves."""
    add(fleet, ONE)
    mine = git(fleet, "rev-parse", REF)
    other = clone(tmp_path, remote, "other")
    add(other, TWO)
    push_releases(other, "production")
    push_releases(fleet, "production")
    theirs = git(tmp_path / "remote.git", "rev-parse", REF)
    git(fleet, "update-ref", REF, mine)
    fetch_releases(fleet, "production")
    assert git(fleet, "rev-parse", REF) == theirs


def test_clones_that_race_lose_nothing(fleet: Path, remote: str, tmp_path: Path) -> None:
    """Some of their pushes are refused; pushed once more, all are there."""
    code = (
        "import json, sys; from pathlib import Path; from contextlib import suppress;"
        "from offhook.problem import OffhookError;"
        "from offhook.publish.releases.outcomes import Told, add_outcomes;"
        "from offhook.publish.releases.records import push_releases;"
        "root = Path(sys.argv[1]); input();"
        "add_outcomes(root, 'production', 2, [Told(**json.loads(sys.argv[2]))], by='CI')\n"
        "with suppress(OffhookError): push_releases(root, 'production')"
    )
    rows = [replace(ONE, mac=f"0021f200000{number}") for number in range(4)]
    roots = [clone(tmp_path, remote, f"clone{row.mac}") for row in rows]
    racers = [
        subprocess.Popen([sys.executable, "-c", code, str(root), json.dumps(asdict(row))], stdin=subprocess.PIPE)
        for root, row in zip(roots, rows, strict=True)
    ]
    for one in racers:
        assert one.stdin is not None
        one.stdin.write(b"\n")
        one.stdin.flush()
    for one in racers:
        one.communicate()
    assert [one.returncode for one in racers] == [0] * 4
    for root in roots:
        push_releases(root, "production")
    assert outcomes_of(tmp_path / "remote.git", "production", 2, warn=pytest.fail) == tuple(rows)
    assert notes(tmp_path / "remote.git") == ([2, 1], [])


def test_of_many_who_write_at_once_in_one_clone_none_is_lost(fleet: Path) -> None:
    code = (
        "import json, sys; from pathlib import Path;"
        "from offhook.publish.releases.outcomes import Told, add_outcomes; input();"
        "add_outcomes(Path(sys.argv[1]), 'production', 1, [Told(**json.loads(sys.argv[2]))], by='')"
    )
    rows = [replace(ONE, mac=f"0021f200000{number}") for number in range(5)]
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(fleet), json.dumps(asdict(row))], stdin=subprocess.PIPE)
        for row in rows
    ]
    for one in writers:
        assert one.stdin is not None
        one.stdin.write(b"\n")
        one.stdin.flush()
    for one in writers:
        one.communicate()
    assert [one.returncode for one in writers] == [0] * 5
    assert outcomes_of(fleet, "production", 1) == tuple(rows)


def test_a_clone_of_depth_one_adds_and_reads(fleet: Path, remote: str, tmp_path: Path) -> None:
    add(fleet, ONE, number=2)
    push_releases(fleet, "production")
    shallow = clone(tmp_path, remote, "shallow", "--depth=1")
    assert outcomes_of(shallow, "production", 2) == (ONE,)
    add(shallow, TWO, number=2)
    assert push_releases(shallow, "production")
    assert outcomes_of(tmp_path / "remote.git", "production", 2) == (ONE, TWO)
    assert notes(shallow) == ([2, 1], [])
    # of a release whose record is not here any more
    for number in range(3, 130):
        add_release(fleet, release(number, fleet), Phones())
    push_releases(fleet, "production")
    short = clone(tmp_path, remote, "short", "--depth=1")
    assert notes(short)[1] == ["this clone is shallow and lacks older releases: git fetch --unshallow"]
    add(short, TWO, number=1)
    assert outcomes_of(short, "production", 1) == (TWO,)


# What others may have put on the ref.


def on_top(root: Path, files: dict[str, str], message: str) -> str:
    """Put a commit with these files on the ref, as anybody with git can; return its short name."""
    lines = "".join(
        f"100644 blob {_stdin(root, text, 'hash-object', '-w', '--stdin')}\t{path}\n" for path, text in files.items()
    )
    made = git(root, "commit-tree", _stdin(root, lines, "mktree"), "-p", REF, "-m", message)
    git(root, "update-ref", REF, made)
    return made[:10]


def _stdin(root: Path, text: str, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, input=text.encode(), capture_output=True, check=True)
    return done.stdout.decode().strip()


def body(*rows: Any, **changes: Any) -> str:
    """An outcome of release 1 as it stands in a file, with fields changed."""
    return json.dumps({"environment": "production", "number": 1, "by": "x", "told": list(rows)} | changes)


def row(**changes: Any) -> dict[str, Any]:
    """A row as it stands in a file, with fields changed."""
    return asdict(ONE) | changes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "IT is no JSON"),
        ("[" * 100_000, "IT is no JSON"),
        ("[]", "IT is a list, an object is expected"),
        ("{}", 'IT has no field "environment"'),
        (body(environment="lab"), "IT tells of release 1 of lab, its commit of 1 of production"),
        (body(number=2), "IT tells of release 2 of production, its commit of 1 of production"),
        (body(number=True), 'IT: "number" is true, expected is a number from 1'),
        (body(by="a\nb"), 'IT: "by" is "a b", expected is one line of text'),
        (body(told="0021f2000001"), 'IT: "told" is "0021f2000001", expected is a list of phones'),
        (body([]), "IT is a list, an object is expected"),
        (body({"mac": "0021f2000001"}), 'IT has no field "at"'),
        (body(row(mac="0021F2000001")), 'IT: "mac" is "0021F2000001", expected is 12 lower-case hex digits'),
        (body(row(at="yesterday")), 'IT: "at" is "yesterday", expected is a time such as 2026-11-23T10:21:00Z'),
        (body(row(state=["answered"])), f'IT: "state" is a list, expected is one of {", ".join(STATES)}'),
        (body(row(status=1000)), 'IT: "status" is 1000, expected is a number up to 999'),
        (body(row(why="x" * 301)), None),
        (body(row(why="\x1b[31m")), None),
        (body(row(why="a\u202eb")), None),
        (body(row(wave=-1)), 'IT: "wave" is -1, expected is a number up to 100000'),
        (body(row(), row(status=0)), "IT tells twice of 0021f2000001"),
        (body(*({} for _ in range(200_001))), "IT tells of 200001 phones, at most 200000 are expected"),
    ],
)
def test_what_is_no_outcome_is_passed_over_and_named(fleet: Path, text: str, said: str | None) -> None:
    add(fleet, TWO)
    made = on_top(fleet, {"outcomes.json": text}, "mine\n\nOffhook-Outcome: 1")
    warned: list[str] = []
    assert outcomes_of(fleet, "production", 1, warn=warned.append) == (TWO,)
    [line] = warned
    assert line.isprintable()
    assert len(line) < 300
    start = "what became of telling phones of release 1 is passed over: "
    assert line.startswith(start)
    assert said is None or line == start + said.replace("IT", f"outcomes.json of {made}")
    assert notes(fleet) == ([2, 1], [])
    add(fleet, ONE)
    assert outcomes_of(fleet, "production", 1) == (ONE, TWO)


@pytest.mark.parametrize(
    "message", ["mine", "mine\n\nOffhook-Outcome: 0", "Offhook-Outcome: 1\n\nmine", "a\n\nOffhook-Outcome: 1x"]
)
def test_an_outcome_without_its_trailer_is_a_stranger(fleet: Path, message: str) -> None:
    made = on_top(fleet, {"outcomes.json": body(row())}, message)
    assert outcomes_of(fleet, "production", 1) == ()
    assert notes(fleet) == (
        [2, 1],
        [f"on {REF} is what offhook did not write; passed over: {made} has outcomes.json, and no Offhook-Outcome"],
    )


def test_a_trailer_without_the_file_is_a_stranger(fleet: Path) -> None:
    made = on_top(fleet, {"x": "1"}, "mine\n\nOffhook-Outcome: 1")
    assert notes(fleet)[1] == [f"on {REF} is what offhook did not write; passed over: {made} has no release.json"]


def test_a_record_cannot_hide_an_outcome_by_calling_it_its_source(fleet: Path) -> None:
    add(fleet, ONE)
    forged = replace(release(3, fleet), commit=git(fleet, "rev-parse", REF))
    on_top(fleet, {"release.json": to_json(release_data(forged)).decode()}, "mine")
    assert notes(fleet)[0] == [3, 2, 1]
    assert outcomes_of(fleet, "production", 1) == (ONE,)


def test_what_is_added_must_be_what_can_be_read(fleet: Path) -> None:
    before = git(fleet, "rev-parse", REF)
    for bad in (
        replace(ONE, mac="00:21:f2:00:00:01"),
        replace(ONE, at="2026-11-23T10:22:00+01:00"),
        replace(ONE, state="lost"),
        replace(ONE, why="a\nb"),
        replace(ONE, status=-1),
    ):
        assert refusal(lambda bad=bad: add(fleet, bad)).startswith('this outcome: "')
    assert refusal(lambda: add(fleet, ONE, replace(ONE, status=0))) == "this outcome tells twice of 0021f2000001"
    assert git(fleet, "rev-parse", REF) == before
