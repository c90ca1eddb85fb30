"""The JSON that verbs answer with is what schema/output/ says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

import inventories
import repositories
from offhook.cli.run import run
from offhook.publish.releases.records import add_release
from offhook.publish.releases.release import Phones, Release

MAC = "0021f2000001"
CALLS = {
    "check": ["check", "--format", "json"],
    "compile": ["compile", "--out", "OUT", "--format", "json"],
    "show": ["show", MAC, "--format", "json"],
    "diff": ["diff", "HEAD~1", "--format", "json"],
    "why": ["why", MAC, "account.1.label", "--format", "json"],
    "blame": ["blame", MAC, "--format", "json"],
    "log": ["log", MAC, "--format", "json"],
    "publish": ["publish", "production", "--format", "json"],
    "status": ["status", "production", "--format", "json"],
    "releases": ["releases", "production", "--format", "json"],
    "clock": ["clock", "--at", "2026-03-25", "--format", "json"],
    "report": ["report", "production", "--from", "1", "--format", "json"],
    "boot": ["boot", MAC, "--from", (inventories.ROOT / "site").as_uri() + "/", "--format", "json"],
    "swarm": ["boot", "--swarm", "7", "--spread", "0s", "--from", "ROOT/", "--seed", "1", "--format", "json"],
    "provision-page": ["provision-page", "production", "--format", "json"],
    "verify": ["verify", "production", "--via", "ROOT", "--format", "json"],
    "rollout": ["deploy", "production", "--no-notify", "--format", "json"],
    "notify": ["notify", "production", "--all", "--dry-run", "--format", "json"],
}

HISTORY = {"diff", "why", "blame", "log", "releases", "report"}
PUBLISHED = {"publish", "status", "verify", "swarm", "notify", "rollout"}


def history(folder: Path) -> Path:
    """Two commits, with each kind of change between them."""
    root = repositories.start(folder)
    files = inventories.minimal()
    files["fleet.yaml"]["limits"] = {"changed": "30%"}
    files["phonebooks/all.yaml"] = {"company": {"contacts": [{"name": "Taxi", "numbers": {"office": "1"}}]}}
    phones = files["phones/all.yaml"]
    phones |= {f"0021f200000{number}": {"model": "FIP14G", "accounts": ["bob"]} for number in (2, 3, 4)}
    files["accounts/all.yaml"]["bob"]["max_phones"] = "4"
    repositories.commit(root, files)
    files["fleet.yaml"]["limits"] = {"changed": "90%"}
    files["accounts/all.yaml"]["alice"]["display_name"] = "Alice"
    files["accounts/all.yaml"]["bob"]["display_name"] = "Bob"
    files["phonebooks/all.yaml"]["company"]["contacts"] = []
    phones["0021f2000002"]["retired"] = "true"
    phones["0021f2000005"] = phones.pop("0021f2000003")
    source = repositories.commit(root, files, "Merge pull request #12 from anna/topic")
    who, where = "Anna <anna@example.com>", "s3://phones"
    release = Release(1, "production", source, "2026-11-23T10:21:00Z", who, where, "0", "flat", "a" * 64, "b", 1, 0, 0)
    add_release(root, release, Phones())
    add_release(root, replace(release, number=2, commit="", rollback_of=1, outcome={"notified": 0.5}), Phones())
    return root


def published(folder: Path) -> Path:
    """A fleet with a folder to be published to."""
    root = repositories.start(folder)
    files = inventories.minimal()
    files["fleet.yaml"]["environments"] = {"production": {"url": "https://prov.example.com/", "publish": "../root"}}
    repositories.commit(root, files)
    (root.parent / "root").mkdir()
    return root


def test_every_schema_has_a_verb() -> None:
    names = {path.name.split(".")[0] for path in (inventories.ROOT / "schema/output").glob("*.json")}
    assert names == {*CALLS, "serve"}  # its lines are held against their schema wherever a test reads one


@pytest.mark.parametrize("verb", sorted(CALLS))
@pytest.mark.parametrize("is_broken", [False, True])
def test_the_answer_fits_its_schema(
    verb: str, is_broken: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_broken and verb != "check":
        return
    monkeypatch.setenv("OFFHOOK_SECRET_BERLIN_ALICE", "a-password")
    root = inventories.ROOT
    if verb in HISTORY:
        root = history(tmp_path / "fleet")
    if verb in PUBLISHED:
        root = published(tmp_path / "fleet")
        assert run(["-C", str(root), "publish", "production"]) == 0
        capsys.readouterr()
    if is_broken:
        root = inventories.write_inventory(tmp_path, inventories.minimal() | {"sites/all.yaml": "x: {y: 1}\n"})
    places = {"OUT": str(tmp_path / "out"), "ROOT": (tmp_path / "root").as_uri()}
    call = [places.get(one.rstrip("/"), one) for one in CALLS[verb]]
    code = run(["-C", str(root), *call])
    said = capsys.readouterr()
    assert code == int(is_broken), said.err
    answer = json.loads(said.out)
    schema = json.loads((inventories.ROOT / f"schema/output/{verb}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(answer, schema, cls=jsonschema.Draft202012Validator)
    assert set(answer) == set(schema["properties"]) or verb == "boot"
    if verb == "releases":
        assert [one["signature"] is None for one in answer["releases"]] == [True, False]
    if verb == "diff":
        assert all(answer[part] for part in ("policy", "added", "removed", "retired", "cutoff", "groups", "phonebooks"))
