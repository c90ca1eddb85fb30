"""The verbs as a person calls them: answers on standard output, exit codes, and no traceback for any input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import inventories
from offhook import __version__
from offhook.cli.run import run

MAC = "0021f2000001"


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    return inventories.write_inventory(tmp_path, inventories.minimal())


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = run([str(one) for one in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def git(folder: Path, *arguments: str) -> None:
    names = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *names, *arguments], check=True, capture_output=True)


def commit(folder: Path, message: str = "change") -> None:
    if not (folder / ".git").exists():
        git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)


def test_version_and_help_are_answers(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--version"], ["-C", ".", "--version"]):
        made = subprocess.run([sys.executable, "-m", "offhook", *arguments], capture_output=True, text=True, check=True)
        assert made.stdout == f"offhook {__version__}\n"
    code, out, _ = call(capsys, "--help")
    assert code == 0
    for verb in ("check", "compile", "show", "boot"):
        assert f"  {verb} " in out


def test_check_says_nothing_on_standard_output_where_all_is_right(
    fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(capsys, "-C", fleet, "check") == (0, "", "1 phone, 0 errors, 0 warnings\n")


def test_check_finds_the_fleet_from_a_folder_inside_it(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "-C", fleet / "inventory" / "phones", "check")[0] == 0


def test_check_lists_problems_and_fails(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inventories.write_inventory(fleet, {"phones/all.yaml": f"{MAC}:\n  modle: FIP14G\n  site: berlin\n"})
    code, out, _ = call(capsys, "-C", fleet, "check")
    assert code == 1
    assert 'inventory/phones/all.yaml:2:3: unknown key "modle" (did you mean "model"?) [unknown-key]' in out
    code, out, _ = call(capsys, "-C", fleet, "check", "--format", "json")
    assert code == 1
    rows = json.loads(out)["problems"]
    assert {"id", "severity", "file", "line", "column", "path", "message", "hint"} == set(rows[0])


@pytest.mark.parametrize("style", ["text", "github", "json", "sarif", "junit"])
def test_every_format_survives_hostile_words(style: str, fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = 'a"b<c>&d%e,f::g😀'
    inventories.write_inventory(fleet, {"sites/all.yaml": {"berlin": {hostile: "x"}}})
    code, out, _ = call(capsys, "-C", fleet, "check", "--format", style)
    assert code == 1
    if style == "junit":
        from xml.etree import ElementTree

        assert ElementTree.fromstring(out).get("failures") == "1"
    elif style in ("json", "sarif"):
        json.loads(out)
    elif style == "github":
        assert out.count("\n") == len(out.splitlines())
        assert all(line.startswith(("::error ", "::warning ")) for line in out.splitlines())


def test_compile_writes_then_agrees_then_is_stale(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "-C", fleet, "compile", "--check")[0] == 1
    code, out, _ = call(capsys, "-C", fleet, "compile")
    assert code == 0
    assert out.endswith("site: 4 files, 4 added, 0 changed, 0 deleted\n")
    assert call(capsys, "-C", fleet, "compile", "--check")[0] == 0
    inventories.write_inventory(fleet, {"phones/all.yaml": {MAC: {"model": "FIP13G", "site": "berlin"}}})
    code, out, err = call(capsys, "-C", fleet, "compile", "--check")
    assert (code, out) == (1, f"~ {MAC}.cfg\n")
    assert err.endswith("site is stale: run offhook compile\n")


def test_compile_writes_nothing_where_something_is_wrong(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inventories.write_inventory(fleet, {"phones/all.yaml": {MAC: {"model": "FIP14G", "site": "nowhere"}}})
    code, out, err = call(capsys, "-C", fleet, "compile")
    assert (code, out) == (1, "")
    assert 'there is no site "nowhere"' in err
    assert not (fleet / "site").exists()


@pytest.mark.parametrize("out", ["inventory", "inventory/site", "."])
def test_compile_refuses_to_write_into_or_around_the_inventory(
    out: str, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call(capsys, "-C", fleet, "compile", "--out", fleet / out)
    assert code == 1
    assert "holds the inventory, or is held by it" in err


def test_show_has_the_documented_shape(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "-C", fleet, "show", "00:21:F2:00:00:01", "--format", "json")
    answer = json.loads(out)
    assert code == 0
    assert (answer["mac"], answer["model"], answer["site"]) == (MAC, "FIP14G", "berlin")
    assert answer["settings"]["account.1.user_name"] == {
        "value": "0101",
        "layer": "accounts/alice",
        "file": "inventory/accounts/all.yaml",
        "line": 3,
    }
    assert answer["settings"]["account.1.sip_server_host"]["layer"] == "fleet"
    assert answer["settings"]["account.2.enable"]["layer"] == "compiler"


def test_show_names_who_said_a_port_only_where_it_is_taken(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A fleet's port is not that of an account's own server, and is not named as its source."""
    files = inventories.minimal()
    files["fleet.yaml"]["sip"]["port"] = "5070"
    files["accounts/all.yaml"]["alice"]["sip"] = {"server": "other.example.com"}
    files["phones/all.yaml"][MAC]["accounts"] = ["alice", "bob"]
    inventories.write_inventory(fleet, files)
    _, out, _ = call(capsys, "-C", fleet, "show", MAC, "--format", "json")
    settings = json.loads(out)["settings"]
    ports = {slot: settings[f"account.{slot}.sip_server_port"] for slot in (1, 2)}
    assert (ports[1]["value"], ports[1]["layer"]) == ("5060", "compiler")
    assert (ports[2]["value"], ports[2]["layer"]) == ("5070", "fleet")


