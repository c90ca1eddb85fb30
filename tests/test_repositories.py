"""Odd repositories, made by the real git: each answers as a plain clone does, or says in one line what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pygit2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import inventories
from offhook.cli.run import run
from offhook.git.repository import compare_trees, inventory_tree, list_tree, open_git, read_commit, resolve
from offhook.problem import OffhookError
from offhook.source import read_source

MAC = "0021f2000001"
HOST = "account.1.sip_server_host"
DEEPEN = "fetch the whole history: git fetch --unshallow (actions/checkout: fetch-depth: 0)"
FSCK = "git fsck names what is missing or damaged; a new clone has it"
WORK_TREE = "check, compile and show read the work tree all the same: leave out --rev"
TWO = "name a revision: --rev HEAD; diff takes two: offhook diff BASE HEAD"
LEVELS = [pygit2.enums.ConfigLevel[name] for name in ("SYSTEM", "XDG", "GLOBAL")]


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Git as it is installed: no settings of the machine, no variables of a hook that runs the tests."""
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text("[user]\nname = Ann\nemail = ann@example.com\n")
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    former = {level: pygit2.settings.search_path[level] for level in LEVELS}
    for level in LEVELS:
        pygit2.settings.search_path[level] = str(home)
    yield
    for level, path in former.items():
        pygit2.settings.search_path[level] = path


def git(folder: Path, *arguments: str, at: int = 0, **options: Any) -> str:
    """Run git; `at` is the time of a commit, in hours of one day, so that ids are the same in every run."""
    options.setdefault("text", True)
    options.setdefault("check", True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for who in ("AUTHOR", "COMMITTER"):
        about = {"NAME": "Ann", "EMAIL": "ann@example.com", "DATE": f"{1_700_000_000 + 3600 * at} +0100"}
        environment |= {f"GIT_{who}_{name}": value for name, value in about.items()}
    names = ["-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main", "-c", "gc.auto=0"]
    made = subprocess.run(
        ["git", "-C", str(folder), *names, *arguments], capture_output=True, env=environment, **options
    )
    return made.stdout.strip()


def commit(folder: Path, message: str, *, at: int = 0) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message, at=at)
    return git(folder, "rev-parse", "HEAD")


def change(fleet: Path, **more: Any) -> None:
    """Write the smallest inventory: with another server, another model, a second phone."""
    files = inventories.minimal()
    files["fleet.yaml"]["sip"]["server"] = more.get("server", "pbx.example.com")
    files["phones/all.yaml"][MAC]["model"] = more.get("model", "FIP14G")
    if more.get("second"):
        files["phones/second.yaml"] = {"0021f2000002": {"model": "FIP13G", "site": "berlin", "accounts": ["bob"]}}
    inventories.write_inventory(fleet, files)


def make_history(top: Path, folder: str = "") -> Path:
    """A repository of five commits: base, fork (on a branch), and head, which has merged another branch."""
    fleet = top / folder
    fleet.mkdir(parents=True)
    git(top, "init", "-q", "-b", "main")
    git(top, "config", "uploadpack.allowFilter", "true")
    git(top, "config", "uploadpack.allowAnySHA1InWant", "true")
    change(fleet)
    commit(top, "begin", at=1)
    change(fleet, server="one.example.com")
    commit(top, "move to one", at=2)
    git(top, "tag", "base")
    git(top, "checkout", "-q", "-b", "fork")
    change(fleet, server="fork.example.com")
    commit(top, "move to fork", at=3)
    git(top, "checkout", "-q", "-b", "second", "base")
    change(fleet, server="one.example.com", second=True)
    commit(top, "a second phone", at=4)
    git(top, "checkout", "-q", "main")
    change(fleet, server="two.example.com")
    commit(top, "move to two", at=5)
    git(top, "merge", "-q", "--no-ff", "-m", "Merge pull request #7 from ann/second", "second", at=6)
    git(top, "tag", "fork-tag", "fork")
    return top


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_history(tmp_path_factory.mktemp("origin") / "fleet")


def clone(origin: Path, folder: Path, *options: str) -> Path:
    git(origin.parent, "clone", "-q", *options, origin.as_uri(), str(folder))
    return folder


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    def call(folder: Path, *arguments: object) -> tuple[int, str, str]:
        code = run(["-C", str(folder), *map(str, arguments)])
        captured = capfd.readouterr()
        assert code != 3, captured.err
        assert "bug" not in captured.err
        return code, captured.out, captured.err

    return call


ASKED: dict[str, tuple[str, ...]] = {
    "check": ("check", "--rev", "HEAD", "--format", "json"),
    "show": ("show", MAC, "--rev", "HEAD", "--format", "json"),
    "diff base head": ("diff", "base", "HEAD", "--format", "json"),
    "diff base..head": ("diff", "base..HEAD", "--format", "json"),
    "diff fork...head": ("diff", "fork-tag...HEAD", "--format", "json"),
    "diff fork head": ("diff", "fork-tag", "HEAD", "--format", "json"),
    "why": ("why", MAC, HOST, "--format", "json"),
    "blame": ("blame", MAC, "--format", "json"),
    "log": ("log", MAC, "--format", "json"),
    "log text": ("log", "0021f2000002"),
}
OF_WORK_TREE: dict[str, tuple[str, ...]] = {
    "check disk": ("check",),
    "show disk": ("show", MAC),
    "diff": ("diff", "--format", "json"),
    "diff base": ("diff", "base", "--format", "json"),
}


def answers(call: Call, folder: Path, *, disk: bool = True, out: Path | None = None) -> dict[str, tuple[int, str, str]]:
    """What every verb says in a repository; the compiled tree is told as text."""
    found = {name: call(folder, *arguments) for name, arguments in ASKED.items()}
    if disk:
        found |= {name: call(folder, *arguments) for name, arguments in OF_WORK_TREE.items()}
    out = out or folder.parent / f"{folder.name}.site"
    code, _, err = call(folder, "compile", "--rev", "HEAD", "--out", out)
    tree = {path.relative_to(out).as_posix(): path.read_text() for path in sorted(out.rglob("*")) if path.is_file()}
    return found | {"compile": (code, repr(tree), err)}


def refused(found: tuple[int, str, str]) -> tuple[str, str]:
    """The line and the next step of a refusal, which must be all that was said."""
    code, out, err = found
    lines = err.splitlines()
    assert (code, out) == (1, ""), found
    assert len(lines) == 2, found
    assert lines[0].startswith("error: "), found
    assert lines[1].startswith("  "), found
    return lines[0].removeprefix("error: "), lines[1].strip()


# Repositories that answer as a plain clone does.


def detached(origin: Path, folder: Path) -> Path:
    clone(origin, folder)
    git(folder, "checkout", "-q", "--detach", "HEAD")
    return folder


def bare(origin: Path, folder: Path) -> Path:
    return clone(origin, folder, "--bare")


def worktree(origin: Path, folder: Path) -> Path:
    """The main work tree is at another commit."""
    main = clone(origin, folder.parent / "main")
    git(main, "checkout", "-q", "-b", "elsewhere", "base")
    git(main, "worktree", "add", "-q", str(folder), "main")
    return folder


def worktree_of_bare(origin: Path, folder: Path) -> Path:
    git(clone(origin, folder.parent / "main.git", "--bare"), "worktree", "add", "-q", str(folder), "main")
    return folder


def separate(origin: Path, folder: Path) -> Path:
    return clone(origin, folder, f"--separate-git-dir={folder.parent / 'objects'}")


