"""No secret reaches the tree, an output, or a file that another phone could read."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import inventories
import peers
from offhook.problem import Problem
from offhook.secrets.names import SecretNames, link_names, read_file
from offhook.secrets.reference import secret_name, variable
from offhook.source import InventoryFile

KEY = inventories.ROOT / "docs" / "PUBLIC-demo-age-key.txt"


def opened() -> dict[str, str]:
    """The example fleet's secrets, opened by the real sops with the public demo key: name -> value."""
    sops = peers.program("sops")
    values = {}
    for path in sorted((inventories.ROOT / "inventory/secrets").glob("*.yaml")):
        made = subprocess.run(
            [sops, "decrypt", "--output-type", "json", str(path)],
            env=os.environ | {"SOPS_AGE_KEY_FILE": str(KEY)},
            capture_output=True,
            check=True,
        )
        for folder, inner in json.loads(made.stdout).items():
            values |= {f"{folder}/{name}": value for name, value in inner.items()}
    return values


@pytest.mark.peer
def test_no_secret_of_the_example_is_in_the_tree_or_any_output(tmp_path: Path) -> None:
    values = opened()
    assert len(values) == 10
    fleet = inventories.read(inventories.ROOT)
    said = [file.text for layout in ("flat", "layered") for file in _tree(tmp_path / layout, layout)]
    root = str(inventories.ROOT)
    calls = [["check", "--format", "json"], ["compile", "--out", str(tmp_path / "out")]]
    calls += [["show", mac, *more] for mac in fleet.inventory.phones for more in ([], ["--format", "json"])]
    calls += [["boot", mac, "--from", (inventories.ROOT / "site").as_uri() + "/"] for mac in fleet.inventory.phones]
    for call in calls:
        made = subprocess.run(["offhook", "-C", root, "-v", *call], capture_output=True, text=True, check=True)
        said += [made.stdout, made.stderr]
    said += [path.read_text() for path in (inventories.ROOT / "site").rglob("*") if path.is_file()]
    for name, value in values.items():
        secret = value.rpartition(":")[2]
        assert not [text for text in said if secret in text], name


def _tree(folder: Path, layout: str) -> list[inventories.File]:
    for path in (inventories.ROOT / "inventory").rglob("*.yaml"):
        relative = path.relative_to(inventories.ROOT / "inventory")
        text = path.read_text().replace("    url: ", f"    layout: {layout}\n    url: ")
        inventories.write_inventory(folder, {str(relative): text})
    return inventories.files(inventories.read(folder))


@pytest.mark.parametrize("layout", ["flat", "layered"])
def test_references_stand_in_phones_own_files_only(layout: str, tmp_path: Path) -> None:
    for file in _tree(tmp_path, layout):
        if "secret:" in file.text:
            assert file.owner
            assert file.owner in file.path


def read_names(files: list[InventoryFile]) -> tuple[SecretNames, list[Problem]]:
    read = [(file.path, *read_file(file)) for file in files]
    names, problems = link_names((path, one) for path, one, _ in read)
    return names, [problem for _, _, found in read for problem in found] + problems


@pytest.mark.peer
def test_names_are_read_without_a_key() -> None:
    files = [
        InventoryFile(str(path.relative_to(inventories.ROOT)), "secret", "", path.read_bytes)
        for path in sorted((inventories.ROOT / "inventory/secrets").glob("*.yaml"))
    ]
    names, problems = read_names(files)
    assert problems == []
    assert names.complete
    assert set(names.marks) == set(opened())


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["yaml", "json"])
def test_names_of_files_that_sops_made(kind: str, tmp_path: Path) -> None:
    sops = peers.program("sops")
    plain = {"a": {"b": "one", "c": {"d": "two\nlines"}}, "e": "three"}
    path = tmp_path / f"x.{kind}"
    path.write_text(json.dumps(plain))
    recipient = KEY.read_text().partition("public key: ")[2].splitlines()[0]
    subprocess.run(
        [sops, "encrypt", "-i", "--age", recipient, str(path)], check=True, capture_output=True, cwd=tmp_path
    )
    names, problems = read_names([InventoryFile("inventory/secrets/x." + kind, "secret", "", path.read_bytes)])
    assert problems == []
    assert sorted(names.marks) == ["a/b", "a/c/d", "e"]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("secret:berlin/alice", "berlin/alice"),
        ("secret:a", "a"),
        ("secret:", None),
        ("secret:/a", None),
        ("secret:a//b", None),
        ("secret:../b", None),
        ("secret:a b", None),
        ("secret:a\n", None),
        ("alice", None),
    ],
)
def test_what_a_reference_is(value: str, name: str | None) -> None:
    assert secret_name(value) == name


def test_the_variable_of_a_secret() -> None:
    assert variable("berlin/alice") == "OFFHOOK_SECRET_BERLIN_ALICE"
    assert variable("web-1.x/a_b") == "OFFHOOK_SECRET_WEB_1_X_A_B"
