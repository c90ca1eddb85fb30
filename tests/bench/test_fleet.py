"""The benchmarks compare like with like: the fleets are right, and the plain script does what offhook does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import plain_script
import yaml
from fleet import MODELS, write_fleet

OFFHOOK = Path(sys.executable).with_name("offhook")


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def entities(folder: Path, kind: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for file in sorted((folder / "inventory" / kind).glob("*.yaml")):
        found |= yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)
    return found


def test_a_seed_gives_one_fleet(tmp_path: Path) -> None:
    sizes = [write_fleet(tmp_path / name, 120, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b") != files_of(tmp_path / "c")
    assert sizes[0] == sum(map(len, files_of(tmp_path / "a").values()))


def test_a_fleet_has_the_phones_asked_for(tmp_path: Path) -> None:
    written = write_fleet(tmp_path, 3000, phones_per_file=40)
    phones, accounts, sites = (entities(tmp_path, kind) for kind in ("phones", "accounts", "sites"))
    assert (len(phones), len(accounts), len(sites)) == (3000, 3000, 6)
    assert 280 < written / 3000 < 340
    assert len({account["extension"] for account in accounts.values()}) == 3000
    models = [phone["model"] for phone in phones.values()]
    for model, per_cent, _ in MODELS:
        assert abs(models.count(model) / 30 - per_cent) < 3, model
    for phone in phones.values():
        for key in phone["keys"].values():
            watched = key.get("blf")
            assert watched is None or accounts[watched]["site"] == phone["site"]
            assert watched not in phone["accounts"]


def test_offhook_finds_nothing_wrong(tmp_path: Path) -> None:
    for phones in (1, 2, 5, 700):
        folder = tmp_path / str(phones)
        write_fleet(folder, phones)
        done = subprocess.run([OFFHOOK, "-C", folder, "check"], capture_output=True, text=True)
        assert (done.returncode, re.findall(r"^.*error.*$", done.stdout, re.MULTILINE)) == (0, [])


def test_the_plain_script_says_what_offhook_says(tmp_path: Path) -> None:
    write_fleet(tmp_path, 150)
    arguments = [str(tmp_path), str(tmp_path / "plain"), "--validator", "jsonschema-rs"]
    assert plain_script.main(arguments) == 0
    subprocess.run([OFFHOOK, "-C", tmp_path, "compile", "--out", tmp_path / "out"], check=True, capture_output=True)
    plain, compiled = (
        {name: _lines(content) for name, content in files_of(tmp_path / folder).items()} for folder in ("plain", "out")
    )
    del compiled[".offhook-index"]
    assert plain == compiled


def _lines(content: bytes) -> list[str]:
    """The lines that mean something to a phone, whatever their order and headings."""
    return sorted(line for line in content.decode().splitlines() if line and not line.startswith("#"))
