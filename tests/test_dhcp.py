"""DHCP options and the Provision page: real servers tell a real client, in the right networks and nobody else."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import inventories
import peers
from labs import OFFHOOK
from networks import Network, cable
from offhook.dhcp.isc import _within
from offhook.dhcp.offer import Offer, Scope, offer_of
from offhook.dhcp.provision_page import provision_page
from offhook.dhcp.table import SERVERS
from offhook.problem import OffhookError
from shelves import wait_for

URL = "https://prov.example.com/9f2c,x/"
PHONE, COMPUTER = "00:21:f2:00:00:01", "52:54:00:00:00:01"
HERE, ELSEWHERE = IPv4Network("10.20.0.0/24"), IPv4Network("10.21.4.0/22")
OFFER = Offer("lab", URL, "phone.cfg", ("0021f2", "789912"), (Scope("berlin", (HERE,)), Scope("lyon", (ELSEWHERE,))))

Server = Callable[[Path, str, str], list[str]]


def dnsmasq(folder: Path, device: str, text: str) -> list[str]:
    (folder / "conf").write_text(f"{text}\ndhcp-range=set:site-berlin,10.20.0.50,10.20.0.99,1h\n")
    words = ["-k", "-p", "0", "-C", f"{folder}/conf", "-i", device, "-l", f"{folder}/leases", "-x", f"{folder}/pid"]
    return [peers.program("dnsmasq"), "--user=root", "--no-ping", *words]


def isc(folder: Path, device: str, text: str) -> list[str]:
    (folder / "leases").touch()
    ranges = "ping-check false; subnet 10.20.0.0 netmask 255.255.255.0 { range 10.20.0.50 10.20.0.99; }"
    (folder / "conf").write_text(f"{text}\n{ranges}\n")
    words = ["-4", "-f", "-q", "-cf", f"{folder}/conf", "-lf", f"{folder}/leases", "-pf", f"{folder}/pid", device]
    return [peers.program("dhcpd"), *words]


def kea(folder: Path, device: str, text: str) -> list[str]:
    ours = json.loads(text)["Dhcp4"]
    subnet: dict[str, Any] = {"id": 1, "subnet": str(HERE), "pools": [{"pool": "10.20.0.50-10.20.0.99"}]}
    for one in ours.pop("subnet4", []):
        if one["subnet"] == subnet["subnet"]:
            subnet |= one
    body = {
        "interfaces-config": {"interfaces": [device]},
        "lease-database": {"type": "memfile", "persist": False},
        "subnet4": [subnet],
        **ours,
    }
    (folder / "conf").write_text(json.dumps({"Dhcp4": body}))
    return [
        "env",
        f"KEA_PIDFILE_DIR={folder}",
        f"KEA_LOCKFILE_DIR={folder}",
        peers.program("kea-dhcp4"),
        "-c",
        f"{folder}/conf",
    ]


RUN: Mapping[str, Server] = {"dnsmasq": dnsmasq, "isc": isc, "kea": kea}


@contextmanager
def told(server: str, folder: Path, offer: Offer) -> Iterator[Callable[[str], dict[str, str]]]:
    """Run a server with our words; gives what asks with a MAC and returns options 66 and 67 as clients have them."""
    script = folder / "script"
    named = '{ echo "66=$new_tftp_server_name"; echo "67=$new_bootfile_name"; } >'
    script.write_text(f'#!/bin/sh\n[ "$reason" = BOUND ] && {named} {folder}/answer\nexit 0\n')
    script.chmod(0o755)
    (folder / "client").write_text(
        "request subnet-mask, tftp-server-name, bootfile-name; timeout 40; retry 1; "
        "initial-delay 0; initial-interval 1; backoff-cutoff 2; select-timeout 0;"
    )
    with cable("10.20.0.1", "10.20.0.200") as (here, there):
        command = RUN[server](folder, here.device, SERVERS[server](offer))
        with peers.process(here.command(*command)):
            yield lambda mac: ask(there, folder, mac)


def ask(there: Network, folder: Path, mac: str) -> dict[str, str]:
    """Ask with the real dhclient, which changes nothing on the machine: our script takes note, and that is all."""
    subprocess.run(["ip", "-n", there.name, "link", "set", there.device, "address", mac], check=True)
    answer = folder / "answer"
    answer.unlink(missing_ok=True)
    files = ["-cf", f"{folder}/client", "-lf", f"{folder}/leased-{mac}", "-pf", f"{folder}/client-pid"]
    words = [peers.program("dhclient"), "-4", "-1", "-d", *files, "-sf", f"{folder}/script", there.device]
    with peers.process(there.command(*words)):
        wait_for(answer.exists, 60)
        wait_for(lambda: "67=" in answer.read_text())
    return dict(line.split("=", 1) for line in answer.read_text().splitlines())


@pytest.mark.peer
@pytest.mark.parametrize("server", RUN)
def test_a_phone_is_told_and_a_computer_is_not(server: str, tmp_path: Path) -> None:
    with told(server, tmp_path, OFFER) as answer:
        assert answer(PHONE) == {"66": URL, "67": "phone.cfg"}
        assert answer(COMPUTER) == {"66": "", "67": ""}


@pytest.mark.peer
@pytest.mark.parametrize("server", RUN)
def test_a_phone_in_another_network_is_not_told(server: str, tmp_path: Path) -> None:
    with told(server, tmp_path, replace(OFFER, scopes=OFFER.scopes[1:])) as answer:
        assert answer(PHONE) == {"66": "", "67": ""}


@pytest.mark.peer
@pytest.mark.parametrize("server", RUN)
@pytest.mark.parametrize("scopes", [(), OFFER.scopes])
def test_everybody_is_told_where_that_is_asked_for(server: str, scopes: tuple[Scope, ...], tmp_path: Path) -> None:
    with told(server, tmp_path, Offer("lab", URL, "", (), scopes)) as answer:
        assert answer(COMPUTER) == {"66": URL, "67": ""}


@pytest.mark.peer
@pytest.mark.parametrize("server", RUN)
def test_phones_are_told_everywhere_where_no_site_has_subnets(server: str, tmp_path: Path) -> None:
    with told(server, tmp_path, replace(OFFER, scopes=())) as answer:
        assert answer(PHONE)["66"] == URL


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**32 - 1))
def test_octets_say_exactly_what_is_in_a_network(address: int, length: int, other: int) -> None:
    network = IPv4Network((address, length), strict=False)
    if length % 8 and length < 17:
        return  # hundreds of conditions; the same code
    packed = other.to_bytes(4, "big")
    conditions = list(_within(network))
    if length == 0:
        assert conditions == ["exists dhcp-message-type"]
        return
    octets = int(conditions[0].split("0, ")[1].split(")")[0])
    values = {one.rpartition("= ")[2] for one in conditions}
    inside = other >> (32 - length) == int(network.network_address) >> (32 - length)
    assert (packed[:octets].hex(":") in values) == inside


def fleet(folder: Path, **environment: Any) -> Any:
    lab = {"url": "https://prov.example.com/", **environment}
    files = inventories.minimal(
        **{
            "fleet.yaml": {
                "sip": {"server": "pbx.example.com"},
                "secrets": {"provider": "env"},
                "environments": {"lab": lab, "berlin": {**lab, "phones": {"sites": ["berlin"]}}},
            },
            "sites/all.yaml": {
                "berlin": {"subnets": ["10.20.0.0/24"]},
                "lyon": {"subnets": ["10.21.4.0/22"]},
                "porto": {},
            },
            "phones/all.yaml": {
                "0021f2000001": {"model": "FIP14G", "site": "berlin", "accounts": ["alice"]},
                "7899120000a1": {"model": "FIP14G", "site": "lyon"},
                "0250ab0000a1": {"model": "FIP14G", "site": "porto"},
            },
        }
    )
    return inventories.write_inventory(folder, files)


def test_an_offer_is_of_the_environment_s_phones_and_sites(tmp_path: Path) -> None:
    folder = fleet(tmp_path)
    every = offer_of(inventories.read(folder, environment="lab"))
    assert every.prefixes == ("0021f2", "0250ab", "789912")
    assert [(one.site, [str(net) for net in one.networks]) for one in every.scopes] == [
        ("berlin", ["10.20.0.0/24"]),
        ("lyon", ["10.21.4.0/22"]),
    ]
    assert every.unplaced == ("porto",)
    one = offer_of(inventories.read(folder, environment="berlin"))
    assert (one.prefixes, [scope.site for scope in one.scopes], one.unplaced) == (("0021f2", "789912"), ["berlin"], ())
    assert offer_of(inventories.read(folder, environment="lab"), all_clients=True).prefixes == ()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"server": "http://a/" + "x" * 300}, "255 characters"),
        ({"server": 'http://a/"; option x "'}, "cannot be written"),
        ({"server": "http://a/\nevil"}, "cannot be written"),
        ({"file": "ü"}, "cannot be written"),
        ({"sites": ("nowhere",)}, 'no site "nowhere"'),
    ],
)
def test_what_no_option_can_hold_is_refused(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(OffhookError, match=words):
        offer_of(inventories.read(fleet(tmp_path), environment="lab"), **options)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OFFHOOK_CACHE": str(folder / "cache")}
    return subprocess.run(
        [str(OFFHOOK), "-C", str(folder), *words], capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.parametrize("server", RUN)
def test_the_verb_writes_what_the_writer_makes(server: str, tmp_path: Path) -> None:
    folder = fleet(tmp_path)
    done = run(folder, "dhcp", "lab", "--format", server)
    assert (done.returncode, done.stdout) == (0, SERVERS[server](offer_of(inventories.read(folder, environment="lab"))))
    assert done.stderr == "warning: site porto has no subnets: nothing is said there\n"
    assert run(folder, "dhcp", "nowhere", "--format", server).returncode == 1
    assert run(folder, "dhcp", "lab").returncode == 2


def test_the_page_says_what_to_type_and_no_password(tmp_path: Path) -> None:
    folder = fleet(tmp_path, username="phones", password="secret:provisioning/password")
    page = provision_page(inventories.read(folder, environment="lab"))
    rows = {row.field: row.value for row in page.rows}
    assert rows["Profile Rule"] == "https://prov.example.com/"
    assert (rows["User Name"], rows["Password"]) == ("phones", "(secret provisioning/password)")
    assert rows["Config File Name"] == "$(MA)"
    shown = run(folder, "provision-page", "lab").stdout
    assert all(f"  {row.field} " in shown for row in page.rows)
    found = json.loads(run(folder, "provision-page", "lab", "--url", "http://10.0.0.1/", "--format", "json").stdout)
    assert found["fields"][-1] == {"field": "Profile Rule", "value": "http://10.0.0.1/", "why": "the environment's url"}
    assert found["secret"] == "provisioning/password"


def test_an_open_environment_s_page_leaves_the_login_out(tmp_path: Path) -> None:
    page = provision_page(inventories.read(fleet(tmp_path), environment="lab"))
    assert not {"User Name", "Password", "HTTP Authentication"} & {row.field for row in page.rows}


def test_every_field_of_the_guide_s_page_is_there_in_its_order(tmp_path: Path) -> None:
    """The guide's figure under "Static Provision"."""
    folder = fleet(tmp_path, username="phones", password="secret:provisioning/password")
    fields = [row.field for row in provision_page(inventories.read(folder, environment="lab")).rows]
    assert fields == [
        *("Provision Enable", "PNP Active", "Resync on Reset", "Resync Random Delay (sec)", "Resync Periodic (sec)"),
        *("Resync Error Retry Delay (sec)", "Forced Resync Delay (sec)", "Resync after Upgrade", "Resync from SIP"),
        *("Option 66", "Option 67", "Config File Name", "User Agent", "HTTP Authentication", "User Name", "Password"),
        "Profile Rule",
    ]
