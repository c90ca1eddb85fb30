"""The comment on a pull request: short, exact, within the platforms' limits, and harmless whatever a label says."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import inventories
import repositories
from markdown import is_only_text, read
from offhook.cli.run import run
from offhook.diff import Diff, diff
from offhook.review.comment import LIMITS, MARKER, comment
from offhook.review.diff_json import diff_json
from offhook.review.diff_text import diff_text
from offhook.review.headline import headline, spoken
from offhook.review.links import Links, links_in
from offhook.store import Store

MAC = "0021f2000001"
NOWHERE = Links()
GITHUB = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/phones"}
HOSTILE = [
    "<script>alert(1)</script>",
    "</code></details><img src=x onerror=alert(1)>",
    "<!-- offhook review --> <!--",
    "**bold** _it_ ~~gone~~ `code` [x](javascript:alert(1))",
    "@acme/admins please merge #1 GH-2 acme/phones#3",
    "www.a.example http://b.example bob@c.example",
    "sip:bob@c.example xmpp:bob@c.example mailto:bob@c.example",
    "05b94c8 05b94c837c1e3c3b1f0b9a4c55a1f3f0a8d8f1d2",
    "``` | a | b | ```",
    "& &amp; &#64;all &commat;all :smile: $x$",
    "C:\\dir\\| \\n \\",
    "- # 1. > ---",
    "שלום עולם",
    "😀" * 40,
    "a" * 64,
]


def change(tmp_path: Path, before: dict[str, Any], after: dict[str, Any]) -> Diff:
    root = repositories.start(tmp_path / "fleet")
    repositories.commit(root, before)
    repositories.commit(root, after)
    return diff(root, "HEAD~1", "HEAD", store=Store(None))


def fleet(phones: int, label: str, **site: Any) -> dict[str, Any]:
    files = inventories.minimal()
    files["sites/all.yaml"] = {"berlin": {"utc_offset": "+1", **site}}
    files["phones/all.yaml"] = {
        f"0021f2{number:06x}": {"model": "FIP14G", "site": "berlin", "keys": {"3": {"dnd": "true", "label": label}}}
        for number in range(phones)
    }
    return files


def test_one_change_of_many_phones_is_one_sentence(tmp_path: Path) -> None:
    found = change(tmp_path, fleet(50, "x"), fleet(50, "x", utc_offset="+2"))
    assert headline(found) == "50 phones in berlin: time zone +1 to +2"
    text = comment(found, NOWHERE)
    assert text.splitlines()[0] == MARKER
    assert read(text).text.strip().split("\n")[0] == "50 phones in berlin: time zone +1 to +2."
    assert "| <code>berlin</code> | 50 |" in text
    assert text.count("<details open>") == 1
    assert len(text) < 3000


BOOK = {"contacts": [{"name": "Taxi", "numbers": {"office": "1"}}]}
LINE = {"0021f2000009": {"model": "FIP14G", "site": "berlin"}}
TITLES: list[tuple[str, str, Any, Any]] = [
    (
        "accounts/all.yaml",
        "alice.display_name",
        "Al",
        "1 phone in berlin: account 1 label 0101 to Al, account 1 display name 0101 to Al, key 1",
    ),
    ("accounts/all.yaml", "alice.password", "secret:berlin/new", "1 phone in berlin: account 1 password"),
    ("phones/all.yaml", f"{MAC}.keys", {"3": {"dnd": "true", "label": "Quiet"}}, "1 phone in berlin: key 3 added."),
    ("phones/all.yaml", f"{MAC}.retired", "true", "1 phone in berlin retired"),
    ("phones/all.yaml", "0021f2000009", LINE["0021f2000009"], "1 phone in berlin added"),
    ("phones/all.yaml", MAC, None, "1 phone in berlin removed"),
    ("fleet.yaml", "limits", {"changed": "90%"}, "No phone changes, but the rules do"),
    ("phonebooks/all.yaml", "company", BOOK, "Phonebook company is added"),
    ("sites/all.yaml", "berlin.language", "German", "1 phone in berlin: "),
    ("notes.txt", "", "x", "No phone changes"),
]


@pytest.mark.parametrize(("file", "path", "value", "title"), TITLES, ids=[row[1] or row[0] for row in TITLES])
def test_the_title_says_each_kind_of_change(file: str, path: str, value: Any, title: str, tmp_path: Path) -> None:
    before, after = inventories.minimal(), inventories.minimal()
    *above, last = path.split(".")
    place: Any = after.setdefault(file, {})
    for word in above:
        place = place[word]
    if not path:
        after[file] = value
    elif value is None:
        del place[last]
    else:
        place[last] = value
    text = comment(change(tmp_path, before, deepcopy(after)), NOWHERE)
    first = read(text).text.strip().split("\n")[0]
    assert first.startswith(title)
    assert len(first) < 130
    is_only_text(read(text))


def test_a_phone_that_moves_or_is_replaced_says_so(tmp_path: Path) -> None:
    """Another model and another site are what a reviewer looks for, not the keys that are switched off for them."""
    before = fleet(3, "Taxi")
    before["sites/all.yaml"]["lyon"] = {"utc_offset": "+2"}
    after = deepcopy(before)
    for number in (0, 1):
        after["phones/all.yaml"][f"0021f200000{number}"] |= {"site": "lyon", "model": "FIP15G", "language": "French"}
    found = change(tmp_path, before, after)
    assert headline(found).startswith("2 phones in lyon: model FIP14G to FIP15G, site berlin to lyon, ")
    text = comment(found, NOWHERE)
    assert "<code>lyon</code>: model <code>FIP14G</code> to <code>FIP15G</code>; site <code>berlin</code> to" in text
    rows = [line for line in text.splitlines() if line.startswith("| <code>")]
    layers = ["compiler" in row for row in rows if "lang" in row or "linekey" in row]
    assert layers == sorted(layers)
    assert True in layers
    (group,) = json.loads(diff_json(found))["groups"]
    assert group["moves"] == [
        {"what": "model", "old": "FIP14G", "new": "FIP15G"},
        {"what": "site", "old": "berlin", "new": "lyon"},
    ]
    assert "2 phones in lyon, model FIP14G to FIP15G, site berlin to lyon" in diff_text(found)


def test_the_title_names_those_that_retire_and_those_that_change_apart(tmp_path: Path) -> None:
    before, after = fleet(3, "x"), fleet(3, "x", utc_offset="+2")
    after["phones/all.yaml"]["0021f2000002"]["retired"] = "true"
    assert headline(change(tmp_path, before, after)) == (
        "2 phones in berlin: time zone +1 to +2; 1 phone in berlin retired"
    )


@pytest.mark.parametrize("label", HOSTILE)
def test_a_label_is_only_text(tmp_path: Path, label: str) -> None:
    found = read(comment(change(tmp_path, fleet(1, "Door"), fleet(1, label)), NOWHERE))
    is_only_text(found)
    assert found.links == []
    said = "".join(found.spans).replace("\u2068", "").replace("\u2069", "")
    assert label[:57] in said


def test_what_is_written_from_right_to_left_turns_nothing_around_it(tmp_path: Path) -> None:
    found = read(comment(change(tmp_path, fleet(1, "Door"), fleet(1, "שלום")), NOWHERE))
    assert "\u2068שלום\u2069" in found.spans
    assert "שלום" not in found.spans


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(label=st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=40).filter(str.strip))
def test_any_label_is_only_text(tmp_path_factory: pytest.TempPathFactory, label: str) -> None:
    label = label.strip().replace("{", "(")  # an expression is not a label
    is_only_text(read(comment(change(tmp_path_factory.mktemp("x"), fleet(1, "Door"), fleet(1, label)), NOWHERE)))


def test_names_from_everywhere_are_only_text(tmp_path: Path) -> None:
    """A path, a phonebook's id, a message of a broken head: what a pull request from outside may choose."""
    before, after = inventories.minimal(), inventories.minimal()
    name = "sites/@acme #1 <b> `x` | www.a.example [x](javascript:1).yaml"
    after[name] = {"lyon": {"utc_offset": "+2"}}
    after["phones/all.yaml"][MAC]["site"] = "lyon"
    after["phones/<!--.yaml"] = "0021f2000009: {model: '</code> @acme'}"
    text = comment(change(tmp_path, before, after), links_in(GITHUB))
    found = read(text)
    is_only_text(found)
    assert all(link.startswith("https://github.com/acme/phones/blob/") for link in found.links)
    assert "sites/%40acme%20%231%20%3Cb%3E%20%60x%60%20%7C%20www.a.example" in text
    assert "The head has mistakes" in text


