"""`offhook diff --only`: a change that touches a phone outside of what it names fails, and says which."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import inventories
import repositories
from offhook.cli.run import run
from offhook.diff import diff
from offhook.diff.scope import Scope, parse_scope
from offhook.problem import OffhookError
from offhook.store import Store

BERLIN, LYON, NOWHERE = "0021f2000001", "0021f2000002", "0021f2000003"


def fleet() -> dict[str, Any]:
    files = inventories.minimal()
    files["fleet.yaml"] |= {"utc_offset": "+0", "settings": {"local_time.time_format": "0"}}
    files["sites/all.yaml"] = {
        "berlin": {"utc_offset": "+1"},
        "lyon": {
            "utc_offset": "+1",
            "time_zone": "Europe/Paris",
            "maintenance": {"from": "02:00", "to": "05:00"},
        },
    }
    files["profiles/all.yaml"] = {"desk": {"settings": {"local_time.time_format": "0"}}}
    files["phones/all.yaml"] = {
        BERLIN: {"model": "FIP14G", "site": "berlin", "accounts": ["alice"]},
        LYON: {"model": "FIP13G", "site": "lyon", "profiles": ["desk"], "accounts": ["bob"]},
        NOWHERE: {"model": "FIP13G"},
    }
    return files


def edited(*path: str, value: Any) -> dict[str, Any]:
    """The fleet with one value changed; None takes it away."""
    files = fleet()
    place: Any = files
    for word in path[:-1]:
        place = place[word]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return files


SITE = ("sites/all.yaml", "berlin", "utc_offset")
EDITS: list[tuple[tuple[str, ...], Any, list[str], list[str], int]] = [
    (SITE, "+2", ["sites/berlin"], [], 0),
    (SITE, "+2", ["sites/lyon"], [BERLIN], 0),
    (SITE, "+2", ["sites/lyon", "models/fip14g"], [], 0),
    (SITE, "+2", ["phones/00:21:F2:00:00:01"], [], 0),
    (("profiles/all.yaml", "desk", "settings", "local_time.time_format"), "1", ["profiles/desk"], [], 0),
    (("profiles/all.yaml", "desk", "settings", "local_time.time_format"), "1", ["sites/berlin"], [LYON], 0),
    # a phone that comes or goes is judged where it is or was
    (("phones/all.yaml", LYON), None, ["sites/lyon"], [], 0),
    (("phones/all.yaml", LYON), None, ["sites/berlin"], [LYON], 0),
    (("phones/all.yaml", "0021f2000009"), {"model": "FIP10", "site": "lyon"}, ["sites/berlin"], ["0021f2000009"], 0),
    (("fleet.yaml", "settings", "local_time.time_format"), "1", ["sites/berlin"], [NOWHERE], 0),
    # a profile is shared: those of its phones that stand elsewhere are outside
    (("profiles/all.yaml", "desk", "settings", "local_time.time_format"), "1", ["sites/lyon"], [], 0),
    # a file may be touched, as long as nothing comes of it
    (("fleet.yaml", "description"), "Ours", ["sites/berlin"], [], 0),
    (("profiles/all.yaml", "unused"), {"settings": {"local_time.time_format": "1"}}, ["sites/berlin"], [], 0),
    # when a site may be changed is its own rule
    (("sites/all.yaml", "lyon", "maintenance", "from"), "12:00", ["sites/lyon"], [], 0),
    (("sites/all.yaml", "lyon", "maintenance", "from"), "12:00", ["sites/berlin"], [], 1),
    (("sites/all.yaml", "lyon", "maintenance", "from"), "12:00", ["phones/" + LYON], [], 1),
    (("sites/all.yaml", "lyon", "maintenance"), None, ["sites/berlin"], [], 2),
    (("sites/all.yaml", "lyon", "time_zone"), "Europe/Brussels", ["sites/berlin"], [], 1),
    (("sites/all.yaml", "lyon", "subnets"), ["192.0.2.0/24"], ["sites/berlin"], [], 1),
    (("sites/all.yaml", "berlin", "time_zone"), "Europe/Vienna", ["sites/lyon"], [], 0),
    # the rules are everybody's
    (("fleet.yaml", "limits"), {"changed": "90%"}, ["sites/berlin", "sites/lyon"], [], 1),
]


@pytest.mark.parametrize(("path", "value", "only", "phones", "rules"), EDITS)
def test_what_is_outside(
    path: tuple[str, ...], value: Any, only: list[str], phones: list[str], rules: int, tmp_path: Path
) -> None:
    root = repositories.start(tmp_path)
    repositories.commit(root, fleet())
    repositories.commit(root, edited(*path, value=value))
    found = diff(root, "HEAD~1", "HEAD", store=Store(None), only=only).outside
    assert found is not None
    assert ([phone.mac for phone in found.phones], found.rules) == (phones, rules)
    assert found.is_empty == (not (phones or rules))


def test_a_move_is_inside_of_both_sites_together(tmp_path: Path) -> None:
    root = repositories.start(tmp_path)
    repositories.commit(root, fleet())
    repositories.commit(root, edited("phones/all.yaml", BERLIN, "site", value="lyon") | {"sites/all.yaml": lyon()})
    for only, is_empty in ((["sites/lyon"], False), (["sites/berlin"], False), (["sites/berlin", "sites/lyon"], True)):
        found = diff(root, "HEAD~1", "HEAD", store=Store(None), only=only).outside
        assert found is not None
        assert found.is_empty == is_empty


@pytest.mark.parametrize(
    ("word", "value", "only", "outside"),
    [
        ("site", "lyon", ["sites/lyon"], [BERLIN]),
        ("site", "lyon", ["sites/berlin"], [BERLIN]),
        ("site", "lyon", ["sites/berlin", "sites/lyon"], []),
        ("profiles", ["quiet"], ["profiles/quiet"], [BERLIN]),
        ("profiles", ["quiet"], ["sites/berlin"], []),
    ],
)
def test_whose_phone_it_is_counts_where_no_setting_changes(
    word: str, value: Any, only: list[str], outside: list[str], tmp_path: Path
) -> None:
    before = fleet()
    before["profiles/quiet.yaml"] = {"quiet": {}}
    after = deepcopy(before)
    after["phones/all.yaml"][BERLIN][word] = value
    root = repositories.start(tmp_path)
    repositories.commit(root, before)
    repositories.commit(root, after)
    found = diff(root, "HEAD~1", "HEAD", store=Store(None), only=only)
    assert found.phones == ()
    assert found.outside is not None
    assert [phone.mac for phone in found.outside.phones] == outside


def test_a_site_that_is_renamed_is_two_sites(tmp_path: Path) -> None:
    after = edited(*SITE, value="+2")
    after["sites/all.yaml"]["potsdam"] = after["sites/all.yaml"].pop("berlin")
    after["phones/all.yaml"][BERLIN]["site"] = "potsdam"
    for name in ("alice", "bob"):
        after["accounts/all.yaml"][name]["site"] = "potsdam"
    root = repositories.start(tmp_path)
    repositories.commit(root, fleet())
    repositories.commit(root, after)
    for only, phones in (
        (["sites/berlin"], [BERLIN]),
        (["sites/potsdam"], [BERLIN]),
        (["sites/berlin", "sites/potsdam"], []),
    ):
        found = diff(root, "HEAD~1", "HEAD", store=Store(None), only=only).outside
        assert found is not None
        assert [phone.mac for phone in found.phones] == phones


def test_a_phonebook_is_everybodys_who_has_it(tmp_path: Path) -> None:
    """What accounts put into it is theirs: who changes a name may change it in everybody's phonebook."""
    before = fleet()
    taxi = {"contacts": [{"name": "Taxi", "numbers": {"office": "1"}}]}
    before["fleet.yaml"]["environments"] = {"production": {"url": "https://prov.example.com/"}}
    before["phonebooks/all.yaml"] = {name: deepcopy(taxi) for name in ("all", "lyon", "nobody")}
    before["phonebooks/all.yaml"]["all"]["from_accounts"] = "true"
    before["sites/all.yaml"]["lyon"]["phonebooks"] = ["all", "lyon"]
    before["sites/all.yaml"]["berlin"]["phonebooks"] = ["all"]
    root = repositories.start(tmp_path)
    repositories.commit(root, before)
    for books, only, outside in (
        (["lyon"], "sites/lyon", ()),
        (["lyon"], "sites/berlin", ("lyon",)),
        (["nobody"], "sites/berlin", ()),
        (["all", "lyon"], "sites/lyon", ("all",)),
        (["all", "lyon"], "models/FIP13G", ("all",)),
    ):
        after = deepcopy(before)
        for book in books:
            after["phonebooks/all.yaml"][book]["contacts"][0]["numbers"]["office"] = "2"
        repositories.commit(root, after)
        found = diff(root, "HEAD~1", "HEAD", store=Store(None), only=[only])
        assert found.outside is not None
        assert [book.id for book in found.phonebooks] == books
        assert (found.outside.phonebooks, found.outside.is_empty) == (outside, not outside)
        repositories.commit(root, before)
    after = deepcopy(before)
    after["accounts/all.yaml"]["alice"]["display_name"] = "Alice"
    repositories.commit(root, after)
    found = diff(root, "HEAD~1", "HEAD", store=Store(None), only=["sites/berlin"])
    assert [book.id for book in found.phonebooks] == ["all"]
    assert found.outside is not None
    assert found.outside.is_empty


