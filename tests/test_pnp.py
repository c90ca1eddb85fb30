"""Plug and play: the guide's capture over real multicast, every spelling of the address, and hostile questions."""

from __future__ import annotations

import itertools
import json
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import inventories
import peers
from labs import OFFHOOK, serving
from networks import cable
from offhook.serve.desk import NOT_LISTED, OK, Desk, Event, Policy
from offhook.serve.pnp import NO_ANSWER, PnpServer
from offhook.serve.pnp_exchange import Answerer, accepted, answer_in, notify, subscription_in
from offhook.serve.shelf import shelf_of
from offhook.sip.message import Request, Response, parse
from pnp_phone import CALL_ID, confirmation, subscribe

MAC = "0021f222b01d"
CLIENT = ("192.168.50.163", 59495)
ANSWERER = Answerer("192.168.50.18", 7777, "tag", "z9hG4bKbranch")
URL = f"tftp://192.168.50.18/{MAC}.cfg"
ASKED = subscribe(MAC, *CLIENT)


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Responder:
    """A responder on loopback, where a test asks by unicast; `events` are what it told."""

    def __init__(self, *, for_all: bool = False) -> None:
        self.events: list[Event] = []
        shelf = shelf_of([(f"{MAC}.cfg", b"x", MAC)], phones={MAC: "Front desk"}, revision="a test")
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listening.bind(("127.0.0.1", 0))
        self.clock = Clock()
        self.server = PnpServer(
            Desk(shelf, Policy(), self.events.append),
            listening,
            lambda mac, here: f"tftp://{here}/{mac}.cfg",
            for_all=for_all,
            clock=self.clock,
        )

    def until(self, count: int) -> None:
        """Wait until so many events were told."""
        ends = time.monotonic() + 10
        while len(self.events) < count and time.monotonic() < ends:
            time.sleep(0.01)
        assert len(self.events) == count


@pytest.fixture
def phone() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        yield sock


def heard(sock: socket.socket, count: int) -> list[tuple[bytes, tuple[str, int]]]:
    return [sock.recvfrom(65535) for _ in range(count)]


def silence(sock: socket.socket) -> bool:
    sock.settimeout(0.4)
    try:
        sock.recvfrom(65535)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(10)
    return False


@pytest.mark.parametrize("user", [f"MAC{MAC}", f"MAC%3a{MAC}", f"MAC%3A{MAC}", f"mac:{MAC}", f"MAC={MAC.upper()}"])
def test_every_spelling_of_the_address_is_understood(user: str) -> None:
    found = subscription_in(subscribe(MAC, *CLIENT, user=user))
    assert found is not None
    assert (found.mac, found.user) == (MAC, user)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        ASKED.replace(b"SUBSCRIBE sip:", b"OPTIONS sip:", 1),
        ASKED.replace(f"MAC{MAC}@".encode(), b"MAC0021f222b01@"),
        ASKED.replace(f"MAC{MAC}@".encode(), b"alice@"),
        ASKED.replace(b"Event: ua-profile", b"Event: presence"),
        ASKED.replace(b"Via: ", b"X: "),
        ASKED.replace(b"Via: SIP", b"Via: ,\r\nX: SIP"),
        ASKED.replace(b"Call-ID", b"X-ID"),
        ASKED.replace(b"tag=4711", b"tag=47\r11"),
        ASKED + b"x" * 5000,
    ],
)
def test_anything_else_is_passed_over(data: bytes) -> None:
    assert subscription_in(data) is None


def test_a_phone_that_says_no_event_is_answered_all_the_same() -> None:
    found = subscription_in(re.sub(rb"Event: .*\r\n", b"", ASKED))
    assert found is not None
    assert b"Event: ua-profile\r\n" in notify(found, CLIENT, ANSWERER, URL)


def test_the_answer_is_that_of_the_capture() -> None:
    asked = subscription_in(ASKED)
    assert asked is not None
    ok = parse(accepted(asked, CLIENT, ANSWERER))
    assert isinstance(ok, Response)
    assert (ok.status, ok.reason) == (200, "OK")
    assert ok.headers.get("CSeq") == "1 SUBSCRIBE"
    assert ok.headers.get("To") == f"<sip:MAC{MAC}@224.0.1.75>;tag=tag"
    assert ok.headers.all("Via") == [
        f"SIP/2.0/UDP {CLIENT[0]}:{CLIENT[1]};branch=z9hG4bK{MAC}1;received={CLIENT[0]};rport={CLIENT[1]}"
    ]
    told = parse(notify(asked, CLIENT, ANSWERER, URL))
    assert isinstance(told, Request)
    assert (told.method, told.uri) == ("NOTIFY", f"sip:MAC{MAC}@192.168.50.163:59495")
    assert told.body == URL.encode()
    assert told.headers.get("Content-Length") == str(len(URL))
    assert told.headers.get("Content-Type") == "application/url"
    assert (told.headers.get("Event") or "").startswith('ua-profile;profile-type="device"')
    assert told.headers.get("Subscription-State") == "terminated;reason=timeout"
    assert told.headers.get("Call-ID") == CALL_ID
    assert (told.headers.get("From"), told.headers.get("To")) == (ok.headers.get("To"), asked.headers.get("From"))


