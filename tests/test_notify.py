"""`offhook notify`: who is told after a release, through a real registrar to real phones, and what is said of it."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

import inventories
import repositories
import scripted
import sip_peers
from labs import OFFHOOK
from offhook.review.notify import results_csv, results_junit, results_text
from offhook.rollout.calls import calls_for, per_second
from offhook.rollout.notifying import Result
from offhook.rollout.who import Target
from offhook.sip.outcome import ANSWERED, CANCELLED, NO_ACCOUNT, NOT_SENT, REFUSED, SHARED, Outcome
from sip_peers import PASSWORD, USER

SCHEMA = inventories.ROOT / "schema/output/notify.schema.json"
FINE, SILENT, AWAY, SHARING, PARTNER, NONE = (f"0021f200000{number}" for number in range(1, 7))
EXTENSIONS = {FINE: "0101", SILENT: "0102", AWAY: "0103", SHARING: "0104", PARTNER: "0104"}
KINDS = {
    "0101": sip_peers.answering(),
    "0102": sip_peers.silent(),
    "0103": sip_peers.answering("480 Temporarily Unavailable"),
    "0104": sip_peers.answering(),
}


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    folder = tmp_path_factory.mktemp("phones")
    with ExitStack() as stack:
        yield {user: stack.enter_context(sip_peers.sipp(words, folder)) for user, words in KINDS.items()}


class Office:
    """A fleet in a repository that is published to a folder, and its registrar."""

    def __init__(self, folder: Path, port: int = 9) -> None:
        self.root = repositories.start(folder / "fleet")
        (folder / "served").mkdir()
        self.port = port
        self.folder = folder
        self.files = inventories.minimal(
            **{
                "fleet.yaml": {
                    "sip": {"server": "127.0.0.1", "port": str(port)},
                    "secrets": {"provider": "env"},
                    "notify": {"username": USER, "password": "secret:notify", "rate": "100/s"},
                    "limits": {"changed": "100%"},
                    "environments": {"lab": {"url": "https://prov.example.com/", "publish": str(folder / "served")}},
                    "default_environment": "lab",
                },
                "accounts/all.yaml": {
                    f"a{number}": {"extension": number, "password": "secret:phone", "max_phones": "2"}
                    for number in KINDS
                },
                "phones/all.yaml": {
                    mac: {"model": "FIP14G", "site": "berlin", "accounts": [f"a{number}"], "label": f"Desk {number}"}
                    for mac, number in EXTENSIONS.items()
                }
                | {NONE: {"model": "FIP14G"}},
            }
        )

    def publish(self, *words: str) -> None:
        repositories.commit(self.root, self.files)
        done = self.run("publish", "lab", *words)
        assert done.returncode == 0, done.stderr

    def change(self, *macs: str, value: str) -> None:
        """Give phones another key, and publish."""
        for mac in macs:
            self.files["phones/all.yaml"][mac]["keys"] = {3: {"speed-dial": value, "label": "Taxi"}}
        self.publish()

    def environment(self) -> dict[str, str]:
        secrets = {"OFFHOOK_SECRET_NOTIFY": PASSWORD, "OFFHOOK_SECRET_PHONE": "a-password"}
        return {**os.environ, **secrets, "OFFHOOK_CACHE": str(self.folder / "cache")}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(OFFHOOK), "-C", str(self.root), *words],
            capture_output=True,
            text=True,
            check=False,
            env=self.environment(),
            timeout=120,
        )

    def planned(self, *words: str) -> dict[str, str]:
        """MAC -> result of a dry run."""
        done = self.run("notify", "lab", "--dry-run", "--format", "json", *words)
        assert done.returncode == 0, done.stderr
        return {one["mac"]: one["result"] for one in json.loads(done.stdout)["phones"]}


@pytest.mark.peer
def test_the_phones_that_a_release_changed_are_told(phones: dict[str, int], tmp_path: Path) -> None:
    with sip_peers.kamailio(digest="SHA-256", fr_timer_ms=1500) as pbx:
        sip_peers.register(pbx.port, phones, tmp_path)
        office = Office(tmp_path, pbx.port)
        office.publish()
        office.change(FINE, SILENT, AWAY, value="1")
        done = office.run("notify", "lab", "--format", "json")
        jsonschema.validate(json.loads(done.stdout), json.loads(SCHEMA.read_text()))
        found = {one["mac"]: one for one in json.loads(done.stdout)["phones"]}
        assert {mac: (one["result"], one["status"]) for mac, one in found.items()} == {
            FINE: ("answered", 200),
            SILENT: ("no answer", 408),
            AWAY: ("not registered", 480),
        }
        assert done.returncode == 1
        office.change(FINE, value="2")
        text = office.run("notify", "lab")
        assert (text.returncode, text.stderr) == (0, "")
        assert "1 phone: changed by release 3" in text.stdout
        assert "answered" in text.stdout
        again = office.run("notify", "lab", "--since", "1", "--format", "csv")
        rows = list(csv.DictReader(io.StringIO(again.stdout)))
        assert [row["mac"] for row in rows] == [FINE, SILENT, AWAY]
        cases = ElementTree.fromstring(office.run("notify", "lab", AWAY, FINE, "--format", "junit").stdout)
        assert [(one.get("name"), len(one)) for one in cases] == [(FINE, 0), (AWAY, 1)]
        with_none = office.run("notify", "lab", FINE, NONE, "--format", "junit")
        assert with_none.returncode == 0
        said = {one.get("name"): [kind.tag for kind in one] for one in ElementTree.fromstring(with_none.stdout)}
        assert said == {FINE: [], NONE: ["skipped"]}
        assert PASSWORD not in done.stdout + done.stderr + text.stdout + again.stdout


def test_who_is_chosen(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.publish()
    office.change(FINE, value="1")
    office.change(SHARING, value="1")
    everyone = dict.fromkeys(EXTENSIONS, "planned") | {NONE: NO_ACCOUNT}
    assert office.planned() == {SHARING: "planned"}
    assert office.planned("--since", "1") == {FINE: "planned", SHARING: "planned"}
    assert office.planned("--since", "0") == everyone
    assert office.planned("--all") == everyone
    assert office.planned("--site", "berlin") == dict.fromkeys(EXTENSIONS, "planned")
    assert office.planned("00:21:F2:00:00:03") == {AWAY: "planned"}
    (tmp_path / "macs").write_text(f"{AWAY} # x\n\n{NONE}\n")
    assert office.planned("--macs", str(tmp_path / "macs")) == {AWAY: "planned", NONE: NO_ACCOUNT}
    assert office.planned(SHARING, "--reboot") == {SHARING: SHARED}
    assert office.planned(SHARING, PARTNER, "--reboot") == {SHARING: "planned", PARTNER: "planned"}
    office.publish()
    assert office.planned("--since", "3") == {}


def test_a_phone_that_gets_another_account_is_told_by_the_one_it_has(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.publish()
    office.files["phones/all.yaml"][FINE]["accounts"] = ["a0104"]
    office.files["accounts/all.yaml"]["a0104"]["max_phones"] = "3"
    office.publish("--allow", "cutoff:berlin")
    done = office.run("notify", "lab", "--dry-run")
    assert "sip:0101@127.0.0.1:9, else sip:0104@127.0.0.1:9" in done.stdout


@pytest.mark.peer
def test_a_phone_that_has_fetched_is_called_by_its_new_account(phones: dict[str, int], tmp_path: Path) -> None:
    with sip_peers.kamailio(fr_timer_ms=1500) as pbx:
        sip_peers.register(pbx.port, {"0104": phones["0104"]}, tmp_path)
        office = Office(tmp_path, pbx.port)
        office.publish()
        office.files["phones/all.yaml"][FINE]["accounts"] = ["a0104"]
        office.files["accounts/all.yaml"]["a0104"]["max_phones"] = "3"
        office.publish("--allow", "cutoff:berlin")
        for words in ([], [FINE], ["--all"]):
            done = office.run("notify", "lab", *words, "--format", "json")
            found = {one["mac"]: one for one in json.loads(done.stdout)["phones"]}[FINE]
            assert (found["result"], found["address"]) == (ANSWERED, f"sip:0104@127.0.0.1:{pbx.port}")


def test_a_reboot_never_reaches_a_phone_that_was_given_the_account(tmp_path: Path) -> None:
    office = Office(tmp_path)
    phones = office.files["phones/all.yaml"]
    office.files["profiles/all.yaml"] = {"desk": {}}
    phones[FINE]["profiles"] = ["desk"]
    phones[AWAY]["accounts"] = []
    office.publish()
    phones[FINE]["accounts"], phones[AWAY]["accounts"] = ["a0103"], ["a0101"]
    office.publish("--allow", "cutoff:berlin")
    assert office.planned(FINE, "--reboot") == {FINE: SHARED}
    assert office.planned(FINE, AWAY, "--reboot") == {FINE: "planned", AWAY: "planned"}
    phones[AWAY]["accounts"] = []
    office.publish("--allow", "cutoff:berlin")
    assert office.planned(FINE, "--reboot") == {FINE: "planned"}
    assert office.planned("--since", "1", "--profile", "desk", "--reboot") == {FINE: SHARED}  # AWAY may have release 2


def test_where_former_accounts_are_not_known_nobody_is_restarted(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.publish()
    office.change(FINE, value="1")
    subprocess.run(["git", "-C", str(office.root), "update-ref", "-d", "refs/offhook/lab"], check=True)
    told = office.run("notify", "lab", FINE, "--dry-run")
    assert (told.returncode, told.stderr.count("still have release 1 of lab")) == (0, 1)
    refused = office.run("notify", "lab", FINE, "--dry-run", "--reboot")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "still have release 1 of lab" in refused.stderr


def test_phones_of_another_environment_are_not_restarted_either(tmp_path: Path) -> None:
    office = Office(tmp_path)
    (tmp_path / "other").mkdir()
    one = office.files["fleet.yaml"]["environments"]
    one["lab"]["phones"] = {"macs": [FINE]}
    one["other"] = one["lab"] | {"publish": str(tmp_path / "other"), "phones": {"macs": [AWAY]}}
    office.files["phones/all.yaml"][AWAY]["accounts"] = ["a0101"]
    office.publish()
    assert office.run("publish", "other").returncode == 0
    office.files["phones/all.yaml"][AWAY]["accounts"] = ["a0103"]
    office.change(FINE, value="1")
    office.change(FINE, value="2")
    assert office.planned(FINE) == {FINE: "planned"}
    assert office.planned(FINE, "--reboot") == {FINE: SHARED}


@pytest.mark.peer
def test_phones_are_called_where_they_are(phones: dict[str, int], tmp_path: Path) -> None:
    office = Office(tmp_path)
    contact = "sip:{{ accounts[0].extension }}@{{ phone.vars.at }}"
    office.files["fleet.yaml"]["notify"] = {"route": "contact", "contact": contact}
    office.files["phones/all.yaml"][FINE]["vars"] = {"at": f"127.0.0.1:{phones['0101']}"}
    office.publish()
    address = f"sip:0101@127.0.0.1:{phones['0101']}"
    planned = json.loads(office.run("notify", "lab", FINE, "--dry-run", "--format", "json").stdout)
    assert planned["phones"][0]["address"] == address
    done = office.run("notify", "lab", FINE, AWAY, "--format", "json")
    found = [(one["mac"], one["result"], one["address"]) for one in json.loads(done.stdout)["phones"]]
    assert found == [(FINE, ANSWERED, address), (AWAY, "no address", "")]


def test_a_mended_way_counts_at_once_and_phones_stay_those_of_the_release(tmp_path: Path) -> None:
    """No release would come of it: no phone changes."""
    office = Office(tmp_path)
    office.files["fleet.yaml"]["notify"] |= {"via": "sip:127.0.0.1:9"}
    office.publish()
    wrong = office.run("notify", "lab", FINE)
    assert (wrong.returncode, "unreachable" in wrong.stdout) == (1, True)
    with scripted.udp_server(lambda data: [repeated(data, 200)]) as heard:
        office.files["fleet.yaml"]["notify"] |= {"via": f"sip:127.0.0.1:{heard.port}"}
        office.files["accounts/all.yaml"]["a0101"]["extension"] = "0199"
        repositories.commit(office.root, office.files)
        done = office.run("notify", "lab", FINE)
    assert done.returncode == 0, done.stderr
    assert [data.split(b" ")[1] for data in heard.messages] == [b"sip:0101@127.0.0.1:9"]


def repeated(data: bytes, status: int) -> bytes:
    """An answer with the headers of the request, which is all that the client looks at."""
    head = data.partition(b"\r\n\r\n")[0].partition(b"\r\n")[2]
    return b"SIP/2.0 %d OK\r\n%s\r\n\r\n" % (status, head)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], 1, "nowhere"),
        (["lab", "xyz"], 2, "no MAC address"),
        (["lab", "0021f2999999"], 2, "not among the 6 phones"),
        (["lab", FINE, "--all"], 2, "neither --since nor --all"),
        (["lab", "--site", "rome"], 1, "no site rome"),
        (["lab", "--since", "99"], 2, "no release 99 yet; the last is 1"),
        (["lab", "--all", "--since", "1"], 2, "say one of them"),
        (["lab", "--macs", os.devnull, "--reboot"], 2, "names no phone"),
        (["lab", "--rate", "0/s"], 2, "expected a rate"),
        (["lab", "--dry-run", "--rate", "0/s"], 2, "expected a rate"),
        (["lab", "--rate", f"1{'0' * 400}/s"], 2, "expected a rate"),
        (["lab", "--dry-run", "--format", "csv"], 2, "--dry-run is text or JSON"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(words: list[str], code: int, said: str, tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.publish()
    done = office.run("notify", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_published_is_said(tmp_path: Path) -> None:
    office = Office(tmp_path)
    repositories.commit(office.root, office.files)
    done = office.run("notify", "lab")
    assert done.returncode == 1
    assert "nothing was published" in done.stderr


def test_stopped_in_the_middle_it_says_who_was_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        office = Office(tmp_path, deaf.getsockname()[1])
        office.publish()
        words = [str(OFFHOOK), "-C", str(office.root), "notify", "lab", "--all", "--rate", "1/h", "--format", "json"]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=office.environment())
        deaf.settimeout(60)
        deaf.recv(2000)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    found = json.loads(output)
    assert found["whole"] is False
    assert {one["mac"]: one["result"] for one in found["phones"]} == {
        FINE: CANCELLED,
        **dict.fromkeys((SILENT, AWAY, SHARING, PARTNER), NOT_SENT),
        NONE: NO_ACCOUNT,
    }
    assert [one["sends"] > 0 for one in found["phones"]] == [True] + [False] * 5


def test_equal_addresses_are_called_once() -> None:
    def target(mac: str, user: str, *also: str) -> Target:
        return Target(mac, account="a", user=user, registrar="pbx.example.com:5060", also=also)

    calls = calls_for([target("2", "b", "1"), target("1", "b", "2"), target("3", "c", "9"), Target("4")])
    assert [
        (one.call.user, one.call.domain, [phone.mac for phone in one.phones], one.also) for one in calls.planned
    ] == [
        ("b", "pbx.example.com", ["1", "2"], ()),
        ("c", "pbx.example.com", ["3"], ("9",)),
    ]
    assert [(one.phone.mac, one.outcome.word) for one in calls.refused] == [("4", NO_ACCOUNT)]
    assert calls.phones == 4


def test_of_many_that_would_restart_the_first_are_named() -> None:
    many = tuple(f"0021f20000{number:02}" for number in range(10, 99))
    refused = calls_for([Target("0021f2000001", user="a", registrar="b:5060", also=many)], reboot=True).refused
    assert refused[0].outcome.detail == "0021f2000010, 0021f2000011, 0021f2000012 and 86 more"


@pytest.mark.parametrize(("rate", "expected"), [("20/s", 20), ("600/min", 10), ("1/h", 1 / 3600)])
def test_rates(rate: str, expected: float) -> None:
    assert per_second(rate) == expected


def test_hostile_labels_and_details_are_harmless() -> None:
    label = "=cmd|'/c calc'!A1\x1b[2J\u202e"
    results = [
        Result(Target("0021f2000001", label=label), Outcome(REFUSED, 403, "no\x1b[31m")),
        Result(Target("1"), Outcome(ANSWERED, 200)),
    ]
    cells = next(csv.DictReader(io.StringIO(results_csv(results, why="", whole=True))))
    assert cells["label"].startswith("'=cmd")
    strange = Result(Target("0021f2000001"), Outcome(REFUSED, 403, "No\ufffe\uffff\U0001f4de"))
    case = ElementTree.fromstring(results_junit([strange], why="", whole=True))[0][0]
    assert "403 No??\U0001f4de" in case.attrib["message"]
    text: Any = results_text(results, why="x", whole=True)
    for shown in (cells["label"], text.replace("\x1b[3", "").replace("\x1b[0m", "").replace("\x1b[1m", "")):
        assert "\x1b[2J" not in shown
        assert "\u202e" not in shown
