"""Every page of docs/checks/ is a test: its first inventory gives exactly the problems shown, its second gives none.

A page's files are laid over docs/checks/base/, a small inventory without problems. Where a check compares with a
base revision, the section Before says what stands there, and is committed to a real repository.
`python tests/test_checks.py` writes the table of docs/checks/README.md anew.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pygit2
import pytest

from inventories import ROOT, minimal, write_inventory
from offhook.checks.table import CHECKS
from offhook.cli.run import run
from offhook.compile import AUTO, read_fleet
from offhook.problem import ERROR, WARNING, Problem

FOLDER = ROOT / "docs" / "checks"
BASE = FOLDER / "base"
README = FOLDER / "README.md"
PAGES = sorted(path.stem for path in FOLDER.glob("*.md") if path != README)

_HEAD = re.compile(r"# (\S+)\n\n\*(error|warning)\* — (.+?)\.\s")
_BLOCK = re.compile(r"(?:^`([^`\n]+)`\n)?^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SECTIONS = (["Fails", "Passes"], ["Before", "Fails", "Passes"])


@dataclass(frozen=True, slots=True)
class Example:
    """One section: what stands at each path (bytes, the target of a link, or None for no file), and the problems."""

    files: Mapping[str, bytes | str | None]
    problems: list[str]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of docs/checks/: what it says of its check, and its examples by heading."""

    identifier: str
    severity: str
    sentence: str
    examples: Mapping[str, Example]


@cache
def page(name: str) -> Page:
    """Read docs/checks/NAME.md."""
    text = (FOLDER / f"{name}.md").read_text("utf-8")
    head = _HEAD.match(text)
    assert head, "begins with # ID, an empty line, and *severity* — a sentence"
    rest, *sections = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    assert "```" not in rest
    titles = sections[::2]
    assert titles in _SECTIONS
    examples = {title: _example(section) for title, section in zip(titles, sections[1::2], strict=True)}
    return Page(head[1], head[2], head[3], examples)


def _example(section: str) -> Example:
    files: dict[str, bytes | str | None] = {}
    problems: list[str] = []
    for path, info, body in _BLOCK.findall(section):
        if info == "problems":
            assert not path
            assert not problems
            problems = body.splitlines()
        else:
            assert path.startswith("inventory/")
            assert path not in files
            files[path] = _content(info, body)
    assert files
    assert section.count("```") == 2 * (len(files) + bool(problems))
    return Example(files, problems)


def _content(info: str, body: str) -> bytes | str | None:
    """What a block stands for: text, a bytes literal that may be repeated, the target of a link, or no file."""
    kind, _, more = info.partition(" ")
    if kind == "bytes":
        content = ast.literal_eval(body)
        assert isinstance(content, bytes)
        return content * int(more.removeprefix("x ") or 1)
    if kind == "symlink":
        assert body == ""
        return more
    if kind == "absent":
        assert body == ""
        return None
    assert info in ("yaml", "json", "text")
    return body.encode()


def lay(folder: Path, example: Example) -> None:
    """Lay an example's files over what stands in the folder."""
    for name, content in example.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            path.symlink_to(content)


def commit(folder: Path) -> None:
    """Commit everything in the folder to a new repository there."""
    repository = pygit2.init_repository(folder)
    repository.index.add_all()
    author = pygit2.Signature("Ann", "ann@example.com", 1700000000, 0)
    tree = repository.index.write_tree()
    repository.create_commit("HEAD", author, author, "fleet: begin", tree, [])
    repository.index.write()


def problems_of(name: str, title: str, folder: Path) -> list[Problem]:
    """What `offhook check` finds in a page's example."""
    shutil.copytree(BASE / "inventory", folder / "inventory")
    examples = page(name).examples
    if "Before" in examples:
        lay(folder, examples["Before"])
        commit(folder)
    lay(folder, examples[title])
    return list(read_fleet(folder, base=AUTO).problems)


# The pages


@pytest.mark.parametrize("name", PAGES)
def test_fails(name: str, tmp_path: Path) -> None:
    problems = problems_of(name, "Fails", tmp_path)
    assert list(map(str, problems)) == page(name).examples["Fails"].problems
    found = {problem.severity for problem in problems if problem.id == name}
    assert found == {page(name).severity}


