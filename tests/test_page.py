"""The page of a diff: complete, of one file, within its limit, and harmless whatever a label says."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import inventories
import repositories
from offhook.cli.run import run
from offhook.diff import Diff, diff
from offhook.diff.change import Outside
from offhook.review.links import Links
from offhook.review.page import PICTURED
from offhook.review.page.page import LIMIT, page
from offhook.store import Store

MAC = "0021f2000001"
HOSTILE = [
    "<script>alert(1)</script>",
    "</code></details></svg><img src=x onerror=alert(1)>",
    "</title></style></script><!-- ]]>",
    '"><a href="javascript:alert(1)">x</a>',
    "{{ 7 * 7 }}{% raw %}",
    "**bold** `code` [x](javascript:alert(1)) @acme/admins #1",
    "www.a.example http://b.example",
    "& &amp; &#60;b&#62;",
    "שלום \u202eעולם",
    "😀" * 40,
    "a" * 300,
]


class Tags(HTMLParser):
    """The elements of a page, its texts, and its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(text: str) -> Tags:
    found = Tags()
    found.feed(text)
    return found


def change(folder: Path, before: dict[str, Any], after: dict[str, Any]) -> Diff:
    root = repositories.start(folder / "fleet")
    repositories.commit(root, before)
    repositories.commit(root, after)
    return diff(root, "HEAD~1", "HEAD", store=Store(None), pictured=PICTURED)


def fleet(phones: int, label: str = "Door", **site: Any) -> dict[str, Any]:
    files = inventories.minimal()
    files["sites/all.yaml"] = {"berlin": {"utc_offset": "+1", **site}}
    files["phones/all.yaml"] = {
        f"0021f2{number:06x}": {
            "model": "FIP14G",
            "site": "berlin",
            "keys": {"1": {"speed-dial": str(number), "label": f"P{number}"}, "3": {"dnd": "true", "label": label}},
        }
        for number in range(phones)
    }
    return files


def several() -> tuple[dict[str, Any], dict[str, Any]]:
    """A fleet before and after every kind of change that a page tells of."""
    before, after = fleet(3), fleet(3, "Gate")
    after["fleet.yaml"] = {**after["fleet.yaml"], "limits": {"changed": "90%"}, "language": "German"}
    for files, server in ((before, "a.example.com"), (after, "b.example.com")):
        files["sites/all.yaml"]["lyon"] = {}
        files["accounts/all.yaml"]["alice"]["sip"] = {"server": server}
    phone = {"model": "FIP13G", "site": "lyon", "accounts": ["alice"]}
    before["phones/all.yaml"] |= {"0021f2aaaaaa": phone, "0021f2bbbbbb": {"model": "FIP10", "site": "lyon"}}
    after["phones/all.yaml"] |= {"0021f2aaaaaa": phone, "0021f2cccccc": {"model": "FIP16"}}
    books = {"company": {"contacts": [{"name": "Taxi", "numbers": {"office": "1"}}]}}
    after["phonebooks/all.yaml"] = books
    return before, after


def test_the_page_says_all_that_changes(tmp_path: Path) -> None:
    found = change(tmp_path, *several())
    text = page(found, Links("https://github.com/acme/phones/blob"))
    shown = re.sub(r"\s+", " ", "".join(read(text).texts))
    assert "The rules change" in shown
    assert "limits.changed nothing -> 90%" in shown
    assert "0021f2aaaaaa. Deploy to one of them first" in shown
    assert "removed, but not retired before 1 phone: 0021f2bbbbbb. They keep their accounts" in shown
    assert "1 phone added" in shown
    assert "company added: 1 contacts added, 0 removed" in shown
    assert {"a.example.com", "b.example.com", "Door", "Gate", "linekey.3.label"} <= set(read(text).texts)
    assert all(phone.mac in shown for phone in found.phones)
    # who says it: the first of three phones, each for itself
    assert re.search(r"phones/0021f2000000 inventory/phones/all.yaml:\d+ and 2 more like it", shown)
    assert re.search(rf'href="https://github.com/acme/phones/blob/{found.head}/inventory/phones/all.yaml#L\d+"', text)
    assert text.count("<svg xmlns") == 6  # before and after of three phones
    pictures = re.findall(r"<figcaption>(\w+)</figcaption><svg.*?>(Door|Gate)</text>", text)
    assert pictures == [("Before", "Door"), ("After", "Gate")] * 3


