"""What a hostile pull request, a careless shell or a full disk once broke: each a case of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import inventories
from offhook.cli.run import run
from offhook.compile import read_fleet

MAC = "0021f2000001"


def problems(folder: Path, **phone: object) -> list[str]:
    files = inventories.minimal()
    files["phones/all.yaml"][MAC] |= phone
    return [one.id for one in read_fleet(inventories.write_inventory(folder, files)).problems]


@pytest.mark.parametrize("text", ["{{ 1e400 }}", "{{ 1e999 ~ 1 }}", "{{ 1.5 }}"])
def test_a_fraction_in_an_expression_is_refused(text: str, tmp_path: Path) -> None:
    assert problems(tmp_path, keys={"5": {"speed-dial": text}}) == ["expression"]


@pytest.mark.parametrize("text", ["http://u:hunter2@h/", "sip:u:hunter2@h", "ftp://:hunter2@h/x"])
def test_a_password_in_an_address_is_refused_wherever_it_stands(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert problems(tmp_path, keys={"5": {"speed-dial": text}}) == ["clear-secret"]
    assert run(["-C", str(tmp_path), "compile"]) == 1
    said = capsys.readouterr()
    assert "hunter2" not in said.out + said.err
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    "check", ["clear-secret", "misplaced-secret", "unsealed-secret", "unknown-secret", "yaml-syntax"]
)
def test_checks_that_guard_secrets_cannot_be_switched_off(check: str, tmp_path: Path) -> None:
    files = inventories.minimal()
    files["fleet.yaml"]["checks"] = {check: "off"}
    files["fleet.yaml"]["settings"] = {"auto_provision.server.password": "hunter2"}
    found = [one.id for one in read_fleet(inventories.write_inventory(tmp_path, files)).problems]
    assert found == ["fixed-check", "clear-secret"]


@pytest.mark.parametrize("name", ["a\x1b[31m.yaml", "a\n::error::b.yaml", "a\u202eb.yaml", b"\xff\xfe.yaml"])
def test_an_odd_file_name_is_refused_and_never_printed(
    name: str | bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inventories.write_inventory(tmp_path, inventories.minimal())
    Path(os.fsdecode(os.path.join(os.fsencode(tmp_path / "inventory/phones"), os.fsencode(name)))).write_text("x: {}\n")
    for style in ("text", "json", "github", "sarif", "junit"):
        assert run(["-C", str(tmp_path), "check", "--format", style]) == 1
        out = capsys.readouterr().out
        out.encode()
        assert "not-a-file" in out
        assert not {"\x1b", "\u202e"} & set(out)
        assert "\n::error::" not in out


def test_a_closed_or_full_output_is_no_bug(tmp_path: Path) -> None:
    inventories.write_inventory(tmp_path, inventories.minimal())
    command = f"{sys.executable} -m offhook -C {tmp_path}"
    for arguments, code in ((f"show {MAC} >&-", 0), (f"show {MAC} >/dev/full", 1), ("check >&- 2>&- <&-", 0)):
        made = subprocess.run(["bash", "-c", f"{command} {arguments}"], capture_output=True, text=True, check=False)
        assert made.returncode == code, made.stderr
        assert "bug" not in made.stderr


@pytest.mark.parametrize("out", ["/proc/x", "/dev/null/x", "x" * 300])
def test_a_folder_that_cannot_be_is_refused(out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inventories.write_inventory(tmp_path, inventories.minimal())
    assert run(["-C", str(tmp_path), "compile", "--out", out]) in (1, 2)
    assert "bug" not in capsys.readouterr().err


def test_git_s_own_folder_takes_no_tree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inventories.write_inventory(tmp_path, inventories.minimal())
    assert run(["-C", str(tmp_path), "compile", "--out", str(tmp_path / ".git")]) == 1
    assert "git's own folder" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_compile_that_is_ended_leaves_nothing(number: int, tmp_path: Path) -> None:
    files = inventories.minimal()
    phone = {"model": "FIP14G", "site": "berlin"}
    files["phones/all.yaml"] = {f"0021f2{index:06x}": phone for index in range(4000)}
    inventories.write_inventory(tmp_path, files)
    command = [sys.executable, "-m", "offhook", "-C", str(tmp_path), "compile"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    while process.poll() is None and not list(tmp_path.glob(".site.*")):
        time.sleep(0.005)
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode in (0, 130), said
    assert list(tmp_path.glob(".site.*")) == []
    assert (tmp_path / "site").exists() == (process.returncode == 0)


def test_a_revision_needs_no_inventory_in_the_work_tree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import shutil

    from test_cli import commit

    inventories.write_inventory(tmp_path / "fleet", inventories.minimal())
    commit(tmp_path / "fleet")
    shutil.rmtree(tmp_path / "fleet" / "inventory")
    assert run(["-C", str(tmp_path / "fleet"), "check", "--rev", "HEAD"]) == 0
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(tmp_path / "fleet"), str(bare)], check=True)
    assert run(["-C", str(bare), "check", "--rev", "main"]) == 0
    capsys.readouterr()


def test_a_hidden_line_break_is_one_problem(tmp_path: Path) -> None:
    files = inventories.minimal()
    files["phones/all.yaml"] = f"# x\u0085y\n{MAC}: {{modle: x, model: FIP14G}}\n"
    found = read_fleet(inventories.write_inventory(tmp_path, files)).problems
    assert list(map(str, found)) == ["inventory/phones/all.yaml:1:4: a hidden line break: U+0085 [control-character]"]


def test_a_hidden_phone_file_is_named(tmp_path: Path) -> None:
    files = inventories.minimal() | {"phones/.munich.yaml": f"{MAC}: {{model: FIP14G}}\n"}
    found = read_fleet(inventories.write_inventory(tmp_path, files)).problems
    assert [one.id for one in found] == ["stray-file"]
