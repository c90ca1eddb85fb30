"""Who said so, since when: what a reader is shown of layers, commits, pull requests and the ends of history.

That blame and log find the right commits in any history is held by test_replay.py.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from click import unstyle
from hypothesis import HealthCheck, given, settings

import inventories
import repositories
from offhook.cli.run import run
from offhook.compile import read_fleet
from offhook.document import parse
from offhook.git.repository import Commit
from offhook.history import blame, log, why
from offhook.history.reviews import review_of
from offhook.problem import OffhookError
from offhook.store import Store

MAC = "0021f2000001"


def layered() -> dict[str, Any]:
    """An inventory where every layer says the time format, and a key stands in a profile and on the phone."""
    files = inventories.minimal()
    name = "local_time.time_format"
    files["fleet.yaml"] |= {"settings": {name: "0"}, "models": {"FIP14G": {"settings": {name: "1"}}}}
    files["sites/all.yaml"]["berlin"]["settings"] = {name: "0"}
    files["profiles/all.yaml"] = {
        "desk": {"settings": {name: "1"}, "keys": {"5": {"speed-dial": "1", "label": "Taxi"}}},
    }
    files["phones/all.yaml"][MAC] |= {
        "profiles": ["desk"],
        "settings": {name: "0"},
        "keys": {"5": {"blf": "bob"}},
    }
    return files


def root_of(tmp_path: Path, files: dict[str, Any]) -> Path:
    root = repositories.start(tmp_path / "fleet")
    repositories.commit(root, files)
    return root


def test_why_names_every_layer_the_winner_first(tmp_path: Path) -> None:
    root = root_of(tmp_path, layered())
    found = why(root, MAC, "local_time.time_format", store=Store(None))
    assert [(one.layer, one.value, one.wins) for one in found.reasons] == [
        (f"phones/{MAC}", "0", True),
        ("profiles/desk", "1", False),
        ("sites/berlin", "0", False),
        ("models/FIP14G", "1", False),
        ("fleet", "0", False),
    ]
    for one in found.reasons:
        lines = (root / one.mark.file).read_text().splitlines()
        assert lines[one.mark.line - 1].endswith(f"local_time.time_format: '{one.value}'")


def test_why_of_a_key_and_of_a_registrar(tmp_path: Path) -> None:
    files = layered()
    files["accounts/all.yaml"]["alice"]["sip"] = {"server": "own.example.com"}
    files["sites/all.yaml"]["berlin"]["sip"] = {"server": "site.example.com"}
    root = root_of(tmp_path, files)
    store = Store(None)

    def layers(parameter: str) -> list[tuple[str, str]]:
        return [(one.layer, one.value) for one in why(root, MAC, parameter, store=store).reasons]

    assert (
        layers("linekey.5.value")
        == [
            ("accounts/bob", "0102"),
            (f"phones/{MAC}", "bob"),
            ("profiles/desk", "1"),
            ("compiler", "0"),
        ][:3]
    )
    assert layers("linekey.5.type")[-1] == ("compiler", "0")
    assert layers("account.1.sip_server_host") == [
        ("accounts/alice", "own.example.com"),
        ("sites/berlin", "site.example.com"),
        ("fleet", "pbx.example.com"),
    ]
    assert layers("account.1.sip_server_port") == [("compiler", "5060")]


def test_why_of_a_key_that_a_profile_plans_too(tmp_path: Path) -> None:
    """Of each who plans it, that field of the key, as written; and since when, also of a field that nobody wrote."""
    files = inventories.minimal()
    files["fleet.yaml"]["vars"] = {"park": "700"}
    files["profiles/all.yaml"] = {"desk": {"keys": {"8": {"park": "{{ fleet.vars.park }}", "label": "Park"}}}}
    files["phones/all.yaml"][MAC] |= {"profiles": ["desk"], "keys": {"8": {"speed-dial": "99", "label": "Own"}}}
    root = root_of(tmp_path, files)
    first = repositories.git(root, "rev-parse", "HEAD")
    files["phones/all.yaml"][MAC]["keys"]["6"] = {"speed-dial": "98"}
    second = repositories.commit(root, files, "key 6")
    files["phones/all.yaml"][MAC]["keys"]["6"]["label"] = "Six"
    repositories.commit(root, files, "label of key 6")
    store = Store(None)

    def said(field: str) -> list[tuple[str, str, str]]:
        reasons = why(root, MAC, f"linekey.8.{field}", store=store).reasons
        return [(one.layer, one.value, one.about.id) for one in reasons if one.layer != "compiler"]

    assert said("label") == [(f"phones/{MAC}", "Own", first), ("profiles/desk", "Park", first)]
    assert said("type") == [(f"phones/{MAC}", "13", first), ("profiles/desk", "10", first)]
    assert said("value") == [(f"phones/{MAC}", "99", first), ("profiles/desk", "{{ fleet.vars.park }}", first)]
    line = why(root, MAC, "linekey.6.line", store=store)
    assert (line.since.id, line.reasons[0].about.id) == (second, second)


def test_why_of_an_expression_leads_to_what_it_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = inventories.minimal()
    files["sites/all.yaml"]["berlin"]["vars"] = {"door": "30", "else": "1"}
    files["fleet.yaml"]["vars"] = {"prefix": "9"}
    files["profiles/all.yaml"] = {
        "desk": {
            "vars": {"name": "Door"},
            "keys": {"9": {"speed-dial": "{{ fleet.vars.prefix }}{{ site.vars['door'] }}"}},
        },
        "night": {"vars": {"name": "Gate"}, "keys": {"9": {"speed-dial": "1", "label": "{{ phone.vars.name }}"}}},
    }
    files["phones/all.yaml"][MAC]["profiles"] = ["desk"]
    root = root_of(tmp_path, files)
    first = repositories.git(root, "rev-parse", "HEAD")
    files["sites/all.yaml"]["berlin"]["vars"]["door"] = "31"
    door = repositories.commit(root, files, "door (#7)")
    found = why(root, MAC, "linekey.9.value", store=Store(None))
    assert (found.value, found.since.id, found.review) == ("931", door, "#7")
    assert [(one.layer, one.value, one.about.id, one.review) for one in found.reads] == [
        ("fleet", "9", first, None),
        ("sites/berlin", "31", door, "#7"),
    ]
    assert run(["-C", str(root), "why", MAC, "linekey.9.value"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("Anna  #7")
    assert [line[:4] for line in lines[1:4]] == ["> 93", "< 9 ", "< 31"]
    assert run(["-C", str(root), "why", MAC, "linekey.9.value", "--format", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["since"]["review"] == "#7"
    assert [one["line"] for one in answer["reads"]] == [one.mark.line for one in found.reads]
    files["phones/all.yaml"][MAC]["profiles"] = ["desk", "night"]
    repositories.commit(root, files)
    (read,) = why(root, MAC, "linekey.9.label", store=Store(None)).reads
    assert (read.layer, read.value) == ("profiles/night", "Gate")


def test_why_tells_when_a_layer_spoke_and_when_the_phone_came(tmp_path: Path) -> None:
    files = inventories.minimal()
    files["sites/all.yaml"]["lyon"] = {"utc_offset": "+1"}
    root = root_of(tmp_path, files)
    files["sites/all.yaml"]["lyon"]["utc_offset"] = "+2"
    spoke = repositories.commit(root, files, "summer in Lyon")
    files["phones/all.yaml"][MAC]["site"] = "lyon"
    came = repositories.commit(root, files, "Alice moves to Lyon")
    found = why(root, MAC, "local_time.time_zone", store=Store(None))
    assert found.since.id == came
    assert [(one.layer, one.about.id) for one in found.reasons] == [("sites/lyon", spoke)]
    assert blame(root, MAC, store=Store(None))["local_time.time_zone"].commit == came


def test_what_is_not_told_is_refused_with_a_next_step(tmp_path: Path) -> None:
    root = root_of(tmp_path, layered())
    with pytest.raises(OffhookError) as refused:
        why(root, MAC, "local_time.time_fromat", store=Store(None))
    assert refused.value.hint.startswith("near: local_time.time_format")
    for function in (blame, lambda *call, **more: why(*call, "linekey.1.type", **more)):
        with pytest.raises(OffhookError, match="there is no phone 0021f2000009 at HEAD"):
            function(root, "0021f2000009", store=Store(None))
    assert log(root, "0021f2000009", store=Store(None)) == []


def test_what_is_not_there_is_said_with_what_is_near(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = layered()
    files["fleet.yaml"]["language"] = "3"
    files["fleet.yaml"]["environments"] = {
        "lab": {"url": "https://lab.example.com/", "phones": {"sites": ["lyon"]}},
        "production": {"url": "https://example.com/"},
    }
    files["fleet.yaml"]["default_environment"] = "production"
    files["sites/all.yaml"]["lyon"] = {"utc_offset": "+1"}
    call = ["-C", str(root_of(tmp_path, files))]

    def refused(*words: str) -> list[str]:
        assert run([*call, *words]) == 1
        return capsys.readouterr().err.splitlines()

    for verb in (["why", MAC, "lang.gui"], ["blame", MAC], ["log", MAC]):
        assert refused(*verb, "--env", "lab") == [
            f'error: {MAC} is no phone of the environment "lab"',
            "  --env NAME asks for another one: production",
        ]
    assert refused("log", "0021f2000009") == [
        "error: no commit up to HEAD has a phone 0021f2000009",
        f"  near: {MAC}",
    ]
    mistyped = refused("log", MAC, "local_time.time_fromat")
    assert mistyped[0] == f"error: {MAC} is not told local_time.time_fromat"
    assert mistyped[1].startswith("  near: local_time.time_format")
    assert refused("why", MAC, "language")[1] == "  language is a word of the inventory: the phone is told lang.gui"
    absent = refused("why", MAC, "linekey.10.value")
    assert "linekey.10.value" not in absent[1]
    assert "linekey.10.type" in absent[1]


def test_the_other_dialect_s_spelling_is_understood(tmp_path: Path) -> None:
    root = root_of(tmp_path, layered())
    found = why(root, MAC, "account.1.sip_server.1.address", store=Store(None))
    assert found.parameter == "account.1.sip_server_host"


# Pruned to the winners, an inventory compiles to the same.


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(inventories.fleets())
def test_every_value_can_be_rebuilt_from_its_reported_winner(files: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rebuild(inventories.write_inventory(Path(folder) / "made", files), Path(folder) / "pruned")


def test_the_example_can_be_rebuilt_from_its_reported_winners(tmp_path: Path) -> None:
    assert rebuild(inventories.ROOT, tmp_path) >= 2


def rebuild(root: Path, folder: Path) -> int:
    """Take out what no setting is reported to come from, and see every phone told the same; return how much it was.

    A winner that is reported wrongly would be taken out with the rest, and its value would change.
    """
    fleet = read_fleet(root)
    resolver = fleet.resolver()
    used: set[tuple[str, tuple[str, ...]]] = set()
    for phone in fleet.inventory.phones.values():
        for said in resolver.trace(phone).values():
            key = () if said.entity.key is None else (said.entity.key,)
            if said.path:
                used.add((said.entity.file.path, (*key, *map(str, said.path))))
    pruned: dict[str, Any] = {}
    removed = 0
    for file in fleet.source.files:
        content: Any = parse(file.path, file.content)[0].value
        if file.kind == "secret":
            content = file.content.decode()
        else:
            removed += prune(content, (), {path for place, path in used if place == file.path})
        pruned[file.path.removeprefix("inventory/")] = content
    again = read_fleet(inventories.write_inventory(folder, pruned))
    other = again.resolver()
    for mac, phone in fleet.inventory.phones.items():
        assert other.resolve(again.inventory.phones[mac]).values == resolver.resolve(phone).values
    return removed


WORDS = {"settings", "settings_unchecked", "retired", "sip", "language", "utc_offset", "phonebooks", "keys"}
WORDS |= {"display_name", "label", "auth_name"}


def prune(value: Any, path: tuple[str, ...], used: set[tuple[str, ...]]) -> int:
    """Remove every word that says something to phones and that no used path leads into; return how many."""
    removed = 0
    for key in list(value):
        inner = (*path, key)
        is_word = any(part in WORDS for part in inner) and "environments" not in inner
        if key == "retired" and not isinstance(value[key], dict):
            continue  # of a phone: it says nothing itself
        if is_word and not any(one[: len(inner)] == inner or inner[: len(one)] == one for one in used):
            del value[key]
            removed += 1
        elif isinstance(value[key], dict) and inner not in used:
            removed += prune(value[key], inner, used)
    return removed


# Pull requests.


@pytest.mark.parametrize(
    ("message", "review"),
    [
        ("Merge pull request #12 from anna/topic\n\nA title", "#12"),
        ("A title (#34)\n\n* one\n* two", "#34"),
        ("A title that mentions #34", None),
        ("Merge branch 'topic' into 'main'\n\nA title\n\nSee merge request phones/fleet!56\n", "!56"),
        ("A title\n\nPull-Request: #7\n", "#7"),
        ("A title\n\nPR-URL: https://example.com/acme/fleet/pull/8\n", "#8"),
        ("A title\n\nReviewed-on: https://git.example.com/acme/fleet/pulls/9\n", "#9"),
        ("A title\n\nSee #7 for more", None),
        ("", None),
        ('Revert "Merge pull request #12 from anna/topic"\n\nThis reverts commit abc.', None),
        ('Revert "A title (#12)"\n\nThis reverts commit abc.', None),
        ('Revert "A title (#12)" (#13)', "#13"),
        ("A title\n\nPR: 5\nis what they call it.\n\nThat is all", None),
        ("A title\n\nPR: 5\nis what they call it.", None),
        ("A title\n\nSome words\n\nPR: 5\nSigned-off-by: Anna <a@example.com>", "#5"),
        ("A title\r\n\r\nPull-Request: #7\r\n", "#7"),
        ("A title (#34)\r\n\r\nwords\r\n", "#34"),
        ("A title\n\npull-request: #7\n", "#7"),
        ("Merged in anna/topic (pull request #3)\n\nA title", "#3"),
        ("Merged PR 4: A title", "#4"),
    ],
)
def test_which_pull_request_a_message_names(message: str, review: str | None) -> None:
    assert review_of(Commit("a" * 40, (), "Anna", "anna@example.com", 0, 0, 0, message, False)) == review


@pytest.mark.parametrize("claim", ["", " (#1)", "\n\nWords.\n\nReviewed-on: https://example.com/pull/2"])
def test_a_commit_is_named_by_the_merge_that_brought_it(claim: str, tmp_path: Path) -> None:
    files = inventories.minimal()
    root = root_of(tmp_path, files)
    repositories.git(root, "checkout", "-q", "-b", "topic")
    files["sites/all.yaml"]["berlin"]["utc_offset"] = "+1"
    topic = repositories.commit(root, files, f"Berlin is at +1{claim}")
    repositories.git(root, "checkout", "-q", "main")
    (root / "notes").write_text("other\n")
    repositories.commit(root, message="notes")
    repositories.git(root, "merge", "-q", "--no-ff", "-m", "Merge pull request #12 from anna/topic", "topic")
    found = blame(root, MAC, store=Store(None))["local_time.time_zone"]
    assert (found.commit, found.review) == (topic, "#12")
    assert [entry.review for entry in log(root, MAC, store=Store(None)) if entry.commit == topic] == ["#12"]
    reasons = why(root, MAC, "local_time.time_zone", store=Store(None)).reasons
    assert [one.review for one in reasons] == ["#12"]


# What is printed.


def test_an_author_s_name_cannot_rewrite_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = root_of(tmp_path, inventories.minimal())
    message = "title \x1b[2J\x07 \u202eevil"
    repositories.git(root, "commit", "-q", "--amend", "-m", message, "--author", "A\x1b]0;x\x07 <a@example.com>")
    for verb in (["log", MAC], ["blame", MAC], ["why", MAC, "account.1.enable"]):
        assert run(["-C", str(root), *verb]) == 0
        said = unstyle(capsys.readouterr().out)
        assert not any(letter in said for letter in "\x1b\x07\u202e"), verb


def test_lines_keep_to_the_terminal_s_width(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = layered()
    files["phones/all.yaml"][MAC]["settings_unchecked"] = {"a.rather.long.name.of.nothing": "words " * 30 + "end"}
    root = root_of(tmp_path, files)
    files["phones/all.yaml"][MAC]["settings_unchecked"]["a.rather.long.name.of.nothing"] = "words " * 30 + "END"
    repositories.commit(root, files, "subject " * 400)
    for columns in (80, 132):
        monkeypatch.setenv("COLUMNS", str(columns))
        for verb in ("blame", "log"):
            assert run(["-C", str(root), verb, MAC]) == 0
            lines = unstyle(capsys.readouterr().out).splitlines()
            assert max(map(len, lines)) <= columns, verb
            assert verb == "log" or any(line.startswith("a.rather.long.name.of.nothing ") for line in lines)
            assert verb == "blame" or any("end -> " in line and line.endswith("END") for line in lines)


def test_the_verbs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = layered()
    root = root_of(tmp_path, files)
    files["phones/all.yaml"][MAC]["settings"] = {"local_time.time_format": "1"}
    head = repositories.commit(root, files, "24 hours for Alice")
    call = ["-C", str(root)]
    assert run([*call, "log", "00:21:F2:00:00:01", "-n", "1"]) == 0
    assert capsys.readouterr().out == (
        f"{head[:10]}  2023-11-14 23:13 +0100  Anna\n"
        "  24 hours for Alice\n"
        "  not signed\n"
        "    local_time.time_format  0 -> 1\n"
    )
    assert run([*call, "log", MAC, "lang.gui"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"no commit changed lang.gui of {MAC}\n")
    assert run([*call, "blame", MAC, "--rev", "HEAD~1", "--format", "json"]) == 0
    commits = {one["commit"] for one in json.loads(capsys.readouterr().out)["settings"].values()}
    assert commits == {repositories.git(root, "rev-parse", "HEAD~1")}
    assert run([*call, "why", "nonsense", "lang.gui"]) == 2
    assert run([*call, "why", MAC, "local_time.time_format"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"local_time.time_format = 1  on {MAC} since {head[:10]}  2023-11-14  Anna"
    assert lines[1].startswith(f"> 1  phones/{MAC}  inventory/phones/all.yaml:")
