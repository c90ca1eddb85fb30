"""The main promise: what the compiler resolved is what a phone ends with, in every layout and dialect."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

import inventories
from offhook.compile import Fleet, tree_of
from offhook.converge import kept_values
from offhook.output import write_tree
from offhook.phone.boot import boot

SLOW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def effective(fleet: Fleet) -> dict[str, dict[str, str]]:
    """What `show` says, for every phone."""
    resolver = fleet.resolver()
    return {mac: resolver.resolve(phone).values for mac, phone in fleet.inventory.phones.items()}


def boot_all(fleet: Fleet, folder: Path) -> dict[str, dict[str, str]]:
    """What virtual phones end with, booted from the compiled tree in `folder`."""
    write_tree(folder, tree_of(fleet))
    return {mac: boot(mac, folder.as_uri() + "/").settings for mac in fleet.inventory.phones}


@SLOW
@given(inventories.fleets())
def test_a_phone_ends_with_what_show_says(files: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as name:
        fleet = inventories.read(inventories.write_inventory(Path(name), files))
        assert boot_all(fleet, Path(name, "site")) == effective(fleet)


@SLOW
@given(inventories.fleets(), inventories.fleets())
def test_phones_converge_but_for_what_the_check_names(first: dict[str, object], second: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        before = inventories.read(inventories.write_inventory(Path(one), first))
        after = inventories.read(inventories.write_inventory(Path(two), second))
        memories = boot_all(before, Path(one, "site"))
        fresh = boot_all(after, Path(two, "site"))
        named = dict(kept_values(before.inventory, after.inventory, after.environment))
        for mac, settings_after in fresh.items():
            again = boot(mac, Path(two, "site").as_uri() + "/", memory=memories[mac]).settings
            kept = {name for name in again if name not in settings_after}
            assert {name: value for name, value in again.items() if name not in kept} == settings_after
            assert kept == set(named.get(mac, ()))


@SLOW
@given(inventories.fleets())
def test_the_same_inventory_gives_the_same_bytes(files: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        first = inventories.tree(inventories.read(inventories.write_inventory(Path(one), files)))
        backwards = dict(reversed(files.items()))
        second = inventories.tree(inventories.read(inventories.write_inventory(Path(two), backwards)))
        assert first == second


@pytest.mark.parametrize("layout", ["flat", "layered"])
@pytest.mark.parametrize("environment", ["production", "lab"])
def test_the_example_fleet_boots_to_what_show_says(layout: str, environment: str, tmp_path: Path) -> None:
    text = (inventories.ROOT / "inventory" / "fleet.yaml").read_text()
    for path in (inventories.ROOT / "inventory").rglob("*.yaml"):
        relative = path.relative_to(inventories.ROOT / "inventory")
        inventories.write_inventory(tmp_path, {str(relative): path.read_text()})
    changed = text.replace("    url: ", f"    layout: {layout}\n    url: ")
    assert changed != text
    inventories.write_inventory(tmp_path, {"fleet.yaml": changed})
    fleet = inventories.read(tmp_path, environment=environment)
    expected = effective(fleet)
    chosen = {
        mac for mac, phone in fleet.inventory.phones.items() if environment == "production" or phone.site == "porto"
    }
    got = boot_all(fleet, tmp_path / "site")
    assert {mac: got[mac] for mac in chosen} == {mac: expected[mac] for mac in chosen}