def test_show_names_near_macs(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "-C", fleet, "show", "0021f2000002")
    assert (code, out) == (1, "")
    assert f"near: {MAC}" in err


def test_wrong_usage_is_two(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["show", "nonsense"], ["nonsense"], ["check", "--nonsense"], ["-C", "/nonexistent", "check"]):
        assert call(capsys, "-C", fleet, *arguments)[0] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "--rev", "nowhere"], "is in no git repository"),
        (["check", "--env", "nowhere"], 'the fleet has no environment "nowhere"'),
    ],
)
def test_refusals_are_one_line_and_one(
    arguments: list[str], message: str, fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(capsys, "-C", fleet, *arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert "Traceback" not in err


def test_a_folder_without_a_fleet_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "-C", tmp_path, "check")
    assert code == 1
    assert "no inventory/fleet.yaml" in err


def test_a_bug_is_three_and_shows_no_value(
    fleet: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr("offhook.compile.read_fleet", broken)
    code, out, err = call(capsys, "-C", fleet, "check")
    assert (code, out) == (3, "")
    assert "offhook has a bug" in err
    assert "RuntimeError" in err
    assert "hunter2" not in err


def test_a_revision_is_read_without_touching_the_work_tree(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commit(fleet)
    inventories.write_inventory(fleet, {"phones/all.yaml": "broken: [", "sites/all.yaml": "x"})
    before = sorted((path, path.stat().st_mtime_ns) for path in fleet.rglob("*") if ".git" not in path.parts)
    code, out, _ = call(capsys, "-C", fleet, "show", MAC, "--rev", "HEAD", "--format", "json")
    assert code == 0
    assert json.loads(out)["mac"] == MAC
    assert sorted((path, path.stat().st_mtime_ns) for path in fleet.rglob("*") if ".git" not in path.parts) == before
    assert call(capsys, "-C", fleet, "check")[0] == 1
    assert call(capsys, "-C", fleet, "check", "--rev", "HEAD")[0] == 0


def test_an_inventory_in_a_subfolder_of_a_repository(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inventories.write_inventory(tmp_path / "phones" / "acme", inventories.minimal())
    commit(tmp_path)
    assert call(capsys, "-C", tmp_path / "phones" / "acme", "check", "--rev", "main")[0] == 0


def test_what_left_the_inventory_is_named_against_head(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"settings": {"local_time.time_format": "1"}}
    files = inventories.minimal()
    files["fleet.yaml"] |= settings
    inventories.write_inventory(fleet, files)
    commit(fleet)
    inventories.write_inventory(fleet, inventories.minimal())
    code, out, _ = call(capsys, "-C", fleet, "check")
    assert code == 1
    assert "[left-inventory]" in out
    files["fleet.yaml"].pop("settings")
    files["fleet.yaml"]["retired"] = {"local_time.time_format": "0"}
    inventories.write_inventory(fleet, files)
    assert call(capsys, "-C", fleet, "check")[0] == 0


def test_github_annotations_are_added_in_actions(
    fleet: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    inventories.write_inventory(fleet, {"sites/all.yaml": "berlin: {x: 1}\n"})
    _, _, err = call(capsys, "-C", fleet, "check")
    assert '::error file=inventory/sites/all.yaml,line=1,col=10,title=unknown-key::unknown key "x"' in err


def test_colours_only_where_asked(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "\x1b[" not in call(capsys, "-C", fleet, "show", MAC)[1]
    assert "\x1b[" in call(capsys, "-C", fleet, "--color", "always", "show", MAC)[1]


def test_a_reader_that_goes_away_ends_it_quietly(fleet: Path) -> None:
    command = f"{sys.executable} -m offhook -C {fleet} show {MAC} | head -1"
    made = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert MAC in made.stdout
    assert made.stderr == ""


def test_the_same_bytes_in_another_place_locale_zone_and_hash_seed(fleet: Path, tmp_path: Path) -> None:
    trees = []
    for number, more in enumerate(
        [{}, {"LC_ALL": "C", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "1"}, {"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2"}]
    ):
        place = tmp_path / f"other{number}"
        inventories.write_inventory(place, inventories.minimal())
        command = [sys.executable, "-m", "offhook", "-C", str(place), "compile", "--out", str(place / "out")]
        subprocess.run(command, check=True, env=os.environ | more, capture_output=True)
        trees.append({path.name: path.read_bytes() for path in (place / "out").rglob("*") if path.is_file()})
    assert trees[0] == trees[1] == trees[2]