def test_links_to_file_and_line(tmp_path: Path) -> None:
    found = change(tmp_path, fleet(1, "x"), fleet(1, "x", utc_offset="+2"))
    text = comment(found, links_in(GITHUB, "voice/"))
    assert re.search(
        rf'<a href="https://github.com/acme/phones/blob/{found.head}/voice/inventory/sites/all.yaml#L\d+"><code>', text
    )
    gitlab = comment(found, links_in({"CI_PROJECT_URL": "https://gitlab.com/acme/phones"}))
    assert f"https://gitlab.com/acme/phones/-/blob/{found.head}/inventory/sites/all.yaml#L" in gitlab
    own = {"GITHUB_SERVER_URL": "http://git.acme.example:3000", "GITHUB_REPOSITORY": "it/phones"}
    assert f'"http://git.acme.example:3000/it/phones/blob/{found.head}/inv' in comment(found, links_in(own))
    for odd in ("javascript:", "", "//x"):
        assert "<a " not in comment(found, links_in({"GITHUB_SERVER_URL": odd, "GITHUB_REPOSITORY": "x"}))


def test_what_is_deleted_is_linked_to_the_base(tmp_path: Path) -> None:
    before, after = fleet(1, "x"), fleet(1, "x")
    before["fleet.yaml"] |= {"limits": {"changed": "30%"}, "settings": {"local_time.time_format": "0"}}
    found = change(tmp_path, before, after)
    text = comment(found, links_in(GITHUB))
    links = {link.partition("/blob/")[2] for link in read(text).links}
    assert {link.partition("/")[0] for link in links} == {found.base}
    assert len(links) == 2


