"""The records of releases in git: real repositories, the real git program, remotes that refuse, hang and race."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import inventories
import peers
from offhook.cli.run import run
from offhook.problem import OffhookError
from offhook.publish.releases.records import (
    Recorded,
    add_release,
    fetch_releases,
    find_release,
    phones_of_release,
    push_releases,
    read_releases,
    record,
)
from offhook.publish.releases.release import Phones, Release, from_json, phones_of, release_data, release_of, to_json
from repositories import commit, git, start

REF, SEEN = "refs/offhook/production", "refs/offhook-remote/production"
PHONES = Phones(changed=("0021f2000001", "0021f2000002"), removed=("0021f2000009",))
RELEASE = Release(
    number=1,
    environment="production",
    commit="",
    at="2026-11-23T10:21:00Z",
    by="Bea Müller <bea@example.com>",
    where="s3://phones/prov",
    version="0.1.0",
    layout="flat",
    sealed="a" * 64,
    manifest="b" * 32,
    changed=2,
    added=0,
    removed=1,
)


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
    """A repository with two commits, and no remote."""
    root = start(tmp_path / "fleet")
    commit(root, inventories.minimal(), "the first phone")
    commit(root, message="Berlin gets a phone (#12)")
    return root


@pytest.fixture
def remote(fleet: Path, tmp_path: Path) -> str:
    """The address of a bare repository with the fleet's history; the fleet has it as origin."""
    git(tmp_path, "clone", "-q", "--bare", str(fleet), "remote.git")
    address = (tmp_path / "remote.git").as_uri()
    git(fleet, "remote", "add", "origin", address)
    return address


def clone(tmp_path: Path, address: str, name: str, *options: str) -> Path:
    """A clone of a remote."""
    git(tmp_path, "clone", "-q", *options, address, name)
    return tmp_path / name


def release(number: int, root: Path | None = None, **changes: Any) -> Release:
    """A release of the commit that is checked out, or of a work tree."""
    source = git(root, "rev-parse", "HEAD") if root else ""
    return replace(RELEASE, number=number, commit=source, sealed=f"{number:064x}", **changes)


def numbers(root: Path) -> list[int]:
    """The numbers that are recorded in a repository, the newest first."""
    return [one.number for one in read_releases(root, "production")]


def refusal(call: Callable[[], object]) -> OffhookError:
    """What a call refuses with: one line and a next step."""
    with pytest.raises(OffhookError) as found:
        call()
    assert found.value.message.isprintable()
    assert found.value.hint
    return found.value


# The JSON.


def test_a_release_is_itself_after_json() -> None:
    every = replace(RELEASE, rollback_of=7, reason="new SBC", outcome={"notified": 3, "share": 0.5})
    for one in (RELEASE, every):
        content = to_json(release_data(one))
        assert release_of(from_json(content, "x"), "x") == one
        assert content.endswith(b"}\n")
        assert list(json.loads(content)) == sorted(json.loads(content))


def test_fields_of_later_versions_are_passed_by() -> None:
    data = release_data(RELEASE) | {"wave": [1, {"x": None}]}
    assert release_of(data, "x") == RELEASE
    for name in ("rollback_of", "reason", "outcome"):
        del data[name]
    assert release_of(data, "x") == RELEASE


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("number", 0, 'it: "number" is 0, expected is a number from 1'),
        ("number", True, 'it: "number" is true, expected is a number from 1'),
        ("number", 10**12, 'it: "number" is a number, expected is a number from 1'),
        ("number", "1", 'it: "number" is "1", expected is a number from 1'),
        ("environment", "../x", 'it: "environment" is "../x", expected is lower-case letters, digits, - and _'),
        ("commit", "abc", 'it: "commit" is "abc", expected is a commit\'s full id, or empty'),
        ("at", "2026-13-01T00:00:00Z", None),
        ("at", "2026-11-23T10:21:00+01:00", None),
        ("by", "a\nb", 'it: "by" is "a b", expected is one line of text'),
        ("by", "\ud800", 'it: "by" is "?", expected is one line of text'),
        ("reason", None, 'it: "reason" is null, expected is one line of text'),
        ("where", ["s3"], 'it: "where" is a list, expected is one line of text'),
        ("sealed", "A" * 64, None),
        ("manifest", "", None),
        ("changed", -1, 'it: "changed" is -1, expected is a number of phones, from 0'),
        ("changed", 1.0, 'it: "changed" is 1.0, expected is a number of phones, from 0'),
        ("rollback_of", 0, 'it: "rollback_of" is 0, expected is a number from 1, or null'),
        ("outcome", {"x": "y"}, 'it: "outcome" is an object, expected is text -> number'),
        ("outcome", {"x": float("nan")}, None),
        ("outcome", [], 'it: "outcome" is a list, expected is text -> number'),
    ],
)
def test_what_a_field_must_be(field: str, value: object, said: str | None) -> None:
    error = refusal(lambda: release_of(release_data(RELEASE) | {field: value}, "it"))
    assert error.message.startswith(f'it: "{field}" is ') if said is None else error.message == said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[]", "it is a list, an object is expected"),
        (b"{}", 'it has no field "number"'),
        (b"{", "it is no JSON"),
        (b"\xff", "it is no JSON"),
        (b"[" * 100_000, "it is no JSON"),
        (b'{"number": ' + b"9" * 5000 + b"}", "it is no JSON"),
    ],
)
def test_what_is_no_release(content: bytes, said: str) -> None:
    assert refusal(lambda: release_of(from_json(content, "it"), "it")).message == said


