"""The cache changes no answer: whatever was in it, whatever became of it, and whoever else uses it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import inventories
import repositories
from offhook import cache
from offhook.cli.run import run
from offhook.store import Store, StoreDamaged

MAC = "0021f2000001"
VERBS = (
    ("check", "--format", "json"),
    ("diff", "--format", "json"),
    ("diff", "HEAD~1", "--format", "json"),
    ("log", MAC, "--format", "json"),
    ("blame", MAC, "--format", "json"),
    ("why", MAC, "account.1.enable", "--format", "json"),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("OFFHOOK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fleet(root: Path, files: dict[str, Any] | None = None) -> Path:
    """A repository of two commits and a changed work tree."""
    repositories.start(root)
    first = inventories.minimal() if files is None else files
    repositories.commit(root, first)
    first["accounts/all.yaml"]["alice"]["display_name"] = "Alice"
    repositories.commit(root, first)
    first["accounts/all.yaml"]["alice"]["display_name"] = "Alice B"
    inventories.write_inventory(root, first)
    return root


def answers(root: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[tuple[int, str]]:
    found = []
    for verb in VERBS:
        code = run(["-C", str(root), *options, *verb])
        found.append((code, capsys.readouterr().out))
    return found


def file_of(root: Path) -> Path:
    path = cache.cache_file(root)
    assert path is not None
    return path


# The same answers.


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(inventories.fleets(), min_size=2, max_size=3), st.randoms(use_true_random=False))
def test_after_any_edit_the_answer_is_that_without_a_cache(
    capsys: pytest.CaptureFixture[str], several: list[dict[str, Any]], choice: Any
) -> None:
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OFFHOOK_CACHE", f"{place}/cache")
        root = repositories.start(Path(place) / "fleet")
        repositories.commit(root, several[0], "first")
        repositories.commit(root, several[1], "second")
        for number in range(4):
            name = choice.choice(sorted(several[0]))
            inventories.write_inventory(root, {name: choice.choice(several)[name]})
            if number == 2:
                repositories.commit(root, message="third")
            assert answers(root, capsys) == answers(root, capsys, "--no-cache")
            trees = []
            for options in ((), ("--no-cache",)):
                out = Path(place) / f"out{len(options)}"
                run(["-C", str(root), *options, "compile", "--out", str(out)])
                trees.append({path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()})
            capsys.readouterr()
            assert trees[0] == trees[1]


def test_an_edit_of_the_same_size_at_the_same_time_is_seen(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = fleet(tmp_path / "fleet")
    path = root / "inventory/accounts/all.yaml"
    for name in ("Alice C", "Alice D"):
        before = path.stat()
        path.write_text(path.read_text()[:-1].replace("Alice B", name).replace("Alice C", name) + "\n")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert run(["-C", str(root), "diff"]) == 0
        assert name in capsys.readouterr().out


def test_a_compiled_file_that_was_changed_by_hand_is_seen(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = fleet(tmp_path / "fleet")
    call = ["-C", str(root), "compile"]
    assert run(call) == 0
    assert run([*call, "--check"]) == 0
    assert "nothing changed" in capsys.readouterr().out
    path = root / f"site/{MAC}.cfg"
    text = path.read_text()
    before = path.stat()
    path.write_text(text.replace("Alice B", "Alice X"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run([*call, "--check"]) == 1
    assert run(call) == 0
    assert path.read_text() == text
    path.unlink()
    assert run([*call, "--check"]) == 1
    assert run(call) == 0
    (root / "site/.offhook-index").unlink()
    assert run([*call, "--check"]) == 0


def test_a_repeated_compile_shows_the_same_warnings(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = fleet(tmp_path / "fleet")
    (root / "inventory/notes.txt").write_text("stray\n")
    call = ["-C", str(root), "compile"]
    assert run(call) == 0
    first = capsys.readouterr().err
    assert "stray-file" in first
    assert run(call) == 0
    again = capsys.readouterr()
    assert again.err == first
    assert "nothing changed" in again.out


# What may become of the file.


def garbage(path: Path, seed: int) -> None:
    """Overwrite some bytes, anywhere."""
    choice = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(choice.choice((1, 8, 200))):
        data[choice.randrange(len(data))] ^= choice.randrange(1, 256)
    path.write_bytes(data)


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_file_changes_no_answer(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    root = fleet(tmp_path / "fleet")
    expected = answers(root, capsys)
    garbage(file_of(root), seed)
    assert answers(root, capsys) == expected
    assert answers(root, capsys) == expected


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to be looked at" * 100, None])
def test_another_file_in_its_place(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None
) -> None:
    root = fleet(tmp_path / "fleet")
    path = file_of(root)
    path.parent.mkdir(parents=True)
    expected = answers(root, capsys, "--no-cache")
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    assert run(["-C", str(root), *VERBS[0]]) == 0
    warned = capsys.readouterr().err
    if content is None:
        assert "going on without the cache" in warned
    elif content:
        assert "the cache was damaged and is made anew" in warned
    assert answers(root, capsys) == expected


def test_a_truncated_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = fleet(tmp_path / "fleet")
    expected = answers(root, capsys)
    path = file_of(root)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert answers(root, capsys) == expected


@pytest.mark.parametrize("variable", ["/dev/null/cache", "/proc/cache", "file"])
def test_no_place_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    root = fleet(tmp_path / "fleet")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OFFHOOK_CACHE", str(tmp_path / variable) if variable == "file" else variable)
    assert run(["-C", str(root), "diff"]) == 0
    said = capsys.readouterr()
    assert "Alice B" in said.out
    assert "going on without the cache" in said.err


def test_it_is_its_owner_s_alone_and_outside_the_repository(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = fleet(tmp_path / "fleet")
    before = repositories.git(root, "status", "--porcelain", "--ignored")
    answers(root, capsys)
    assert repositories.git(root, "status", "--porcelain", "--ignored") == before
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_it_is_bounded(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fleet(tmp_path / "fleet")
    expected = answers(root, capsys)
    store = Store(file_of(root))
    store.remember({("big",): "x" * 1_000_000})
    store.close()
    monkeypatch.setattr(cache, "MAX_BYTES", 1_000_000)
    assert answers(root, capsys) == expected
    assert file_of(root).stat().st_size < 500_000


def test_another_version_begins_a_new_one(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fleet(tmp_path / "fleet")
    answers(root, capsys)
    old = file_of(root)
    cache._fingerprint.cache_clear()
    monkeypatch.setattr(cache, "__version__", "99")
    try:
        answers(root, capsys)
        assert file_of(root) != old
        assert [path.name for path in folder.iterdir()] == [file_of(root).name]
    finally:
        cache._fingerprint.cache_clear()


def test_no_password_gets_into_it(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the clear by mistake: as a secret parameter, in an address, in a model's layer, as an account's password."""
    files = inventories.minimal()
    files["fleet.yaml"] |= {
        "dialect": "static",
        "settings": {"static.security.user_password": "canary-one"},
        "models": {"FIP14G": {"settings": {"static.wifi.1.password": "canary-two"}}},
    }
    files["phones/all.yaml"][MAC]["settings"] = {"firmware.url": "ftp://user:canary-three@example.com/"}
    files["accounts/all.yaml"]["bob"]["password"] = "canary-four"
    files["secrets/all.yaml"] = {"plain": "canary-five"}
    root = fleet(tmp_path / "fleet", files)
    assert run(["-C", str(root), "check"]) == 1
    answers(root, capsys)
    (path,) = folder.iterdir()
    assert b"canary" not in path.read_bytes()