@pytest.mark.parametrize("name", PAGES)
def test_passes(name: str, tmp_path: Path) -> None:
    problems = problems_of(name, "Passes", tmp_path)
    assert list(map(str, problems)) == page(name).examples["Passes"].problems
    assert [problem for problem in problems if problem.id == name] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_the_table_says(name: str) -> None:
    one = page(name)
    assert (one.identifier, one.severity, one.sentence) == (name, *CHECKS[name])


def test_every_check_has_a_page_and_every_page_a_check() -> None:
    assert set(PAGES) == set(CHECKS)


def test_no_example_is_another_page_s() -> None:
    seen: dict[str, str] = {}
    for name in PAGES:
        for title in ("Fails", "Passes"):
            files = repr(sorted(page(name).examples[title].files.items()))
            if "Before" in page(name).examples:
                files += repr(sorted(page(name).examples["Before"].files.items()))
            assert seen.setdefault(files, f"{name}, {title}") == f"{name}, {title}"


def test_the_base_has_no_problems(tmp_path: Path) -> None:
    shutil.copytree(BASE, tmp_path, dirs_exist_ok=True)
    assert read_fleet(tmp_path, base=AUTO).problems == ()


# Several files, severities, and what YAML would misread


def check(folder: Path, files: Mapping[str, str], *, before: Mapping[str, str] | None = None) -> list[Problem]:
    """The problems of the base with files laid over it, compared with a commit of it where `before` says which."""
    shutil.copytree(BASE / "inventory", folder / "inventory")
    if before is not None:
        write_inventory(folder, dict(before))
        commit(folder)
        shutil.rmtree(folder / "inventory")
        shutil.copytree(BASE / "inventory", folder / "inventory")
    write_inventory(folder, dict(files))
    return list(read_fleet(folder, base=AUTO).problems)


def test_all_problems_of_all_files_are_shown_sorted(tmp_path: Path) -> None:
    problems = check(
        tmp_path,
        {
            "accounts/berlin.yaml": "alice: {site: berln, extension: 0101, password: hunter2}\n",
            "phones/berlin.yaml": "0021f2000001: {model: FIP14G, accounts: [alice\n",
            "phones/lyon.yaml": "0021f2000011: {modle: FIP14G}\n0021f2000012: {model: FIP14G, site: lyon}\n",
            "sites/berlin.yaml": "berlin: {time_zone: Europe/Berlin, utc_offset: -1}\n",
        },
    )
    assert [f"{problem.mark} {problem.id}" for problem in problems] == [
        "inventory/accounts/berlin.yaml:1:49 clear-secret",
        "inventory/phones/berlin.yaml:2:1 yaml-syntax",
        "inventory/phones/lyon.yaml:1:1 missing-key",
        "inventory/phones/lyon.yaml:1:16 unknown-key",
        "inventory/phones/lyon.yaml:2:37 unknown-reference",
        "inventory/sites/berlin.yaml:1:48 utc-offset",
    ]
    assert problems == sorted(problems, key=lambda problem: problem.sort_key)


@pytest.mark.parametrize("processes", [1, 3])
def test_the_answer_does_not_depend_on_processes(processes: int, tmp_path: Path) -> None:
    lines = [f"0021f20000{number:02x}: {{model: FIP14G, site: berln, label: a{number}}}" for number in range(20)]
    files = {f"phones/p{number}.yaml": line + "\n" for number, line in enumerate(lines)}
    shutil.copytree(BASE / "inventory", tmp_path / "inventory")
    write_inventory(tmp_path, {**files, "phones/berlin.yaml": "a: [\n", "sites/x.yaml": "- no\n"})
    problems = read_fleet(tmp_path, processes=processes).problems
    assert [problem.id for problem in problems] == ["yaml-syntax", "not-a-mapping"]