@pytest.mark.parametrize("data", [{"changed": "0021f2000001"}, {"added": ["0021F2000001"]}, {"removed": [1]}, []])
def test_what_is_no_list_of_phones(data: object) -> None:
    refusal(lambda: phones_of(data, "it"))


def many(root: Path, count: int) -> None:
    """Put empty commits on main, all at once."""
    one = "commit refs/heads/main\ncommitter Anna <anna@example.com> 1700000000 +0100\ndata 4\nmore\n"
    _stdin(root, f"{one}from refs/heads/main^0\n" + one * (count - 1), "fast-import", "--quiet")


# The ref, as an auditor reads it with plain git.


def test_plain_git_answers_an_auditor(fleet: Path) -> None:
    first, second = release(1, fleet), release(2, fleet, rollback_of=1, reason="new SBC")
    add_release(fleet, first, PHONES)
    add_release(fleet, second, Phones())
    tip, former = git(fleet, "rev-parse", REF), git(fleet, "rev-parse", f"{REF}~1")
    assert git(fleet, "log", "--first-parent", "--format=%s", f"-{2}", REF).splitlines() == [
        "production: release 2",
        "production: release 1",
    ]
    assert git(fleet, "log", "--format=%P", "-1", tip).split() == [former, first.commit]
    assert git(fleet, "log", "--format=%P", "-1", former).split() == [first.commit]
    assert git(fleet, "show", f"{REF}:release.json") == to_json(release_data(second)).decode().rstrip("\n")
    assert json.loads(git(fleet, "show", f"{former}:phones.json")) == {
        "added": [],
        "changed": ["0021f2000001", "0021f2000002"],
        "removed": ["0021f2000009"],
    }
    assert [line.split()[::3] for line in git(fleet, "ls-tree", tip).splitlines()] == [
        ["100644", "phones.json"],
        ["100644", "release.json"],
    ]
    assert git(fleet, "log", "-1", "--format=%an|%ae|%ai|%cn|%ce", tip) == (
        "Bea Müller|bea@example.com|2026-11-23 10:21:00 +0000|Bea Müller|bea@example.com"
    )
    assert git(fleet, "log", "-1", "--format=%B", tip).strip() == (
        "production: release 2\n\nRollback of release 1.\n\nnew SBC\n\nOffhook-Release: 2\n"
        f"Offhook-Commit: {first.commit} Berlin gets a phone (#12)"
    )
    assert git(fleet, "fsck", "--strict", "--no-dangling") == ""
    assert read_releases(fleet, "production", warn=pytest.fail) == [second, first]
    assert phones_of_release(fleet, "production", 1) == PHONES


@pytest.mark.parametrize(
    ("by", "author"),
    [
        ("Anna <>", "Anna <offhook@offhook.invalid>"),
        ("", "offhook <offhook@offhook.invalid>"),
        ("anna (GitHub Actions)", "anna (GitHub Actions) <offhook@offhook.invalid>"),
        ("<<>> .", "offhook <offhook@offhook.invalid>"),
        ("a > b <c <d> e", "a  b <c d e>"),
    ],
)
def test_whoever_released_can_be_written_into_a_commit(by: str, author: str, fleet: Path) -> None:
    add_release(fleet, release(1, fleet, by=by), PHONES)
    assert git(fleet, "log", "-1", "--format=%an <%ae>", REF) == author
    assert git(fleet, "fsck", "--strict", "--no-dangling") == ""


def test_a_time_before_git_s_can_be_written_into_a_commit(fleet: Path) -> None:
    add_release(fleet, release(1, fleet, at="1960-01-01T00:00:00Z"), PHONES)
    assert git(fleet, "log", "-1", "--format=%at", REF) == "0"
    assert git(fleet, "fsck", "--strict", "--no-dangling") == ""


