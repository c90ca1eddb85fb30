"""`offhook report`: what an auditor is shown of a small history with everything in it; the same from every clone."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import browsers
import inventories
import peers
import repositories
from labs import OFFHOOK
from offhook.publish.releases.outcomes import Told, add_outcomes

MAC, OTHER = "0021f2000001", "0021f2000002"
HOSTILE = "=cmd|' /C calc'!A0 <script>alert(1)</script> \u202e @team"


@dataclass(frozen=True)
class Office:
    """A fleet with four releases to a folder: the second merged from a signed commit, the fourth a rollback."""

    root: Path
    remote: Path
    signed: str
    merged: str
    hostile: str

    def report(self, *words: str, root: Path | None = None, code: int = 0, **environment: str) -> str:
        done = subprocess.run(
            [str(OFFHOOK), "-C", str(root or self.root), "report", "lab", *words],
            capture_output=True,
            check=False,
            env={**os.environ, "OFFHOOK_CACHE": str(self.root.parent / "cache"), **environment},
            timeout=120,
        )
        assert done.returncode == code, done.stderr
        return (done.stdout if code == 0 else done.stderr).decode()

    def data(self, *words: str) -> list[dict[str, Any]]:
        releases: list[dict[str, Any]] = json.loads(self.report("--format", "json", *words))["releases"]
        return releases


def released(root: Path, *words: str) -> None:
    environment = {**os.environ, "OFFHOOK_SECRET_BERLIN_ALICE": "pw", "OFFHOOK_CACHE": str(root.parent / "cache")}
    done = subprocess.run(
        [str(OFFHOOK), "-C", str(root), *words], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    peers.program("ssh-keygen")
    folder = tmp_path_factory.mktemp("office")
    root = repositories.start(folder / "fleet")
    remote = folder / "remote.git"
    repositories.git(folder, "init", "-q", "-b", "main", "--bare", str(remote))
    repositories.git(root, "remote", "add", "origin", str(remote))
    (folder / "served").mkdir()
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (root / "signing").mkdir()
    (root / "signing/allowed").write_text(f"anna@example.com {(folder / 'key.pub').read_text()}")
    files = inventories.minimal()
    files["fleet.yaml"] |= {
        "signing": {"allowed_signers": "signing/allowed"},
        "limits": {"changed": "100%"},
        "environments": {"lab": {"url": "https://prov.example.com/", "publish": "../served"}},
    }
    files["phones/all.yaml"][OTHER] = {"model": "FIP14G", "site": "berlin"}
    repositories.commit(root, files)
    released(root, "publish", "lab")
    repositories.git(root, "checkout", "-q", "-b", "topic")
    files["phones/all.yaml"][MAC]["keys"] = {3: {"speed-dial": "1", "label": "Taxi"}}
    inventories.write_inventory(root, files)
    repositories.git(root, "add", "-A")
    how = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={key}")
    repositories.git(root, *how, "commit", "-q", "-S", "-m", "a key for the taxi")
    signed = repositories.git(root, "rev-parse", "HEAD")
    repositories.git(root, "checkout", "-q", "main")
    repositories.git(root, "merge", "-q", "--no-ff", "-m", "Merge pull request #12 from anna/topic", "topic")
    merged = repositories.git(root, "rev-parse", "HEAD")
    released(root, "publish", "lab", "--reason", "the taxi moved")
    add_outcomes(
        root,
        "lab",
        2,
        [Told(MAC, "2026-11-23T10:21:00Z", "gave-up", 486, "busy: the phone is busy", 1)],
        by="CI",
    )
    files["phones/all.yaml"][MAC]["keys"][3]["label"] = HOSTILE
    hostile = repositories.commit(root, files, HOSTILE)
    released(root, "publish", "lab")
    released(root, "rollback", "lab", "2")
    repositories.git(root, "push", "-q", "origin", "main", "refs/offhook/*:refs/offhook/*")
    return Office(root, remote, signed, merged, hostile)


def test_who_changed_what_and_what_came_of_it(office: Office) -> None:
    (release,) = office.data("--from", "2", "--to", "2")
    assert (release["number"], release["before"], release["reason"]) == (2, 1, "the taxi moved")
    (commit,) = release["commits"]
    assert (commit["commit"], commit["author"], commit["review"]) == (office.signed, "Anna", "#12")
    assert (commit["signature"]["state"], commit["signature"]["signer"]) == ("good", "anna@example.com")
    (phone,) = release["phones"]
    assert (phone["mac"], phone["status"], phone["carried"]) == (MAC, "changed", True)
    assert {one["parameter"]: (one["old"], one["new"]) for one in phone["changes"]}["linekey.3.value"] == (None, "1")
    assert all(one["commits"] == [office.signed] for one in phone["changes"])
    assert phone["told"] == {
        "at": "2026-11-23T10:21:00Z",
        "state": "gave-up",
        "status": 486,
        "why": "busy: the phone is busy",
        "wave": 1,
    }


def test_a_first_release_adds_and_a_rollback_takes_back(office: Office) -> None:
    first, *_, last = office.data("--from", "1")
    assert {(one["mac"], one["status"]) for one in first["phones"]} == {(MAC, "added"), (OTHER, "added")}
    assert (first["before"], first["commits"]) == (None, [])
    assert last["rollback_of"] == 2
    (commit,) = last["commits"]
    assert (commit["commit"], commit["undone"], commit["signature"]["state"]) == (office.hostile, True, "unsigned")
    (phone,) = last["phones"]
    (change,) = phone["changes"]
    assert (change["parameter"], change["new"], change["commits"]) == ("linekey.3.label", "Taxi", [office.hostile])


def test_text_is_for_people(office: Office) -> None:
    text = office.report("--from", "2", "--to", "3")
    assert f"  {office.signed[:10]}  2023-11-14 22:13:20 UTC  #12\n    a key for the taxi\n" in text
    assert "Anna <anna@example.com>, signed by anna@example.com" in text
    assert "gave up 486: busy: the phone is busy (wave 1)" in text
    assert "\u202e" not in text
    assert office.report() == office.report("--to", "4")


def test_csv_holds_no_formula(office: Office) -> None:
    rows = list(csv.DictReader(io.StringIO(office.report("--from", "1", "--format", "csv"), newline="")))
    assert {row["release"] for row in rows} == {"1", "2", "3", "4"}
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    assert next(row for row in rows if row["release"] == "3")["new"].startswith("'=cmd")
    assert next(row for row in rows if row["release"] == "2")["reviews"] == "#12"


@pytest.mark.parametrize("style", ["text", "html", "csv", "json"])
def test_every_clone_gives_the_same_bytes(office: Office, style: str, tmp_path: Path) -> None:
    clone = tmp_path / "elsewhere"
    repositories.git(tmp_path, "clone", "-q", str(office.remote), str(clone))
    elsewhere = {"TZ": "Pacific/Apia", "LC_ALL": "C", "USER": "bob", "HOME": str(tmp_path), "PYTHONHASHSEED": "7"}
    elsewhere |= {"OFFHOOK_CACHE": str(tmp_path / "cache"), "GIT_AUTHOR_NAME": "Bob"}
    words = ("--from", "1", "--format", style)
    assert office.report(*words) == office.report(*words, root=clone, **elsewhere)


def test_where_signatures_cannot_be_checked_that_is_said(office: Office, tmp_path: Path) -> None:
    (tmp_path / "git").symlink_to(peers.program("git"))
    done = subprocess.run(
        [str(OFFHOOK), "-C", str(office.root), "report", "lab", "--from", "2", "--to", "2", "--no-fetch"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": str(tmp_path)},
    )
    assert done.returncode == 0
    assert "signed, not checked" in done.stdout
    assert "not all checked here" in done.stderr
    assert "ssh-keygen is not there: install OpenSSH" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "9"), "no release 9 is recorded"),
        (("--from", "3", "--to", "2"), "no release was published from 3 to 2"),
        (("--from", "yesterday"), '"yesterday" is neither the number of a release nor a day'),
        (("--to", "2001-01-01"), "no release was published to 2001-01-01"),
    ],
)
def test_what_is_not_there_is_said_in_a_line(office: Office, words: tuple[str, ...], said: str) -> None:
    assert said in office.report(*words, code=1)


def test_a_shallow_clone_says_what_it_lacks(office: Office, tmp_path: Path) -> None:
    clone = tmp_path / "shallow"
    repositories.git(tmp_path, "clone", "-q", "--depth", "1", f"file://{office.remote}", str(clone))
    repositories.git(clone, "fetch", "-q", "--depth", "1", "origin", "refs/offhook/lab:refs/offhook/lab")
    said = office.report("--no-fetch", root=clone, code=1)
    assert "shallow" in said
    assert "git fetch --unshallow" in said


@pytest.mark.peer
@pytest.mark.parametrize(
    ("size", "scheme", "media"),
    [
        (browsers.PHONE, "light", "screen"),
        (browsers.LAPTOP, "dark", "screen"),
        (browsers.PAPER, "light", "print"),
    ],
    ids=["phone", "laptop", "paper"],
)
def test_everybody_can_read_the_page(
    office: Office, tmp_path: Path, size: tuple[int, int], scheme: str, media: str
) -> None:
    path = tmp_path / "report.html"
    path.write_text(office.report("--from", "1", "--format", "html"), encoding="utf-8")
    with browsers.chromium() as browser, browsers.tab(browser, size=size, scheme=scheme, media=media) as tab:
        tab.open(path)
        assert tab.page.title() == "Report: lab, releases 1 to 4"
        assert "<script>alert(1)</script>" in tab.page.inner_text("main")
        assert tab.page.locator("script").count() == 0
        assert tab.violations() == []
        assert tab.overflow() <= 0
        assert (tab.said, tab.asked) == ([], [])
