"""`offhook serve` as a person uses it: phones boot, the log says who has what, the inventory changes under it."""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

import inventories
import peers
from labs import OFFHOOK, serving
from networks import cable
from offhook.phone.boot import FetchOptions, boot
from shelves import wait_for

MAC, OTHER = "0021f2000001", "0021f2000002"
SECRETS = {
    "OFFHOOK_SECRET_BERLIN_ALICE": "first-password",
    "OFFHOOK_SECRET_BERLIN_BOB": "second-password",
    "OFFHOOK_SECRET_LAB": 'lab "pass\\word',
}
PHONES = {
    MAC: {"model": "FIP14G", "site": "berlin", "accounts": ["alice"], "label": "Front desk"},
    OTHER: {"model": "FIP14G", "site": "berlin", "accounts": ["bob"], "label": "Kitchen"},
}


def fleet(folder: Path, **environment: Any) -> Path:
    """An inventory of two phones with an environment `lab`; return its folder."""
    lab = {"url": "http://lab.example.com/", "accept": ["plain-secret-transport"], **environment}
    content = {
        "sip": {"server": "pbx.example.com"},
        "secrets": {"provider": "env"},
        "settings": {"local_time.time_format": "1"},
        "environments": {"lab": lab},
        "default_environment": "lab",
    }
    files = inventories.minimal(**{"fleet.yaml": content, "phones/all.yaml": PHONES})
    return inventories.write_inventory(folder, files)


@pytest.fixture
def lab_fleet(tmp_path: Path) -> Path:
    return fleet(tmp_path / "fleet")


