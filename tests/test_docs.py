"""The documentation tells the truth: links resolve, named tests exist, examples are valid, tables are current.

The last part holds what docs/guide.md says of the guide's figures and rules, where no other test does.
"""

from __future__ import annotations

import ast
import contextlib
import re
import runpy
import shutil
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

import repositories
from inventories import ROOT, read, tree
from offhook.checks.table import CHECKS
from offhook.compile import tree_of
from offhook.document import parse
from offhook.flyingvoice.catalogue import check_value, find, spell
from offhook.output import write_tree
from offhook.phone.boot import boot
from offhook.source import FOLDERS
from offhook.validate import validate

DOCS = ROOT / "docs"
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(DOCS.rglob("*.md"))
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_INLINE = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_DEFINITION = re.compile(r"^\[([^\]]+)\]: (\S+)$", re.MULTILINE)
_REFERENCE = re.compile(r"\[([^\]]+)\](?![(:\]])|\[([^\]]+)\](?=::)")
_TEST = re.compile(r"\[(tests/[\w/]+\.py)\]::(\w+)")

# The sections of the vendor's guide, by its table of contents.
SECTIONS = [
    "Introduction",
    "Supported Phones",
    "Obtaining Template Files",
    "Obtaining Phone Information",
    "Auto Provisioning Process",
    "Major Tasks for Auto Provisioning",
    "An Instance of Auto Provision Configuration",
    "Managing Boot Files",
    "Editing Common Boot File",
    "Creating MAC-Oriented Boot File",
    "Managing Configuration Files",
    "Editing Common CFG File",
    "Editing MAC-Oriented CFG File",
    "Creating a New CFG File",
    "Managing Resource Files",
    "Customizing Resource Files",
    "Configuring a Provisioning Server",
    "Configuring TFTP Server",
    "Plug and Play (PnP) Server",
    "DHCP Option66",
    "Static Provision",
    "Triggering the IP Phone to Perform Auto Provisioning",
    "Power On",
    "Repeatedly",
    "Save & Apply",
    "SIP NOTIFY Message",
    "Downloading Boot, Configuration and Resource Files",
    "Resolving and Updating Configurations",
    "Verifying Configurations",
    "Glossary",
    "Configuring an FTP Server",
    "Configuring an HTTP Server",
]


def prose(page: Path) -> str:
    """A page without its code."""
    return _CODE.sub("", _FENCE.sub("", page.read_text("utf-8")))


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    words = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in words)


@cache
def functions(file: str) -> frozenset[str]:
    """The names of a test file's functions."""
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def is_dead(page: Path, target: str) -> bool:
    """Tell whether a link leads to no file, or to no heading of it. Addresses elsewhere are not followed."""
    if re.match(r"[a-z]+:", target):
        return False
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    return not file.exists() or (bool(anchor) and anchor not in anchors(file))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_resolve(page: Path) -> None:
    text = prose(page)
    definitions = dict(_DEFINITION.findall(text))
    targets = [*_INLINE.findall(text), *definitions.values()]
    assert [target for target in targets if is_dead(page, target)] == []
    used = {first or second for first, second in _REFERENCE.findall(_DEFINITION.sub("", text))}
    assert used == definitions.keys()


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_named_tests_exist(page: Path) -> None:
    named = _TEST.findall(page.read_text("utf-8"))
    assert [f"{file}::{name}" for file, name in named if name not in functions(file)] == []


def test_every_section_of_the_guide_has_its_table() -> None:
    statements = (DOCS / "guide.md").read_text("utf-8").partition("## What the guide leaves open")[0]
    assert re.findall(r"^####? (.+)$", statements, re.MULTILINE) == SECTIONS


def test_the_table_of_keys_is_current() -> None:
    """After a change of schemas: python docs/reference.py."""
    page = (DOCS / "inventory.md").read_text("utf-8")
    assert runpy.run_path(str(DOCS / "reference.py"))["renewed"](page) == page