def test_rules_above_the_fleets_folder_are_linked_to_where_they_stand(tmp_path: Path) -> None:
    top = repositories.start(tmp_path / "top")
    root = top / "voice"
    (top / "CODEOWNERS").write_text("* @acme\n")
    inventories.write_inventory(root, inventories.minimal())
    repositories.commit(top, {}, "base")
    (top / "CODEOWNERS").write_text("* @mallory\n")
    repositories.commit(top, {}, "head")
    found = diff(root, "HEAD~1", "HEAD", store=Store(None))
    assert read(comment(found, links_in(GITHUB, "voice/"))).links == [
        f"https://github.com/acme/phones/blob/{found.head}/CODEOWNERS#L1"
    ]


def different(phones: int, text: str = "ü") -> tuple[dict[str, Any], dict[str, Any]]:
    """A fleet before and after, in which no two phones change alike."""
    before, after = fleet(phones, "x"), fleet(phones, "x")
    for number, phone in enumerate(after["phones/all.yaml"].values()):
        keys = {
            str(4 + bit): {"dnd": "true", "label": f"{text * 40}{number}"} for bit in range(15) if number >> bit & 1
        }
        phone["keys"] |= keys or {"20": {"dnd": "true"}}
    return before, after


@pytest.mark.parametrize("platform", ["github", "gitlab"])
@pytest.mark.parametrize("text", ["ü", "😀", "|", "@"])
def test_as_many_different_changes_as_one_likes_fit(
    tmp_path: Path, text: str, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a small limit stands for many phones: test_review_size has them
    monkeypatch.setitem(LIMITS, platform, 12_000)
    found = change(tmp_path, *different(120, text))
    links = Links("https://example.com/blob", platform=platform)
    said = comment(found, links, artifact="https://example.com/whole")
    assert 8_000 < len(said.encode("utf-16-le")) // 2 <= 12_000
    read_back = read(said)
    is_only_text(read_back)
    assert read_back.tags["details"] > 0
    assert set(read_back.rows) == {4, 6}
    assert read_back.links[-1] == "https://example.com/whole"
    assert re.search(r"and \d+ more kinds of change", said)
    assert "| <code>berlin</code> | 120 |" in said


@pytest.mark.parametrize("limit", range(3_000, 30_000, 1_700))
def test_wherever_it_is_cut_it_is_well_formed(tmp_path: Path, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS, "github", limit)
    said = comment(change(tmp_path, *different(20)), NOWHERE)
    assert len(said) <= limit
    assert "the whole diff" in said or "more kind" not in said
    is_only_text(read(said))


def test_the_longest_head_fits(tmp_path: Path) -> None:
    """Many rules, mistakes, sites and phonebooks, each as long as may be, leave room for the groups."""
    before, after = fleet(60, "x"), fleet(60, "x", utc_offset="+2")
    for files in (before, after):
        files["sites/all.yaml"] |= {f"s{'-' * 30}{number}": {} for number in range(60)}
    environments = {
        f"e{'_' * 50}{number}": {"url": f"https://{'a-' * 20}.example/{'|' * 400}/"} for number in range(60)
    }
    after["fleet.yaml"] |= {"environments": environments, "default_environment": next(iter(environments))}
    for number, phone in enumerate(after["phones/all.yaml"].values()):
        phone["site"] = [*after["sites/all.yaml"]][number]
    for number in range(60):
        after[f"phonebooks/{'(' * 100}{number}.yaml"] = {f"b{'-' * 30}{number}": BOOK}
        after[f"phones/{'%' * 200}{number}.yaml"] = {f"x{number}": {"model": "|" * 200}}
    said = comment(change(tmp_path, before, after), links_in(GITHUB))
    assert len(said) <= LIMITS["github"]
    assert "more rules" in said
    is_only_text(read(said))


def test_every_warning_has_a_hint(tmp_path: Path) -> None:
    """Cut off, removed without having been retired, may restart, switched off, kept: each with what to do."""
    before, after = inventories.minimal(), inventories.minimal()
    after["fleet.yaml"] = {**after["fleet.yaml"], "sip": {"server": "other.example.com"}}
    more = {f"0021f20000a{number}": {"model": "FIP14G", "site": "berlin"} for number in range(4)}
    before["phones/all.yaml"] |= deepcopy(more)
    before["phones/all.yaml"]["0021f20000a1"]["settings"] = {"local_time.time_format": "1"}
    before["phones/all.yaml"]["0021f20000a0"]["accounts"] = ["bob"]
    more["0021f20000a0"] |= {"accounts": ["bob"], "retired": "true"}
    more["0021f20000a1"]["settings"] = {"syslog.server": "log.example.com"}
    more["0021f20000a2"]["settings_unchecked"] = {"new.parameter": "1"}
    more["0021f20000a4"] = more.pop("0021f20000a3")
    after["phones/all.yaml"] |= more
    text = comment(change(tmp_path, before, after), NOWHERE)
    said = read(text).text
    assert f"may be cut off: 1 phone, {MAC}. Deploy to one of them first, and have somebody beside it." in said
    assert "removed, but not retired before: 1 phone, 0021f20000a3. They keep their accounts" in said
    assert "restart not known: 3 phones. Nobody has noted" in said
    assert "restart likely: 1 phone. A restart ends calls: deploy when nobody is on the phone." in said
    assert "switched off: 1 phone, 0021f20000a0. Delete their entries" in said
    assert "keep what nothing says any more: 1 phone, 0021f20000a1. A line that is gone tells a phone nothing" in said
    assert "Added: 0021f20000a4.\nRemoved: 0021f20000a3." in said


def test_a_base_with_mistakes_is_told(tmp_path: Path) -> None:
    broken = inventories.minimal() | {"sites/broken.yaml": "x: ["}
    text = comment(change(tmp_path, broken, inventories.minimal()), NOWHERE)
    assert "**The base has mistakes**" in text
    assert "sites/broken.yaml" in read(text).text


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("local_time.time_zone", "time zone"),
        ("linekey.3.label", "key 3 label"),
        ("account.1.display_name", "account 1 display name"),
        ("account.2.sip_server.1.address", "account 2 sip server 1 address"),
        ("account.1.codec.g722.priority", "account 1 g722 priority"),
        ("features.pound_key.mode", "pound key mode"),
        ("auto_provision.server.password", "server password"),
        ("auto_provision.aes_key_16.mac", "aes key 16 mac"),
        ("voice_mail.number.1", "voice mail number 1"),
        ("auto_redial.interval", "auto redial interval"),
        ("1", "1"),
    ],
)
def test_parameters_in_words(parameter: str, words: str) -> None:
    assert spoken(parameter) == words