@pytest.mark.parametrize("text", ["berlin: [\n", "- berlin\n", "a: 1\n---\nb: 2\n", "\x07"])
@pytest.mark.parametrize(
    ("folder", "use"),
    [
        ("sites", "site: x"),
        ("profiles", "profiles: [x]"),
        ("accounts", "accounts: [x]"),
        ("phonebooks", "phonebooks: [x]"),
        ("accounts", "accounts: [alice], keys: {2: {blf: x}, 3: {blf: 0109}}"),
    ],
)
def test_a_name_that_a_broken_file_may_hold_is_not_reported(folder: str, use: str, text: str, tmp_path: Path) -> None:
    phones = f"0021f2000003: {{model: FIP14G, {use}}}\n"
    problems = check(tmp_path, {f"{folder}/broken.yaml": text, "phones/berlin.yaml": phones})
    assert [problem.mark.file for problem in problems] == [f"inventory/{folder}/broken.yaml"]


def test_a_secret_that_a_broken_file_may_hold_is_not_reported(tmp_path: Path) -> None:
    files = {"secrets/x.yaml": "a: [\n", "accounts/x.yaml": "x: {extension: 9, password: secret:x/y}\n"}
    assert [problem.id for problem in check(tmp_path, files)] == ["yaml-syntax"]


@pytest.mark.parametrize("kind", ["site", "profile", "account", "phonebook"])
def test_a_wrong_entity_is_still_known_by_name(kind: str, tmp_path: Path) -> None:
    use = {"site": "site: x", "profile": "profiles: [x]", "account": "accounts: [x]", "phonebook": "phonebooks: [x]"}
    files = {
        f"{kind}s/x.yaml": "x: {foo: 1}\n",
        "phones/berlin.yaml": f"0021f2000001: {{model: FIP14G, {use[kind]}}}\n",
    }
    assert {problem.mark.file for problem in check(tmp_path, files)} == {f"inventory/{kind}s/x.yaml"}


@pytest.mark.parametrize(
    ("severity", "found"), [("error", ["error"]), ("warning", ["warning"]), ("off", []), (None, ["warning"])]
)
def test_the_fleet_says_how_grave_a_finding_is(severity: str | None, found: list[str], tmp_path: Path) -> None:
    more: dict[str, object] = {"phones/all.yaml": "001565000001: {model: FIP14G}\n"}
    files = minimal(**more)
    files["fleet.yaml"]["checks"] = {"mac-vendor": severity} if severity else {}
    fleet = read_fleet(write_inventory(tmp_path, files))
    assert [problem.severity for problem in fleet.problems] == found
    assert fleet.has_errors == (severity == ERROR)


@pytest.mark.parametrize("severity", [WARNING, "off"])
def test_an_error_can_be_made_less_grave(severity: str, tmp_path: Path) -> None:
    files = minimal(**{"sites/all.yaml": "berlin: {settings: {features.pound_key.mode: 2}}\n"})
    files["fleet.yaml"]["checks"] = {"no-fleet-value": severity}
    fleet = read_fleet(write_inventory(tmp_path, files))
    assert [problem.id for problem in fleet.problems] == (["no-fleet-value"] if severity == WARNING else [])
    assert not fleet.has_errors


def test_a_check_that_nobody_knows_is_no_severity(tmp_path: Path) -> None:
    files = minimal()
    files["fleet.yaml"]["checks"] = {"mac-vendr": "off"}
    problems = read_fleet(write_inventory(tmp_path, files)).problems
    assert list(map(str, problems)) == [
        'inventory/fleet.yaml:6:3: there is no check "mac-vendr" (did you mean "mac-vendor"?) [unknown-reference]'
    ]


