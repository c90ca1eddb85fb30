"""The vendor guide's own examples: said in an inventory, compiled, and booted to the settings that the guide prints."""

from __future__ import annotations

from pathlib import Path

import inventories
from offhook.compile import tree_of
from offhook.output import write_tree
from offhook.phone.boot import boot


def booted(folder: Path, mac: str, **files: object) -> dict[str, str]:
    fleet = inventories.read(inventories.write_inventory(folder, {f"{name}.yaml": one for name, one in files.items()}))
    write_tree(folder / "site", tree_of(fleet))
    return boot(mac, (folder / "site").as_uri() + "/").settings


def test_the_instance_with_time_cfg_boots_through_the_common_boot_file(tmp_path: Path) -> None:
    """Section "Auto Provision Configuration Instance": y000000000000.boot includes time.cfg."""
    fleet = """
        utc_offset: +8
        settings:
          local_time.ntp_server1: cn.pool.ntp.org
          local_time.ntp_server2: cn.pool.ntp.org
          local_time.time_format: 0
          local_time.date_format: 0
    """
    assert booted(tmp_path, "0021f222b01d", fleet=fleet) == {
        "local_time.time_zone": "+8",
        "local_time.ntp_server1": "cn.pool.ntp.org",
        "local_time.ntp_server2": "cn.pool.ntp.org",
        "local_time.time_format": "0",
        "local_time.date_format": "0",
    }


def test_the_custom_cfg_file(tmp_path: Path) -> None:
    """Section "Creating a New CFG File": four parameters, the same for every phone."""
    fleet = """
        language: Chinese_S
        settings:
          local_contact.data.url: http://10.20.0.92/testcontact.xml
          wui.http_enable: 1
          wui.https_enable: 1
    """
    assert booted(tmp_path, "0021f2000001", fleet=fleet) == {
        "local_contact.data.url": "http://10.20.0.92/testcontact.xml",
        "wui.http_enable": "1",
        "wui.https_enable": "1",
        "lang.gui": "Chinese_S",
    }


def test_the_mac_oriented_cfg_file_says_every_parameter_of_the_account_figure(tmp_path: Path) -> None:
    """Section "Editing MAC-Oriented CFG File": the ten parameters of the figure, for account 1."""
    files = inventories.minimal()
    files["accounts/all.yaml"]["alice"] |= {
        "display_name": "Alice",
        "auth_name": "a1",
        "sip": {"outbound_proxy": "sbc.example.com"},
    }
    fleet = inventories.read(inventories.write_inventory(tmp_path, files))
    write_tree(tmp_path / "site", tree_of(fleet))
    settings = boot("0021f2000001", (tmp_path / "site").as_uri() + "/").settings
    assert {name: value for name, value in settings.items() if name.startswith("account.1.")} == {
        "account.1.enable": "1",
        "account.1.label": "Alice",
        "account.1.display_name": "Alice",
        "account.1.auth_name": "a1",
        "account.1.password": "secret:berlin/alice",
        "account.1.user_name": "0101",
        "account.1.sip_server_host": "pbx.example.com",
        "account.1.sip_server_port": "5060",
        "account.1.outbound_host": "sbc.example.com",
        "account.1.outbound_port": "5060",
    }


def test_the_line_key_figure(tmp_path: Path) -> None:
    """Section "Editing Common CFG File": type, line, value, label and pickup_value of a key; types by their numbers."""
    files = inventories.minimal()
    words = {
        "1": {"none": "true"},
        "2": {"dnd": "true"},
        "3": {"pickup": "*8"},
        "4": {"park": "*68"},
        "5": {"dtmf": "123#"},
        "6": {"speed-dial": "112", "label": "Fire"},
        "7": {"intercom": "0102"},
        "8": {"line": "1"},
        "9": {"blf": "bob", "pickup": "**"},
        "10": {"private-hold": "true"},
        "11": {"group-pickup": "*8"},
        "12": {"paging": "10"},
    }
    files["phones/all.yaml"]["0021f2000001"]["keys"] = words
    fleet = inventories.read(inventories.write_inventory(tmp_path, files))
    values = fleet.resolver().resolve(fleet.inventory.phones["0021f2000001"]).values
    types = ["0", "5", "9", "10", "11", "13", "14", "15", "16", "20", "23", "24"]
    assert [values[f"linekey.{number}.type"] for number in range(1, 13)] == types
    assert {name: value for name, value in values.items() if name.startswith("linekey.9.")} == {
        "linekey.9.type": "16",
        "linekey.9.line": "1",
        "linekey.9.value": "0102",
        "linekey.9.label": "0102",
        "linekey.9.pickup_value": "**",
    }