HOST = "sbc-frankfurt-am-main-1.voice.production.eu-central.nordwind.example"


def test_where_long_values_differ_is_seen(tmp_path: Path) -> None:
    """In the table, in the title and among the rules, whatever stands before it is cut."""
    before, after = (fleet(1, "x", sip={"outbound_proxy": f"{HOST}{end}"}) for end in ("", ".evil.example"))
    long = f"https://prov.example.com/{'a' * 180}"
    for files, end in ((before, "one"), (after, "two")):
        files["fleet.yaml"]["environments"] = {"lab": {"url": f"{long}/{end}/"}}
        files["phones/all.yaml"][f"{MAC[:-6]}000000"]["accounts"] = ["alice"]
    found = change(tmp_path, before, after)
    text = read(comment(found, NOWHERE)).text
    assert text.count("evil.example") >= 2
    assert "/one/ -> " in text
    assert "/two/" in text
    assert "evil.example" in headline(found)


def test_what_may_cut_off_is_never_left_out_and_what_is_left_out_is_pointed_to(tmp_path: Path) -> None:
    before, after = fleet(1, "x"), fleet(1, "x", sip={"server": "evil.example"})
    for files in (before, after):
        files["phones/all.yaml"][f"{MAC[:-6]}000000"]["accounts"] = ["alice"]
    after["phones/all.yaml"][f"{MAC[:-6]}000000"]["keys"] = {
        str(number): {"dnd": "true", "label": f"a{number}"} for number in range(4, 20)
    }
    found = change(tmp_path, before, after)
    risky = [one.parameter for one in found.phones[0].changes if one.cutoff]
    assert len(found.phones[0].changes) > 20
    assert risky
    text = comment(found, NOWHERE)
    assert all(one in read(text).text for one in risky)
    assert "more settings" in text
    assert "`offhook diff --format json` has the whole diff." in text