def test_what_yaml_would_misread_is_text(tmp_path: Path) -> None:
    files = {
        "fleet.yaml": """
sip: {server: pbx.example.com, port: "5060"}
language: English
utc_offset: +8
vars: {a: no, b: 0o17, c: 12:30:45, d: 0x1F}
checks: {mac-vendor: off}
""",
        "sites/all.yaml": """
on: {time_zone: Asia/Shanghai, utc_offset: +8, description: yes}
no: {utc_offset: +5:30}
0101: {utc_offset: 0, sip: {port: 5060}}
""",
        "accounts/all.yaml": """
e1: {extension: 0101, password: secret:berlin/alice, display_name: no}
no: {extension: 1_000, password: secret:berlin/bob, display_name: on, max_phones: "1"}
1e3: {site: on, extension: 1.0, password: secret:berlin/desk, label: 1e3, sip: {port: "5060"}}
y: {site: 0101, extension: .5, password: secret:berlin/lobby, sip: {port: 5061}}
""",
        "phones/all.yaml": """
001565123456: {model: FIP14G, site: no, accounts: [e1], label: 0x1F}
001e10203040: {model: FIP14G, site: on, accounts: [no], keys: {3: {speed-dial: 010, label: no}}}
10:21:12:33:44:55: {model: FIP13G, site: 0101, accounts: [1e3], label: 2026-11-23}
12-30-45-10-20-30: {model: FIP13G, accounts: [y], keys: {3: {speed-dial: +49}, "4": {blf: 0101}}}
""",
    }
    files |= {"secrets/s.yaml": _sealed("alice", "bob", "desk", "lobby")}
    fleet = read_fleet(write_inventory(tmp_path, files))
    assert fleet.problems == ()
    inventory = fleet.inventory
    assert list(inventory.phones) == ["001565123456", "001e10203040", "102112334455", "123045102030"]
    assert list(inventory.sites) == ["on", "no", "0101"]
    assert [one.extension for one in inventory.accounts.values()] == ["0101", "1_000", "1.0", ".5"]
    assert [one.sip.port for one in inventory.accounts.values()] == [None, None, 5060, 5061]
    assert [one.utc_offset for one in inventory.sites.values()] == ["+8", "+5:30", "0"]
    assert inventory.fleet.sip.port == 5060
    assert dict(inventory.fleet.vars) == {"a": "no", "b": "0o17", "c": "12:30:45", "d": "0x1F"}
    assert [phone.label for phone in inventory.phones.values()] == ["0x1F", None, "2026-11-23", None]


def _sealed(*names: str) -> str:
    return "berlin:\n" + "".join(f"    {name}: ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]\n" for name in names)


def test_problems_of_the_command_line_are_those_of_the_pages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = problems_of("unknown-key", "Fails", tmp_path)
    assert run(["-C", str(tmp_path), "check", "--format", "json"]) == 1
    rows = json.loads(capsys.readouterr().out)["problems"]
    assert [(row["id"], row["file"], row["line"], row["column"], row["message"]) for row in rows] == [
        (one.id, one.mark.file, one.mark.line, one.mark.column, one.message) for one in expected
    ]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("# Größe\nx: {label: Ä Caf".encode() + b"\xe9}\n", "2:17"),
        ("# Größe äöü\nx: {label: \x07bell}\n".encode(), "2:12"),
        ("# äöüäöüäöü\n# x\n  \x07bell: x\n# a\n# b\n".encode(), "3:3"),
        ('x: {label: "äöü", site: 1, foo: 1}\n'.encode(), "1:28"),
    ],
)
def test_columns_are_counted_in_letters(content: bytes, place: str, tmp_path: Path) -> None:
    shutil.copytree(BASE / "inventory", tmp_path / "inventory")
    (tmp_path / "inventory" / "profiles").mkdir()
    (tmp_path / "inventory" / "profiles" / "x.yaml").write_bytes(content)
    marks = [problem.mark for problem in read_fleet(tmp_path).problems]
    assert f"inventory/profiles/x.yaml:{place}" in map(str, marks)


# One mistake is one problem

FLEET = (BASE / "inventory" / "fleet.yaml").read_text("utf-8")
FLEET_TYPO = "foo: 1\n"
POUND = FLEET.replace("settings:\n", "settings:\n  features.pound_key.mode: 1\n")
OWN_SERVER = "sip: {server: pbx2.example.com}"
SAME_EXTENSION = "carl: {site: lyon, extension: 0101, password: secret:berlin/desk}\n"
PHONE = "0021f2000001: {model: FIP14G, site: berlin, accounts: [alice], %s}\n"
ALICE = "alice: {site: berlin, extension: 0101, password: secret:berlin/alice, max_phones: 3}\n"

