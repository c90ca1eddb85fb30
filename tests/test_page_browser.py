"""The page in a real browser: on a phone, a laptop and paper, light and dark, without network and without script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import browsers
import peers
from offhook.review.links import Links
from offhook.review.page.page import LIMIT, page
from test_page import HOSTILE, change, different, fleet, several

pytestmark = pytest.mark.peer

SIZES = [browsers.PHONE, browsers.LAPTOP]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browsers.chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every kind of change."""
    folder = tmp_path_factory.mktemp("page")
    path = folder / "diff.html"
    path.write_text(page(change(folder, *several()), Links("https://github.com/acme/phones/blob")), "utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES, ids=["phone", "laptop"])
def test_everybody_can_read_it(chromium: Any, made: Path, size: tuple[int, int], scheme: str, tmp_path: Path) -> None:
    with browsers.tab(chromium, size=size, scheme=scheme) as tab:
        tab.open(made)
        tab.page.click("button[name=unfold]")
        assert tab.page.locator("details.kind:not([open])").count() == 0
        assert tab.violations() == []
        assert tab.overflow() <= 0
        # nobody must scroll sideways to see what may be cut off
        wide = "every => every.filter(one => one.scrollWidth > one.clientWidth).map(one => one.ariaLabel)"
        assert tab.page.locator(".scroll").evaluate_all(wide) == []
        assert (tab.said, tab.asked) == ([], [])
        shot = tab.page.screenshot(path=tmp_path / "page.png", full_page=True)
        assert len(shot) > 20_000, "nothing is drawn"


def test_on_paper_everything_is_unfolded(chromium: Any, made: Path, tmp_path: Path) -> None:
    with browsers.tab(chromium, size=browsers.PAPER, media="print", scheme="dark") as tab:
        tab.open(made)
        assert tab.page.locator("#filter").is_hidden()
        assert tab.overflow() <= 0
        tab.page.screenshot(path=tmp_path / "page.png", full_page=True)
        # what is folded on a screen is drawn on paper
        folded = tab.page.locator("details:not([open])")
        assert folded.count() > 2
        drawn = folded.evaluate_all("every => every.map(one => [...one.children].pop().checkVisibility())")
        assert all(drawn)
        assert tab.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_it_is_read_without_a_script(chromium: Any, made: Path) -> None:
    with browsers.tab(chromium, script=False) as tab:
        tab.open(made)
        assert tab.page.locator("#filter").is_hidden()
        summary = tab.page.locator("details.kind:not([open]) > summary").first
        summary.click()
        assert tab.page.locator("details.kind[open] table").first.is_visible()
        assert tab.page.locator("svg.keys").count() == 6


def test_pictures_are_drawn_and_nothing_leaves_its_key(chromium: Any, tmp_path: Path) -> None:
    path = tmp_path / "diff.html"
    path.write_text(page(change(tmp_path, fleet(1), fleet(1, "W" * 64)), Links()), "utf-8")
    with browsers.tab(chromium) as tab:
        tab.open(path)
        boxes = tab.page.evaluate(
            """() => [...document.querySelectorAll(".keys .key")].map(key => {
                const frame = key.querySelector("rect").getBoundingClientRect();
                const icon = key.querySelector(".icon");
                return [frame.width, icon ? icon.getBoundingClientRect().width : -1];
            })"""
        )
        assert len(boxes) == 14
        assert all(width > 100 for width, _ in boxes)
        assert [icon > 5 for _, icon in boxes if icon >= 0] == [True] * 4
        label = tab.page.locator(".edited .label").last
        assert label.get_attribute("clip-path") == "url(#key-text)"


def test_what_happened_is_seen_without_colour(chromium: Any, made: Path) -> None:
    """Frames of different fates differ in width, dashes or number, and each has a sign."""
    with browsers.tab(chromium) as tab:
        svg = '<svg class="keys">{}</svg>'.format(
            "".join(
                f'<g class="key {one}"><rect/></g>' for one in ("same", "off", "added", "removed", "edited", "moved")
            )
        )
        tab.open(made)
        tab.page.evaluate("text => document.body.insertAdjacentHTML('beforeend', text)", svg)
        looks = tab.page.evaluate(
            """() => [...document.querySelectorAll("body > svg.keys rect")].map(one => {
                const look = getComputedStyle(one);
                return look.strokeWidth + " " + look.strokeDasharray;
            })"""
        )
        assert len(looks) == len(set(looks)) == 6


def test_search_by_any_spelling_of_a_mac(chromium: Any, made: Path) -> None:
    with browsers.tab(chromium) as tab:
        tab.open(made)
        kinds = tab.page.locator("details.kind")
        every = kinds.count()
        for query, shown in (("00:21:F2:AA:AA:AA", 1), ("0021f2000001", 1), ("linekey.3", 1), ("zzz", 0), ("", every)):
            tab.page.fill("input[name=find]", query)
            tab.wait(f"document.querySelectorAll('details.kind:not([hidden])').length === {shown}")
        tab.page.fill("input[name=find]", "0021f2000001")
        tab.wait("document.querySelector('output').value.startsWith('1 of')")
        assert tab.page.locator("details.kind:not([hidden]) .macs li:not([hidden])").all_inner_texts() == [
            "0021f2000001"
        ]
        assert tab.said == []


def test_filters(chromium: Any, made: Path) -> None:
    with browsers.tab(chromium) as tab:
        tab.open(made)
        tab.page.check("input[value=cutoff]")
        tab.wait("document.querySelector('output').value !== ''")
        assert "0021f2aaaaaa" in tab.page.locator("details.kind:visible").inner_text()
        tab.page.uncheck("input[value=cutoff]")
        tab.page.select_option("select[name=site]", "berlin")
        tab.wait("document.querySelectorAll('details.kind:not([hidden])').length === 1")
        tab.page.select_option("select[name=site]", "")
        tab.wait("document.querySelector('output').value === ''")


def test_the_keyboard_is_enough(chromium: Any, made: Path) -> None:
    with browsers.tab(chromium) as tab:
        tab.open(made)
        tab.page.keyboard.press("Tab")
        assert tab.page.evaluate("document.activeElement.className") == "skip"
        tab.page.keyboard.press("Enter")
        assert tab.page.evaluate("location.hash") == "#changes"
        seen = []
        for _ in range(40):
            tab.page.keyboard.press("Tab")
            seen.append(tab.page.evaluate("document.activeElement.name || document.activeElement.tagName"))
        assert seen[:4] == ["find", "site", "tag", "tag"]
        assert {"unfold", "fold", "SUMMARY", "A"} <= set(seen)


@pytest.mark.parametrize("label", [one for one in HOSTILE if "{" not in one and len(one) <= 64])
def test_a_label_runs_and_loads_nothing(chromium: Any, tmp_path: Path, label: str) -> None:
    path = tmp_path / "diff.html"
    path.write_text(page(change(tmp_path, fleet(1), fleet(1, label)), Links()), "utf-8")
    with browsers.tab(chromium) as tab:
        tab.page.on("dialog", lambda dialog: pytest.fail(f"a label ran: {dialog.message}"))
        tab.open(path)
        shown = label.replace("\u202e", "\\u202e")
        assert tab.page.locator("td code", has_text=shown).first.is_visible()
        assert (tab.said, tab.asked) == ([], [])
        assert tab.page.locator("img, iframe").count() == 0


def test_the_policy_stops_what_is_not_ours(chromium: Any, made: Path, tmp_path: Path) -> None:
    path = tmp_path / "attacked.html"
    attack = "<script>document.title = 'run'</script><style>h1 {display: none}</style><img src='https://example.com/x'>"
    path.write_text(made.read_text("utf-8").replace("</h1>", f"</h1>{attack}"), "utf-8")
    with browsers.tab(chromium) as tab:
        tab.open(path)
        assert tab.page.title() != "run"
        assert tab.page.locator("h1").is_visible()
        assert sorted(one.split()[0] for one in tab.said) == ["Applying", "Executing", "Loading"]


@pytest.mark.parametrize("phones", [300, pytest.param(5_000, marks=pytest.mark.long)])
def test_thousands_of_different_changes_open(
    chromium: Any, tmp_path: Path, phones: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offhook.review.page.page.LIMIT", LIMIT * phones // 5_000)
    path = tmp_path / "diff.html"
    path.write_text(page(change(tmp_path, fleet(phones), different(phones)), Links()), "utf-8")
    assert path.stat().st_size < 1_000 * phones
    with browsers.tab(chromium) as tab:
        tab.open(path)
        # what opening takes grows with the elements: 5,000 phones with so many open within two seconds
        assert tab.page.evaluate("document.querySelectorAll('*').length") < 40 * phones
        assert tab.page.locator("details.kind").count() == phones
        tab.page.fill("input[name=find]", f"0021f2{phones - 1:06x}")
        tab.wait("document.querySelector('output').value.startsWith('1 of')")
        assert (tab.said, tab.asked) == ([], [])


def test_a_missing_browser_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(peers.shutil, "which", lambda *_, **__: None)
    with pytest.raises(pytest.skip.Exception, match="chromium is not installed"), browsers.chromium():
        pass