def alternates(origin: Path, folder: Path) -> Path:
    git(origin.parent, "clone", "-q", "--shared", str(origin), str(folder))
    assert not list((folder / ".git" / "objects").glob("??"))
    return folder


def packed(origin: Path, folder: Path) -> Path:
    """Everything in packs, all references in one file, with a commit-graph."""
    clone(origin, folder)
    git(folder, "repack", "-adq")
    git(folder, "pack-refs", "--all", "--prune")
    git(folder, "commit-graph", "write", "--reachable")
    assert not (folder / ".git" / "refs" / "tags" / "base").exists()
    return folder


def replaced(origin: Path, folder: Path) -> Path:
    """`git replace` puts another commit in the place of one; history is what was committed."""
    clone(origin, folder)
    git(folder, "replace", "base", git(folder, "rev-parse", "base^"))
    return folder


def linked(origin: Path, folder: Path) -> Path:
    """The way there is a symbolic link."""
    folder.symlink_to(clone(origin, folder.parent / "real"))
    return folder


def submodule(origin: Path, folder: Path) -> Path:
    top = folder.parent / "super"
    top.mkdir()
    git(top, "init", "-q")
    git(top, "submodule", "--quiet", "add", origin.as_uri(), "fleet")
    commit(top, "a fleet")
    return top / "fleet"


def blobless(origin: Path, folder: Path) -> Path:
    return clone(origin, folder, "--filter=blob:none")


def treeless(origin: Path, folder: Path) -> Path:
    return clone(origin, folder, "--filter=tree:0")


def shallow_trees(origin: Path, folder: Path) -> Path:
    """The trees at the top are there, those below are not."""
    return clone(origin, folder, "--filter=tree:2", "--no-checkout")


def blobless_bare(origin: Path, folder: Path) -> Path:
    return clone(origin, folder, "--filter=blob:none", "--bare")


def treeless_no_checkout(origin: Path, folder: Path) -> Path:
    return clone(origin, folder, "--filter=tree:0", "--no-checkout")


def blobless_worktree(origin: Path, folder: Path) -> Path:
    main = clone(origin, folder.parent / "main", "--filter=blob:none", "--no-checkout")
    git(main, "worktree", "add", "-q", "-b", "other", str(folder), "origin/main")
    return folder


@pytest.mark.parametrize("depth_of", [detached, worktree, worktree_of_bare, separate, alternates, packed, replaced])
def test_a_repository_answers_as_a_plain_clone(
    depth_of: Callable[[Path, Path], Path], origin: Path, tmp_path: Path, call: Call
) -> None:
    expected = answers(call, clone(origin, tmp_path / "plain"))
    assert answers(call, depth_of(origin, tmp_path / "odd")) == expected
    assert all(code == 0 for code, _, _ in expected.values())
    assert "#7" in expected["log text"][1]


@pytest.mark.parametrize("made", [linked, submodule])
def test_a_way_into_a_repository_answers_as_a_plain_clone(
    made: Callable[[Path, Path], Path], origin: Path, tmp_path: Path, call: Call
) -> None:
    assert answers(call, made(origin, tmp_path / "odd")) == answers(call, clone(origin, tmp_path / "plain"))


def test_a_bare_repository_answers_as_a_plain_clone(origin: Path, tmp_path: Path, call: Call) -> None:
    expected = answers(call, clone(origin, tmp_path / "plain"), disk=False)
    assert answers(call, bare(origin, tmp_path / "fleet.git"), disk=False) == expected
    named = call(tmp_path / "fleet.git", "check", "--rev", "main", "--format", "json")
    assert named == expected["check"]


@pytest.mark.parametrize("verb", [("check",), ("compile",), ("show", MAC), ("diff",), ("diff", "base")])
def test_a_bare_repository_has_no_work_tree(verb: tuple[str, ...], origin: Path, tmp_path: Path, call: Call) -> None:
    folder = bare(origin, tmp_path / "fleet.git")
    assert refused(call(folder, *verb)) == (f"there is no work tree: {folder} is a bare repository", TWO)


def test_a_work_tree_has_its_own_head(origin: Path, tmp_path: Path, call: Call) -> None:
    folder = worktree(origin, tmp_path / "odd")
    heads = [git(one, "rev-parse", "HEAD") for one in (folder, tmp_path / "main")]
    assert [resolve(open_git(one), "HEAD") for one in (folder, tmp_path / "main")] == heads
    assert len(set(heads)) == 2
    assert call(folder, "diff", "HEAD", "HEAD", "--exit-code")[0] == 0
    assert call(folder, "diff", "elsewhere", "HEAD", "--exit-code")[0] == 4


def test_a_work_tree_whose_repository_is_gone(origin: Path, tmp_path: Path, call: Call) -> None:
    folder = worktree(origin, tmp_path / "odd")
    shutil.rmtree(tmp_path / "main")
    expected = (f"{folder} is in no git repository", "check, compile and show need none: leave out --rev")
    assert refused(call(folder, "diff")) == expected
    assert call(folder, "check")[0] == 0


# Partial clones: what is missing is fetched, in batches.


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Put a git before git that notes how it is called; the function returns the notes."""
    folder, notes = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    script = folder / "git"
    # what git itself starts does not come by here: it finds its programs in its own folder
    script.write_text(f'#!/bin/sh\necho "$@" >>{notes}\nexec {shutil.which("git")} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def read() -> list[str]:
        found = notes.read_text().splitlines() if notes.exists() else []
        notes.unlink(missing_ok=True)
        return [line for line in found if " fetch " in f" {line} "]

    return read


@pytest.mark.parametrize("made", [blobless, treeless, blobless_worktree])
def test_a_partial_clone_answers_as_a_plain_one(
    made: Callable[[Path, Path], Path], origin: Path, tmp_path: Path, call: Call
) -> None:
    plain = clone(origin, tmp_path / "plain")
    assert answers(call, made(origin, tmp_path / "odd")) == answers(call, plain)


@pytest.mark.parametrize("made", [blobless_bare, treeless_no_checkout, shallow_trees])
def test_a_partial_clone_without_a_work_tree_answers_as_a_plain_one(
    made: Callable[[Path, Path], Path], origin: Path, tmp_path: Path, call: Call
) -> None:
    expected = answers(call, clone(origin, tmp_path / "plain"), disk=False)
    assert answers(call, made(origin, tmp_path / "odd"), disk=False) == expected


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history of 40 commits over 30 files."""
    top = tmp_path_factory.mktemp("long") / "fleet"
    top.mkdir()
    git(top, "init", "-q", "-b", "main")
    git(top, "config", "uploadpack.allowFilter", "true")
    git(top, "config", "uploadpack.allowAnySHA1InWant", "true")
    for number in range(30):
        mac = f"0021f21000{number:02x}"
        inventories.write_inventory(top, {f"phones/{mac}.yaml": {mac: {"model": "FIP14G", "site": "berlin"}}})
    for number in range(40):
        change(top, server=f"s{number}.example.com")
        deep = {"0021f2200000": {"model": "FIP14G", "site": "berlin", "label": f"Desk {number}"}}
        inventories.write_inventory(top, {"phones/north/desk.yaml": deep})
        commit(top, f"change {number}", at=number)
    return top


