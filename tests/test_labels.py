"""Keys as pictures outside of a diff: `offhook show --format svg`, and the sheet of a site's key labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import browsers
import inventories
from offhook.cli.run import run
from test_key_pictures import SVG, texts
from test_page import HOSTILE, read

PHONE, PLAIN, RETIRED, ELSEWHERE = (f"0021f200000{number}" for number in (1, 2, 3, 4))


def fleet(folder: Path, label: str = "Door") -> Path:
    files = inventories.minimal()
    files["sites/all.yaml"] = {"berlin": {}, "lyon": {}, "empty": {}}
    files["accounts/all.yaml"]["alice"]["display_name"] = "Alice"
    files["phones/all.yaml"] = {
        PHONE: {
            "model": "FIP14G",
            "site": "berlin",
            "accounts": ["alice"],
            "keys": {"9": {"dnd": "true", "label": label}},
        },
        PLAIN: {"model": "FIP16", "site": "berlin", "accounts": ["bob"]},
        RETIRED: {"model": "FIP14G", "site": "berlin", "retired": "true"},
        ELSEWHERE: {"model": "FIP14G", "site": "lyon"},
    }
    return inventories.write_inventory(folder, files)


def ask(folder: Path, *words: str, code: int = 0) -> None:
    assert run(["-C", str(folder), "--no-cache", *words]) == code


def test_a_phones_keys_as_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask(fleet(tmp_path), "show", "00:21:f2:00:00:01", "--format", "svg")
    svg = ElementTree.fromstring(capsys.readouterr().out)
    assert svg.findtext(f"{SVG}title") == f"{PHONE}, FIP14G in berlin: line keys"
    assert [text for text in texts(svg) if not text.isdecimal()] == ["page 1", "Alice", "line", "page 2", "Door", "dnd"]


def test_the_picture_of_the_documentation_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    ask(inventories.ROOT, "show", PHONE, "--format", "svg")
    assert capsys.readouterr().out == (inventories.ROOT / "docs" / "keys.svg").read_text("utf-8"), (
        f"offhook show {PHONE} --format svg > docs/keys.svg renews it"
    )


def test_a_phone_without_line_keys_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask(fleet(tmp_path), "show", PLAIN, "--format", "svg", code=1)
    assert capsys.readouterr().err == f"error: {PLAIN} has no keys to draw: a FIP16 has no line keys\n"


def test_the_sheet_of_a_site(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "labels.html"
    ask(fleet(tmp_path), "labels", "berlin", "--out", str(out))
    assert capsys.readouterr().out == ""
    shown = " ".join("".join(read(out.read_text("utf-8")).texts).split())
    assert f"Alice FIP14G, {PHONE}" in shown
    assert "Door" in shown
    assert f"Without line keys: {PLAIN} (0102)." in shown
    assert RETIRED not in shown
    assert ELSEWHERE not in shown
    ask(tmp_path, "labels", "empty")
    assert "No phone stands here." in capsys.readouterr().out
    ask(tmp_path, "labels", "berlni", code=1)
    assert capsys.readouterr().err == 'error: the inventory has no site "berlni"\n  near: berlin\n'


def test_phones_of_another_environment_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet(tmp_path)
    files = inventories.minimal()
    url = "https://prov.example.com/"
    lab = {"url": url, "phones": {"sites": ["lyon"]}}
    files["fleet.yaml"] |= {"environments": {"lab": lab, "all": {"url": url}}, "default_environment": "all"}
    inventories.write_inventory(tmp_path, {"fleet.yaml": files["fleet.yaml"]})
    ask(tmp_path, "labels", "berlin", "--env", "lab")
    out, err = capsys.readouterr()
    assert "No phone stands here." in out
    assert err == "warning: 2 phones of berlin are not of the environment lab: no card\n"
    ask(tmp_path, "labels", "lyon", "--env", "lab")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("label", [one for one in HOSTILE if "{" not in one and len(one) <= 64])
def test_a_label_is_only_text(tmp_path: Path, label: str, capsys: pytest.CaptureFixture[str]) -> None:
    fleet(tmp_path, label)
    for words in (("labels", "berlin"), ("show", PHONE, "--format", "svg")):
        ask(tmp_path, *words)
        text = capsys.readouterr().out
        found = read(text)
        assert not {"img", "b", "script", "a"} & found.tags
        assert not [name for name, _ in found.attributes if name.startswith("on")]
        assert "\u202e" not in text


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browsers.chromium() as browser:
        yield browser


@pytest.mark.peer
@pytest.mark.parametrize(
    ("size", "media"), [(browsers.PHONE, "screen"), (browsers.LAPTOP, "screen"), (browsers.PAPER, "print")]
)
def test_the_sheet_in_a_browser(chromium: Any, tmp_path: Path, size: tuple[int, int], media: str) -> None:
    out = tmp_path / "labels.html"
    folder = fleet(tmp_path)
    # two phones of one person have one name
    accounts = {"alice": {"extension": "0101", "password": "secret:a", "display_name": "Alice", "max_phones": "2"}}
    twins = {f"0021f200001{number}": {"model": "FIP14G", "site": "lyon", "accounts": ["alice"]} for number in (1, 2)}
    inventories.write_inventory(folder, {"accounts/all.yaml": accounts, "phones/all.yaml": twins})
    ask(folder, "labels", "lyon", "--out", str(out))
    with browsers.tab(chromium, size=size, media=media) as tab:
        tab.open(out)
        assert tab.violations() == []
        assert tab.overflow() <= 0
        assert (tab.said, tab.asked) == ([], [])
        assert tab.page.locator("svg.keys").last.bounding_box()["width"] > 200


@pytest.mark.peer
@pytest.mark.parametrize(("scheme", "ink"), [("light", "rgb(28, 33, 39)"), ("dark", "rgb(236, 239, 242)")])
def test_a_picture_of_its_own_in_a_browser(
    chromium: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], scheme: str, ink: str
) -> None:
    ask(fleet(tmp_path), "show", PHONE, "--format", "svg")
    path = tmp_path / "keys.svg"
    path.write_text(capsys.readouterr().out, "utf-8")
    with browsers.tab(chromium, scheme=scheme) as tab:
        tab.open(path)
        assert tab.page.evaluate("getComputedStyle(document.querySelector('.label')).fill") == ink
        assert tab.page.evaluate("document.querySelector('.icon').getBoundingClientRect().width") > 5
        assert (tab.said, tab.asked) == ([], [])