def test_a_few_values_of_one_setting_are_all_named(tmp_path: Path) -> None:
    before, after = fleet(8, "x"), fleet(8, "x")
    for phone, label in zip(after["phones/all.yaml"].values(), ("a1", "b2", "c3", "d4"), strict=False):
        phone["keys"]["3"]["label"] = label
    text = read(comment(change(tmp_path, before, after), NOWHERE)).text
    assert all(label in text for label in ("a1", "b2", "c3", "d4"))


def test_what_only_does_not_allow_is_said(tmp_path: Path) -> None:
    root = repositories.start(tmp_path / "fleet")
    repositories.commit(root, fleet(2, "x"))
    after = fleet(2, "x", utc_offset="+2")
    after["profiles/all.yaml"] = {"desk": {}}
    repositories.commit(root, after)
    for scope, is_said in (("profiles/desk", True), ("sites/berlin", False)):
        found = diff(root, "HEAD~1", "HEAD", store=Store(None), only=[scope])
        text = read(comment(found, NOWHERE)).text
        assert (f"The change leaves its scope: 2 phones change outside of {scope}." in text) == is_said


def test_contacts_in_another_order(tmp_path: Path) -> None:
    before = fleet(1, "x")
    contacts = [{"name": name, "numbers": {"office": "1"}} for name in ("Taxi", "Door")]
    before["phonebooks/all.yaml"] = {"company": {"contacts": contacts}}
    after = deepcopy(before)
    after["phonebooks/all.yaml"]["company"]["contacts"].reverse()
    assert "changed: its contacts in another order." in comment(change(tmp_path, before, after), NOWHERE)


def test_the_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = repositories.start(tmp_path / "fleet")
    repositories.commit(root, fleet(2, "x"))
    repositories.commit(root, fleet(2, "x", utc_offset="+2"))
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    assert run(["-C", str(root), "diff", "HEAD~1", "HEAD", "--format", "markdown", "--exit-code"]) == 4
    assert capsys.readouterr().out.startswith(f"{MARKER}\n## ")
    for odd in (
        "javascript:alert(1)",
        "https://a.example/\\",
        "https://a.example/)x",
        "https://a b",
        f"https://{'a' * 3000}",
    ):
        assert run(["-C", str(root), "diff", "HEAD~1", "--format", "markdown", "--artifact", odd]) == 2