def test_the_committer_is_who_git_says_commits_here(fleet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(fleet, "config", "user.name", "Carl")
    git(fleet, "config", "user.email", "carl@example.com")
    add_release(fleet, release(1, fleet), PHONES)
    assert git(fleet, "log", "-1", "--format=%an %cn %ce", REF) == "Bea Müller Carl carl@example.com"
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Dora")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "1700000000 -0330")
    add_release(fleet, release(2, fleet), PHONES)
    assert git(fleet, "log", "-1", "--format=%cn %ci", REF) == "Dora 2023-11-14 18:43:20 -0330"


def test_a_record_is_written_once(fleet: Path) -> None:
    one = release(1, fleet)
    for _ in range(2):
        add_release(fleet, one, PHONES)
    assert git(fleet, "rev-list", "--count", "--first-parent", f"{REF}", "^main") == "1"
    for other, phones in ((replace(one, by="Carl <c@example.com>"), PHONES), (one, Phones())):
        error = refusal(lambda other=other, phones=phones: add_release(fleet, other, phones))
        assert error.message == (
            f"there are two releases 1 of production: 2026-11-23T10:21:00Z by Bea Müller <bea@example.com> of "
            f"{one.commit[:10]}, in the record {git(fleet, 'rev-parse', REF)[:10]}; and 2026-11-23T10:21:00Z by "
            f"{other.by} of {one.commit[:10]}"
        )


def test_releases_of_work_trees_have_no_source(fleet: Path) -> None:
    for number in (1, 2):
        add_release(fleet, release(number), PHONES)
    assert git(fleet, "rev-list", "--count", REF) == "2"
    assert numbers(fleet) == [2, 1]


def test_a_source_commit_that_is_not_here_is_named(fleet: Path) -> None:
    one = replace(release(1), commit="1" * 40)
    add_release(fleet, one, PHONES)
    assert git(fleet, "log", "--format=%P|%(trailers:key=Offhook-Commit,valueonly)", REF) == (
        f"|{'1' * 40} (not in this repository)"
    )
    assert read_releases(fleet, "production") == [one]


def test_an_environment_s_name_is_a_name(fleet: Path) -> None:
    for name in ("", "Production", "a/b", "-x", "x" * 64, "a..b", "a b"):
        refusal(lambda name=name: read_releases(fleet, name))
    assert read_releases(fleet, "x" * 63) == []


def test_every_shape_of_repository(fleet: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(fleet), "bare.git")
    git(fleet, "worktree", "add", "-q", str(tmp_path / "linked"))
    places = {"bare": tmp_path / "bare.git", "linked": tmp_path / "linked", "below": fleet / "inventory"}
    for number, root in enumerate(places.values(), 1):
        add_release(root, release(number, root), PHONES)
    assert [numbers(root) for root in (*places.values(), fleet)] == [[1], [3, 2], [3, 2], [3, 2]]


def test_a_hook_s_variables_do_not_lead_elsewhere(
    fleet: Path, remote: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = start(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other / ".git/objects"))
    monkeypatch.setenv("GIT_QUARANTINE_PATH", str(other / ".git/objects"))
    assert record(fleet, release(1), PHONES) == Recorded((1,))
    monkeypatch.undo()
    assert git(other, "for-each-ref") == ""
    assert git(tmp_path / "remote.git", "for-each-ref", "--format=%(refname)", "refs/offhook") == REF


def test_of_many_who_write_at_once_none_is_lost(fleet: Path) -> None:
    """Also the first record, which creates the ref."""
    code = (
        "import sys; from pathlib import Path; from offhook.publish.releases.records import add_release;"
        "from offhook.publish.releases.release import *; import json;"
        "one = release_of(json.loads(sys.argv[2]), 'x'); input(); add_release(Path(sys.argv[1]), one, Phones())"
    )
    data = [json.dumps(release_data(release(number, fleet))) for number in range(1, 7)]
    writers = [subprocess.Popen([sys.executable, "-c", code, str(fleet), text], stdin=subprocess.PIPE) for text in data]
    for one in writers:
        assert one.stdin is not None
        one.stdin.write(b"\n")
        one.stdin.flush()
    for one in writers:
        one.communicate()
    assert [one.returncode for one in writers] == [0] * 6
    assert numbers(fleet) == [6, 5, 4, 3, 2, 1]


# What others may have put on the ref.


def notes(root: Path) -> tuple[list[int], list[str]]:
    """The numbers that are read, and what is said of the rest."""
    said: list[str] = []
    return [one.number for one in read_releases(root, "production", warn=said.append)], said


def on_top(root: Path, files: dict[str, str]) -> str:
    """Put a commit with these files on the ref, as anybody with git can."""
    lines = "".join(f"100644 blob {_blob(root, text)}\t{path}\n" for path, text in sorted(files.items()))
    tree = _stdin(root, lines, "mktree")
    made = git(root, "commit-tree", tree, "-p", REF, "-m", "mine")
    git(root, "update-ref", REF, made)
    return made


def _blob(root: Path, text: str) -> str:
    return _stdin(root, text, "hash-object", "-w", "--stdin")


def _stdin(root: Path, text: str, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=root, input=text, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_strangers_are_passed_over_and_named(fleet: Path) -> None:
    add_release(fleet, release(1, fleet), PHONES)
    bad = to_json(release_data(release(2)) | {"changed": "many"}).decode()
    lab = to_json(release_data(release(2, environment="lab"))).decode()
    forged = to_json(release_data(release(1, fleet, by="Mallory"))).decode()
    made = [
        on_top(fleet, files)[:10]
        for files in ({"x": "1"}, {"release.json": bad}, {"release.json": lab}, {"release.json": forged})
    ]
    add_release(fleet, release(2, fleet), PHONES)
    releases, said = notes(fleet)
    assert releases == [2, 1]
    assert said == [
        f"on {REF} is what offhook did not write; passed over: {made[2]} is a record of lab, release.json of "
        f'{made[1]}: "changed" is "many", expected is a number of phones, from 0, {made[0]} has no release.json and '
        "1 more"
    ]
    assert read_releases(fleet, "production")[-1].by == RELEASE.by


def test_a_record_cannot_hide_those_before_it(fleet: Path) -> None:
    """By naming the former record as its source: of a first record, that is the only parent."""
    add_release(fleet, release(1, fleet), PHONES)
    forged = replace(release(2), commit=git(fleet, "rev-parse", REF))
    on_top(fleet, {"release.json": to_json(release_data(forged)).decode()})
    assert numbers(fleet) == [2, 1]


def test_a_branch_on_the_ref_is_no_ledger(fleet: Path) -> None:
    many(fleet, 80)
    git(fleet, "update-ref", REF, "main")
    main = git(fleet, "rev-parse", "main")[:10]
    assert notes(fleet) == ([], [f"on {REF} is what offhook did not write; passed over: {main} has no release.json"])


def test_a_ref_that_is_no_chain_is_refused(fleet: Path) -> None:
    blob = git(fleet, "hash-object", "-w", "inventory/fleet.yaml")
    git(fleet, "update-ref", REF, blob)
    assert refusal(lambda: numbers(fleet)).message == f"the object {blob[:10]} is a blob, not a commit"
    git(fleet, "update-ref", "-d", REF)
    git(fleet, "symbolic-ref", REF, "refs/heads/main")
    main = git(fleet, "rev-parse", "main")
    for call in (lambda: numbers(fleet), lambda: add_release(fleet, release(1), PHONES)):
        assert refusal(call).message == f"{REF} stands for refs/heads/main"
    assert git(fleet, "rev-parse", "main") == main


def test_a_damaged_record_is_named(fleet: Path) -> None:
    for number in (1, 2):
        add_release(fleet, release(number, fleet), PHONES)
    lost = git(fleet, "rev-parse", f"{REF}~1:release.json")
    (fleet / ".git/objects" / lost[:2] / lost[2:]).unlink()
    releases, said = notes(fleet)
    assert releases == [2]
    assert said == [f"on {REF} is what offhook did not write; passed over: this clone lacks the object {lost[:10]}"]
    gone = git(fleet, "rev-parse", f"{REF}~1")
    (fleet / ".git/objects" / gone[:2] / gone[2:]).unlink()
    assert refusal(lambda: numbers(fleet)).message == f"this clone lacks the object {gone[:10]}"


def test_a_repository_that_cannot_be_written_to(fleet: Path) -> None:
    (fleet / ".git/refs/offhook").write_text("in the way")
    assert refusal(lambda: add_release(fleet, release(1), PHONES)).message.startswith(f"git could not move {REF}: ")


# Going back.


def test_which_release_to_go_back_to() -> None:
    releases = [replace(RELEASE, number=number, sealed=digit * 64) for number, digit in ((9, "a"), (8, "a"), (5, "b"))]
    assert find_release(releases, None).number == 5
    assert find_release(releases, 8).number == 8
    for chosen, number in ((releases[:2], None), ([], None), (releases, 7), ([], 1)):
        refusal(lambda chosen=chosen, number=number: find_release(chosen, number))


# A remote.


def test_without_a_remote_nothing_needs_a_push(fleet: Path) -> None:
    assert record(fleet, release(2), PHONES, waiting=[(release(1), PHONES)]) == Recorded((1, 2))
    assert not push_releases(fleet, "production")
    fetch_releases(fleet, "production")


def test_a_record_travels(fleet: Path, remote: str, tmp_path: Path) -> None:
    one = release(1, fleet)
    assert record(fleet, one, PHONES) == Recorded((1,))
    other = clone(tmp_path, remote, "other")
    assert numbers(other) == []
    fetch_releases(other, "production")
    assert read_releases(other, "production") == [one]
    assert record(other, release(2, other), PHONES) == Recorded((2,))
    fetch_releases(fleet, "production")
    assert numbers(fleet) == [2, 1]
    assert (
        git(fleet, "rev-parse", REF) == git(other, "rev-parse", REF) == git(tmp_path / "remote.git", "rev-parse", REF)
    )


def test_the_remote_is_that_of_the_branch(fleet: Path, remote: str, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(fleet), "second.git")
    git(fleet, "remote", "add", "second", "../second.git")
    git(fleet, "config", "branch.main.remote", "second")
    assert record(fleet, release(1, fleet), PHONES) == Recorded((1,))
    git(fleet, "config", "branch.main.remote", (tmp_path / "second.git").as_uri())
    assert record(fleet, release(2, fleet), PHONES) == Recorded((2,))
    assert numbers(tmp_path / "second.git") == [2, 1]
    assert numbers(tmp_path / "remote.git") == []
    git(fleet, "checkout", "-q", "--detach")
    assert record(fleet, release(3, fleet), PHONES).numbers == (3,)
    assert numbers(tmp_path / "remote.git") == [3, 2, 1]


def test_two_clones_that_published_in_turn_are_joined(fleet: Path, remote: str, tmp_path: Path) -> None:
    other = clone(tmp_path, remote, "other")
    record(fleet, release(1, fleet), PHONES)
    add_release(fleet, release(2, fleet), PHONES)  # which could not be pushed
    add_release(fleet, release(4, fleet), Phones())
    record(other, release(3, other), PHONES)
    assert record(fleet, release(5, fleet), PHONES, waiting=[(release(2, fleet), PHONES)]) == Recorded((2, 5))
    assert numbers(tmp_path / "remote.git") == [5, 4, 3, 2, 1]
    subjects = git(tmp_path / "remote.git", "log", "--first-parent", "--format=%s", f"{REF}", "^main")
    assert subjects.splitlines() == [f"production: release {number}" for number in (5, 4, 2, 3, 1)]
    assert phones_of_release(fleet, "production", 4) == Phones()
    assert git(tmp_path / "remote.git", "log", "-1", "--format=%P", f"{REF}~1").split()[1] == release(4, fleet).commit


def test_a_push_that_came_too_late_is_tried_again(fleet: Path, remote: str, tmp_path: Path) -> None:
    other = clone(tmp_path, remote, "other")
    record(fleet, release(1, fleet), PHONES)
    add_release(other, release(2, other), PHONES)
    assert push_releases(other, "production")
    assert numbers(tmp_path / "remote.git") == [2, 1]


def test_two_releases_with_one_number_are_refused(fleet: Path, remote: str, tmp_path: Path) -> None:
    other = clone(tmp_path, remote, "other")
    record(fleet, release(1, fleet), PHONES)
    add_release(other, release(1, other, by="Carl <c@example.com>"), PHONES)
    theirs = git(tmp_path / "remote.git", "rev-parse", REF)
    for call in (fetch_releases, push_releases):
        message = refusal(lambda call=call: call(other, "production")).message
        assert message.startswith("there are two releases 1 of production: ")
        assert "by Bea Müller" in message
        assert "by Carl" in message
    done = record(other, release(2, other), PHONES)
    assert done.numbers == ()
    assert done.warning.startswith("release 2 of production is published; its record waits: there are two releases 1")
    done = record(other, release(1, other, by="Carl <c@example.com>"), PHONES)
    assert done.numbers == ()
    assert git(tmp_path / "remote.git", "rev-parse", REF) == theirs


def test_clones_that_race_lose_nothing(fleet: Path, remote: str, tmp_path: Path) -> None:
    """Each says which of its records still wait; adopted by one more run, all are there."""
    code = (
        "import sys; from pathlib import Path; from offhook.publish.releases.records import record;"
        "from offhook.publish.releases.release import *; import json;"
        "one = release_of(json.loads(sys.argv[2]), 'x'); input();"
        "print(*record(Path(sys.argv[1]), one, Phones()).numbers)"
    )
    racers = []
    for number in range(1, 5):
        root = clone(tmp_path, remote, f"clone{number}")
        call = [sys.executable, "-c", code, str(root), json.dumps(release_data(release(number, root)))]
        racers.append(subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for one in racers:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    safe = {int(number) for one in racers for number in one.communicate()[0].split()}
    assert [one.returncode for one in racers] == [0] * 4
    assert set(numbers(tmp_path / "remote.git")) == safe
    waiting = [(release(number, fleet), Phones()) for number in range(1, 5) if number not in safe]
    record(fleet, release(5, fleet), PHONES, waiting=waiting)
    assert numbers(tmp_path / "remote.git") == [5, 4, 3, 2, 1]


def test_a_mirror_does_not_take_what_is_not_pushed(fleet: Path, remote: str, tmp_path: Path) -> None:
    """Its configuration maps every ref onto ours, by force, and pushes everything."""
    mirror = clone(tmp_path, remote, "mirror.git", "--mirror")
    record(fleet, release(1, fleet), PHONES)
    add_release(mirror, release(2), PHONES)
    git(fleet, "push", "-q", "origin", "main:refs/heads/topic")
    assert record(mirror, release(3), PHONES) == Recorded((3,))
    assert numbers(tmp_path / "remote.git") == [3, 2, 1]
    assert git(tmp_path / "remote.git", "for-each-ref", "--format=%(refname)").splitlines() == [
        "refs/heads/main",
        "refs/heads/topic",
        REF,
    ]


def test_a_ref_that_left_the_remote_is_pushed_again(fleet: Path, remote: str, tmp_path: Path) -> None:
    record(fleet, release(1, fleet), PHONES)
    git(tmp_path / "remote.git", "update-ref", "-d", REF)
    fetch_releases(fleet, "production")
    assert git(fleet, "for-each-ref", SEEN) == ""
    assert record(fleet, release(2, fleet), PHONES) == Recorded((2,))
    assert numbers(tmp_path / "remote.git") == [2, 1]


def test_a_chain_that_somebody_rewrote_is_noticed(fleet: Path, remote: str, tmp_path: Path) -> None:
    for number in (1, 2):
        record(fleet, release(number, fleet), PHONES)
    mallory = clone(tmp_path, remote, "mallory")
    add_release(mallory, release(1, mallory), PHONES)
    add_release(mallory, release(3, mallory), PHONES)
    git(mallory, "push", "-q", "--force", "origin", REF)
    assert record(fleet, release(4, fleet), PHONES) == Recorded((4,))
    assert numbers(tmp_path / "remote.git") == [4, 3, 2, 1]
    git(mallory, "update-ref", "-d", REF)
    add_release(mallory, release(2, mallory, by="Mallory"), PHONES)
    git(mallory, "push", "-q", "--force", "origin", REF)
    assert "there are two releases 2" in record(fleet, release(5, fleet), PHONES).warning
    assert numbers(fleet) == [5, 4, 3, 2, 1]


def hook(tmp_path: Path, text: str) -> Path:
    """Give the remote a hook that decides on every push."""
    path = tmp_path / "remote.git/hooks/pre-receive"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_push_that_a_hook_refuses_waits_for_the_next_run(fleet: Path, remote: str, tmp_path: Path) -> None:
    refusing = hook(tmp_path, "echo 'see https://bot:geheim@ci.example/x?token=geheim' >&2; exit 1")
    one = release(1, fleet)
    done = record(fleet, one, PHONES)
    assert done == Recorded(
        (),
        f"release 1 of production is published; its record waits: git could not push {REF} to origin: pre-receive hook "
        "declined: see https://ci.example/x",
        "let those who publish push to refs/offhook/*",
    )
    assert numbers(fleet) == [1]
    refusing.unlink()
    # the next run is CI's, in a clone of its own; the state has told it what waits
    other = clone(tmp_path, remote, "other")
    assert record(other, release(2, other), PHONES, waiting=[(one, PHONES)]) == Recorded((1, 2))
    # here the same record is a commit of its own, and takes no harm
    fetch_releases(fleet, "production")
    assert git(fleet, "rev-parse", REF) == git(tmp_path / "remote.git", "rev-parse", REF)
    assert numbers(fleet) == [2, 1]


def test_a_waiting_record_brings_its_commit(fleet: Path, remote: str, tmp_path: Path) -> None:
    other = clone(tmp_path, remote, "other")
    one = release(1, fleet)
    commit(fleet, message="after the clone")
    git(fleet, "push", "-q", "origin", "main")
    late = release(2, fleet)
    assert record(other, release(3, other), PHONES, waiting=[(late, PHONES), (one, PHONES)]) == Recorded((1, 2, 3))
    assert git(tmp_path / "remote.git", "log", "-1", "--format=%P", f"{REF}~1").split()[1] == late.commit


def test_one_record_that_is_refused_does_not_hold_others_back(fleet: Path, remote: str, tmp_path: Path) -> None:
    record(fleet, release(1, fleet), PHONES)
    other = clone(tmp_path, remote, "other")
    waiting = [(release(1, other, by="Carl"), PHONES), (release(2, other, environment="production"), PHONES)]
    done = record(other, release(3, other), PHONES, waiting=waiting)
    assert done.numbers == (2, 3)
    assert done.warning.startswith("release 3 of production is recorded: there are two releases 1 of production: ")


@pytest.fixture
def silence() -> Iterator[int]:
    """A port that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_remote_that_says_nothing_is_given_up(fleet: Path, silence: int) -> None:
    git(fleet, "remote", "add", "origin", f"git://127.0.0.1:{silence}/fleet.git")
    done = record(fleet, release(1, fleet), PHONES, timeout_s=0.5)
    assert done == Recorded(
        (),
        f"release 1 of production is published; its record waits: git could not fetch {REF}: origin gave no answer "
        "within 0.5 s",
        "git fetch origin shows where it waits",
    )
    assert numbers(fleet) == [1]


def test_what_hangs_is_ended_with_all_that_it_started(fleet: Path, remote: str, tmp_path: Path) -> None:
    program, note, alive = tmp_path / "serve", tmp_path / "note", tmp_path / "alive"
    os.mkfifo(alive)
    program.write_text(f"#!/bin/sh\ntrap '' TERM\nexec 3> {alive}\n: > {note}\nsleep 60\n")
    program.chmod(0o755)
    git(fleet, "config", "remote.origin.uploadpack", str(program))
    with open(os.open(alive, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as writers:
        refusal(lambda: fetch_releases(fleet, "production", timeout_s=1))
        assert note.exists()
        end = time.monotonic() + 10
        while writers.read(1) is None and time.monotonic() < end:  # None: somebody has it open
            time.sleep(0.01)
        assert writers.read(1) == b""


@pytest.mark.parametrize("kind", ["origin", "branch", "insteadof"])
def test_no_password_is_shown(kind: str, fleet: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    address = f"http://bot:ge/h%40eim@127.0.0.1:{port}/x.git"
    if kind == "branch":
        git(fleet, "config", "branch.main.remote", address)
    else:
        git(fleet, "remote", "add", "origin", address if kind == "origin" else "fleet:x.git")
        git(fleet, "config", f"url.{address}.insteadOf", "fleet:x.git")
    done = record(fleet, release(1, fleet), PHONES)
    assert done.numbers == ()
    assert done.warning.startswith("release 1 of production is published; its record waits: git could not fetch")
    run(["-C", str(fleet), "releases", "production"])
    said = capfd.readouterr()
    for text in (done.warning, done.hint, said.out, said.err):
        assert "h%40eim" not in text
        assert "bot" not in text


@pytest.mark.peer
def test_the_user_s_credentials_are_used(fleet: Path, remote: str, tmp_path: Path) -> None:
    """And where there are none nobody is asked for them."""
    with peers.git_http(tmp_path, "bot", "geheim") as address:
        git(fleet, "remote", "set-url", "origin", f"{address}remote.git")
        done = record(fleet, release(1, fleet), PHONES)
        assert done == Recorded(
            (),
            f"release 1 of production is published; its record waits: git could not fetch {REF} from origin: could not "
            f"read Username for '{address.rstrip('/')}': terminal prompts disabled",
            "git needs credentials that may fetch and push here (GitHub Actions: permissions: contents: write)",
        )
        store = tmp_path / "credentials"
        git(fleet, "config", "credential.helper", f"store --file={store}")
        store.write_text(address.replace("://", "://bot:geheim@") + "\n")
        assert record(fleet, release(2, fleet), PHONES, waiting=[(release(1, fleet), PHONES)]) == Recorded((1, 2))
        assert numbers(tmp_path / "remote.git") == [2, 1]
        store.write_text(address.replace("://", "://bot:falsch@") + "\n")
        done = record(fleet, release(3, fleet), PHONES)
        assert "Authentication failed for" in done.warning
        assert "falsch" not in done.warning + done.hint


@pytest.mark.peer
def test_over_ssh_nobody_is_asked_about_a_host(
    fleet: Path, remote: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ssh").mkdir()
    with peers.sshd(tmp_path / "ssh") as server:
        address = f"ssh://{server.user}@127.0.0.1:{server.port}{tmp_path}/remote.git"
        git(fleet, "remote", "set-url", "origin", address)
        login = f"ssh -F none -i {server.key} -o IdentitiesOnly=yes"
        monkeypatch.setenv("GIT_SSH_COMMAND", f"{login} -o UserKnownHostsFile={tmp_path}/none")
        done = record(fleet, release(1, fleet), PHONES, timeout_s=20)
        assert done.numbers == ()
        assert done.warning.endswith("from origin: Host key verification failed")
        monkeypatch.setenv("GIT_SSH_COMMAND", f"{login} -o UserKnownHostsFile={server.known_hosts}")
        assert record(fleet, release(1, fleet), PHONES) == Recorded((1,))
    assert numbers(tmp_path / "remote.git") == [1]


@pytest.mark.parametrize("address", ["--upload-pack=touch pwned", "ext::sh -c 'touch pwned'"])
def test_an_address_is_no_option_and_no_command(address: str, fleet: Path) -> None:
    git(fleet, "config", "branch.main.remote", address)
    done = record(fleet, release(1, fleet), PHONES)
    assert (done.numbers, done.hint) == ((), "git fetch says more")
    assert not list(fleet.rglob("pwned"))


def test_a_fault_of_the_remote_is_said(fleet: Path, tmp_path: Path) -> None:
    git(fleet, "remote", "add", "origin", (tmp_path / "gone.git").as_uri())
    done = record(fleet, release(1, fleet), PHONES)
    assert done.numbers == ()
    assert done.warning == (
        f"release 1 of production is published; its record waits: git could not fetch {REF} from origin: "
        f"'{tmp_path}/gone.git' does not appear to be a git repository"
    )


def test_without_git_the_record_waits(
    fleet: Path, remote: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = record(fleet, replace(RELEASE, number=1), PHONES)
    assert done.numbers == ()
    assert done.warning.startswith("release 1 of production is published; its record waits: cannot run git: ")


def test_outside_of_a_repository_the_record_waits(tmp_path: Path) -> None:
    done = record(tmp_path, RELEASE, PHONES)
    assert done.numbers == ()
    assert done.warning.endswith(f"{tmp_path} is in no git repository (and 1 more)")


# Clones that have not everything.


def count(root: Path, what: str) -> int:
    """How many commits a clone has."""
    return int(git(root, "rev-list", "--count", what))


def test_a_clone_of_depth_one_records(fleet: Path, remote: str, tmp_path: Path) -> None:
    """As actions/checkout makes it. It takes the newest records, and not the fleet's whole history with them."""
    many(fleet, 150)
    record(fleet, release(1, fleet), PHONES)
    commit(fleet)
    git(fleet, "push", "-q", "origin", "main")
    shallow = clone(tmp_path, remote, "shallow", "--depth=1")
    assert record(shallow, release(2, shallow), PHONES) == Recorded((2,))
    assert numbers(tmp_path / "remote.git") == [2, 1]
    assert notes(shallow) == ([2, 1], [])
    assert count(shallow, "--all") < 120
    assert git(tmp_path / "remote.git", "fsck", "--strict", "--no-dangling") == ""


def test_a_shallow_clone_says_that_older_releases_are_elsewhere(fleet: Path, remote: str, tmp_path: Path) -> None:
    for number in range(1, 121):
        add_release(fleet, release(number, fleet), Phones())
    push_releases(fleet, "production")
    shallow = clone(tmp_path, remote, "shallow", "--depth=1")
    assert record(shallow, release(121, shallow), PHONES) == Recorded((121,))
    releases, said = notes(shallow)
    assert releases == list(range(121, 20, -1))
    assert said == ["this clone is shallow and lacks older releases: git fetch --unshallow"]


def test_a_shallow_clone_keeps_its_depth(fleet: Path, remote: str, tmp_path: Path) -> None:
    many(fleet, 150)
    git(fleet, "push", "-q", "origin", "main")
    for number in range(1, 100):
        add_release(fleet, release(number, fleet), Phones())
    push_releases(fleet, "production")
    shallow = clone(tmp_path, remote, "shallow", "--depth=120")
    record(shallow, release(100, shallow), PHONES)
    assert count(shallow, "HEAD") >= 120
    assert len(numbers(tmp_path / "remote.git")) == 100


@pytest.mark.parametrize("kind", ["blob:none", "tree:0"])
def test_a_partial_clone_records(kind: str, fleet: Path, remote: str, tmp_path: Path) -> None:
    git(tmp_path / "remote.git", "config", "uploadpack.allowFilter", "true")
    git(tmp_path / "remote.git", "config", "uploadpack.allowAnySHA1InWant", "true")
    for number in (1, 2, 3):
        record(fleet, release(number, fleet), PHONES)
    partial = clone(tmp_path, remote, "partial", f"--filter={kind}", "--no-checkout")
    program, calls = tmp_path / "serve", tmp_path / "calls"
    program.write_text(f'#!/bin/sh\necho >> {calls}\nexec git-upload-pack "$@"\n')
    program.chmod(0o755)
    git(partial, "config", "remote.origin.uploadpack", str(program))
    assert record(partial, release(4, partial), PHONES) == Recorded((4,))
    assert numbers(tmp_path / "remote.git") == [4, 3, 2, 1]
    assert notes(partial) == ([4, 3, 2, 1], [])
    # one to fetch, perhaps one for the tree of a source commit, and none for each record
    assert len(calls.read_text()) <= 2


# The verb.


def test_the_table(fleet: Path, remote: str, capsys: pytest.CaptureFixture[str]) -> None:
    record(fleet, release(1, fleet), PHONES)
    add_release(fleet, replace(release(2, rollback_of=1, reason="the SBC"), added=1200), Phones())
    source = git(fleet, "rev-parse", "--short=10", "HEAD")
    assert run(["-C", str(fleet), "releases", "production"]) == 0
    said = capsys.readouterr()
    cells = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in said.out.splitlines()]
    assert cells == [
        ["release", "when (UTC)", "by", "commit", "subject", "signed", "phones"],
        ["2", "2026-11-23 10:21", "Bea Müller", "work tree", "2 changed, 1,200 added, 1 removed",
         "rollback of 1; the SBC; not pushed yet"],
        ["1", "2026-11-23 10:21", "Bea Müller", source, "Berlin gets a phone (#12)", "not signed",
         "2 changed, 1 removed"],
    ]  # fmt: skip
    assert said.err == ""
    assert run(["-C", str(fleet), "releases", "production", "--limit", "1", "--format", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [(one["number"], one["pushed"], one["signature"]) for one in answer["releases"]] == [(2, False, None)]


@pytest.mark.peer
def test_a_signature_is_judged_by_what_head_trusts(
    fleet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key"
    subprocess.run([peers.program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    for name, value in (("gpg.format", "ssh"), ("user.signingkey", str(key)), ("commit.gpgsign", "true")):
        git(fleet, "config", name, value)
    commit(fleet, message="signed")
    add_release(fleet, release(1, fleet), PHONES)
    files = inventories.minimal()
    files["fleet.yaml"]["signing"] = {"allowed_signers": "signers"}
    for signers, words in (("", "signed, key not trusted"), ("anna@example.com", "signed by anna@example.com")):
        (fleet / "signers").write_text(f"{signers} {key.with_suffix('.pub').read_text()}" if signers else "")
        commit(fleet, files)
        assert run(["-C", str(fleet), "releases", "production"]) == 0
        assert f"  {words} (SSH)  " in capsys.readouterr().out


def test_the_verb_asks_the_remote_unless_told_otherwise(
    fleet: Path, remote: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = clone(tmp_path, remote, "other")
    record(fleet, release(1, fleet), PHONES)
    assert run(["-C", str(other), "releases", "production", "--no-fetch"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "no release of production is recorded\n")
    assert run(["-C", str(other), "releases", "production"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    shutil.rmtree(tmp_path / "remote.git")
    assert run(["-C", str(other), "releases", "production"]) == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 2
    assert said.err.startswith(f"warning: git could not fetch {REF} from origin: ")
    assert run(["-C", str(other), "releases", "a/b"]) == 1
    assert capsys.readouterr().err.startswith('error: "a/b" is no name of an environment\n')