ONCE: dict[str, tuple[dict[str, str], list[str]]] = {
    "a site with a typo: where its accounts register is unknown": (
        {"sites/lyon.yaml": f"lyon: {{foo: 1, {OWN_SERVER}}}\n", "accounts/lyon.yaml": SAME_EXTENSION},
        ["unknown-key"],
    ),
    "a site that nobody has: where its accounts register is unknown": (
        {"accounts/lyon.yaml": SAME_EXTENSION},
        ["unknown-reference"],
    ),
    "a fleet with a typo: its dialect is unknown": (
        {
            "fleet.yaml": f"dialect: static\n{FLEET_TYPO}{FLEET}",
            "accounts/berlin.yaml": ALICE.replace("site: berlin", "sip: {transport: tls}"),
            "phones/berlin.yaml": PHONE % "settings: {sip.trust_ctrl: 1}, phonebooks: [a, b]",
            "phonebooks/all.yaml": "a: {}\nb: {}\n",
        },
        ["unknown-key"],
    ),
    "a fleet with a typo: who has the secrets is unknown": (
        {
            "fleet.yaml": f"secrets: {{provider: env}}\n{FLEET_TYPO}{FLEET}",
            "accounts/berlin.yaml": ALICE.replace("secret:berlin", "secret:munich"),
            "phones/berlin.yaml": PHONE % "label: x",
        },
        ["unknown-key"],
    ),
    "a fleet with a typo: its vars are unknown": (
        {
            "fleet.yaml": f"vars: {{x: 1}}\n{FLEET_TYPO}{FLEET}",
            "phones/berlin.yaml": PHONE % 'label: "{{ fleet.vars.x }}"',
        },
        ["unknown-key"],
    ),
    "a site with a typo: its dialect is unknown": (
        {
            "sites/berlin.yaml": "berlin: {foo: 1, dialect: static}\n",
            "phones/berlin.yaml": PHONE % "settings: {sip.trust_ctrl: 1}",
            "fleet.yaml": FLEET.replace("settings:\n", "settings:\n  static.wui.http_enable: 1\n"),
            "accounts/berlin.yaml": ALICE.replace("site: berlin", "sip: {transport: tls}"),
        },
        ["unknown-key"],
    ),
    "a site with a typo: its vars are unknown": (
        {
            "sites/berlin.yaml": "berlin: {foo: 1, vars: {x: 1}}\n",
            "phones/berlin.yaml": PHONE % 'label: "{{ site.vars.x }}"',
        },
        ["unknown-key"],
    ),
    "a profile with a typo: its vars are unknown": (
        {
            "profiles/p.yaml": "p: {foo: 1, vars: {x: 1}}\n",
            "phones/berlin.yaml": PHONE % 'profiles: [p], label: "{{ phone.vars.x }}"',
        },
        ["unknown-key"],
    ),
    "a site that nobody has: its vars are unknown": (
        {"phones/berlin.yaml": '0021f2000001: {model: FIP14G, site: lyon, label: "{{ site.vars.x }}"}\n'},
        ["unknown-reference"],
    ),
    "a site that nobody has: its offset is unknown": (
        {
            "fleet.yaml": FLEET.replace("utc_offset: +0\n", ""),
            "phones/berlin.yaml": "0021f2000001: {model: FIP14G, site: berln}\n",
        },
        ["unknown-reference"],
    ),
    "a profile that nobody has: its language is unknown": (
        {
            "fleet.yaml": FLEET.replace("language: English\n", ""),
            "profiles/p.yaml": "german: {language: German}\n",
            "phones/berlin.yaml": PHONE % "profiles: [germn]",
        },
        ["unknown-reference"],
    ),
    "an account with a typo: its extension is not nobody's": (
        {
            "accounts/berlin.yaml": ALICE + "bob: {foo: 1, extension: 0102, password: secret:berlin/bob}\n",
            "phones/berlin.yaml": PHONE % "keys: {2: {blf: 0102}}",
        },
        ["unknown-key"],
    ),
    "an account with a password in the clear: its name is unknown": (
        {
            "accounts/berlin.yaml": ALICE.replace("secret:berlin/alice", "hunter2"),
            "phones/berlin.yaml": PHONE % 'label: "{{ accounts[0].extension }}"',
        },
        ["clear-secret"],
    ),
    "a file of phones that cannot be read: their dialect is unknown": (
        {
            "fleet.yaml": FLEET.replace("settings:\n", "settings:\n  sip.trust_ctrl: 1\n"),
            "phones/lyon.yaml": "0021f2000011: {model: FIP14G, dialect: static, label: a: b}\n",
        },
        ["yaml-syntax"],
    ),
    "an environment that nobody has: its address is unknown": (
        {
            "fleet.yaml": FLEET.replace("environment: production", "environment: prodution") + "phonebooks: [a]\n",
            "phonebooks/all.yaml": "a: {}\n",
        },
        ["unknown-reference"],
    ),
    "a star code without quotes": ({"phones/berlin.yaml": PHONE % "keys: {2: {park: *68}}"}, ["yaml-anchor"]),
    "an alias in a list": (
        {"phones/berlin.yaml": "0021f2000001: {model: FIP14G, accounts: [&x alice]}\n0021f2000002: {model: *x}\n"},
        ["yaml-anchor", "yaml-anchor"],
    ),
    "a merge of what the entity lacks": (
        {"phones/berlin.yaml": "0021f2000001: {<<: {model: FIP14G}, site: berlin}\n"},
        ["yaml-merge"],
    ),
    "a line break in a setting": (
        {"fleet.yaml": FLEET.replace("time_format: 1", 'time_format: "1\\n"')},
        ["control-character"],
    ),
    "a blank at the end of a name": ({"phones/berlin.yaml": PHONE % 'profiles: ["p "]'}, ["edge-blank"]),
    "a generated setting of a phone": (
        {"phones/berlin.yaml": PHONE % "settings: {account.1.label: Alice}"},
        ["generated-setting"],
    ),
    "a phone's setting of the other dialect": (
        {"phones/berlin.yaml": PHONE % "settings: {sip.trust_ctrl: 1}"},
        ["wrong-dialect"],
    ),
    "a key of a profile that is wrong on three phones": (
        {
            "accounts/berlin.yaml": ALICE,
            "profiles/p.yaml": "p: {keys: {2: {blf: alice}, 3: {line: 2}}}\n",
            "phones/berlin.yaml": "".join(
                f"0021f200000{number}: {{model: FIP14G, accounts: [alice], profiles: [p]}}\n" for number in (1, 2, 3)
            ),
        },
        ["blf-self", "line-without-account"],
    ),
    "a key of a profile that a later profile replaces": (
        {
            "profiles/all.yaml": "p: {keys: {2: {blf: alice}}}\nq: {keys: {2: {dnd: true}}}\n",
            "phones/berlin.yaml": PHONE % "profiles: [p, q]",
        },
        [],
    ),
    "a key of a profile that the model does not have": (
        {
            "profiles/p.yaml": "p: {keys: {10: {blf: alice}}}\n",
            "phones/berlin.yaml": "0021f2000001: {model: FIP13G, accounts: [alice], profiles: [p]}\n",
        },
        ["dropped-key"],
    ),
    "secrets of another provider in the environment": (
        {
            "fleet.yaml": FLEET.replace("{url:", "{secrets: {provider: env}, url:"),
            "accounts/berlin.yaml": ALICE.replace("secret:berlin", "secret:munich"),
            "phones/berlin.yaml": PHONE % "label: x",
        },
        [],
    ),
}
"""What is wrong -> files, and the ids of all problems."""