def test_nothing_changes(tmp_path: Path) -> None:
    text = page(change(tmp_path, fleet(1), fleet(1)), Links())
    assert "<h1>No phone changes.</h1>" in text
    assert "No phone&#39;s settings change." in unescape(text) or "No phone's settings change." in text


def test_only_its_own_style_and_script_may_run(tmp_path: Path) -> None:
    text = page(change(tmp_path, fleet(1), fleet(1, "Gate")), Links())
    (rules,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    rules = unescape(rules)
    assert rules.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in rules
    found = read(text)
    assert not {"img", "link", "iframe", "object", "base"} & found.tags
    assert not [name for name, _ in found.attributes if name.startswith("on") or name in ("src", "style")]


@pytest.mark.parametrize("label", HOSTILE)
def test_a_label_is_only_text(tmp_path: Path, label: str) -> None:
    plain, hostile = fleet(2), fleet(2, label)
    if "{" in label or len(label) > 64:  # no label: it is told as a mistake
        text = page(change(tmp_path, plain, hostile), Links())
    else:
        text = page(change(tmp_path, plain, hostile), Links("https://example.com"))
        assert label.replace("\u202e", "\\u202e") in read(text).texts
    found = read(text)
    assert "\u202e" not in text
    assert not {"img", "b", "iframe"} & found.tags
    assert text.count("<script>") == text.count("</script>") == text.count("<style>") == 1
    assert not [one for one in found.attributes if one[0].startswith("on") or "javascript:" in (one[1] or "")]


def test_a_label_from_right_to_left_turns_nothing_around_it(tmp_path: Path) -> None:
    text = page(change(tmp_path, fleet(1), fleet(1, "שלום")), Links())
    assert "<h1>1 phone in berlin: key 3 label Door to \u2068שלום\u2069.</h1>" in text
    assert "<code>שלום</code>" in text


def test_a_base_with_mistakes_is_told(tmp_path: Path) -> None:
    text = page(change(tmp_path, fleet(1) | {"sites/broken.yaml": "x: ["}, fleet(1)), Links())
    assert "The base has mistakes" in text
    assert "sites/broken.yaml at the base" in text


def test_a_password_in_an_address_is_not_shown(tmp_path: Path) -> None:
    before, after = fleet(1), fleet(1)
    after["phones/all.yaml"]["0021f2000000"]["keys"]["4"] = {"speed-dial": "sip:anna:letmein@example.com"}
    assert "letmein" not in page(change(tmp_path, before, after), Links())


def test_many_equal_phones_need_one_table_and_one_pair_of_pictures(tmp_path: Path) -> None:
    text = page(change(tmp_path, fleet(200), fleet(200, "Gate")), Links())
    assert text.count("<svg xmlns") == 2
    assert "each phone its own" in text
    assert "P7<" not in text
    assert len(text) < 60_000


@pytest.mark.parametrize("phones", [pytest.param(5_000, marks=pytest.mark.long), 400])
def test_as_many_different_changes_as_one_likes_fit(
    tmp_path: Path, phones: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = LIMIT * phones // 5_000
    monkeypatch.setattr("offhook.review.page.page.LIMIT", limit)
    text = page(change(tmp_path, fleet(phones), different(phones)), Links())
    assert limit // 2 < len(text.encode()) <= limit < 5_000_000
    assert text.count("<details") == text.count("</details>")
    assert text.count('<details class="kind"') == phones
    assert all(f"0021f2{number:06x}" in text for number in range(phones))
    assert text.count("No room for its settings here") > phones // 2


def test_what_has_no_room_at_all_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offhook.review.page.page.LIMIT", 40_000)
    text = page(change(tmp_path, fleet(100), different(100)), Links())
    left = re.search(r"(\d+) more kinds of change have no room here", text)
    assert left
    assert text.count('<details class="kind"') == 100 - int(left[1])
    assert len(text.encode()) <= 40_000


def different(phones: int) -> dict[str, Any]:
    """A fleet in which no two phones have the same keys in use."""
    files = fleet(phones)
    for number, phone in enumerate(files["phones/all.yaml"].values()):
        keys = {str(4 + bit): {"dnd": "true", "label": f"ü{number}"} for bit in range(13) if number >> bit & 1}
        phone["keys"] |= keys or {"20": {"dnd": "true"}}
    return files


def scattered(count: int) -> tuple[list[str], dict[str, Any]]:
    """A fleet of as many phones as sites, whose names are as long as one may make them."""
    names = [f"s{number:05}".ljust(63, "x") for number in range(count)]
    files = fleet(count)
    files["sites/all.yaml"] = {name: {"utc_offset": "+1"} for name in names}
    for name, phone in zip(names, files["phones/all.yaml"].values(), strict=True):
        phone["site"] = name
    return names, files


def test_of_many_sites_those_with_most_phones_have_a_row_and_the_others_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offhook.review.page.page._MOST_SITES", 3)
    names, before = scattered(6)
    after = copy.deepcopy(before)
    for number, phone in enumerate(after["phones/all.yaml"].values()):
        phone["keys"]["3"]["label"] = "Gate"
        if number < 2:
            phone["site"] = names[4]
    text = page(change(tmp_path, before, after), Links())
    rows = re.findall(r'<tr><th scope="row">(?:<code>)?([^x<]+)x*(?:</code>)?<td class="n">(\d)', text)
    assert rows == [("s00004", "3"), ("s00002", "1"), ("s00003", "1"), ("1 more site", "1"), ("all", "6")]
    options = re.findall(r"<option([^>]*)>([^x<]+)", text)
    assert options == [
        (' value=""', "all sites"),
        (' value="1"', "s00002"),
        (' value="2"', "s00003"),
        (' value="3"', "s00004"),
        (" disabled", "1 more site"),
    ]
    assert re.findall(r'data-sites="([^"]*)"', text) == ["1 2 3 ", "3 ", "3 "]


def test_settings_stand_before_lists_of_phones_and_of_sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offhook.review.page.page._MOST_SITES", 10)
    monkeypatch.setattr("offhook.review.page.page.LIMIT", 60_000)
    _, before = scattered(300)
    after = copy.deepcopy(before)
    after["fleet.yaml"] |= {"language": "German"}
    for phone in list(after["phones/all.yaml"].values())[:150]:
        phone["keys"]["3"]["label"] = "Gate"
    text = page(change(tmp_path, before, after), Links())
    assert len(text.encode()) <= 60_000
    assert text.count('<details class="kind"') == 2
    assert (text.count("<code>German</code>"), text.count("<code>Gate</code>")) == (2, 1)
    assert "No room for its list of phones here" in text
    assert "290 more sites" in text


def test_every_kind_has_its_settings_before_one_has_its_list_of_phones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = fleet(600), different(600)
    for number, phone in enumerate(after["phones/all.yaml"].values()):
        if number >= 40:
            phone["keys"] = before["phones/all.yaml"][f"0021f2{number:06x}"]["keys"] | {"20": {"dnd": "true"}}
    found = change(tmp_path, before, after)
    whole = len(page(found, Links()).encode())
    monkeypatch.setattr("offhook.review.page.page.LIMIT", whole * 2 // 3)
    text = page(found, Links())
    assert text.count('<table class="settings">') == text.count('<details class="kind"') > 30
    assert len(text.encode()) <= whole * 2 // 3


def test_added_phones_of_many_sites_take_no_room_from_what_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offhook.review.page.page._MOST_SITES_LISTED", 3)
    _, after = scattered(5)
    before = {**after, "phones/all.yaml": {}}
    text = page(change(tmp_path, before, after), Links())
    assert "<h3>5 phones added</h3>" in text
    assert re.findall(r"<h4><code>(s\d+)", text) == ["s00000", "s00001", "s00002"]
    assert "and 2 more: <code>offhook diff --format json</code>" in text


BOOKS = {"company": {"contacts": [{"name": name, "numbers": {"office": "1"}} for name in ("Taxi", "Door")]}}


def test_contacts_in_another_order_are_said_to_be_so(tmp_path: Path) -> None:
    turned = {"company": {"contacts": BOOKS["company"]["contacts"][::-1]}}
    found = change(tmp_path, fleet(1) | {"phonebooks/all.yaml": BOOKS}, fleet(1) | {"phonebooks/all.yaml": turned})
    shown = re.sub(r"\s+", " ", "".join(read(page(found, Links())).texts))
    assert "company changed: its contacts in another order" in shown
    assert "0 contacts added" not in shown


def test_a_path_is_spelled_as_it_is(tmp_path: Path) -> None:
    found = replace(change(tmp_path, fleet(1), fleet(1)), fleet_is_unread=True)
    assert "<h1>The file inventory/fleet.yaml cannot be read, so no phone is compared.</h1>" in page(found, Links())


@pytest.mark.parametrize(
    ("outside", "said"),
    [
        (Outside(("sites/berlin",), (), 0, common=False, phonebooks=()), "Nothing changes outside of sites/berlin."),
        (
            Outside(("sites/berlin", "phones/0021f2000001"), (), 2, common=True, phonebooks=("company",)),
            "Outside of sites/berlin, phones/0021f2000001 this changes 2 rules for everybody"
            " the common file phonebook company",
        ),
    ],
)
def test_what_changes_outside_of_what_may_is_said_first(tmp_path: Path, outside: Outside, said: str) -> None:
    found = replace(change(tmp_path, fleet(1), fleet(1, "Gate")), outside=outside)
    text = page(found, Links())
    shown = re.sub(r"\s+", " ", " ".join(read(text.replace("><", "> <")).texts))
    assert said.replace(" ", "") in shown.replace(" ", "")
    assert text.index("utside of") < text.index("What it means")


def test_phones_outside_of_what_may_change_are_named(tmp_path: Path) -> None:
    root = repositories.start(tmp_path / "fleet")
    repositories.commit(root, fleet(2))
    repositories.commit(root, fleet(2, "Gate"))
    found = diff(root, "HEAD~1", "HEAD", store=Store(None), only=["phones/0021f2000001"])
    text = page(found, Links())
    assert re.search(
        r'id="outside">Outside of <code>phones/0021f2000001</code> this changes</h2>\s*'
        r"<ul><li>1 phone: <code>0021f2000000</code></ul>",
        text,
    )


def test_values_of_their_own_are_listed_phone_by_phone(tmp_path: Path) -> None:
    before, after = fleet(30), fleet(30)
    for number, phone in enumerate(after["phones/all.yaml"].values()):
        phone["keys"]["1"]["label"] = f"New {number}"
    text = page(change(tmp_path, before, after), Links())
    assert "30 different values" in text
    found = set(read(text).texts)
    assert {f"New {number}" for number in range(30)} | {f"P{number}" for number in range(30)} <= found


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = repositories.start(tmp_path / "fleet")
    repositories.commit(root, fleet(2))
    repositories.commit(root, fleet(2, "Gate"))
    out = tmp_path / "diff.html"
    assert run(["-C", str(root), "diff", "HEAD~1", "HEAD", "--format", "html", "--out", str(out), "--exit-code"]) == 4
    assert capsys.readouterr().out == ""
    assert out.read_text("utf-8").startswith("<!doctype html>\n")
    assert run(["-C", str(root), "diff", "HEAD~1", "HEAD", "--format", "html"]) == 0
    assert capsys.readouterr().out == out.read_text("utf-8")


def test_a_head_with_mistakes_is_told_first(tmp_path: Path) -> None:
    after = fleet(1, "Gate")
    after["sites/broken.yaml"] = "lyon: {utc_offset: <b>x</b>}"
    text = page(change(tmp_path, fleet(1), after), Links())
    assert text.index("The head has mistakes") < text.index("What it means")
    assert "<b>" not in text
