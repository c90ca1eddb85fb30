"""Pictures of keys: every key in its place, what happened to it in shape as well as colour, and labels as mere text."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

import inventories
from offhook.diff.change import Panels
from offhook.flyingvoice.catalogue import models
from offhook.flyingvoice.keys import Key
from offhook.flyingvoice.panels import Panel, Place, columns_of, does, panel_of, place_of
from offhook.review.page.fates import ADDED, EDITED, MOVED, REMOVED, SAME, Fate, fates
from offhook.review.page.key_pictures import OWN, icon_shapes, picture, shortened, standalone
from offhook.review.page.sights import drawn, sights

SVG = "{http://www.w3.org/2000/svg}"
TAXI, DOOR, DND, PARK = Key("13", "1", "110", "Taxi"), Key("13", "1", "5", "Door"), Key("5", "1"), Key("10", "1", "70")
KEYS = st.dictionaries(
    st.integers(1, 21), st.builds(Key, st.sampled_from(["5", "13", "77"]), label=st.sampled_from(["a", "b", None]))
)


def panel(keys: dict[int, Key], model: str = "FIP14G") -> Panel:
    return Panel(model, models()[model].line_keys, keys)


def test_keys_stand_in_columns_on_pages() -> None:
    assert [place_of("FIP14G", number) for number in (1, 4, 5, 7, 8, 21)] == [
        Place(0, 0, 0),
        Place(0, 0, 3),
        Place(0, 1, 0),
        Place(0, 1, 2),
        Place(1, 0, 0),
        Place(2, 1, 2),
    ]
    assert place_of("FIP15G", 74) == Place(7, 0, 3)
    assert columns_of("FIP16") == (1,)


@pytest.mark.parametrize("model", [name for name, one in models().items() if one.line_keys])
def test_no_two_keys_of_a_model_stand_in_one_place(model: str) -> None:
    places = {place_of(model, number) for number in range(1, models()[model].line_keys + 1)}
    assert len(places) == models()[model].line_keys
    assert sum(models()[model].panel) <= models()[model].line_keys


@pytest.mark.parametrize("dialect", ["guide", "static"])
def test_a_panel_is_what_a_phone_is_told(dialect: str, tmp_path: Path) -> None:
    files = inventories.minimal()
    files["fleet.yaml"] |= {"dialect": dialect}
    keys = {"3": {"dnd": "true"}, "4": {"speed-dial": "110", "label": "Taxi"}, "5": {"none": "true"}}
    files["phones/all.yaml"]["0021f2000001"]["keys"] = keys
    fleet = inventories.read(inventories.write_inventory(tmp_path, files))
    resolver, phone = fleet.resolver(), fleet.inventory.phones["0021f2000001"]
    found = panel_of(phone.model, dialect, resolver.resolve(phone).values)
    assert (found.model, found.last, sorted(found.keys)) == ("FIP14G", 21, [1, 3, 4])
    assert [does(found.keys[number]) for number in (1, 3, 4)] == ["line", "dnd", "speed-dial"]
    assert (found.keys[4].label, found.keys[4].value) == ("Taxi", "110")


FATES = [
    ({3: TAXI}, {3: TAXI}, {3: Fate(SAME)}, {3: Fate(SAME)}),
    ({}, {3: TAXI}, {}, {3: Fate(ADDED)}),
    ({3: TAXI}, {}, {3: Fate(REMOVED)}, {}),
    ({3: TAXI}, {3: DOOR}, {3: Fate(EDITED)}, {3: Fate(EDITED)}),
    ({3: TAXI}, {4: TAXI}, {3: Fate(MOVED, 4)}, {4: Fate(MOVED, 3)}),
    (
        {3: TAXI, 4: DOOR},
        {3: DOOR, 4: TAXI},
        {3: Fate(MOVED, 4), 4: Fate(MOVED, 3)},
        {3: Fate(MOVED, 4), 4: Fate(MOVED, 3)},
    ),
    # what stood where another key moved to is gone, and what came where one moved from is new
    ({3: TAXI, 4: DND}, {3: DND}, {3: Fate(REMOVED), 4: Fate(MOVED, 3)}, {3: Fate(MOVED, 4)}),
    ({3: TAXI}, {3: PARK, 4: TAXI}, {3: Fate(MOVED, 4)}, {3: Fate(ADDED), 4: Fate(MOVED, 3)}),
    # a second key of the same kind is not the first one moved
    ({3: DND}, {3: DND, 4: DND}, {3: Fate(SAME)}, {3: Fate(SAME), 4: Fate(ADDED)}),
]


@pytest.mark.parametrize(("was", "now", "before", "after"), FATES)
def test_what_happened_to_each_key(
    was: dict[int, Key], now: dict[int, Key], before: dict[int, Fate], after: dict[int, Fate]
) -> None:
    assert fates(panel(was), panel(now)) == (before, after)


@given(was=KEYS, now=KEYS)
def test_fates_tell_the_whole_difference(was: dict[int, Key], now: dict[int, Key]) -> None:
    before, after = fates(panel(was), panel(now))
    assert (before.keys(), after.keys()) == (was.keys(), now.keys())
    for number, fate in before.items():
        assert (fate.what == SAME) == (now.get(number) == was[number])
        if fate.what == MOVED:
            assert after[fate.other] == Fate(MOVED, number)
            assert now[fate.other] == was[number]
        if fate.what == EDITED:
            assert after[number].what == EDITED
    assert sum(one.what == MOVED for one in before.values()) == sum(one.what == MOVED for one in after.values())
    assert {one.what for one in before.values()} <= {SAME, REMOVED, EDITED, MOVED}
    assert {one.what for one in after.values()} <= {SAME, ADDED, EDITED, MOVED}


def test_a_picture_shows_every_key_of_a_page_and_what_happened_to_it() -> None:
    was, now = panel({1: TAXI, 2: DOOR, 3: DND, 9: Key("77")}), panel({1: TAXI, 2: PARK, 4: DND})
    old, new = fates(was, now)
    left, right = (ElementTree.fromstring(picture(*one, title="x", only=[0])) for one in ((was, old), (now, new)))
    assert classes(left) == ["same", "edited", "moved", "off", "off", "off", "off"]
    assert classes(right) == ["same", "edited", "off", "moved", "off", "off", "off"]
    assert texts(left) == [
        *("page 1", "1", "Taxi", "110", "2", "Door", "5", "≠", "3", "dnd", "dnd"),
        *("↔ 4", "4", "5", "6", "7"),
    ]
    assert (
        left.findtext(f"{SVG}title")
        == "x: key 2 Door edited; key 3 dnd moved, key 4 on the other side; key 9 type 77 removed"
    )
    # shape: an edited key has a second frame
    assert [len(one.findall(f"{SVG}rect")) for one in left.iter(f"{SVG}g") if one.get("class") == "key edited"] == [2]
    assert "page 2" in texts(ElementTree.fromstring(picture(was, {}, title="x")))


def classes(svg: ElementTree.Element) -> list[str]:
    found = [str(one.get("class")) for one in svg.iter(f"{SVG}g")]
    return [one.removeprefix("key ") for one in found if one.startswith("key ")]


def texts(svg: ElementTree.Element) -> list[str]:
    return [str(one.text) for one in svg.iter(f"{SVG}text")]


HOSTILE = [
    "<script>alert(1)</script>",
    "</svg><img src=x onerror=alert(1)>",
    '" onload="alert(1)',
    "]]><!--",
    '<use class="icon" href="#icon-blf"',
    "&lt;b&gt; &amp;",
    "שלום עולם",
    "\u202egnitset",
    "a\u0301\u0301\u0301" * 90,
    "😀" * 300,
    "W" * 300,
]


@pytest.mark.parametrize("label", HOSTILE)
def test_a_label_is_only_text(label: str) -> None:
    text = standalone(picture(panel({1: Key("13", "1", label, label)}), {1: Fate(EDITED)}, title=label))
    svg = ElementTree.fromstring(text)
    kinds = {one.tag.removeprefix(SVG) for one in svg.iter()}
    assert kinds <= {"svg", "title", "style", "defs", "clipPath", "path", "g", "rect", "text", "use"}
    assert not [name for one in svg.iter() for name in one.attrib if name.startswith("on")]
    assert "\u202e" not in text
    assert re.findall(r'id="icon-([a-z-]+)"', text) == ["speed-dial"]
    assert max(map(len, texts(svg))) <= 50


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Door", "Door"),
        ("a" * 12, "a" * 12),
        ("a" * 13, "a" * 11 + "…"),
        ("漢" * 7, "漢" * 5 + "…"),
        ("é" * 12, "é" * 12),
    ],
)
def test_labels_are_cut_by_columns(text: str, short: str) -> None:
    assert shortened(text, 12) == short


def test_a_password_in_an_address_is_not_drawn() -> None:
    key = Key("13", "1", "https://anna:letmein@example.com/", None)
    assert "letmein" not in picture(panel({1: key}), {}, title="x")


def test_a_picture_of_its_own_has_all_that_it_uses() -> None:
    text = standalone(picture(panel({1: TAXI, 2: Key("77", "1", "x")}), {}, title="x"))
    used = set(re.findall(r'href="#([a-z-]+)"', text))
    assert used == {"icon-speed-dial", "icon-other"}
    assert used <= set(re.findall(r'id="([a-z-]+)"', text))
    assert "<style>" in text
    assert icon_shapes("") == ""


def phones(changes: dict[str, tuple[dict[int, Key] | None, dict[int, Key] | None]]) -> dict[str, Panels]:
    return {
        mac: Panels(None if was is None else panel(was), None if now is None else panel(now))
        for mac, (was, now) in changes.items()
    }


def test_phones_that_look_alike_share_a_picture() -> None:
    same = phones({f"{number:012x}": ({1: TAXI}, {1: DOOR}) for number in range(3)})
    other = phones({"a" * 12: ({1: TAXI}, {1: PARK})})
    found = sights(["a" * 12, *same], same | other, most=24)
    assert [one.macs for one in found] == [tuple(same), ("a" * 12,)]
    assert sights(["b" * 12], same, most=24) == []


def test_many_phones_with_one_change_need_one_picture() -> None:
    many = {
        f"{n:012x}": ({1: Key("15", "1", None, f"P{n}"), 3: TAXI}, {1: Key("15", "1", None, f"P{n}"), 3: DOOR})
        for n in range(30)
    }
    (one,) = sights(many, phones(many), most=24)
    assert one.after is not None
    assert one.after.keys == {1: OWN, 3: DOOR}
    shown = drawn(one)
    assert classes(ElementTree.fromstring(shown.after))[:3] == ["same", "off", "edited"]
    assert "each phone its own" in shown.after
    assert "P7" not in shown.after


def test_many_phones_with_changes_of_their_own_share_what_happened() -> None:
    many = {f"{n:012x}": ({3: TAXI}, {3: Key("13", "1", str(n), f"P{n}")}) for n in range(30)}
    (one,) = sights(many, phones(many), most=24)
    assert len(one.macs) == 30
    assert classes(ElementTree.fromstring(drawn(one).after))[2] == "edited"
    assert len(sights(many, phones(many), most=30)) == 30


def test_few_phones_are_drawn_as_they_are() -> None:
    few = {
        f"{n:012x}": ({1: Key("15", "1", None, f"P{n}")}, {1: Key("15", "1", None, f"P{n}"), 3: DOOR}) for n in range(6)
    }
    found = sights(few, phones(few), most=24)
    assert [one.after and one.after.keys[1].label for one in found] == [f"P{n}" for n in range(6)]


def test_a_phone_that_comes_is_drawn_once_and_plain() -> None:
    (one,) = sights(["a" * 12], phones({"a" * 12: (None, {1: TAXI})}), most=24)
    shown = drawn(one)
    assert shown.before == ""
    assert set(classes(ElementTree.fromstring(shown.after))) == {"same", "off"}


@pytest.mark.parametrize(
    ("key", "below"),
    [
        (Key("13", "1", "+4930123456789", "Taxi"), "+4930123456789"),
        (Key("13", "1", "110"), "speed-dial"),
        (Key("77", "1", "5", "Odd"), "type 77 5"),
        (Key("5", "1", None, "Quiet"), "dnd"),
    ],
)
def test_a_number_is_shown_whole_and_the_icon_says_what_it_is_for(key: Key, below: str) -> None:
    shown = ElementTree.fromstring(picture(panel({1: key}), {}, title="x"))
    assert texts(shown)[3] == below


def test_a_changed_number_looks_changed() -> None:
    was, now = (panel({3: Key("13", "1", f"+4930123456{end}", "Taxi")}) for end in ("78", "99"))
    (one,) = sights(["a" * 12], {"a" * 12: Panels(was, now)}, most=24)
    before, after = (texts(ElementTree.fromstring(side)) for side in drawn(one)[:2])
    assert ("+493012345678" in before, "+493012345699" in after) == (True, True)


@pytest.mark.parametrize(
    ("models", "keys", "pages"),
    [
        (("FIP14G", "FIP11C"), ({1: TAXI, 9: DOOR, 15: DND}, {1: DOOR, 2: DND}), (["1", "2", "3"], ["1"])),
        (("FIP11C", "FIP14G"), ({1: DOOR}, {1: TAXI, 15: DND}), (["1"], ["1", "3"])),
        (("FIP14G", "FIP14G"), ({15: DND}, {15: TAXI}), (["3"], ["3"])),
    ],
)
def test_each_model_is_drawn_with_pages_that_it_has(
    models: tuple[str, str], keys: tuple[dict[int, Key], dict[int, Key]], pages: tuple[list[str], list[str]]
) -> None:
    before, after = (panel(mine, model) for mine, model in zip(keys, models, strict=True))
    (one,) = sights(["a" * 12], {"a" * 12: Panels(before, after)}, most=24)
    assert tuple(re.findall(r">page (\d+)<", side) for side in drawn(one)[:2]) == pages


def test_a_page_beyond_the_last_key_is_not_drawn() -> None:
    assert ">page 2<" not in picture(panel({1: TAXI}, "FIP11C"), {}, title="x", only=[0, 1])