SINCE: dict[str, tuple[dict[str, str], dict[str, str], list[str]]] = {
    "a fleet with a typo has not lost its settings": (
        {"fleet.yaml": POUND},
        {"fleet.yaml": FLEET_TYPO + POUND},
        ["unknown-key"],
    ),
    "a site with a typo has not lost its settings": (
        {"sites/berlin.yaml": "berlin: {settings: {features.pound_key.mode: 1}}\n"},
        {"sites/berlin.yaml": "berlin: {foo: 1, settings: {features.pound_key.mode: 1}}\n"},
        ["unknown-key"],
    ),
    "a broken file has not lost its phones' settings": (
        {"phones/berlin.yaml": PHONE % "settings: {features.pound_key.mode: 1}", "fleet.yaml": FLEET},
        {"phones/berlin.yaml": "0021f2000001: [\n"},
        ["yaml-syntax"],
    ),
    "a broken file has not lost its accounts": ({}, {"accounts/berlin.yaml": "alice: [\n"}, ["yaml-syntax"]),
    "a broken file has not lost its profiles": (
        {"profiles/p.yaml": "p: {keys: {5: {dnd: true}}}\n", "phones/berlin.yaml": PHONE % "profiles: [p]"},
        {"profiles/p.yaml": "p: [\n", "phones/berlin.yaml": PHONE % "profiles: [p]"},
        ["yaml-syntax"],
    ),
    "an account that nobody has: what its phone was told of it is not kept": (
        {"phones/berlin.yaml": PHONE % "label: x"},
        {"phones/berlin.yaml": PHONE.replace("[alice]", "[alyce]") % "label: x"},
        ["unknown-reference"],
    ),
    "a misspelled parameter is not another one that left": (
        {"fleet.yaml": POUND, "sites/lyon.yaml": "lyon: {settings: {features.pound_key.mode: 2}}\n"},
        {
            "fleet.yaml": POUND.replace("pound_key", "pound_kay"),
            "sites/lyon.yaml": "lyon: {settings: {features.pound_key.mode: 2}}\n",
        },
        ["unknown-parameter"],
    ),
    "what was retired may leave": (
        {"fleet.yaml": FLEET + "retired: {features.pound_key.mode: 1}\n"},
        {"fleet.yaml": FLEET},
        [],
    ),
    "the broken base of a mended inventory": ({"fleet.yaml": FLEET_TYPO, "phones/berlin.yaml": "a: [\n"}, {}, []),
}
"""What happened -> files at the base revision, files now, and the ids of all problems."""