def lyon() -> dict[str, Any]:
    """Sites of which a move from one to the other changes something."""
    return {"berlin": {"utc_offset": "+1"}, "lyon": {"utc_offset": "+1", "settings": {"local_time.time_format": "1"}}}


@pytest.mark.parametrize("text", ["", "berlin", "sites", "sites/", "/berlin", "rooms/1", "models/X1", "phones/12"])
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(OffhookError):
        parse_scope(text)


def test_scopes_are_canonical() -> None:
    assert parse_scope("models/fip11cp") == Scope("models", "FIP11C")
    assert parse_scope("phones/00-21-F2-00-00-01") == Scope("phones", BERLIN)
    assert parse_scope("sites/a/b") == Scope("sites", "a/b")


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = repositories.start(tmp_path)
    repositories.commit(root, fleet())
    repositories.commit(root, edited(*SITE, value="+2"))
    call = ["-C", str(root), "diff", "HEAD~1", "HEAD", "--exit-code"]
    assert run([*call, "--only", "sites/lyon"]) == 1
    errors = capsys.readouterr().err
    assert "error: 1 phone changes outside of sites/lyon\n  0021f2000001  FIP14G in berlin  changed\n" in errors
    assert run([*call, "--only", "sites/berlin"]) == 4
    assert capsys.readouterr().err.splitlines()[-1] == "nothing changes outside of sites/berlin"
    assert run([*call, "--only", "sites/lyon", "--format", "json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    jsonschema.validate(answer, json.loads((inventories.ROOT / "schema/output/diff.schema.json").read_text("utf-8")))
    assert answer["outside"] == {
        "only": ["sites/lyon"],
        "phones": [BERLIN],
        "rules": 0,
        "common": False,
        "phonebooks": [],
    }
    assert run([*call, "--only", "sites/lyonn"]) == 1
    assert 'neither side has "sites/lyonn"\n  near: lyon\n' in capsys.readouterr().err