def test_the_page_on_inventories_names_every_check() -> None:
    page = (DOCS / "inventory.md").read_text("utf-8")
    assert [identifier for identifier in CHECKS if f"](checks/{identifier}.md)" not in page] == []


def examples() -> list[tuple[str, str]]:
    """The YAML examples of the page on inventories, with their kind: by the path in their first line, or the key."""
    found = []
    for _, language, text in _FENCE.findall((DOCS / "inventory.md").read_text("utf-8")):
        folder = re.match(r"# (\w+)/[\w/]+\.yaml\n", text)
        if language != "yaml" or text.startswith(("# yaml-language-server", "# inventory/secrets/")):
            continue
        if folder:
            found.append((FOLDERS[folder[1]], text))
        elif re.match(r"[0-9]+:", text):
            found.append(("profile", "x:\n  keys:\n    " + text))
        elif text.startswith("keys:"):
            found.append(("profile", "x:\n" + re.sub("^", "  ", text, flags=re.MULTILINE)))
        else:
            found.append(("fleet", text))
    return found


@pytest.mark.parametrize(("kind", "text"), examples())
def test_examples_are_valid(kind: str, text: str) -> None:
    document, problems = parse("example.yaml", text.encode())
    assert problems == []
    assert validate(kind, document)[1] == []


# What the guide's figures say: values that a parameter takes, and some that it does not.

FIGURES = [
    ("auto_provision.server.auth_method", ["1"], [""]),
    ("auto_provision.server.url", ["tftp://10.20.0.92/"], ["10.20.0.92"]),
    ("auto_provision.server.username", ["FLY10619900045"], [""]),
    ("auto_provision.server.password", ["secret:provisioning/password"], []),
    ("features.pound_key.mode", ["0", "1", "2"], ["3"]),
    ("linekey.1.type", ["0", "5", "24"], ["blf"]),
    ("linekey.2.line", ["1"], ["one"]),
    ("linekey.2.value", ["0102"], [""]),
    ("linekey.2.label", ["Front desk"], [""]),
    ("linekey.1.pickup_value", ["**"], [""]),
    ("account.1.enable", ["0", "1"], ["2"]),
    ("account.1.label", ["Alice"], [""]),
    ("account.1.display_name", ["Alice"], [""]),
    ("account.1.auth_name", ["0101"], [""]),
    ("account.1.password", ["secret:berlin/alice"], []),
    ("account.1.user_name", ["0101"], [""]),
    ("account.1.sip_server_host", ["10.20.0.92", "pbx.example.com"], ["pbx example"]),
    ("account.1.sip_server_port", ["5060"], ["65536"]),
    ("account.1.outbound_host", ["sbc.example.com"], ["sbc.example.com "]),
    ("account.1.outbound_port", ["5060"], ["x"]),
    ("local_time.time_zone", ["-11", "+8", "+14"], ["+15"]),
    ("local_time.ntp_server1", ["cn.pool.ntp.org"], ["cn pool"]),
    ("local_time.ntp_server2", ["cn.pool.ntp.org"], ["cn pool"]),
    ("local_time.time_format", ["0", "1"], ["2"]),
    ("local_time.date_format", ["0", "1", "2", "3", "4", "5", "6"], ["7"]),
    ("local_contact.data.url", ["http://10.20.0.92/testcontact.xml"], ["testcontact"]),
    ("wui.http_enable", ["0", "1"], ["2"]),
    ("wui.https_enable", ["0", "1"], ["2"]),
    ("lang.gui", ["Chinese_S"], [""]),
]


@pytest.mark.parametrize(("name", "right", "wrong"), FIGURES, ids=[row[0] for row in FIGURES])
def test_the_figures_parameters_are_catalogued(name: str, right: list[str], wrong: list[str]) -> None:
    found = find(name)
    assert found is not None
    assert spell(found.name, "guide") == name
    assert [value for value in right if check_value(found.name, value) is not None] == []
    assert [value for value in wrong if check_value(found.name, value) is None] == []