FOUND: dict[str, tuple[dict[str, str], list[str]]] = {
    "secrets where people would read them": (
        {
            "accounts/berlin.yaml": ALICE.replace(
                "max_phones: 3", "display_name: secret:berlin/bob, label: secret:berlin/bob"
            ),
            "phones/berlin.yaml": PHONE % "label: secret:berlin/bob, keys: {2: {speed-dial: secret:berlin/bob}}",
            "phonebooks/all.yaml": "a: {title: secret:berlin/bob}\n",
        },
        ["misplaced-secret"] * 5,
    ),
    "a secret that an expression makes": (
        {"phones/berlin.yaml": PHONE % "vars: {x: secret:berlin/bob}, label: '{{ phone.vars.x }}'"},
        ["misplaced-secret"],
    ),
    "retired parameters are parameters": (
        {
            "fleet.yaml": FLEET
            + "retired: {local_time.date_format: 99, foo.bar: 1, lang.gui: German, sip.trust_ctrl: 0,\n"
            + "  auto_provision.server.password: hunter2, local_time.ntp_server1: secret:berlin/bob}\n"
        },
        ["bad-setting", "unknown-parameter", "generated-setting", "wrong-dialect", "clear-secret", "misplaced-secret"],
    ),
    "a file that cannot be read is an error, whatever the fleet says": (
        {"fleet.yaml": FLEET + "checks: {yaml-syntax: off}\n", "phones/berlin.yaml": "0021f2000001: [\n"},
        ["fixed-check", "yaml-syntax"],
    ),
    "an entry that cannot be understood is an error, whatever the fleet says": (
        {"fleet.yaml": FLEET + "checks: {unknown-key: off}\n", "phones/berlin.yaml": PHONE % "foo: 1"},
        ["fixed-check", "unknown-key"],
    ),
    "an environment accepts a check that nobody has": (
        {"fleet.yaml": FLEET.replace("{url:", "{accept: [plain-secret-transprt], url:")},
        ["unknown-reference"],
    ),
    "one parameter under settings and settings_unchecked": (
        {"fleet.yaml": POUND + "settings_unchecked: {features.key_as_send: 2}\n"},
        ["duplicate-setting"],
    ),
    "one model in two spellings": (
        {"fleet.yaml": FLEET + "models: {FIP16PLUS: {dialect: static}, FIP16Plus: {dialect: guide}}\n"},
        ["duplicate-id"],
    ),
    "an offset of the fleet that the site's zone never has": (
        {"sites/berlin.yaml": "berlin: {time_zone: Europe/Berlin}\n"},
        ["utc-offset"],
    ),
    "a number watched by a phone without accounts": (
        {"phones/berlin.yaml": "0021f2000001: {model: FIP14G, keys: {2: {blf: 0102}}}\n"},
        ["blf-no-account"],
    ),
    "a number watched that is on another server": (
        {
            "accounts/lyon.yaml": f"carl: {{extension: 0209, password: secret:berlin/desk, {OWN_SERVER}}}\n",
            "phones/berlin.yaml": PHONE % "keys: {2: {blf: 0209}}",
        },
        ["blf-no-account"],
    ),
}
"""What is wrong -> files, and the ids of all problems."""