# Several at once.


def start(root: Path, *verb: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "offhook", "-C", str(root), *verb], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_runs_at_the_same_time(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = fleet(tmp_path / "fleet")
    expected = answers(root, capsys, "--no-cache")
    running = [(number, start(root, *verb)) for _ in range(2) for number, verb in enumerate(VERBS)]
    for number, process in running:
        out, err = process.communicate()
        assert (process.returncode, out.decode()) == expected[number], err


def kills() -> Iterator[float]:
    yield from (0.02 * number for number in range(1, 16))


def test_a_killed_run_leaves_a_usable_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = fleet(tmp_path / "fleet")
    expected = answers(root, capsys, "--no-cache")
    for delay in kills():
        process = start(root, *VERBS[1])
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert answers(root, capsys) == expected


# The store itself.


def test_names_are_found_by_file_and_survive_merging(tmp_path: Path) -> None:
    """More writes than segments are kept: what the first one said is still found."""
    from offhook.facts import pack_facts
    from offhook.source import InventoryFile

    store = Store(tmp_path / "x.db")
    for number in range(60):
        text = f"user{number}: {{extension: '{number}', password: secret:u, site: berlin}}\n".encode()
        file = InventoryFile(f"inventory/accounts/{number}.yaml", "account", f"{number:040x}", lambda text=text: text)
        store.put({(file.path, file.blob): pack_facts(file, with_names=True)})
    again = Store(tmp_path / "x.db")
    for number in range(60):
        assert again.where(f"=account/user{number}") == [(f"inventory/accounts/{number}.yaml", f"{number:040x}")]
        assert again.where(f"=watch/{number}")
    assert len(again.where("sip/berlin")) == 60
    assert again.where("account/user1") == []


def test_a_wrong_checksum_is_noticed(tmp_path: Path) -> None:
    store = Store(tmp_path / "x.db")
    store.remember({("a",): [1, 2, 3]})
    assert store.memo(("a",)) == [1, 2, 3]
    assert store.memo(("b",)) is None
    store._base.execute("update memos set value = ?", (b"\x00" * 8,))
    with pytest.raises(StoreDamaged):
        store.memo(("a",))