_MAC = "[0-9a-f]{12}"
_NAMES = {
    "flat": rf"(y0{{12}}|{_MAC})[.](boot|cfg)|phonebooks/\w+[.]xml",
    "layered": rf"(y0{{12}}|{_MAC})[.]boot|y0{{12}}[.]cfg|fleet[.]static[.]cfg|phones/{_MAC}[.]cfg"
    r"|(models|sites|profiles)/[\w-]+([.]static)?[.]cfg|phonebooks/\w+[.]xml",
}


@pytest.mark.parametrize("layout", ["flat", "layered"])
def test_the_tree_obeys_the_guides_rules(layout: str, tmp_path: Path) -> None:
    """Names of files, lines of boot and CFG files, and resource files; of every file of the example."""
    shutil.copytree(ROOT / "inventory", tmp_path / "inventory")
    fleet = tmp_path / "inventory" / "fleet.yaml"
    fleet.write_text(fleet.read_text("utf-8").replace("    url: ", f"    layout: {layout}\n    url: "), "utf-8")
    files = tree(read(tmp_path))
    for path, text in files.items():
        assert re.fullmatch(_NAMES[layout], path), path
        assert text.endswith("\n")
        assert "\r" not in text
        lines = text.splitlines()
        assert [line for line in lines if line != line.rstrip()] == []
        if path.endswith(".boot"):
            assert [line for line in lines if not re.fullmatch(r"#.*|include:config \"[^\"<>]+[.]cfg\"", line)] == []
            assert set(re.findall(r'"(.*)"', text)) <= files.keys()
        elif path.endswith(".cfg"):
            assert lines[0] == "#!version:1.0.0.1"
            assert [line for line in lines if not re.fullmatch(r"|#.*|[\w.]+=.+", line)] == []
            names = re.findall(r"^([\w.]+)=", text, re.MULTILINE)
            assert len(names) == len(set(names))
            books = re.findall(r"_(?:contact|phonebook)[.]data[.](?:\d[.])?url=.*/9f2c/(.*)$", text, re.MULTILINE)
            assert set(books) <= files.keys()
        else:
            entries = ElementTree.fromstring(text)
            assert {part.tag for entry in entries for part in entry} == {"Name", "Telephone"}


def test_three_ways_to_a_phones_settings(tmp_path: Path) -> None:
    """Flat layout: by the boot file, by the CFG file's own address, and without any boot file."""
    fleet = read(ROOT)
    write_tree(tmp_path / "site", tree_of(fleet))
    url = (tmp_path / "site").as_uri() + "/"
    by_boot_file = {mac: boot(mac, url).settings for mac in fleet.inventory.phones}
    assert {mac: boot(mac, f"{url}{mac}.cfg").settings for mac in by_boot_file} == by_boot_file
    for path in (tmp_path / "site").glob("*.boot"):
        path.unlink()
    for mac, told in by_boot_file.items():
        assert boot(mac, url).settings.items() >= told.items()


def test_the_examples_of_the_library_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each block as it stands, one after another, in a folder with the example fleet's repository."""
    root = repositories.start(tmp_path)
    shutil.copytree(ROOT / "inventory", root / "inventory")
    repositories.commit(root)
    site = root / "inventory/sites/germany.yaml"
    site.write_text(site.read_text().replace("utc_offset: +1", "utc_offset: +2"))
    repositories.commit(root)
    names: dict[str, object] = {}
    with contextlib.chdir(root):
        for match in _FENCE.finditer((DOCS / "library.md").read_text()):
            exec(compile(match[3], "library.md", "exec"), names)
    said = capsys.readouterr().out
    assert "9 phones, no errors" in said
    assert "local_time.time_zone +1 +2" in said
    assert "True +2 sites/berlin inventory/sites/germany.yaml" in said
    assert "settings at HEAD~1" in said
    assert "settings, complete" in said
    assert "0021f2000001 equal () ()" in said