@pytest.mark.parametrize(
    ("options", "verb", "most"),
    [
        (("--filter=blob:none", "--bare"), ("check", "--rev", "HEAD"), 2),
        (("--filter=blob:none", "--bare"), ("diff", "HEAD~20", "HEAD"), 2),
        (("--filter=blob:none", "--bare"), ("log", MAC), 2),
        (("--filter=blob:none", "--bare"), ("blame", MAC), 2),
        (("--filter=tree:0", "--bare"), ("check", "--rev", "HEAD"), 4),
        (("--filter=tree:0", "--bare"), ("log", MAC), 9),
        # what lies two folders below inventory/ is missing, and libgit2 compares trees by itself
        (("--filter=tree:3", "--bare"), ("diff", "HEAD~20", "HEAD"), 5),
    ],
)
def test_a_partial_clone_fetches_in_batches(
    options: tuple[str, ...],
    verb: tuple[str, ...],
    most: int,
    long: Path,
    tmp_path: Path,
    call: Call,
    calls: Callable[[], list[str]],
) -> None:
    """One process a batch: an inventory has 35 files here, and its history 78 blobs more."""
    folder = clone(long, tmp_path / "odd", *options)
    calls()
    first = call(folder, *verb)
    assert first == call(long, *verb)
    assert 1 <= len(calls()) <= most
    assert call(folder, "--no-cache", *verb) == first
    assert calls() == []


def test_a_partial_clone_is_left_as_it_was(origin: Path, tmp_path: Path, call: Call) -> None:
    """What is fetched are objects: no reference, no FETCH_HEAD, no setting changes."""
    folder = blobless(origin, tmp_path / "odd")
    git(folder, "config", "fetch.prune", "true")
    before = git(folder, "for-each-ref"), (folder / ".git" / "config").read_text()
    assert call(folder, "diff", "base", "HEAD", "--exit-code")[0] == 4
    assert before == (git(folder, "for-each-ref"), (folder / ".git" / "config").read_text())
    assert not (folder / ".git" / "FETCH_HEAD").exists()