def test_a_listed_phone_gets_its_url_at_its_own_port(phone: socket.socket) -> None:
    made = Responder()
    with closing(made.server):
        phone.sendto(ASKED, ("127.0.0.1", made.server.port))
        (ok, _), (told, server) = heard(phone, 2)
        assert ok.startswith(b"SIP/2.0 200 OK\r\n")
        assert told.endswith(f"\r\n\r\ntftp://127.0.0.1/{MAC}.cfg".encode())
        phone.sendto(confirmation(told), server)
        made.until(1)
    assert [(one.mac, one.result, one.whole) for one in made.events] == [(MAC, OK, True)]


def test_a_phone_that_is_not_listed_hears_nothing_unless_all_do(phone: socket.socket) -> None:
    other = subscribe("0021f2999999", *CLIENT)
    made = Responder()
    with closing(made.server):
        phone.sendto(other, ("127.0.0.1", made.server.port))
        made.until(1)
        assert silence(phone)
    assert made.events[0].result == NOT_LISTED
    made = Responder(for_all=True)
    with closing(made.server):
        phone.sendto(other, ("127.0.0.1", made.server.port))
        assert heard(phone, 2)[1][0].startswith(b"NOTIFY sip:MAC0021f2999999@127.0.0.1:")


def test_a_notify_that_is_lost_is_sent_again_until_it_is_given_up(phone: socket.socket) -> None:
    """RFC 3261, 17.1.2.2: timer E 0.5, 1, 2, 4, 4, ... s, until timer F after 32 s."""
    made = Responder()
    with closing(made.server):
        phone.sendto(ASKED, ("127.0.0.1", made.server.port))
        (_, _), (first, _) = heard(phone, 2)
        began, at = made.clock.now, []
        pauses = itertools.chain([0.5, 1, 2], itertools.repeat(4))
        for pause in pauses:
            if made.clock.now + pause - began >= 32:
                break
            made.clock.now += pause - 0.01
            assert not at or silence(phone)
            made.clock.now += 0.01
            assert phone.recvfrom(65535)[0] == first
            at.append(made.clock.now - began)
        made.clock.now = began + 32
        made.until(1)
        assert silence(phone)
    assert [round(one, 6) for one in at[:4]] == [0.5, 1.5, 3.5, 7.5]
    assert made.events[0].result == NO_ANSWER


def test_a_question_that_is_asked_again_gets_the_same_answer_and_no_second_notify(phone: socket.socket) -> None:
    made = Responder()
    with closing(made.server):
        phone.sendto(ASKED, ("127.0.0.1", made.server.port))
        (ok, _), (told, server) = heard(phone, 2)
        phone.sendto(ASKED, ("127.0.0.1", made.server.port))
        assert heard(phone, 1)[0][0] == ok
        phone.sendto(confirmation(told), server)
        made.until(1)
        phone.sendto(confirmation(told), server)
        phone.sendto(ASKED, ("127.0.0.1", made.server.port))
        assert heard(phone, 1)[0][0] == ok
        assert silence(phone)
    assert len(made.events) == 1


def test_a_phone_that_refuses_is_told_of(phone: socket.socket) -> None:
    made = Responder()
    with closing(made.server):
        phone.sendto(ASKED, ("127.0.0.1", made.server.port))
        (_, _), (told, server) = heard(phone, 2)
        phone.sendto(confirmation(told, 100), server)
        phone.sendto(confirmation(told, 489), server)
        made.until(1)
    assert made.events[0].result == "refused with 489"


def test_another_s_answer_confirms_nothing(phone: socket.socket) -> None:
    made = Responder()
    with closing(made.server), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        phone.sendto(ASKED, ("127.0.0.1", made.server.port))
        (_, _), (told, server) = heard(phone, 2)
        stranger.bind(("127.0.0.1", 0))
        stranger.sendto(confirmation(told), server)
        time.sleep(0.3)
        assert not made.events


@given(st.binary(max_size=600))
def test_no_bytes_are_too_much_for_the_parsers(data: bytes) -> None:
    subscription_in(data)
    answer_in(data)


def mutations(seed: int, count: int) -> Iterator[bytes]:
    """Questions with bytes changed, cut, doubled and put elsewhere."""
    chance = random.Random(seed)
    for _ in range(count):
        data = bytearray(ASKED)
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(data))
            match chance.randrange(4):
                case 0:
                    data[at] = chance.randrange(256)
                case 1:
                    del data[at : at + chance.randrange(1, 40)]
                case 2:
                    data[at:at] = data[at : at + chance.randrange(1, 40)]
                case _:
                    data[at:at] = chance.choice([b"\r\n", b"\0", b"\xff\xfe", b"%0d%0a", b":", b",", b'"', b"<"])
            if not data:
                data = bytearray(b"\r")
        yield bytes(data)