def edit(folder: Path, old: str, new: str, name: str = "fleet.yaml") -> None:
    path = folder / "inventory" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def compiled(folder: Path, mac: str = MAC) -> dict[str, str]:
    """What a phone shall end with, its secrets in the open."""
    done = subprocess.run(
        [str(OFFHOOK), "-C", str(folder), "--no-cache", "show", mac, "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    said = {name: row["value"] for name, row in json.loads(done.stdout)["settings"].items()}
    named = {
        "secret:berlin/alice": SECRETS["OFFHOOK_SECRET_BERLIN_ALICE"],
        "secret:berlin/bob": SECRETS["OFFHOOK_SECRET_BERLIN_BOB"],
    }
    return {name: named.get(value, value) for name, value in said.items()}


@pytest.mark.parametrize("protocol", ["http", "tftp", "ftp"])
def test_a_phone_boots_to_what_was_compiled(lab_fleet: Path, protocol: str) -> None:
    with serving(lab_fleet, "--ftp", "0", secrets=SECRETS) as lab:
        result = boot(MAC, lab.url(protocol))
        # over TFTP and FTP the server knows a moment later than the phone that the file was taken
        wait_for(lambda: lab.summary()[MAC]["state"] == "current")
    assert result.complete
    assert lab.errors == []
    expected = compiled(lab_fleet)
    assert {name: result.settings[name] for name in expected} == expected


def test_the_log_says_who_asked_for_what_and_what_it_runs(lab_fleet: Path) -> None:
    with serving(lab_fleet, secrets=SECRETS) as lab:
        assert lab.greeting["phones"] == 2
        boot(MAC, lab.http)
        lines = [lab.next() for _ in range(3)]
        edit(lab_fleet, "Front desk", "Reception", "phones/all.yaml")
        edit(lab_fleet, "extension: '0101'", "extension: '0109'", "accounts/all.yaml")
        tree = lab.next("tree")
        stale = lab.summary()
        boot(MAC, lab.http)
        last = [lab.next() for _ in range(3)][-1]
        code = lab.end()
        summary = {one["mac"]: one for one in lab.next("summary")["phones"]}
    assert [(one["name"], one["result"], one["state"]) for one in lines] == [
        (MAC, "not found", "asked, has nothing yet"),
        (f"{MAC}.boot", "ok", "asked, has nothing yet"),
        (f"{MAC}.cfg", "ok", "current"),
    ]
    assert lines[2]["label"] == "Front desk"
    assert lines[2]["bytes"] > 100
    assert tree["macs"] == [MAC]
    assert (stale[MAC]["state"], stale[OTHER]["state"]) == ("stale", "never seen")
    assert (last["state"], last["label"]) == ("current", "Reception")
    assert code == 0
    assert summary[MAC]["requests"] == 6


def test_a_phone_of_the_layered_layout_is_known_by_all_its_files(tmp_path: Path) -> None:
    folder = fleet(tmp_path / "fleet", layout="layered")
    with serving(folder, secrets=SECRETS) as lab:
        assert boot(MAC, lab.http).complete
        wait_for(lambda: lab.summary()[MAC]["state"] == "current")  # the last byte is heard before it is noted
        edit(folder, "extension: '0101'", "extension: '0109'", "accounts/all.yaml")
        assert lab.next("tree")["macs"] == [MAC]
        assert lab.summary()[MAC]["state"] == "stale"
        boot(MAC, lab.http)
        wait_for(lambda: lab.summary()[MAC]["state"] == "current")


def test_looking_at_a_file_is_not_having_it(lab_fleet: Path) -> None:
    with serving(lab_fleet, secrets=SECRETS) as lab:
        for words in (["-I"], ["-r", "0-9"]):
            subprocess.run(["curl", "-s", "-o", "/dev/null", *words, f"{lab.http}{MAC}.cfg"], check=True)
            assert lab.next()["whole"] is False
        assert lab.summary()[MAC]["state"] == "asked, has nothing yet"


def test_a_change_of_whom_to_admit_is_told(lab_fleet: Path) -> None:
    with serving(lab_fleet, secrets=SECRETS) as lab:
        edit(lab_fleet, "    accept:", "    serve: {networks: [10.0.0.0/8]}\n    accept:")
        assert "started anew" in lab.next("note")["text"]


def test_a_broken_inventory_keeps_the_last_good_tree_and_says_so(lab_fleet: Path) -> None:
    with serving(lab_fleet, secrets=SECRETS) as lab:
        before = boot(MAC, lab.http)
        edit(lab_fleet, "model: FIP14G", "model: FIP99", "phones/all.yaml")
        kept = lab.next("kept")
        assert boot(MAC, lab.http).settings == before.settings
        wait_for(lambda: lab.summary()[MAC]["state"] == "current")
        (lab_fleet / "inventory/fleet.yaml").write_text("sip: {{{\n")
        assert lab.next("kept")["problems"]
        fleet(lab_fleet)
        edit(lab_fleet, "time_format: '1'", "time_format: '0'")
        assert sorted(lab.next("tree")["macs"]) == [MAC, OTHER]
        assert boot(MAC, lab.http).settings["local_time.time_format"] == "0"
    assert [one["id"] for one in kept["problems"]] == ["bad-value"]
    assert kept["problems"][0]["mark"].startswith("inventory/phones/all.yaml:")


def test_secrets_that_cannot_be_opened_later_keep_the_last_tree(lab_fleet: Path) -> None:
    with serving(lab_fleet, secrets=SECRETS) as lab:
        edit(lab_fleet, "secret:berlin/alice", "secret:berlin/carol", "accounts/all.yaml")
        kept = lab.next("kept")
        assert boot(MAC, lab.http).complete
    assert "secret" in kept["why"]
    assert "password" not in json.dumps(kept)


def test_a_protected_environment_asks_for_its_password(tmp_path: Path) -> None:
    folder = fleet(
        tmp_path / "fleet", url="https://lab.example.com/9f2c/", username="phones", password="secret:lab", accept=[]
    )
    with serving(folder, secrets=SECRETS) as lab:
        address = lab.http
        credentials = f"phones:{SECRETS['OFFHOOK_SECRET_LAB']}"
        answers = {
            words: status_of(f"{address}9f2c/{MAC}.cfg", *words)
            for words in [(), ("--digest", "-u", "phones:wrong"), ("--digest", "-u", credentials)]
        }
        known = boot(MAC, address, options=FetchOptions(username="phones", password=SECRETS["OFFHOOK_SECRET_LAB"]))
        by_tftp = boot(MAC, lab.url("tftp"))
        said = lab.greeting["notes"]
    assert list(answers.values()) == ["401", "401", "200"]
    assert known.settings["account.1.password"] == "first-password"
    assert "account.1.password" not in by_tftp.settings
    assert any("TFTP" in one for one in said)


@pytest.mark.peer
def test_https_with_a_certificate_of_ones_own(lab_fleet: Path, tmp_path: Path) -> None:
    made = peers.make_certificate(tmp_path)
    with serving(
        lab_fleet, "--https", "0", "--certificate", str(made.certificate), "--key", str(made.key), secrets=SECRETS
    ) as lab:
        url = lab.url("https").replace("127.0.0.1", "localhost")
        result = boot(MAC, url, options=FetchOptions(ca_file=str(made.ca_file)))
        assert result.complete
        assert lab.next()["protocol"] == "https"


def test_a_folder_is_served_as_it_was_published(lab_fleet: Path, tmp_path: Path) -> None:
    tree, secret = tmp_path / "tree", tmp_path / "secret.cfg"
    secret.write_text("no")
    subprocess.run([str(OFFHOOK), "-q", "-C", str(lab_fleet), "compile", "--out", str(tree)], check=True)
    (tree / "linked.cfg").symlink_to(secret)
    (tree / ".hidden.cfg").write_text("no")
    with serving(tmp_path, "--from", str(tree)) as lab:
        assert boot(MAC, lab.http).complete
        gone = [status_of(f"{lab.http}{name}") for name in ("linked.cfg", ".hidden.cfg", "../secret.cfg")]
        (tree / f"{MAC}.cfg").write_text("#!version:1.0.0.1\nlang.gui = German\n")
        assert lab.next("tree")["macs"] == [MAC]
        assert boot(MAC, lab.http).settings["lang.gui"] == "German"
    assert gone == ["404"] * 3


def status_of(url: str, *options: str) -> str:
    """What curl is answered."""
    words = ["curl", "-s", "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", *options, url]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_what_clients_send_cannot_steer_the_terminal(lab_fleet: Path) -> None:
    words = [
        str(OFFHOOK),
        "-C",
        str(lab_fleet),
        "--color",
        "never",
        "serve",
        "--http",
        "0",
        "--tftp",
        "off",
        "--no-pnp",
    ]
    environment = {**os.environ, **SECRETS, "OFFHOOK_CACHE": str(lab_fleet.parent / "cache")}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as lab:
        assert lab.stdout is not None
        greeting = [lab.stdout.readline() for _ in range(2)]
        port = int(re.findall(r":([0-9]+)/", greeting[1])[0])
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /%1b%5b2J%0a%e2%80%ae%07" + MAC.encode() + b".cfg HTTP/1.0\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 404")
        lab.send_signal(signal.SIGINT)
        rest = lab.stdout.read()
        assert lab.wait(30) == 0
    assert "not found" in rest
    assert "\x1b" not in rest
    assert "\u202e" not in rest
    assert "\x07" not in rest
    assert "2 never seen" in rest
    for password in SECRETS.values():
        assert password not in rest


@pytest.mark.peer
def test_low_ports_are_bound_and_root_s_rights_given_up(tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o755)
    for above in tmp_path.parents:
        if above == Path("/tmp"):
            break
        os.chmod(above, 0o755)
    folder = fleet(tmp_path / "fleet")
    with cable() as (server, phone):
        options = ("--http", "on", "--tftp", "on", "--ftp", "on", "--real-ports", "--pnp")
        with serving(folder, *options, where=server.command(), secrets=SECRETS) as lab:
            assert lab.greeting["urls"]["tftp"] == "tftp://192.168.50.18/"
            status = Path(f"/proc/{lab.process.pid}/status").read_text()
            for url in lab.greeting["urls"].values():
                done = phone.run(str(OFFHOOK), "boot", MAC, "--from", url, "--format", "json")
                assert json.loads(done.stdout)["complete"], url
            # it can still read what changes
            edit(folder, "time_format: '1'", "time_format: '0'")
            assert len(lab.next("tree")["macs"]) == 2
    nobody = str(pwd.getpwnam("nobody").pw_uid)
    assert re.findall(r"^Uid:\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)$", status, re.M) == [(nobody,) * 4]
    assert re.findall(r"^CapEff:\s+(\S+)$", status, re.M) == ["0" * 16]
    assert re.findall(r"^Groups:\s*(.*?)\s*$", status, re.M)[0].split() == [str(pwd.getpwnam("nobody").pw_gid)]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--http", "80a"], 2, "no port"),
        (["--http", "off", "--tftp", "off"], 2, "every protocol is off"),
        (["--https", "on"], 2, "openssl req"),
        (["--from", ".", "--rev", "HEAD"], 2, "--from serves a folder as it is"),
        (["--host", "203.0.113.7", "--no-pnp"], 1, "cannot listen on 203.0.113.7"),
        (["--env", "nowhere", "--http", "0", "--tftp", "0"], 1, "nowhere"),
        (["--user", "no-such-user", "--http", "0", "--tftp", "0"], 1, "no-such-user"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(lab_fleet: Path, options: list[str], code: int, words: str) -> None:
    done = subprocess.run(
        [str(OFFHOOK), "-C", str(lab_fleet), "serve", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **SECRETS},
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named(lab_fleet: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(lab_fleet, "--host", "127.0.0.1", "--http", str(port))
    assert f"cannot listen on 127.0.0.1 port {port}: address already in use" in said


def test_an_inventory_with_mistakes_is_not_served(lab_fleet: Path) -> None:
    edit(lab_fleet, "model: FIP14G", "model: FIP99", "phones/all.yaml")
    assert "[bad-value]" in refused(lab_fleet, "--http", "0")


def refused(folder: Path, *options: str) -> str:
    """What it says where it does not start."""
    done = subprocess.run(
        [str(OFFHOOK), "-C", str(folder), "serve", *options, "--tftp", "0", "--no-pnp"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **SECRETS},
    )
    assert done.returncode == 1
    return done.stderr
