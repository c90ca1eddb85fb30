"""The traps of YAML and of this field: what is written is what arrives, or it is refused at its line."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import inventories
from offhook.compile import read_fleet, tree_of
from offhook.output import write_tree
from offhook.phone.boot import boot

MAC = "0021f2000001"


def values(folder: Path, files: dict[str, object], mac: str = MAC) -> dict[str, str]:
    fleet = inventories.read(inventories.write_inventory(folder, files))
    return fleet.resolver().resolve(fleet.inventory.phones[mac]).values


def test_an_extension_keeps_its_zero(tmp_path: Path) -> None:
    files = inventories.minimal()
    files["accounts/all.yaml"] = "alice: {site: berlin, extension: 0101, password: secret:a}\n"
    assert values(tmp_path, files)["account.1.user_name"] == "0101"


@pytest.mark.parametrize(
    ("spelled", "mac"),
    [
        ("001565123456", "001565123456"),
        ("001e10203040", "001e10203040"),
        ("0021F2000001", "0021f2000001"),
        ("00:21:f2:00:00:01", "0021f2000001"),
        ("00-21-F2-00-00-01", "0021f2000001"),
        ("0021.f200.0001", "0021f2000001"),
        ("10:21:12:33:44:55", "102112334455"),
        ("0x21f2000001", None),
        ("0021f200000", None),
    ],
)
def test_an_unquoted_mac_is_a_mac(spelled: str, mac: str | None, tmp_path: Path) -> None:
    files = inventories.minimal()
    files["phones/all.yaml"] = f"{spelled}: {{model: FIP14G, site: berlin}}\n"
    fleet = read_fleet(inventories.write_inventory(tmp_path, files))
    assert list(fleet.inventory.phones) == ([mac] if mac else [])
    assert ("bad-mac" in {problem.id for problem in fleet.problems}) == (mac is None)


@pytest.mark.parametrize(
    "text", ["no", "on", "yes", "off", "+8", "10:21:12:33:44:55", "1e3", "0x10", "1_000", "2026-01-01", "=", ".5"]
)
def test_words_that_yaml_guesses_at_are_text(text: str, tmp_path: Path) -> None:
    files = inventories.minimal()
    files["accounts/all.yaml"] = f"alice: {{site: berlin, extension: 1, display_name: {text}, password: secret:a}}\n"
    assert values(tmp_path, files)["account.1.display_name"] == text


@pytest.mark.parametrize("port", ["5070", '"5070"', "'5070'"])
def test_a_port_is_a_port_quoted_or_not(port: str, tmp_path: Path) -> None:
    files = inventories.minimal()
    files["fleet.yaml"] = f"sip: {{server: pbx.example.com, port: {port}}}\nsecrets: {{provider: env}}\n"
    assert values(tmp_path, files)["account.1.sip_server_port"] == "5070"


@pytest.mark.parametrize("port", ["05070", "+5070", "5_070", "0x13ce", "5070.0", "true"])
def test_a_port_that_is_no_canonical_number_is_refused(port: str, tmp_path: Path) -> None:
    files = inventories.minimal()
    files["fleet.yaml"] = f"sip: {{server: pbx.example.com, port: {port}}}\nsecrets: {{provider: env}}\n"
    problems = read_fleet(inventories.write_inventory(tmp_path, files)).problems
    assert [(str(one.mark), one.id) for one in problems] == [("inventory/fleet.yaml:1:38", "wrong-type")]


PLACES = {
    "display_name": ("accounts/all.yaml", ("alice", "display_name"), "account.1.display_name"),
    "label": ("phones/all.yaml", (MAC, "keys", "5", "label"), "linekey.5.label"),
    "value": ("phones/all.yaml", (MAC, "keys", "5", "speed-dial"), "linekey.5.value"),
    "unchecked": ("fleet.yaml", ("settings_unchecked", "new.parameter"), "new.parameter"),
}
HOSTILE = st.text(st.characters(codec="utf-8"), min_size=0, max_size=20) | st.sampled_from(
    [
        "a\nlinekey.1.type=0",
        "a\r\nb",
        "a\u2028b",
        "a\u0085b",
        "x=y",
        "#x",
        'say "x"',
        "it's",
        " x",
        "x ",
        "x\u00a0",
        "Übergrößenträger",
        "漢字",
        "👩🏽‍🚀",
        "\u202eabc",
        "\ufeffx",
        "a\tb",
        "%s %(x)s %%",
        "{{ 7*7 }}",
        "{% raw %}",
        "${IFS}",
        "null",
        "~",
        "<<",
        "secret:x/y",
    ]
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=HOSTILE, place=st.sampled_from(sorted(PLACES)))
def test_a_text_arrives_whole_or_is_refused_at_its_line(text: str, place: str) -> None:
    file, path, parameter = PLACES[place]
    files = inventories.minimal()
    files["phones/all.yaml"][MAC]["keys"] = {"5": {"speed-dial": "112", "label": "x"}}
    files["fleet.yaml"]["settings_unchecked"] = {"new.parameter": "x"}
    inner = files[file]
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = text
    with tempfile.TemporaryDirectory() as name:
        folder = inventories.write_inventory(Path(name), files)
        fleet = read_fleet(folder)
        if fleet.has_errors:
            written = (folder / "inventory" / file).read_bytes().decode().split("\n")
            for problem in fleet.problems:
                assert problem.mark.file == f"inventory/{file}"
                key = path[-1] if "\n" not in str(path[-1]) else ""
                assert problem.id == "yaml-syntax" or any(key in line for line in written[: problem.mark.line])
            return
        before = set(fleet.resolver().resolve(fleet.inventory.phones[MAC]).values)
        write_tree(folder / "site", tree_of(fleet))
        got = boot(MAC, (folder / "site").as_uri() + "/").settings
        assert got[parameter] == text
        assert set(got) == before


def test_an_expression_sees_no_secret(tmp_path: Path) -> None:
    files = inventories.minimal()
    for text in ("{{ accounts[0].password }}", "{{ phone.accounts }}", "{{ fleet.secrets }}"):
        files["phones/all.yaml"][MAC]["keys"] = {"5": {"speed-dial": text}}
        problems = read_fleet(inventories.write_inventory(tmp_path, files)).problems
        assert [problem.id for problem in problems] == ["expression"]
        assert str(problems[0].mark).startswith("inventory/phones/all.yaml:8:")
