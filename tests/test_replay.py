"""Blame, log and diff against a slow oracle, over histories of a fleet in which everything happens that people do."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pygit2
import pytest
import yaml

import histories
from histories import Doc, Step, World
from offhook.diff import Diff, PhoneChange, diff
from offhook.flyingvoice.catalogue import find, find_model
from offhook.history import Entry, blame, log
from offhook.problem import OffhookError
from offhook.settings import Setting
from offhook.store import Store
from replay import Changes, Compiled, Oracle, State, changes

MAC = "0021f2000001"
LONG = [pytest.param((seed, 300), id=f"seed {seed}", marks=pytest.mark.long) for seed in range(3, 11)]
HISTORIES = [pytest.param((1, 300), id="seed 1"), pytest.param((2, 120), id="seed 2"), *LONG]
ENVIRONMENTS = pytest.mark.parametrize("environment", [None, "lab"])


@dataclass(frozen=True, slots=True)
class Replayed:
    """A history, compiled commit by commit. `operations` is commit -> what it does; `store` is for all its tests."""

    seed: int
    root: Path
    operations: dict[str, str]
    compiled: Compiled
    store: Store

    @property
    def commits(self) -> list[str]:
        """Every commit, the first one first."""
        return list(self.operations)

    def named(self, found: dict[str, Any]) -> dict[str, Any]:
        """Commits by what they do: a failure shows it."""
        return {f"{commit[:10]} {self.operations[commit]}": value for commit, value in found.items()}

    def revisions(self, count: int) -> list[str]:
        """HEAD, and some others; the same ones for every test."""
        return [self.commits[-1], *random.Random(self.seed).sample(self.commits, k=count)]

    def pairs(self) -> list[tuple[str, str]]:
        """Pairs of revisions: any two, and commits with their parents."""
        luck = random.Random(self.seed)
        far = [(one, other) for one, other in (luck.sample(self.commits, k=2) for _ in range(12))]
        near = luck.sample(self.commits, k=12)
        return far + [(parent, one) for one in near for parent in self.compiled.parents[one]]


@pytest.fixture(scope="module", params=HISTORIES)
def replayed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayed]:
    """A history by its seed and length."""
    seed, count = request.param
    written = histories.write_history(tmp_path_factory.mktemp("history") / "fleet.git", seed, count)
    store = Store(None)
    yield Replayed(seed, written.root, written.operations, Compiled(written.root), store)
    store.close()


# The history and the oracle themselves.


def test_everything_happens_in_a_long_history(replayed: Replayed) -> None:
    expected = {operation.__name__ for operation in histories.OPERATIONS} | set(histories.SHAPES)
    if len(replayed.operations) >= 300:
        assert expected <= set(replayed.operations.values())
    else:
        assert set(histories.SHAPES) <= set(replayed.operations.values())
    assert set(replayed.compiled.parents) == set(replayed.operations)


def test_most_commits_are_right(replayed: Replayed) -> None:
    fleets = list(replayed.compiled.fleets.values())
    right = [fleet for fleet in fleets if fleet is not None and not fleet.has_errors]
    assert 0.7 * len(fleets) < len(right) < 0.98 * len(fleets)


def test_a_seed_makes_one_history(tmp_path: Path) -> None:
    one, other = (histories.write_history(tmp_path / name, 5, 40) for name in ("one", "other"))
    assert one.operations == other.operations


def test_the_oracle_lists_what_git_log_does(replayed: Replayed, tmp_path: Path) -> None:
    """Each phone's state is a file of a second repository; git simplifies that file's history by itself."""
    oracle = Oracle(replayed.compiled)
    shadow = pygit2.init_repository(str(tmp_path), bare=True)
    who = pygit2.Signature("A", "a@example.com", 1_700_000_000, 0)
    ours: dict[str, pygit2.Oid] = {}
    for commit in replayed.commits:
        tree = shadow.TreeBuilder()
        for mac, state in oracle.states(commit).items():
            tree.insert(mac, shadow.create_blob(repr(sorted(state.items())).encode()), pygit2.enums.FileMode.BLOB)
        parents = [ours[parent] for parent in replayed.compiled.parents[commit]]
        ours[commit] = shadow.create_commit(None, who, who, commit, tree.write(), parents)
    for mac in oracle.macs():
        command = ["git", "log", "--format=%s", str(ours[replayed.commits[-1]]), "--", mac]
        listed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.split()
        assert set(oracle.log(mac, replayed.commits[-1]).entries) == set(listed)


# What is fast against what is slow.


def entries(found: list[Entry]) -> dict[str, Changes]:
    """Commit -> Changes, as `Listing.entries` has them."""
    return {entry.commit: {one.parameter: (one.old, one.new) for one in entry.changes} for entry in found}


def status(old: State | None, new: State | None) -> str:
    """What became of a phone."""
    return "added" if old is None else "removed" if new is None else "changed"


@ENVIRONMENTS
def test_log_lists_the_commits_that_changed_a_phone(replayed: Replayed, environment: str | None) -> None:
    oracle = Oracle(replayed.compiled, environment)
    for revision in replayed.revisions(1):
        for mac in oracle.macs():
            expected = oracle.log(mac, revision)
            found = log(replayed.root, mac, revision=revision, environment=environment, store=replayed.store)
            assert replayed.named(entries(found)) == replayed.named(expected.entries), mac
            assert expected.is_ordered([entry.commit for entry in found]), mac
            for entry in found:
                parents = replayed.compiled.parents[entry.commit]
                before = oracle.state(mac, parents[0]) if parents else None
                assert entry.status == status(before, oracle.state(mac, entry.commit))


@ENVIRONMENTS
def test_log_of_a_parameter_lists_what_changed_it(replayed: Replayed, environment: str | None) -> None:
    oracle = Oracle(replayed.compiled, environment)
    said = {(mac, name) for commit in replayed.commits for mac, one in oracle.states(commit).items() for name in one}
    luck = random.Random(replayed.seed)
    for mac, parameter in luck.sample(sorted(said), k=12):
        revision = luck.choice(replayed.revisions(1))
        expected = oracle.log(mac, revision, parameter)
        found = log(replayed.root, mac, parameter, revision, environment=environment, store=replayed.store)
        assert replayed.named(entries(found)) == replayed.named(expected.entries), (mac, parameter)
        assert expected.is_ordered([entry.commit for entry in found]), (mac, parameter)


@ENVIRONMENTS
def test_blame_names_the_commit_that_gave_each_value(replayed: Replayed, environment: str | None) -> None:
    oracle = Oracle(replayed.compiled, environment)
    for revision in replayed.revisions(3):
        for mac, state in oracle.states(revision).items():
            found = blame(replayed.root, mac, revision, environment=environment, store=replayed.store)
            said = oracle.explain(mac, revision)
            expected = {
                name: (one.value, one.layer, one.mark.file, one.mark.line, oracle.blame(mac, name, revision))
                for name, one in said.items()
            }
            got = {name: (one.value, one.layer, one.file, one.line, one.commit) for name, one in found.items()}
            assert set(expected) == set(state)
            assert got == expected, (mac, replayed.operations[revision])
        for mac in set(oracle.macs()) - set(oracle.states(revision)):
            with pytest.raises(
                OffhookError, match=r"there is no phone|is no phone of the environment|no such environment"
            ):
                blame(replayed.root, mac, revision, environment=environment, store=replayed.store)


def test_a_cold_store_knows_no_less(replayed: Replayed) -> None:
    oracle = Oracle(replayed.compiled)
    revision = replayed.commits[-1]
    for mac in sorted(oracle.states(revision))[:2]:
        found = blame(replayed.root, mac, revision, store=Store(None))
        assert {name: one.commit for name, one in found.items()} == {
            name: oracle.blame(mac, name, revision) for name in oracle.state(mac, revision) or ()
        }
        listed = log(replayed.root, mac, revision=revision, store=Store(None))
        assert entries(listed) == oracle.log(mac, revision).entries
        assert log(replayed.root, mac, revision=revision, limit=2, store=Store(None)) == listed[:2]


def compared(replayed: Replayed, old: str, new: str, environment: str | None) -> Diff:
    """What differs between two commits."""
    return diff(replayed.root, old, new, environment=environment, store=replayed.store)


@ENVIRONMENTS
def test_a_diff_makes_one_revision_of_the_other(replayed: Replayed, environment: str | None) -> None:
    oracle = Oracle(replayed.compiled, environment)
    for old, new in replayed.pairs():
        if environment and oracle.fleet(old) is None and oracle.fleet(new) is None:
            with pytest.raises(OffhookError, match="no environment"):
                compared(replayed, old, new, environment)
            continue
        found = compared(replayed, old, new, environment)
        before, after = oracle.states(old), oracle.states(new)
        expected = {
            mac: (
                status(before.get(mac), after.get(mac)) if mac in before or mac in after else "",
                changes(before.get(mac), after.get(mac)),
            )
            for mac in before.keys() | after.keys()
            if before.get(mac) != after.get(mac)
        }
        got = {
            phone.mac: (phone.status, {one.parameter: (value(one.old), value(one.new)) for one in phone.changes})
            for phone in found.phones
        }
        assert got == expected, (replayed.operations[old], replayed.operations[new])
        assert applied(found, plain(before)) == plain(after)
        for phone in found.phones:
            _check_sides(oracle, phone, old, new)


def value(side: Any) -> str | None:
    """A side's value."""
    return None if side is None else side.value