def check_mutations(seed: int, count: int) -> None:
    for data in mutations(seed, count):
        asked = subscription_in(data)
        if asked is None:
            continue
        told = parse(notify(asked, CLIENT, ANSWERER, URL))
        assert isinstance(told, Request)
        assert told.body == URL.encode()
        assert told.uri == f"sip:{asked.user}@192.168.50.163:59495"
        assert len(told.headers.all("CSeq")) == 1
        assert isinstance(parse(accepted(asked, CLIENT, ANSWERER)), Response)


def test_damaged_questions_put_nothing_else_into_an_answer() -> None:
    check_mutations(1, 3000)


@pytest.mark.long
def test_many_damaged_questions_put_nothing_else_into_an_answer() -> None:
    check_mutations(2, 100_000)


def test_a_flood_of_questions_is_bounded_and_others_are_answered(phone: socket.socket) -> None:
    made = Responder(for_all=True)
    with closing(made.server), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.bind(("127.0.0.1", 0))
        for number in range(3000):
            question = ASKED.replace(CALL_ID.encode(), b"%d@x" % number)
            flood.sendto(question, ("127.0.0.1", made.server.port))
            if number % 50 == 0:
                time.sleep(0.01)
        for data in mutations(3, 300):
            flood.sendto(data, ("127.0.0.1", made.server.port))
        for _ in range(20):
            phone.sendto(ASKED, ("127.0.0.1", made.server.port))
            phone.settimeout(0.5)
            try:
                answered = phone.recvfrom(65535)[0]
                break
            except TimeoutError:
                continue
        assert answered.startswith(b"SIP/2.0 200")
        assert len(made.server._exchanges) <= 1024


@pytest.mark.peer
def test_the_capture_over_real_multicast(tmp_path: Path) -> None:
    """A phone on another network asks the group, is told, and boots from the URL; tshark finds nothing malformed."""
    tshark = peers.program("tshark")
    fleet = {
        "sip": {"server": "pbx.example.com"},
        "secrets": {"provider": "env"},
        "settings": {"features.pound_key.mode": "2"},
        "environments": {"lab": {"url": "tftp://192.168.50.18/", "accept": ["plain-secret-transport"]}},
        "default_environment": "lab",
    }
    phones = {MAC: {"model": "FIP14G"}}
    files = inventories.minimal(**{"fleet.yaml": fleet, "phones/all.yaml": phones})
    folder = inventories.write_inventory(tmp_path / "fleet", files)
    capture = tmp_path / "capture.pcap"
    with (
        cable() as (server, phone),
        serving(folder, "--tftp", "69", "--http", "off", "--pnp", "--user", "root", where=server.command()) as lab,
    ):
        assert lab.greeting["urls"]["pnp"] == f"tftp://192.168.50.18/{MAC}.cfg"
        sniffer = subprocess.Popen(
            phone.command(tshark, "-q", "-i", phone.device, "-w", str(capture), "-f", "udp"), stderr=subprocess.PIPE
        )
        assert sniffer.stderr is not None
        while b"Capturing" not in sniffer.stderr.readline():
            pass
        time.sleep(1)  # it says so before it does
        script = Path(__file__).with_name("pnp_phone.py")
        heard = json.loads(phone.run(sys.executable, str(script), MAC).stdout)["heard"]
        booted = phone.run(
            str(OFFHOOK), "boot", MAC, "--from", heard[1]["text"].rpartition("\r\n")[2], "--format", "json"
        )
        stranger = json.loads(phone.run(sys.executable, str(script), "0021f2999999").stdout)["heard"]
        time.sleep(1)
        sniffer.send_signal(signal.SIGINT)
        sniffer.wait(30)
        lines = [lab.next() for _ in range(2)]
    assert [one["from"][0] for one in heard] == ["192.168.50.18"] * 2
    assert heard[0]["text"].startswith("SIP/2.0 200 OK\r\n")
    assert heard[1]["text"].startswith(f"NOTIFY sip:MAC{MAC}@192.168.50.163:")
    assert json.loads(booted.stdout)["settings"]["features.pound_key.mode"] == "2"
    assert stranger == []
    assert [(one["protocol"], one["result"], one["state"]) for one in lines] == [
        ("pnp", "ok", "asked, has nothing yet"),
        ("tftp", "ok", "current"),
    ]
    check_capture(tshark, capture)


def check_capture(tshark: str, capture: Path) -> None:
    def fields(*words: str) -> list[str]:
        done = subprocess.run([tshark, "-r", str(capture), *words], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    assert fields("-Y", "_ws.malformed || _ws.expert.severity == error") == []
    packets = fields("-Y", "sip", "-T", "fields", "-e", "sip.Method", "-e", "sip.Status-Code", "-e", "sip.CSeq.method")
    assert [one.split("\t") for one in packets[:4]] == [
        ["SUBSCRIBE", "", "SUBSCRIBE"],
        ["", "200", "SUBSCRIBE"],
        ["NOTIFY", "", "NOTIFY"],
        ["", "200", "NOTIFY"],
    ]
