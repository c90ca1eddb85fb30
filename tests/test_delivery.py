"""The main promise over real servers: tftpd-hpa and nginx hand out the tree, and phones end with what `show` says."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

import inventories
import peers
from offhook.cli.run import run
from offhook.compile import Fleet, tree_of
from offhook.output import write_tree
from offhook.phone.boot import boot
from test_flow import effective

Server = Callable[[Path], AbstractContextManager[str]]
SERVERS: list[Server] = [peers.tftpd, peers.nginx]
pytestmark = pytest.mark.peer


def example(folder: Path, layout: str) -> Fleet:
    """A copy of the example fleet in a layout."""
    for path in (inventories.ROOT / "inventory").rglob("*.yaml"):
        relative = path.relative_to(inventories.ROOT / "inventory")
        inventories.write_inventory(folder, {str(relative): path.read_text()})
    text = (folder / "inventory/fleet.yaml").read_text()
    inventories.write_inventory(folder, {"fleet.yaml": text.replace("    url: ", f"    layout: {layout}\n    url: ")})
    return inventories.read(folder)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("layout", ["flat", "layered"])
def test_every_phone_of_the_example_ends_with_what_show_says(
    server: Server, layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = example(tmp_path, layout)
    write_tree(tmp_path / "site", tree_of(fleet))
    with server(tmp_path / "site") as url:
        booted = {mac: boot(mac, url) for mac in fleet.inventory.phones}
    for mac, result in booted.items():
        assert run(["-C", str(tmp_path), "show", mac, "--format", "json"]) == 0
        shown = json.loads(capsys.readouterr().out)["settings"]
        assert result.settings == {name: one["value"] for name, one in shown.items()}
        assert not result.failed


@pytest.mark.parametrize("server", SERVERS)
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(files=inventories.fleets(macs=3))
def test_made_fleets_end_with_what_show_says(server: Server, files: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as name:
        fleet = inventories.read(inventories.write_inventory(Path(name), files))
        Path(name).chmod(0o755)  # the server's own user must be able to read the tree
        write_tree(Path(name, "site"), tree_of(fleet))
        with server(Path(name, "site")) as url:
            got = {mac: boot(mac, url).settings for mac in fleet.inventory.phones}
        assert got == effective(fleet)


@pytest.mark.parametrize("server", SERVERS)
def test_an_unlisted_phone_gets_the_common_files_only(server: Server, tmp_path: Path) -> None:
    write_tree(tmp_path / "site", tree_of(example(tmp_path, "layered")))
    with server(tmp_path / "site") as url:
        result = boot("0021f2ffffff", url)
    assert result.settings["local_time.ntp_server1"] == "0.pool.ntp.org"
    assert not [name for name in result.settings if name.startswith(("account.", "linekey."))]
    assert not [value for value in result.settings.values() if value.startswith("secret:")]