def test_git_is_not_called_in_a_plain_clone(
    origin: Path, tmp_path: Path, call: Call, calls: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = clone(origin, tmp_path / "plain")
    monkeypatch.setattr(subprocess, "run", None)
    monkeypatch.setattr(subprocess, "Popen", None)
    assert all(code == 0 for code, _, _ in answers(call, folder).values())


def gone(folder: Path, origin: Path) -> None:
    git(folder, "remote", "set-url", "origin", f"file://ann:hunter2@localhost{origin}.gone")


def forbidden(folder: Path, origin: Path) -> None:
    os.environ["GIT_NO_LAZY_FETCH"] = "1"


def no_program(folder: Path, origin: Path) -> None:
    os.environ["PATH"] = str(folder)


@pytest.mark.parametrize("harm", [gone, forbidden, no_program])
@pytest.mark.parametrize("made", [blobless, treeless])
def test_what_a_partial_clone_cannot_fetch(
    made: Callable[[Path, Path], Path],
    harm: Callable[[Path, Path], None],
    origin: Path,
    tmp_path: Path,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line without the address, in which there may be a password; the work tree is as good as ever."""
    folder = made(origin, tmp_path / "odd")
    for name in ("PATH", "GIT_NO_LAZY_FETCH"):
        monkeypatch.setenv(name, os.environ.get(name, "0"))
    harm(folder, origin)
    for verb in (("diff", "base", "HEAD"), ("show", MAC, "--rev", "base"), ("log", MAC), ("blame", MAC)):
        line, step = refused(call(folder, *verb))
        assert line.startswith("this is a partial clone: it lacks the object ")
        assert line.endswith(", and git could not fetch it from origin")
        assert step.startswith("git fetch says why; git fetch --refetch --no-filter makes the clone whole")
    assert call(folder, "check") == (0, "", "2 phones, 0 errors, 0 warnings\n")
    assert call(folder, "check", "--rev", "HEAD") == (0, "", "2 phones, 0 errors, 0 warnings\n")
    assert call(folder, "compile", "--out", tmp_path / "site")[0] == 0


def test_a_sparse_partial_clone_is_checked_without_its_remote(origin: Path, tmp_path: Path, call: Call) -> None:
    """HEAD's files were never here: what left the inventory since cannot be told, and nothing else is wrong."""
    folder = clone(origin, tmp_path / "odd", "--filter=blob:none", "--no-checkout")
    gone(folder, origin)
    change(folder)
    assert call(folder, "check") == (0, "", "1 phone, 0 errors, 0 warnings\n")


def test_the_step_that_makes_a_partial_clone_whole(origin: Path, tmp_path: Path, call: Call) -> None:
    folder = treeless(origin, tmp_path / "odd")
    git(folder, "fetch", "-q", "--refetch", "--no-filter")
    gone(folder, origin)
    assert answers(call, folder) == answers(call, clone(origin, tmp_path / "plain"))


# Shallow clones: history ends early, and they say so.


@pytest.fixture
def shallow(origin: Path, tmp_path: Path) -> Path:
    """As actions/checkout makes it."""
    return clone(origin, tmp_path / "shallow", "--depth=1")


@pytest.mark.parametrize(
    "verb",
    [
        ("diff", "HEAD~1"),
        ("diff", "HEAD^", "HEAD"),
        ("diff", "base..HEAD"),
        ("diff", "origin/fork...HEAD"),
        ("check", "--rev", "HEAD~1"),
        ("compile", "--rev", "HEAD~1"),
        ("show", MAC, "--rev", "base"),
        ("log", MAC, "--rev", "HEAD~1"),
        ("check", "--against", "HEAD~1"),
    ],
)
def test_a_shallow_clone_says_that_it_lacks_a_revision(verb: tuple[str, ...], shallow: Path, call: Call) -> None:
    line, step = refused(call(shallow, *verb))
    assert line.startswith("no revision ")
    assert step == f"this clone is shallow; {DEEPEN}"


def test_a_shallow_clone_says_that_it_lacks_the_merge_base(origin: Path, tmp_path: Path, call: Call) -> None:
    folder = clone(origin, tmp_path / "odd", "--depth=1", "--no-single-branch")
    line, step = refused(call(folder, "diff", "origin/fork...HEAD"))
    assert line.endswith(" have no common ancestor here")
    assert step == f"this clone is shallow; {DEEPEN}"
    git(folder, "fetch", "-q", "--unshallow")
    assert call(folder, "diff", "origin/fork...HEAD", "--exit-code")[0] == 4


def test_the_work_tree_of_a_shallow_clone_is_as_good_as_any(
    origin: Path, shallow: Path, tmp_path: Path, call: Call
) -> None:
    plain = clone(origin, tmp_path / "plain")
    for verb in (("check",), ("check", "--rev", "HEAD"), ("show", MAC), ("diff",), ("diff", "HEAD", "HEAD")):
        found = call(shallow, *verb)
        assert found == call(plain, *verb)
        assert found[0] == 0
    for folder in (plain, shallow):
        (folder / "inventory" / "phones" / "second.yaml").unlink()
    found = call(shallow, "check")
    assert found == call(plain, "check")
    assert "[left-inventory]" in found[1] or "[removed-phone]" in found[1]


def test_history_marks_where_a_shallow_clone_ends(origin: Path, shallow: Path, call: Call) -> None:
    import json

    head = git(origin, "rev-parse", "HEAD")
    blamed = json.loads(call(shallow, "blame", MAC, "--format", "json")[1])["settings"]
    assert {(one["commit"], one["boundary"]) for one in blamed.values()} == {(head, True)}
    reasons = json.loads(call(shallow, "why", MAC, HOST, "--format", "json")[1])
    assert [(one["commit"], one["boundary"]) for one in (reasons["since"], *reasons["said"])] == [(head, True)] * 2
    logged = json.loads(call(shallow, "log", MAC, "--format", "json")[1])["commits"]
    assert [(one["commit"], one["boundary"]) for one in logged] == [(head, True)]
    assert "^ the history that this clone has ends there: the value may be older" in call(shallow, "blame", MAC)[1]
    assert "(or before: the clone is shallow)" in call(shallow, "why", MAC, HOST)[1]
    said = call(shallow, "log", MAC)[1]
    assert "the history that this clone has ends here: git fetch --unshallow" in said
    assert "here or before" in said
    assert "added" not in said


def test_only_the_commits_at_the_end_of_a_shallow_clone_are_marked(origin: Path, tmp_path: Path, call: Call) -> None:
    """Three deep: the merge, both its parents, and base, whose parent is not here."""
    git_ = open_git(clone(origin, tmp_path / "odd", "--depth=3"))
    found = {}
    pending = [resolve(git_, "HEAD")]
    while pending:
        one = read_commit(git_, pending.pop())
        found[one.subject] = one.boundary
        pending += one.parents
    merge = "Merge pull request #7 from ann/second"
    assert found == {merge: False, "move to two": False, "a second phone": False, "move to one": True}
    whole = open_git(clone(origin, tmp_path / "plain"))
    first = read_commit(whole, resolve(whole, "base^"))
    assert (first.parents, first.boundary) == ((), False)


# Repositories that libgit2 does not open: the work tree is read all the same.


def works_on_disk(call: Call, folder: Path) -> None:
    assert call(folder, "check") == (0, "", "1 phone, 0 errors, 0 warnings\n")
    assert call(folder, "compile", "--out", folder.parent / "out")[0] == 0
    assert call(folder, "show", MAC)[0] == 0


OF_HISTORY = [
    ("check", "--rev", "HEAD"),
    ("compile", "--rev", "HEAD"),
    ("show", MAC, "--rev", "HEAD"),
    ("diff",),
    ("diff", "HEAD"),
    ("diff", "HEAD", "HEAD"),
    ("diff", "HEAD..HEAD"),
    ("diff", "HEAD...HEAD"),
    ("why", MAC, HOST),
    ("blame", MAC),
    ("log", MAC),
]


def test_a_repository_of_sha_256(tmp_path: Path, call: Call) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256", "fleet")
    folder = tmp_path / "fleet"
    change(folder)
    commit(folder, "begin")
    works_on_disk(call, folder)
    line = f"the repository at {folder} is of git's SHA-256 format, which libgit2 does not read"
    for verb in OF_HISTORY:
        assert refused(call(folder, *verb)) == (line, WORK_TREE)


def test_a_repository_with_an_unknown_extension(tmp_path: Path, call: Call) -> None:
    """As git's newer ways to keep references are to an older libgit2."""
    git(tmp_path, "init", "-q", "fleet")
    folder = tmp_path / "fleet"
    change(folder)
    commit(folder, "begin")
    git(folder, "config", "core.repositoryFormatVersion", "1")
    git(folder, "config", "extensions.refStorage", "scrolls")
    works_on_disk(call, folder)
    for verb in OF_HISTORY:
        line, step = refused(call(folder, *verb))
        assert line.startswith(f"the repository at {folder} cannot be read: ")
        assert "extensions.refstorage" in line
        assert step == WORK_TREE


def give_away(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a repository belong to another user; who is not root is told what libgit2 would say."""
    if os.geteuid() == 0:
        for path in (top, *top.rglob("*")):
            os.chown(path, 12345, 12345, follow_symlinks=False)
        return
    genuine = pygit2.Repository

    def refuse(path: str, *rest: Any) -> Any:
        if Path(path).is_relative_to(top):
            raise pygit2.GitError(f"repository path '{top}' is not owned by current user")
        return genuine(path, *rest)

    monkeypatch.setattr(pygit2, "Repository", refuse)


@pytest.mark.parametrize("folder", ["", "phones of/acme"])
def test_a_repository_of_another_user(folder: str, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step names the repository, not the folder in it, as git wants it."""
    import shlex

    top = tmp_path / "the fleet"
    fleet = top / folder
    fleet.mkdir(parents=True)
    git(top, "init", "-q")
    change(fleet)
    commit(top, "begin")
    give_away(top, monkeypatch)
    works_on_disk(call, fleet)
    line = f"the repository at {top} belongs to another user"
    step = f"git config --global --add safe.directory {shlex.quote(str(top))}"
    for verb in OF_HISTORY:
        assert refused(call(fleet, *verb)) == (line, f"if you trust it: {step}")
    if os.geteuid() == 0:
        home = Path(os.environ["HOME"])
        subprocess.run(step, shell=True, check=True, env=os.environ | {"HOME": str(home)})
        command = [sys.executable, "-m", "offhook", "-C", str(fleet), "diff"]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (made.returncode, made.stderr) == (0, "nothing changes\n")


# Submodules and links.


def test_an_inventory_that_is_a_submodule(origin: Path, tmp_path: Path, call: Call) -> None:
    inside = tmp_path / "inside"
    change(tmp_path)
    (tmp_path / "inventory").rename(inside)
    git(inside, "init", "-q")
    commit(inside, "files")
    top = tmp_path / "top"
    top.mkdir()
    git(top, "init", "-q")
    git(top, "submodule", "--quiet", "add", inside.as_uri(), "inventory")
    commit(top, "an inventory")
    works_on_disk(call, top)
    line = "inventory/ is a submodule at HEAD: its files are in another repository"
    step = "let the submodule be the folder around inventory/, and name that: offhook -C DIR ..."
    for verb in OF_HISTORY:
        assert refused(call(top, *verb)) == (line, step)


def test_a_submodule_in_an_inventory(origin: Path, tmp_path: Path, call: Call) -> None:
    """Git has none of its files: disk and revision say the same, so that a check before a commit holds after it."""
    phones = tmp_path / "phones"
    phones.mkdir()
    (phones / "lyon.yaml").write_text("0021f2000009: {model: FIP14G, site: berlin}\n")
    git(phones, "init", "-q")
    commit(phones, "phones")
    folder = clone(origin, tmp_path / "odd")
    git(folder, "submodule", "--quiet", "add", phones.as_uri(), "inventory/phones/lyon")
    commit(folder, "phones of Lyon", at=9)
    on_disk = call(folder, "check")
    assert on_disk == call(folder, "check", "--rev", "HEAD")
    assert on_disk[0] == 1
    assert on_disk[1].startswith("inventory/phones/lyon:1:1: a link or special file is not followed")
    assert call(folder, "diff", "--exit-code")[0] == 0
    assert call(folder, "diff", "HEAD^", "HEAD", "--exit-code")[0] == 0


def test_an_inventory_that_is_a_link(tmp_path: Path, call: Call) -> None:
    elsewhere, top = tmp_path / "elsewhere", tmp_path / "top"
    top.mkdir()
    change(elsewhere)
    (top / "inventory").symlink_to("../elsewhere/inventory")
    git(top, "init", "-q")
    commit(top, "a link")
    works_on_disk(call, top)
    line = "inventory is a symbolic link at HEAD, which is not followed"
    for verb in OF_HISTORY:
        assert refused(call(top, *verb)) == (line, "name the folder that it leads to: offhook -C DIR ...")


def test_history_goes_past_a_commit_whose_inventory_was_a_link(tmp_path: Path, call: Call) -> None:
    """What stood there is another matter; what the revision asked about has is what is asked."""
    top = tmp_path / "top"
    top.mkdir()
    git(top, "init", "-q")
    (top / "inventory").symlink_to("../elsewhere")
    commit(top, "a link", at=1)
    (top / "inventory").unlink()
    change(top)
    commit(top, "the files", at=2)
    code, out, _ = call(top, "log", MAC)
    assert (code, out.count("the phone was added")) == (0, 1)


# An inventory in a folder of a larger repository.


def test_a_fleet_in_a_subfolder_answers_as_one_at_the_top(
    origin: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = make_history(tmp_path / "big", "phones/acme")
    plain = clone(origin, tmp_path / "plain")
    order = ["rev-list", "--date-order", "--all"]
    names = dict(zip(git(top, *order).split(), git(plain, *order).split(), strict=True))

    def told(folder: Path) -> dict[str, tuple[int, str, str]]:
        found = answers(call, folder, out=tmp_path / "site")
        for own, other in names.items():
            found = {
                verb: (code, out.replace(own, other).replace(own[:10], other[:10]), err)
                for verb, (code, out, err) in found.items()
            }
        return found

    expected = answers(call, plain)
    assert told(top / "phones" / "acme") == expected
    assert told(top / "phones" / "acme" / "inventory" / "phones") == expected
    monkeypatch.chdir(top / "phones" / "acme" / "inventory")
    assert told(Path()) == expected


def test_a_revision_before_the_subfolder_had_its_name(tmp_path: Path, call: Call) -> None:
    top = tmp_path / "big"
    old, new = top / "old", top / "phones" / "acme"
    old.mkdir(parents=True)
    git(top, "init", "-q")
    change(old)
    commit(top, "begin", at=1)
    new.parent.mkdir()
    git(top, "mv", "old", "phones/acme")
    commit(top, "rename", at=2)
    change(new, server="two.example.com")
    commit(top, "move to two", at=3)
    code, out, _ = call(new, "log", MAC)
    assert (
        code,
        [line.strip() for line in out.splitlines() if line.strip() in ("begin", "rename", "move to two")],
    ) == (
        0,
        ["move to two", "rename"],
    )
    assert call(new, "blame", MAC)[0] == call(new, "why", MAC, HOST)[0] == call(new, "diff", "HEAD~2")[0] == 0
    line, step = refused(call(new, "check", "--rev", "HEAD~2"))
    assert line == "revision HEAD~2 has no folder phones/acme/inventory/"
    assert step == "git log --oneline -- :/phones/acme/inventory/ names the commits that changed it"
    made = subprocess.run(f"{step.partition(' names')[0]}", shell=True, cwd=new, capture_output=True, text=True)
    assert [line.partition(" ")[2] for line in made.stdout.splitlines()] == ["move to two", "rename"]


@pytest.mark.parametrize("kind", ["file", "submodule"])
def test_a_revision_in_which_the_folder_was_no_folder(kind: str, tmp_path: Path, call: Call) -> None:
    top = tmp_path / "big"
    top.mkdir()
    git(top, "init", "-q")
    (top / "phones").write_text("later\n")
    if kind == "submodule":
        git(top, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},phones")
        git(top, "commit", "-q", "-m", "begin")
    else:
        commit(top, "begin")
    (top / "phones").unlink()
    change(top / "phones" / "acme")
    git(top, "rm", "-q", "--cached", "phones")
    commit(top, "a fleet", at=1)
    fleet = top / "phones" / "acme"
    assert refused(call(fleet, "check", "--rev", "HEAD^"))[0] == "revision HEAD^ has no folder phones/acme/inventory/"
    assert call(fleet, "log", MAC)[1].count("the phone was added") == 1
    assert call(fleet, "diff", "HEAD^", "--exit-code")[0] == 4


def test_a_revision_without_an_inventory_is_found_from_nowhere(origin: Path, tmp_path: Path, call: Call) -> None:
    folder = clone(origin, tmp_path / "fleet.git", "--bare")
    empty = git(folder, "hash-object", "-t", "tree", "-w", "--stdin", input="")
    git(folder, "tag", "void", git(folder, "commit-tree", "-m", "void", empty))
    line, _ = refused(call(folder, "check", "--rev", "void"))
    assert line == f"revision void has no folder inventory/ in {folder} or above it"


def test_the_folder_above_is_not_the_folder_below(tmp_path: Path, call: Call) -> None:
    """`-C ..` means the parent, also where the folder that one stands in is a fleet."""
    change(tmp_path / "fleet")
    line, _ = refused(call(tmp_path / "fleet" / "..", "check"))
    assert line == f"no inventory/fleet.yaml in {tmp_path} or above it"


# Odd files.

NOT_A_FILE = "a link or special file is not followed; an inventory holds plain files [not-a-file]"
BAD_NAME = "the file's name has a control character, or is not UTF-8 [not-a-file]"


def name_not_utf8(folder: Path) -> None:
    (folder / os.fsdecode(b"m\xfcnchen.yaml")).write_text("x: y\n")


def name_with_newline(folder: Path) -> None:
    (folder / 'a"b\n::error::x.yaml').write_text("x: y\n")


def link_out(folder: Path) -> None:
    (folder / "lyon.yaml").symlink_to("/etc/passwd")


def link_nowhere(folder: Path) -> None:
    (folder / "lyon.yaml").symlink_to("nowhere.yaml")


def link_to_itself(folder: Path) -> None:
    (folder / "lyon.yaml").symlink_to("lyon.yaml")


def linked_folder(folder: Path) -> None:
    (folder / "lyon").symlink_to("/etc")


def pipe(folder: Path) -> None:
    """To open one would wait for ever."""
    os.mkfifo(folder / "lyon.yaml")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (name_not_utf8, f"inventory/phones/m\\udcfcnchen.yaml:1:1: {BAD_NAME}"),
        (name_with_newline, f'inventory/phones/a"b?::error::x.yaml:1:1: {BAD_NAME}'),
        (link_out, f"inventory/phones/lyon.yaml:1:1: {NOT_A_FILE}"),
        (link_nowhere, f"inventory/phones/lyon.yaml:1:1: {NOT_A_FILE}"),
        (link_to_itself, f"inventory/phones/lyon.yaml:1:1: {NOT_A_FILE}"),
        (linked_folder, f"inventory/phones/lyon:1:1: {NOT_A_FILE}"),
        (pipe, f"inventory/phones/lyon.yaml:1:1: {NOT_A_FILE}"),
    ],
)
def test_an_odd_file_is_a_problem_on_disk_and_in_a_commit(
    made: Callable[[Path], None], expected: str, origin: Path, tmp_path: Path, call: Call
) -> None:
    folder = clone(origin, tmp_path / "odd")
    made(folder / "inventory" / "phones")
    code, out, _ = call(folder, "check")
    assert (code, out.splitlines()[0]) == (1, expected)
    assert call(folder, "diff", "--exit-code")[0] == 0
    assert call(folder, "compile")[0] == 1
    commit(folder, "odd", at=9)
    if made is not pipe:
        assert call(folder, "check", "--rev", "HEAD") == call(folder, "check")
        assert call(folder, "compile", "--rev", "HEAD", "--out", tmp_path / "out")[0] == 1
    for verb in (
        ("diff",),
        ("diff", "base"),
        ("diff", "base", "HEAD"),
        ("log", MAC),
        ("blame", MAC),
        ("why", MAC, HOST),
    ):
        assert call(folder, *verb)[0] == 0
    assert call(folder, "diff", "HEAD^", "--exit-code")[0] == 0


def test_a_folder_and_a_link_in_the_place_of_the_fleet_file(origin: Path, tmp_path: Path, call: Call) -> None:
    folder = clone(origin, tmp_path / "odd")
    place = folder / "inventory" / "fleet.yaml"
    place.unlink()
    place.mkdir()
    code, out, _ = call(folder, "check")
    assert (code, "[no-fleet]" in out) == (1, True)
    place.rmdir()
    place.symlink_to("nowhere.yaml")
    code, out, _ = call(folder, "check")
    assert (code, f"inventory/fleet.yaml:1:1: {NOT_A_FILE}" in out.splitlines()) == (1, True)


def test_a_file_that_goes_while_it_is_looked_at(origin: Path, tmp_path: Path, call: Call) -> None:
    folder = clone(origin, tmp_path / "odd")
    source = read_source(folder, None)
    shutil.rmtree(folder / "inventory" / "phones")
    kept = {file.path: file.content for file in source.files}
    assert set(kept) == {file.path for file in source.files}


@pytest.fixture
def abyss(tmp_path: Path) -> Iterator[Path]:
    """A fleet whose folders go deeper than Python calls functions; rm takes them away again, Python could not."""
    folder = tmp_path / "fleet"
    change(folder)
    git(folder, "init", "-q")
    here = os.open(folder / "inventory" / "phones", os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(os.open("x.yaml", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    yield folder
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_folders_nested_beyond_all_measure(abyss: Path, tmp_path: Path, call: Call) -> None:
    commit(abyss, "deep")
    assert call(abyss, "diff", "--exit-code")[0] == 0
    assert call(clone(abyss, tmp_path / "fleet.git", "--bare"), "check", "--rev", "HEAD")[0] == 0


def test_what_changes_its_kind_between_commits(tmp_path: Path) -> None:
    """Against git's own word: files that become links, folders, submodules or executable, and back."""
    folder = tmp_path / "fleet"
    change(folder, second=True)
    git(folder, "init", "-q")
    phones = folder / "inventory" / "phones"
    ids = [commit(folder, "files")]
    (phones / "all.yaml").chmod(0o755)
    (phones / "second.yaml").unlink()
    (phones / "second.yaml").symlink_to("all.yaml")
    ids.append(commit(folder, "a link"))
    (phones / "second.yaml").unlink()
    (phones / "second.yaml").mkdir()
    (phones / "second.yaml" / "x.yaml").write_text("x: y\n")
    (phones / os.fsdecode(b"\xff.yaml")).write_text("x: y\n")
    ids.append(commit(folder, "a folder"))
    shutil.rmtree(phones / "second.yaml")
    git(folder, "rm", "-rq", "--cached", "inventory/phones/second.yaml")
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{ids[0]},inventory/phones/second.yaml")
    git(folder, "commit", "-q", "-m", "a submodule")
    ids.append(git(folder, "rev-parse", "HEAD"))
    shutil.rmtree(folder / "inventory")
    ids.append(commit(folder, "nothing"))
    change(folder)
    ids.append(commit(folder, "files again"))
    opened = open_git(folder)
    trees = [inventory_tree(opened, one, "inventory") for one in ids]
    for old, new in ((a, b) for a in range(len(ids)) for b in range(len(ids))):
        expected = set()
        raw = git(folder, "diff-tree", "-r", "-z", "--no-renames", "--abbrev=40", ids[old], ids[new], text=False)
        fields = raw.decode("utf-8", "surrogateescape").split("\0")
        for about, path in zip(fields[::2], fields[1::2], strict=False):
            modes, blobs = about[1:].split()[:2], about.split()[2:4]
            sides = [blob if mode.startswith("100") else None for mode, blob in zip(modes, blobs, strict=True)]
            if sides[0] != sides[1]:
                expected.add((path, *sides))
        assert set(compare_trees(opened, trees[old], trees[new], "inventory")) == expected


# Repositories without a commit, and HEADs that lead nowhere.


def test_a_repository_without_a_commit(tmp_path: Path, call: Call) -> None:
    folder = tmp_path / "fleet"
    change(folder)
    git(folder, "init", "-q", "-b", "trunk")
    works_on_disk(call, folder)
    for verb in [*OF_HISTORY, ("diff", "HEAD~1", "HEAD"), ("check", "--rev", "main"), ("diff", "@")]:
        expected = ("this repository has no commit yet", "git add inventory && git commit")
        assert refused(call(folder, *verb)) == expected


def test_a_head_without_a_commit_beside_branches_that_have_some(origin: Path, tmp_path: Path, call: Call) -> None:
    """As a server's repository whose HEAD says master, when main was pushed."""
    folder = bare(origin, tmp_path / "fleet.git")
    git(folder, "symbolic-ref", "HEAD", "refs/heads/master")
    for verb in (("check", "--rev", "HEAD"), ("log", MAC), ("diff", "HEAD~1", "main"), ("show", MAC, "--rev", "@")):
        line, step = refused(call(folder, *verb))
        assert line == 'HEAD is the branch "master", which has no commit'
        assert step == "name another revision: git branch --all lists the branches"
    assert call(folder, "check", "--rev", "main")[0] == 0
    assert refused(call(folder, "check", "--rev", "HEADS"))[0] == 'no revision "HEADS" in this repository'


# Names of revisions.

HOSTILE = [
    "",
    "--upload-pack=x",
    "HEAD^{/",
    "@{-99}",
    "a" * 10_000,
    "HEAD:inventory",
    "HEAD:inventory/fleet.yaml",
    "HEAD:nothing",
    ":0:inventory/fleet.yaml",
    "blob-tag",
    "tree-tag",
    "HEAD^{tree}",
    "HEAD^{/[}",
    "HEAD~99999999999",
    "HEAD^99",
    "^HEAD",
    "HEAD^@",
    "HEAD@{99}",
    "*",
    "0",
    "-",
    "..",
    "...",
    "HEAD\n",
    "\x1b[2J",
    "\0",
    "\udcff",
    "refs/heads",
    "../../etc/passwd",
]


@pytest.fixture(scope="module")
def plain(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone that tests only read."""
    folder = clone(origin, tmp_path_factory.mktemp("plain") / "fleet")
    git(folder, "tag", "blob-tag", "HEAD:inventory/fleet.yaml")
    git(folder, "tag", "tree-tag", "HEAD:inventory")
    return folder


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_revision_is_refused(name: str, plain: Path, call: Call) -> None:
    for verb in ("check", "compile"):
        line, _ = refused(call(plain, verb, "--rev", name))
        assert len(line) < 200
        assert line.isprintable()
    refused(call(plain, "log", MAC, "--rev", name))
    if not name.strip("."):
        return
    refused(call(plain, "diff", "--", name))
    refused(call(plain, "diff", "--", name, "HEAD"))
    refused(call(plain, "diff", "--", f"HEAD..{name}"))


def test_an_empty_revision_is_not_head(plain: Path, call: Call) -> None:
    """A script's variable that is not set must not ask about another revision."""
    expected = ("the name of the revision is empty", "HEAD is the commit that is checked out")
    for verb in (("check", "--rev", ""), ("log", MAC, "--rev", ""), ("why", MAC, HOST, "--rev", ""), ("diff", "")):
        assert refused(call(plain, *verb)) == expected


def test_what_is_no_commit_is_named(plain: Path, call: Call) -> None:
    for name, kind in (("blob-tag", "blob"), ("HEAD:inventory", "tree"), ("HEAD:inventory/fleet.yaml", "blob")):
        expected = (f'"{name}" is no commit but a {kind}', "name a branch, a tag or a commit's id")
        assert refused(call(plain, "check", "--rev", name)) == expected


@given(st.text(max_size=30) | st.text("HEAD@{}^~:/.-main019 \0", max_size=20))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_names_a_commit_or_nothing(plain: Path, name: str) -> None:
    opened = open_git(plain)
    line = ""
    try:
        found = resolve(opened, name)
    except OffhookError as error:
        line = error.message
        found = error.hint
    if line:
        assert found
        assert line.isprintable()
    else:
        assert opened.repository[found].type_str == "commit"


def test_names_that_git_knows(origin: Path, tmp_path: Path) -> None:
    """As git resolves them: branches called like a file or an id, the stash, tags of tags, short ids."""
    folder = clone(origin, tmp_path / "odd")
    head, base = (git(folder, "rev-parse", name) for name in ("HEAD", "base"))
    git(folder, "branch", "inventory", "base")
    git(folder, "branch", "inventory/../x".replace("/../", "-"), "base")
    git(folder, "branch", head[:7], "base")
    git(folder, "tag", "-a", "-m", "x", "one", "base")
    git(folder, "tag", "-a", "-m", "x", "two", "one")
    change(folder, server="stashed.example.com")
    git(folder, "stash", "-q")
    git(folder, "checkout", "-q", "--detach", "base")
    git(folder, "checkout", "-q", "main")
    git(folder, "update-ref", "refs/offhook/production", "base")
    opened = open_git(folder)
    names = ["HEAD", "@", "main", "heads/main", "refs/heads/main", "origin/fork", "inventory", head[:7], head[:12]]
    names += [base, base[:8].upper(), "one", "two", "stash", "stash@{0}", "refs/stash", "stash^", "HEAD^2", "HEAD~2"]
    names += [
        "HEAD^2~1",
        "@{-1}",
        "@{u}",
        "main@{upstream}",
        "HEAD@{1}",
        "HEAD^{/move to one}",
        ":/move to fork",
        "HEAD^0",
    ]
    names += ["main^{commit}", "two^{}", "refs/offhook/production", "offhook/production", "base^{/begin}", "HEAD^^"]
    assert [resolve(opened, name) for name in names] == [
        git(folder, "rev-parse", f"{name}^{{commit}}" if not name.startswith(":/") else name) for name in names
    ]


def test_a_short_id_that_two_commits_have(origin: Path, tmp_path: Path, call: Call) -> None:
    folder = clone(origin, tmp_path / "odd")
    person = "Ann <ann@example.com> 1700000000 +0000"
    lines = (f"commit refs/many/x\ncommitter {person}\ndata <<E\n{number}\nE\n\n" for number in range(1000))
    git(folder, "fast-import", "--quiet", "--force", input="".join(lines))
    ids = git(folder, "rev-list", "--all").split()
    short = [one[:4] for one in ids]
    twice = next(one for one in short if short.count(one) > 1)
    expected = (f'no revision "{twice}" in this repository', "write more of the commit's id")
    assert refused(call(folder, "check", "--rev", twice)) == expected
    assert refused(call(folder, "check", "--rev", ids[0][:3])) == (expected[0].replace(twice, ids[0][:3]), expected[1])


# Damage.


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage")


def truncated(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def other_content(path: Path) -> None:
    import zlib

    path.write_bytes(zlib.compress(b"blob 5\0other"))


def deleted(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("harm", [empty, garbage, truncated, other_content, deleted])
@pytest.mark.parametrize(
    "name", ["HEAD:inventory/fleet.yaml", "HEAD:inventory/phones", "HEAD:inventory", "HEAD^{tree}", "HEAD", "HEAD~1"]
)
def test_a_damaged_object(name: str, harm: Callable[[Path], None], tmp_path: Path, call: Call) -> None:
    """Every verb that needs it names it; none takes it for a file that is not there."""
    folder = tmp_path / "fleet"
    change(folder)
    git(folder, "init", "-q")
    commit(folder, "begin", at=1)
    change(folder, server="two.example.com", second=True)
    commit(folder, "move", at=2)
    identifier = git(folder, "rev-parse", name)
    place = folder / ".git" / "objects" / identifier[:2] / identifier[2:]
    place.chmod(0o644)
    harm(place)
    for verb in OF_HISTORY[3:] if name == "HEAD~1" else OF_HISTORY:
        found = call(folder, "--no-cache", *verb)
        if verb[:2] == ("diff", "HEAD") and len(verb) == 3 and name.startswith("HEAD:"):
            continue
        if name == "HEAD~1" and verb[0] == "diff":
            assert found[0] == 0
            continue
        line, step = refused(found)
        assert identifier[:10] in line or "has a gap" in line, verb
        assert step == FSCK
    assert call(folder, "compile", "--out", tmp_path / "out")[0] == 0
    assert call(folder, "show", MAC)[0] == 0


def test_a_damaged_object_is_found_from_a_linked_work_tree(tmp_path: Path, call: Call) -> None:
    """Its objects lie in the main work tree; libgit2 would read one that is cut off for ever."""
    main, linked = tmp_path / "main", tmp_path / "linked"
    change(main)
    git(main, "init", "-q")
    commit(main, "begin")
    git(main, "worktree", "add", "-q", "-b", "other", str(linked))
    identifier = git(main, "rev-parse", "HEAD:inventory/fleet.yaml")
    place = main / ".git" / "objects" / identifier[:2] / identifier[2:]
    place.chmod(0o644)
    truncated(place)
    expected = (f"the object {identifier[:10]} of this clone is damaged", FSCK)
    assert refused(call(linked, "--no-cache", "check", "--rev", "HEAD")) == expected


def test_a_repository_that_is_repacked_meanwhile(long: Path, tmp_path: Path) -> None:
    """Objects move between loose files and packs, and the packs that were opened are gone."""
    folder = clone(long, tmp_path / "odd")
    expected = {file.path: file.content for file in read_source(folder, "HEAD").files}
    opened = open_git(folder)
    ids = [resolve(opened, f"HEAD~{number}") for number in range(0, 40, 4)]
    for number, one in enumerate(ids):
        tree = inventory_tree(opened, one, "inventory") or ""
        entries = list(list_tree(opened, tree, "inventory"))
        source = read_source(folder, "HEAD")
        if number % 2:
            pack = next((folder / ".git" / "objects" / "pack").glob("*.pack"))
            loose = tmp_path / "loose.pack"
            shutil.move(pack, loose)
            pack.with_suffix(".idx").unlink()
            with loose.open("rb") as stream:
                git(folder, "unpack-objects", "-q", stdin=stream)
        else:
            git(folder, "repack", "-adfq")
            git(folder, "prune-packed", "-q")
        assert {file.path: file.content for file in source.files} == expected
        assert len(entries) == 35
        assert all(opened.repository[entry.blob].size for entry in entries if entry.blob)


# Hooks and their environment.


def test_the_variables_of_another_repository_are_not_followed(
    origin: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook of one repository may ask about another: the folder decides."""
    folder, partial = clone(origin, tmp_path / "odd"), blobless(origin, tmp_path / "partial")
    expected = answers(call, folder)
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    foreign = commit(other, "elsewhere")
    variables = {
        "GIT_DIR": str(other / ".git"),
        "GIT_WORK_TREE": str(other),
        "GIT_INDEX_FILE": str(other / ".git" / "index"),
        "GIT_OBJECT_DIRECTORY": str(other / ".git" / "objects"),
        "GIT_QUARANTINE_PATH": str(other / ".git" / "objects"),
        "GIT_COMMON_DIR": str(other / ".git"),
        "GIT_PREFIX": "x/",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert answers(call, folder) == expected
    assert answers(call, partial) == expected
    assert refused(call(folder, "check", "--rev", foreign))[0] == f'no revision "{foreign}" in this repository'


def hook(repository: Path, name: str, script: str) -> None:
    place = repository / "hooks" / name
    place.parent.mkdir(exist_ok=True)
    place.write_text(f'#!/bin/sh\noffhook() {{ {sys.executable} -m offhook "$@"; }}\n{script}\n')
    place.chmod(0o755)


@pytest.mark.parametrize("made", [clone, worktree])
def test_a_hook_before_a_commit(made: Callable[[Path, Path], Path], origin: Path, tmp_path: Path) -> None:
    """Git runs it with GIT_DIR and GIT_INDEX_FILE, from the top of the work tree that is committed from."""
    folder = made(origin, tmp_path / "odd")
    common = Path(git(folder, "rev-parse", "--path-format=absolute", "--git-common-dir"))
    hook(common, "pre-commit", "offhook check && offhook diff --exit-code >&2; test $? = 4")
    before = git(folder, "rev-parse", "HEAD")
    change(folder, server="three.example.com", second=True)
    assert commit(folder, "right", at=9) != before
    before = git(folder, "rev-parse", "HEAD")
    change(folder, model="FIP99", second=True)
    git(folder, "add", "-A")
    assert subprocess.run(["git", "-C", str(folder), "commit", "-qm", "wrong"], capture_output=True).returncode == 1
    assert git(folder, "rev-parse", "HEAD") == before


def test_a_hook_of_a_server_sees_what_is_pushed(origin: Path, tmp_path: Path) -> None:
    """What is pushed waits in a quarantine until the hook agrees."""
    server = bare(origin, tmp_path / "fleet.git")
    hook(server, "pre-receive", "while read old new name; do offhook check --rev $new --against $old || exit 1; done")
    folder = clone(server, tmp_path / "odd")
    change(folder, server="three.example.com", second=True)
    right = commit(folder, "right", at=9)
    git(folder, "push", "-q", "origin", "main")
    assert git(server, "rev-parse", "main") == right
    change(folder, model="FIP99", second=True)
    commit(folder, "wrong", at=10)
    made = subprocess.run(["git", "-C", str(folder), "push", "-q"], capture_output=True, text=True)
    assert made.returncode == 1
    assert "FIP99" in made.stderr
    assert git(server, "rev-parse", "main") == right


# The work tree is what is on disk.


def test_what_git_is_told_to_overlook_is_seen(origin: Path, tmp_path: Path, call: Call) -> None:
    folder = clone(origin, tmp_path / "odd")
    git(folder, "update-index", "--assume-unchanged", "inventory/fleet.yaml")
    git(folder, "update-index", "--skip-worktree", "inventory/phones/all.yaml")
    change(folder, server="three.example.com", model="FIP13G", second=True)
    assert git(folder, "status", "--porcelain") == ""
    code, out, _ = call(folder, "diff", "--exit-code")
    assert code == 4
    assert "three.example.com" in out


def test_a_sparse_checkout_is_what_it_holds(origin: Path, tmp_path: Path, call: Call) -> None:
    folder = clone(origin, tmp_path / "odd", "--sparse")
    git(folder, "sparse-checkout", "set", "--no-cone", "/inventory/*", "!/inventory/phones/second.yaml")
    assert not (folder / "inventory" / "phones" / "second.yaml").exists()
    expected = answers(call, clone(origin, tmp_path / "plain"))
    found = answers(call, folder)
    assert {name: found[name] for name in (*ASKED, "compile")} == {name: expected[name] for name in (*ASKED, "compile")}
    assert call(folder, "diff", "--exit-code")[1].startswith("- 0021f2000002  ")
    assert call(folder, "check")[2].endswith("1 phone, 0 errors, 1 warning\n")
    git(folder, "sparse-checkout", "set", "--no-cone", "/README.md")
    assert {name: call(folder, *ASKED[name]) for name in ASKED} == {name: expected[name] for name in ASKED}
    assert refused(call(folder, "diff"))[0] == f"no inventory/fleet.yaml in {folder} or above it"


# Commits as others write them.


@pytest.mark.parametrize(
    ("header", "raw", "expected"),
    [
        (b"", "Jürgen".encode(), "Jürgen"),
        (b"", "Jürgen".encode("latin-1"), "J\ufffdrgen"),
        (b"encoding ISO-8859-1\n", "Jürgen".encode("latin-1"), "Jürgen"),
        (b"encoding KOI8-R\n", "Юра".encode("koi8-r"), "Юра"),
        (b"encoding nonsense\n", b"Ann", "Ann"),
        (b"encoding unicode_escape\n", b"x\\ud800", "x?"),
    ],
)
def test_texts_of_commits_in_any_encoding(
    header: bytes, raw: bytes, expected: str, origin: Path, tmp_path: Path, call: Call
) -> None:
    folder = clone(origin, tmp_path / "odd")
    tree = git(folder, "rev-parse", "base^{tree}").encode()
    parent = git(folder, "rev-parse", "HEAD").encode()
    person = b"%b <%b> 1700100000 +0000" % (raw, raw)
    text = b"tree %b\nparent %b\nauthor %b\ncommitter %b\n%b\n%b\n" % (tree, parent, person, person, header, raw)
    made = git(folder, "hash-object", "-t", "commit", "-w", "--stdin", input=text, text=False).decode()
    found = read_commit(open_git(folder), made)
    assert (found.author, found.email, found.subject) == (expected, expected, expected)
    for verb in (
        ("log", MAC, "--rev", made),
        ("blame", MAC, "--rev", made),
        ("log", MAC, "--rev", made, "--format", "json"),
    ):
        code, out, _ = call(folder, *verb)
        assert (code, expected in out) == (0, True)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("1700000000 +0530", "2023-11-15 03:43 +0530"),
        ("0 +0000", "1970-01-01 00:00 +0000"),
        ("99999999999999 +0000", "1970-01-01 00:00 +0000"),
        ("1700000000 +9959", "2023-11-14 22:13 +0000"),
    ],
)
def test_times_of_commits_that_cannot_be(time: str, expected: str, origin: Path, tmp_path: Path, call: Call) -> None:
    folder = clone(origin, tmp_path / "odd")
    tree, parent = git(folder, "rev-parse", "base^{tree}"), git(folder, "rev-parse", "HEAD")
    person = f"Ann <ann@example.com> {time}"
    text = f"tree {tree}\nparent {parent}\nauthor {person}\ncommitter {person}\n\nx\n"
    made = git(folder, "hash-object", "-t", "commit", "-w", "--literally", "--stdin", input=text)
    assert read_commit(open_git(folder), made).date == expected
    for verb in ("log", "blame"):
        assert call(folder, verb, MAC, "--rev", made)[0] == 0


# All ways to have one history are one.


@given(history=st.lists(inventories.fleets(macs=2), min_size=2, max_size=4))
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_bare_whole_and_linked_clones_say_the_same(
    history: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory, call: Call
) -> None:
    top = tmp_path_factory.mktemp("any")
    origin = top / "origin"
    origin.mkdir()
    git(origin, "init", "-q", "-b", "main")
    for number, files in enumerate(history):
        shutil.rmtree(origin / "inventory", ignore_errors=True)
        inventories.write_inventory(origin, files)
        commit(origin, f"change {number}", at=number)
    folders = [clone(origin, top / "whole"), bare(origin, top / "bare.git"), worktree_of_bare(origin, top / "linked")]
    macs = sorted({mac for files in history for mac in files["phones/all.yaml"]})
    verbs = [("diff", f"HEAD~{len(history) - 1}", "HEAD", "--format", "json")]
    verbs += [(verb, mac, "--format", "json") for verb in ("blame", "log") for mac in macs]
    for verb in verbs:
        first, *others = [call(folder, *verb) for folder in folders]
        assert others == [first] * len(others)
