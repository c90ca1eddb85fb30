"""The comment on a pull request: short, exact, within the platforms' limits, and harmless whatever a label says."""

from __future__ import annotations

import html
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import inventories
import repositories
from offhook.cli.run import run
from offhook.diff import Diff, diff
from offhook.review.comment import LIMIT, MARKER, comment
from offhook.review.headline import headline, spoken
from offhook.review.links import Links, links_in
from offhook.store import Store

MAC = "0021f2000001"
NOWHERE = Links()
HOSTILE = [
    "<script>alert(1)</script>",
    "</code></details><img src=x onerror=alert(1)>",
    "**bold** _it_ ~~gone~~ `code` [x](javascript:alert(1))",
    "@acme/admins please merge #1 www.a.example http://b.example",
    "| a | b |",
    "& &amp; &#64;all",
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
    assert shown(text.splitlines()[1]) == "## 50 phones in berlin: time zone +1 to +2."
    assert "| <code>berlin</code> | 50 |" in text
    assert text.count("<details open>") == 1
    assert len(text) < 3000


def test_nothing_changes(tmp_path: Path) -> None:
    found = change(tmp_path, fleet(1, "x"), fleet(1, "x") | {"notes.txt": "x"})
    assert shown(comment(found, NOWHERE)).splitlines()[1] == "## No phone changes."


@pytest.mark.parametrize("label", HOSTILE)
def test_a_label_is_only_text(tmp_path: Path, label: str) -> None:
    text = comment(change(tmp_path, fleet(1, "Door"), fleet(1, label)), NOWHERE)
    is_only_text(text)
    assert label[:20] in shown(text)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(label=st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=40).filter(str.strip))
def test_any_label_is_only_text(tmp_path_factory: pytest.TempPathFactory, label: str) -> None:
    label = label.strip().replace("{", "(")  # an expression is not a label
    is_only_text(comment(change(tmp_path_factory.mktemp("x"), fleet(1, "Door"), fleet(1, label)), NOWHERE))


def is_only_text(text: str) -> None:
    """What users wrote is encoded: the only markup is ours."""
    body = text.removeprefix(MARKER)
    tags = set(re.findall(r"<[^>]*>", body))
    assert tags <= {
        *("<code>", "</code>", "<b>", "</b>", "<details open>", "<details>", "</details>", "<summary>", "</summary>")
    }
    inside = re.sub(r"&#\d+;", "", "".join(re.findall(r"<code>(.*?)</code>", body)))
    assert not re.search(r"[@#`*_\[\]<>|~:/.&]", inside)
    assert all(line.count("|") in (0, 5, 7) for line in body.splitlines())


def shown(text: str) -> str:
    """The text as a reader sees it, but for the tables."""
    return html.unescape(re.sub(r"</?code>", "", text))


def test_links_to_file_and_line(tmp_path: Path) -> None:
    found = change(tmp_path, fleet(1, "x"), fleet(1, "x", utc_offset="+2"))
    variables = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/phones"}
    text = comment(found, links_in(variables, "voice/"))
    assert re.search(
        rf'<a href="https://github.com/acme/phones/blob/{found.head}/voice/inventory/sites/all.yaml#L\d+"><code>', text
    )
    gitlab = comment(found, links_in({"CI_PROJECT_URL": "https://gitlab.com/acme/phones"}))
    assert f"https://gitlab.com/acme/phones/-/blob/{found.head}/inventory/sites/all.yaml#L" in gitlab
    assert "<a " not in comment(found, links_in({"GITHUB_SERVER_URL": "javascript:", "GITHUB_REPOSITORY": "x"}))


@pytest.mark.parametrize("phones", [200, pytest.param(20_000, marks=pytest.mark.long)])
def test_as_many_different_changes_as_one_likes_fit(tmp_path: Path, phones: int) -> None:
    before, after = fleet(phones, "x"), fleet(phones, "x")
    for number, phone in enumerate(after["phones/all.yaml"].values()):
        # other keys on each phone, so that no two changes are alike
        keys = {str(4 + bit): {"dnd": "true", "label": f"{'ü' * 40}{number}"} for bit in range(15) if number >> bit & 1}
        phone["keys"] |= keys or {"20": {"dnd": "true"}}
    found = change(tmp_path, before, after)
    text = comment(found, NOWHERE, artifact="https://example.com/whole")
    assert len(text.encode()) <= LIMIT < 65_536
    assert text.count("<details") == text.count("</details>")
    assert "https://example.com/whole" in text
    assert f"| <code>berlin</code> | {phones:,} |" in text
    is_only_text(text.replace("[The whole diff](https://example.com/whole)", ""))


def test_a_phone_that_may_be_cut_off_comes_first_with_what_to_do(tmp_path: Path) -> None:
    before = inventories.minimal()
    after = inventories.minimal()
    after["fleet.yaml"] = {**after["fleet.yaml"], "sip": {"server": "other.example.com"}}
    text = shown(comment(change(tmp_path, before, after), NOWHERE))
    assert "may be cut off" in text
    assert "Deploy to one of them first" in text


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("local_time.time_zone", "time zone"),
        ("linekey.3.label", "key 3 label"),
        ("account.1.display_name", "account 1 display name"),
        ("features.pound_key.mode", "pound key mode"),
    ],
)
def test_parameters_in_words(parameter: str, words: str) -> None:
    assert spoken(parameter) == words


def test_the_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = repositories.start(tmp_path / "fleet")
    repositories.commit(root, fleet(2, "x"))
    repositories.commit(root, fleet(2, "x", utc_offset="+2"))
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    assert run(["-C", str(root), "diff", "HEAD~1", "HEAD", "--format", "markdown", "--exit-code"]) == 4
    assert capsys.readouterr().out.startswith(f"{MARKER}\n## ")
    assert run(["-C", str(root), "diff", "HEAD~1", "--format", "markdown", "--artifact", "javascript:alert(1)"]) == 2
    subprocess.run(["git", "-C", root, "status", "--porcelain"], check=True)