def plain(states: dict[str, State]) -> dict[str, dict[str, str]]:
    """Values alone."""
    return {mac: {name: text for name, (text, _) in state.items()} for mac, state in states.items()}


def applied(found: Diff, before: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """The settings of all phones at the head, made of those at the base by dictionary updates."""
    after = deepcopy(before)
    for phone in found.phones:
        values = after.setdefault(phone.mac, {})
        for change in phone.changes:
            assert values.pop(change.parameter, None) == value(change.old)
            if change.new is not None:
                values[change.parameter] = change.new.value
        if phone.status == "removed":
            assert after.pop(phone.mac) == {}
    return after


def _check_sides(oracle: Oracle, phone: PhoneChange, old: str, new: str) -> None:
    """Who says a value, and where, is what the revision's own resolver explains."""
    explained = [
        oracle.explain(phone.mac, commit) if phone.mac in oracle.states(commit) else {} for commit in (old, new)
    ]
    for change in phone.changes:
        for side, said in zip((change.old, change.new), explained, strict=True):
            one = said.get(change.parameter)
            assert (side and (side.layer, side.mark)) == (one and (one.layer, one.mark))


@ENVIRONMENTS
def test_a_diff_mirrors(replayed: Replayed, environment: str | None) -> None:
    oracle = Oracle(replayed.compiled, environment)
    turned = {"added": "removed", "removed": "added", "changed": "changed"}

    def rows(found: Diff, *, backwards: bool) -> dict[str, Any]:
        return {
            phone.mac: (
                turned[phone.status] if backwards else phone.status,
                {
                    (one.parameter, one.secret, *((one.new, one.old) if backwards else (one.old, one.new)))
                    for one in phone.changes
                },
            )
            for phone in found.phones
        }

    for old, new in replayed.pairs():
        if oracle.fleet(old) is None or oracle.fleet(new) is None:
            continue
        there, back = compared(replayed, old, new, environment), compared(replayed, new, old, environment)
        assert rows(there, backwards=False) == rows(back, backwards=True)
        assert compared(replayed, old, old, environment).is_empty


# Who says a value stands where it is said to stand.


@dataclass(frozen=True, slots=True)
class Node:
    """A key or a value of a YAML file: the path to it, and its text where it is a scalar."""

    path: tuple[str, ...]
    text: str | None
    is_key: bool


def nodes(content: bytes) -> dict[tuple[int, int], list[Node]]:
    """Line and column, from 1 -> what begins there, as PyYAML's own composer finds it."""
    found: dict[tuple[int, int], list[Node]] = {}

    def add(node: yaml.Node, path: tuple[str, ...], *, is_key: bool = False) -> None:
        text = node.value if isinstance(node, yaml.ScalarNode) else None
        place = (node.start_mark.line + 1, node.start_mark.column + 1)
        found.setdefault(place, []).append(Node(path, text, is_key))
        if isinstance(node, yaml.MappingNode):
            for key, inner in node.value:
                add(key, (*path, key.value), is_key=True)
                add(inner, (*path, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for number, inner in enumerate(node.value):
                add(inner, (*path, str(number)))

    add(yaml.compose(content, yaml.CBaseLoader), ())
    return found


def test_a_value_is_said_where_explain_points(replayed: Replayed) -> None:
    repository = pygit2.Repository(str(replayed.root))
    nodes_of = cache(lambda blob: nodes(repository[blob].data))
    oracle = Oracle(replayed.compiled)
    plain_settings = 0
    for revision in replayed.revisions(8):
        for mac in oracle.states(revision):
            for setting in oracle.explain(mac, revision).values():
                blob = repository[revision].tree[setting.mark.file].id
                here = nodes_of(blob).get((setting.mark.line, setting.mark.column), [])
                assert any(_is_of_layer(setting, mac, node.path) for node in here), setting
                plain_settings += _check_text(setting, here)
    assert plain_settings > 100


def _is_of_layer(setting: Setting, mac: str, path: tuple[str, ...]) -> bool:
    """Tell whether a path through the marked file lies in the entity that a layer is named after."""
    kind, _, name = setting.layer.partition("/")
    folder = setting.mark.file.split("/")[1]
    if kind in ("fleet", "environments", "models"):
        rest = {"fleet": path[:1], "environments": path[1:2], "models": path[1:2]}[kind]
        inner = {"fleet": bool(rest), "environments": rest == (name,), "models": _model(*rest) == name}[kind]
        return folder == histories.FLEET and inner and (kind == "fleet" or path[0] == kind)
    if kind == "compiler":  # nobody's word: the entry of the phone, or of the account that nothing gives a server
        return folder in ("phones", "accounts") and len(path) == 1
    return folder == kind and bool(path) and histories.canonical(kind, path[0]) == (mac if kind == "phones" else name)


def _model(name: str = "") -> str | None:
    found = find_model(name)
    return found.name if found else None


def _check_text(setting: Setting, here: list[Node]) -> bool:
    """Where a plain setting is marked, its own parameter stands there with the raw text of the value."""
    node = next((node for node in here if node.text is not None and not node.is_key), None)
    if node is None or len(node.path) < 2 or "{{" in (node.text or ""):
        return False
    section, name = node.path[-2:]
    if section == "settings_unchecked":
        assert (name, node.text) == (setting.parameter, setting.value)
    elif section in ("settings", "retired"):
        one, other = find(name), find(setting.parameter)
        assert one is not None
        assert other is not None
        assert one.name == other.name
        assert {"true": "1", "false": "0"}.get(node.text or "", node.text) == setting.value
    elif name in ("language", "utc_offset"):
        assert node.text == setting.value
    else:
        return False
    return True


# Small histories of what is hard to see: nothing that names the phone's own parts changed, or not where it looks.


def fleet() -> dict[str, Any]:
    """One phone with accounts on two servers; and two accounts of one extension, on two servers too."""

    def account(site: str, extension: str, **more: Any) -> dict[str, Any]:
        return {"site": site, "extension": extension, "password": f"secret:x/{extension}"} | more

    return {
        "fleet.yaml": {
            "sip": {"server": "pbx.example.com"},
            "secrets": {"provider": "env"},
            "settings": {"wui.https_enable": "1"},
            "environments": {"production": {"url": "https://prov.example.com/"}},
        },
        "sites/all.yaml": {
            "berlin": {"vars": {"boss": "carol"}, "settings": {"wui.https_enable": "0"}},
            "lyon": {},
            "porto": {"sip": {"server": "pbx2.example.com"}},
        },
        "accounts/all.yaml": {
            "alice": account("berlin", "0101"),
            "bob": account("berlin", "0102", sip={"server": "pbx2.example.com"}),
            "carol": account("lyon", "0103", label="Carol"),
            "dave": account("porto", "0103", label="Dave"),
        },
        "phones/all.yaml": {MAC: {"model": "FIP13G", "site": "berlin", "accounts": ["alice", "bob"]}},
    }


Edit = Callable[[dict[str, Any]], object]


def watch(whom: str) -> Edit:
    return lambda files: files["phones/all.yaml"][MAC].update(keys={"3": {"blf": whom}})


def turn(path: str, *inner: str) -> Edit:
    """The same content, in another order."""

    def edit(files: dict[str, Any]) -> None:
        content = files[path]
        for key in inner:
            content = content[key]
        turned = dict(reversed(content.items()))
        content.clear()
        content.update(turned)

    return edit


def put(path: str, *inner: str, **words: Any) -> Edit:
    """Say something in an entity; the file and the mappings on the way are made."""

    def edit(files: dict[str, Any]) -> None:
        content = files.setdefault(path, {})
        for key in inner:
            content = content.setdefault(key, {})
        content |= words

    return edit


def move_dave(files: dict[str, Any]) -> None:
    files["accounts/a.yaml"] = {"dave": files["accounts/all.yaml"].pop("dave")}


def watch_carol(files: dict[str, Any]) -> None:
    """By her number, which nobody else has."""
    watch("0103")(files)
    del files["accounts/all.yaml"]["dave"]


def shadow_carol(files: dict[str, Any]) -> None:
    """Carol stands a second time, in an earlier file, with another number: nobody has hers any more."""
    files["accounts/a.yaml"] = {"carol": {**files["accounts/all.yaml"]["carol"], "extension": "0999"}}


def two_models(files: dict[str, Any]) -> None:
    files["phones/all.yaml"][MAC] |= {"model": "FIP10", "site": "lyon"}
    models = {"FIP10": {"settings": {"wui.https_enable": "0"}}, "FIP10P": {"settings": {"wui.https_enable": "1"}}}
    files["fleet.yaml"]["models"] = models


HARD: dict[str, tuple[Edit, Edit]] = {
    "accounts of one extension change places in their file": (watch("0103"), turn("accounts/all.yaml")),
    "one of them moves to an earlier file": (watch("0103"), move_dave),
    "a watched account's site has another server": (
        watch("carol"),
        put("sites/all.yaml", "lyon", "sip", server="pbx2.example.com"),
    ),
    "the same, watched by an expression": (
        watch("{{ site.vars.boss }}"),
        put("sites/all.yaml", "lyon", "sip", server="pbx2.example.com"),
    ),
    "the watched account is another one, by an expression": (
        watch("{{ site.vars.boss }}"),
        put("sites/all.yaml", "berlin", "vars", boss="dave"),
    ),
    "a watched account is hidden by one of its id": (watch_carol, shadow_carol),
    "one model under two names, in another order": (two_models, turn("fleet.yaml", "models")),
    "one parameter in two spellings, in another order": (
        put("sites/all.yaml", "berlin", "settings", **{"static.wui.https_enable": "1"}),
        turn("sites/all.yaml", "berlin", "settings"),
    ),
    "one MAC twice in a file, in another order": (
        put("phones/all.yaml", "00:21:F2:00:00:01", model="FIP13G", site="lyon"),
        turn("phones/all.yaml"),
    ),
    "a parameter comes that was never said": (
        lambda files: None,
        put("sites/all.yaml", "berlin", "settings_unchecked", **{"custom.banner": "Hello"}),
    ),
    "a phone's site is no longer understood": (
        lambda files: None,
        put("sites/all.yaml", "berlin", oops="1"),
    ),
    "the only environment is joined by another": (
        put("sites/all.yaml", "berlin", phonebooks=["company"]),
        put("fleet.yaml", "environments", "lab", url="tftp://127.0.0.1/"),
    ),
}
"""What happens -> how the fleet is before, and what one commit does to it."""


@pytest.mark.parametrize("name", HARD)
def test_a_change_from_afar_is_seen(name: str, tmp_path: Path) -> None:
    prepare, change = HARD[name]
    before = fleet()
    prepare(before)
    after = deepcopy(before)
    change(after)
    worlds = [World({path: Doc(content) for path, content in files.items()}) for files in (before, after, before)]
    steps = [Step(name, (number - 1,) if number else (), world) for number, world in enumerate(worlds)]
    commits = histories.write(tmp_path / "fleet.git", steps)
    oracle = Oracle(Compiled(tmp_path / "fleet.git"))
    differing = changes(oracle.state(MAC, commits[0]), oracle.state(MAC, commits[1]))
    assert differing
    for revision in commits:
        said = blame(oracle.compiled.root, MAC, revision, store=Store(None))
        for parameter in differing:
            if parameter in said:
                assert said[parameter].commit == oracle.blame(MAC, parameter, revision)
            found = log(oracle.compiled.root, MAC, parameter, revision, store=Store(None))
            assert entries(found) == oracle.log(MAC, revision, parameter).entries
    for old, new in ((commits[0], commits[1]), (commits[1], commits[0])):
        (phone,) = diff(oracle.compiled.root, old, new, store=Store(None)).phones
        assert {one.parameter: (value(one.old), value(one.new)) for one in phone.changes} == changes(
            oracle.state(MAC, old), oracle.state(MAC, new)
        )