@pytest.mark.parametrize("case", ONCE)
def test_one_mistake_is_one_problem(case: str, tmp_path: Path) -> None:
    files, expected = ONCE[case]
    problems = check(tmp_path, files)
    assert [problem.id for problem in problems] == expected, "\n".join(map(str, problems))


@pytest.mark.parametrize("case", SINCE)
def test_one_mistake_since_the_base_is_one_problem(case: str, tmp_path: Path) -> None:
    before, files, expected = SINCE[case]
    problems = check(tmp_path, files, before=before)
    assert [problem.id for problem in problems] == expected, "\n".join(map(str, problems))


@pytest.mark.parametrize("case", FOUND)
def test_a_mistake_is_found(case: str, tmp_path: Path) -> None:
    files, expected = FOUND[case]
    problems = check(tmp_path, files)
    assert [problem.id for problem in problems] == expected, "\n".join(map(str, problems))


# What left is shown where something stands

ROWS = [f"0021f200001{number}: {{model: FIP14G}}\n" for number in range(1, 6)]
TALL = [f"0021f200001{number}:\n  model: FIP14G\n  keys:\n    2: {{dnd: true}}\n" for number in range(1, 4)]
GONE: dict[str, tuple[str, str | None, str]] = {
    "from the middle": (
        "".join(ROWS),
        "".join(ROWS[:1] + ROWS[2:]),
        "x.yaml:2:1: warning: phone 0021f2000012 stood here",
    ),
    "from the end": ("".join(ROWS), "".join(ROWS[:4]), "x.yaml:4:1: warning: phone 0021f2000015 stood here"),
    "from the top": ("".join(ROWS), "".join(ROWS[1:]), "x.yaml:1:1: warning: phone 0021f2000011 stood here"),
    "among lines that stand often": (
        "".join(TALL),
        TALL[0] + TALL[2],
        "x.yaml:5:1: warning: phone 0021f2000012 stood here",
    ),
    "below lines that are new": (
        "".join(ROWS),
        "# a\n# b\n" + "".join(ROWS[:3] + ROWS[4:]),
        "x.yaml:6:1: warning: phone 0021f2000014 stood here",
    ),
    "with all else in the file": (ROWS[0], "", "x.yaml:1:1: warning: phone 0021f2000011 stood here"),
    "with its file": (
        "# one\n" + ROWS[0],
        None,
        "inventory/fleet.yaml:1:1: warning: phone 0021f2000011 stood at inventory/phones/x.yaml:2",
    ),
}
"""How a phone leaves -> its file at the base revision, the file now, and how the problem begins."""


@pytest.mark.parametrize("case", GONE)
def test_what_left_is_shown_at_a_line_that_is_there(case: str, tmp_path: Path) -> None:
    before, now, begins = GONE[case]
    problems = check(tmp_path, {} if now is None else {"phones/x.yaml": now}, before={"phones/x.yaml": before})
    assert [problem.id for problem in problems] == ["removed-phone"]
    assert str(problems[0]).removeprefix("inventory/phones/").startswith(f"{begins} at the base revision: ")


# The list of pages

BEGIN = "<!-- every check: made by tests/test_checks.py from the table of checks, do not edit -->\n"


def table() -> Iterator[str]:
    """Yield the lines of the list of checks."""
    yield "| check | severity | found |"
    yield "|---|---|---|"
    for identifier, (severity, sentence) in CHECKS.items():
        yield f"| [{identifier}]({identifier}.md) | {severity} | {sentence} |"


def renewed(text: str) -> str:
    """Return the README with the list of now."""
    return text.partition(BEGIN)[0] + BEGIN + "\n" + "".join(f"{line}\n" for line in table())


def test_the_list_of_checks_is_current() -> None:
    """After a change of the table: python tests/test_checks.py."""
    text = README.read_text("utf-8")
    assert renewed(text) == text


if __name__ == "__main__":
    README.write_text(renewed(README.read_text("utf-8")), "utf-8")
