"""NOTIFYs on their way to phones: through Kamailio to SIPp, baresip and PJSIP, and through PBXs' control ports.

Neither Asterisk nor FreeSWITCH is packaged for Debian 12: theirs are scripted servers that speak as the documentation
and the source of res_pjsip_notify.c and mod_event_socket do.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import inventories
import peers
import scripted
import sip_peers
from offhook.compile import read_fleet
from offhook.problem import OffhookError
from offhook.rollout.routes import asterisk, contact, freeswitch, registrar
from offhook.rollout.routes.call import Call, Sender
from offhook.rollout.routes.sip_notify import request_to
from offhook.rollout.routes.table import ROUTES, OpenRoute, notify_of, open_route
from offhook.rollout.telling import Before, always, notify_many
from offhook.sip.credentials import Credentials
from offhook.sip.message import Request, SipError, parse, render
from offhook.sip.outcome import MEANINGS, Outcome, is_registered, meaning_of
from offhook.sip.transaction import Timers
from sip_peers import PASSWORD, USER

QUICK = Timers(t1_s=0.05, t2_s=0.4, t4_s=0.5)
WHO = Credentials(USER, PASSWORD)
PHONES = {
    "fine": sip_peers.answering(),
    "late": sip_peers.answering(after_ms=120),
    "silent": sip_peers.silent(),
    "forbids": sip_peers.answering("403 Forbidden"),
    "unknown": sip_peers.answering("404 Not Found"),
    "away": sip_peers.answering("480 Temporarily Unavailable"),
    "strange": sip_peers.answering("481 Subscription Does Not Exist"),
    "busy": sip_peers.answering("486 Busy Here"),
    "full": sip_peers.answering("503 Service Unavailable", header="Retry-After: 120 (x)"),
    "asks401": sip_peers.challenging(401),
    "asks407": sip_peers.challenging(407),
}
THROUGH_THE_PROXY = {
    "fine": ("answered", 200),
    "late": ("answered", 200),
    "silent": ("no answer", 408),
    "forbids": ("refused", 403),
    "unknown": ("unknown phone", 404),
    "away": ("not registered", 480),
    "strange": ("no subscription", 481),
    "busy": ("busy", 486),
    "full": ("server error", 500),  # a proxy makes 500 of a phone's 503 (RFC 3261 section 16.7)
    "asks401": ("answered", 200),
    "asks407": ("answered", 200),
    "nobody": ("unknown phone", 404),
}


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """A SIPp phone of each kind: name -> port."""
    folder = tmp_path_factory.mktemp("phones")
    with ExitStack() as stack:
        yield {name: stack.enter_context(sip_peers.sipp(words, folder)) for name, words in PHONES.items()}


def tell(route: OpenRoute, calls: Iterable[Call], *, before: Before = always) -> dict[str, Outcome]:
    """Tell phones by a route; returns user -> outcome, one for each."""

    async def run() -> dict[str, Outcome]:
        found: dict[str, Outcome] = {}
        async with route as sender:
            async for told in notify_many(calls, sender, before=before):
                assert told.call.user not in found
                found[told.call.user] = told.outcome
        return found

    return asyncio.run(run())


def words(outcomes: dict[str, Outcome]) -> dict[str, tuple[str, int]]:
    return {user: (one.word, one.status) for user, one in outcomes.items()}


@pytest.mark.peer
@pytest.mark.parametrize("digest", ["", "MD5", "SHA-256"])
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_every_phone_behind_kamailio_is_told_and_told_of(
    phones: dict[str, int], tmp_path: Path, digest: str, transport: str
) -> None:
    certificate = peers.make_certificate(tmp_path)
    with sip_peers.kamailio(digest=digest, tls=certificate, fr_timer_ms=1500) as pbx:
        sip_peers.register(pbx.port, phones, tmp_path)
        port = pbx.tls_port if transport == "tls" else pbx.port
        via = f"sip:127.0.0.1:{port};transport={transport}"
        calls = [Call("0021f2000001", user, f"127.0.0.1:{pbx.port}") for user in THROUGH_THE_PROXY]
        settings = registrar.Settings(via, WHO, certificate.ca_file, timers=QUICK)
        outcomes = tell(registrar.opened(settings), calls)
        assert words(outcomes) == THROUGH_THE_PROXY
        assert outcomes["fine"].server == f"{transport} 127.0.0.1:{port}"
        if digest:
            wrong = registrar.Settings(via, Credentials(USER, "wrong"), certificate.ca_file, timers=QUICK)
            assert words(tell(registrar.opened(wrong), calls[:1])) == {"fine": ("credentials refused", 407)}
            none = registrar.Settings(via, None, certificate.ca_file, timers=QUICK)
            assert words(tell(registrar.opened(none), calls[:1])) == {"fine": ("credentials wanted", 407)}


@pytest.mark.peer
def test_a_proxy_is_named_in_a_route_where_it_wants_that(phones: dict[str, int], tmp_path: Path) -> None:
    with sip_peers.kamailio() as pbx, sip_peers.kamailio() as edge:
        sip_peers.register(pbx.port, {"fine": phones["fine"]}, tmp_path)
        # the edge proxy knows no phone: only the Route makes it hand the request on to its domain
        via = f"sip:127.0.0.1:{edge.port};lr"
        calls = [Call("", "fine", f"127.0.0.1:{pbx.port}")]
        assert words(tell(registrar.opened(registrar.Settings(via, timers=QUICK)), calls)) == {
            "fine": ("answered", 200)
        }
        bare = registrar.Settings(via.removesuffix(";lr"), timers=QUICK)
        assert words(tell(registrar.opened(bare), calls)) == {"fine": ("unknown phone", 404)}


@pytest.mark.peer
def test_straight_to_the_phones(phones: dict[str, int]) -> None:
    calls = [Call("", user, "pbx.test", f"sip:{user}@127.0.0.1:{port}") for user, port in phones.items()]
    outcomes = tell(contact.opened(contact.Settings(credentials=WHO, timers=QUICK)), [*calls, Call("", "lost", "pbx")])
    expected = {user: THROUGH_THE_PROXY[user] for user in phones}
    expected |= {"silent": ("no answer", 0), "full": ("overloaded", 503), "lost": ("no address", 0)}
    assert words(outcomes) == expected
    assert outcomes["full"].retry_after_s == 120


@pytest.mark.peer
def test_baresip_says_481_and_pjsip_nothing(tmp_path: Path) -> None:
    (tmp_path / "baresip").mkdir()
    with (
        sip_peers.kamailio() as pbx,
        sip_peers.baresip(pbx.port, "bare", tmp_path / "baresip"),
        sip_peers.pjsip(pbx.port, "pj", tmp_path),
    ):
        calls = [Call("", user, f"127.0.0.1:{pbx.port}") for user in ("bare", "pj")]
        outcomes = tell(registrar.opened(registrar.Settings(timers=QUICK)), calls)
        asked = tell(registrar.opened(registrar.Settings(timers=QUICK)), [replace(one, asks=True) for one in calls])
    assert words(outcomes) == {"bare": ("no subscription", 481), "pj": ("no answer", 0)}
    assert outcomes["pj"].sends == 11
    assert [is_registered(one) for one in asked.values()] == [True, True]


@pytest.mark.peer
def test_with_a_third_of_all_packets_lost_every_phone_is_answered_for(tmp_path: Path) -> None:
    """30 % each way between offhook and the registrar: whoever can be reached is, and nothing follows an answer."""
    users = {f"u{number}": 0 for number in range(60)}
    with (
        sip_peers.sipp(sip_peers.answering(), tmp_path) as phone,
        sip_peers.kamailio() as pbx,
        sip_peers.lossy(pbx.port, 0.3) as relay,
    ):
        sip_peers.register(pbx.port, dict.fromkeys(users, phone), tmp_path)
        settings = registrar.Settings(f"sip:127.0.0.1:{relay.port}", timers=Timers(t1_s=0.1, t2_s=0.8))
        calls = [Call("", user, f"127.0.0.1:{pbx.port}") for user in users]
        outcomes = tell(registrar.opened(settings), calls)
    assert words(outcomes) == dict.fromkeys(users, ("answered", 200))
    requests = [data for data, _ in relay.seen if data.startswith(b"NOTIFY")]
    assert sum(one.sends for one in outcomes.values()) == len(requests) > len(users)
    ways: dict[bytes, list[str]] = {}
    for data, is_lost in relay.seen:
        branch = re.search(rb"branch=(z9hG4bK[0-9a-f]{20})", data)
        assert branch
        kind = "sent" if data.startswith(b"NOTIFY") else "lost" if is_lost else "answered"
        ways.setdefault(branch[1], []).append(kind)
    # a repetition may already be under way when the answer arrives; after that there is none
    assert all(steps[steps.index("answered") + 1 :].count("sent") <= 1 for steps in ways.values())


def test_the_request_is_the_guides() -> None:
    """facts: guide, "SIP NOTIFY": Event check-sync, out of dialog, no body; a restart only where it is asked for."""
    calls = [Call("", "a b", "pbx.test:5070"), Call("", "alice;x=1", "pbx.test", reboot=True)]
    with scripted.udp_server(lambda _: []) as heard:
        via = f"sip:127.0.0.1:{heard.port}"
        settings = registrar.Settings(via, WHO, timers=Timers(0.005, 0.01, 0.01))
        tell(registrar.opened(settings), calls)
    first, second = (parse(data) for data in dict.fromkeys(heard.messages))
    assert isinstance(first, Request)
    assert isinstance(second, Request)
    assert (first.method, first.uri, first.body) == ("NOTIFY", "sip:a%20b@pbx.test:5070", b"")
    assert second.uri == "sip:alice;x=1@pbx.test"
    shown = {name: value for name, value in first.headers.items() if name not in ("Via", "Call-ID", "Contact")}
    assert re.fullmatch(r"<sip:offhook@pbx\.test:5070>;tag=[0-9a-f]{12}", shown.pop("From"))
    assert shown == {
        "Max-Forwards": "70",
        "To": "<sip:a%20b@pbx.test:5070>",
        "Event": "check-sync",
        "Subscription-State": "terminated",
        "User-Agent": "offhook",
        "CSeq": "1 NOTIFY",
        "Content-Length": "0",
    }
    assert second.headers.get("Event") == "check-sync;reboot=true"
    assert first.headers.get("Call-ID") != second.headers.get("Call-ID")


class Instant:
    """A route that answers at once, or never."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    def begin(self, call: Call, told: Callable[[Outcome], None]) -> None:
        self.begun.append(call.user)
        if call.user != "never":
            told(Outcome("answered", 200))

    async def room(self) -> None:
        await asyncio.sleep(0)


def test_before_is_asked_right_before_each_send_and_may_say_no() -> None:
    log: list[str] = []
    sender: Sender = Instant()

    async def before(call: Call) -> bool:
        log.append(f"{call.user}? {sender.begun}")  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        return call.user != "b"

    async def run() -> list[str]:
        calls = [Call("", user, "pbx") for user in "abc"]
        return [told.call.user async for told in notify_many(calls, sender, before=before)]

    assert asyncio.run(run()) == ["a", "c"]
    assert log == ["a? []", "b? ['a']", "c? ['a']"]


def test_what_before_raises_ends_the_sending_after_what_was_sent() -> None:
    async def before(call: Call) -> bool:
        if call.user == "b":
            raise OffhookError("the journal's disk is full")
        return True

    async def run() -> list[str]:
        found = []
        try:
            async for told in notify_many([Call("", user, "pbx") for user in "abc"], Instant(), before=before):
                found.append(told.call.user)
        except OffhookError as error:
            found.append(error.message)
        return found

    assert asyncio.run(run()) == ["a", "the journal's disk is full"]


def test_whoever_stops_listening_stops_the_sending() -> None:
    sender = Instant()

    async def run() -> None:
        calls = (Call("", f"u{number}", "pbx") for number in range(1000))
        telling = notify_many(calls, sender)
        async for told in telling:
            assert told.call.user == "u0"
            break
        await telling.aclose()  # type: ignore[attr-defined]
        await asyncio.sleep(0.02)

    asyncio.run(run())
    assert len(sender.begun) < 10


def test_one_bad_address_is_that_phones_outcome_only() -> None:
    with scripted.udp_server(lambda _: []):
        calls = [Call("", "a\r\nb", "pbx.test"), Call("", "c", "pbx test"), Call("", "d", "")]
        outcomes = tell(registrar.opened(registrar.Settings(timers=QUICK)), calls)
    assert {one.word for one in outcomes.values()} == {"no address"}


@pytest.mark.parametrize(
    "contact_address",
    [
        "sip:a@h SIP/2.0 X",
        "sip:a b@h",
        "sip:a>@h",
        "sip:a@h>",
        "sip:a@h?Event=x",
        "sip:a%2@h",
        'sip:"a"@h',
        "sip:a@h\n",
    ],
)
def test_a_contact_that_is_no_address_is_sent_to_no_proxy(contact_address: str) -> None:
    with scripted.udp_server(lambda _: []) as heard_there:
        way = contact.Settings(f"sip:127.0.0.1:{heard_there.port}", timers=QUICK)
        outcomes = tell(contact.opened(way), [Call("", "a", "pbx.test", contact_address)])
        assert words(outcomes) == {"a": ("no address", 0)}
    assert heard_there.messages == []


@pytest.mark.parametrize("opened", [contact.opened, registrar.opened])
@pytest.mark.parametrize("parameter", ["", ";lr"])
def test_a_proxy_is_named_in_a_route_only_with_lr(opened: Callable[..., OpenRoute], parameter: str) -> None:
    with scripted.udp_server(lambda _: []) as heard_there:
        via = f"sip:127.0.0.1:{heard_there.port}{parameter}"
        settings = {contact.opened: contact.Settings, registrar.opened: registrar.Settings}[opened]
        tell(opened(settings(via, timers=Timers(0.005, 0.01, 0.01))), [Call("", "a", "pbx.test", "sip:a:b;c=%40@h;x")])
    assert {parse(data).headers.get("Route") for data in heard_there.messages} == {f"<{via}>" if parameter else None}


def heard(sock: socket.socket) -> bytes:
    """The next bytes; none once the connection has ended, or the other thread that speaks on it has closed it."""
    try:
        return sock.recv(65536)
    except OSError:
        return b""


def lines(sock: socket.socket, end: bytes) -> Iterator[dict[str, str]]:
    """What a client of AMI or the event socket says, until the end: blocks as dicts."""
    data = b""
    while received := heard(sock):
        data += received
        while end in data:
            block, _, data = data.partition(end)
            rows = [row.partition(": ") for row in block.decode().replace("\r", "").split("\n")]
            yield {name: value for name, _, value in rows}


def ami(said: list[dict[str, str]], *, password: str = PASSWORD, answers: bool = True) -> Callable[..., None]:
    """A manager interface as manager.c and res_pjsip_notify.c have it: events between, answers by ActionID."""

    def talk(sock: socket.socket, _: threading.Event) -> None:
        sock.sendall(b"Asterisk Call Manager/9.0.0\r\n")
        key = hashlib.md5(f"842415273{password}".encode()).hexdigest()
        for action in lines(sock, b"\r\n\r\n"):
            said.append(action)
            match action["Action"]:
                case "Challenge":
                    sock.sendall(b"Response: Success\r\nChallenge: 842415273\r\n\r\n")
                case "Login" if action["Key"] == key and action["Username"] == USER:
                    sock.sendall(b"Response: Success\r\nMessage: Authentication accepted\r\n\r\n")
                    sock.sendall(b"Event: FullyBooted\r\nPrivilege: system,all\r\nStatus: Fully Booted\r\n\r\n")
                case "Login":
                    sock.sendall(b"Response: Error\r\nMessage: Authentication failed\r\n\r\n")
                case "Getvar":
                    user = action["Variable"].removeprefix("DEVICE_STATE(PJSIP/").removesuffix(")")
                    state = {"away": "UNAVAILABLE", "nobody": "INVALID", "busy": "INUSE"}.get(user, "NOT_INUSE")
                    head = f"Response: Success\r\nActionID: {action['ActionID']}\r\nVariable: {action['Variable']}\r\n"
                    sock.sendall(f"{head}Value: {state}\r\n\r\n".encode())
                case "PJSIPNotify" if answers:
                    user, number = action["Endpoint"], action["ActionID"]
                    fine = f"Response: Success\r\nActionID: {number}\r\nMessage: NOTIFY sent\r\n\r\n"
                    lost = (
                        f"Response: Error\r\nActionID: {number}\r\nMessage: Unable to retrieve endpoint {user}\r\n\r\n"
                    )
                    denied = f"Response: Error\r\nActionID: {number}\r\nMessage: {password} denied permission\r\n\r\n"
                    sock.sendall({"nobody": lost, "denied": denied}.get(user, fine).encode())

    return talk


def test_asterisk_is_told_to_tell() -> None:
    said: list[dict[str, str]] = []
    with scripted.tcp_server(ami(said)) as port:
        calls = [Call("", user, "pbx", reboot=user == "bob") for user in ("alice", "bob", "nobody", "denied", "x\r\ny")]
        outcomes = tell(asterisk.opened(asterisk.Settings("127.0.0.1", WHO, port)), calls)
    assert words(outcomes) == {
        "alice": ("passed on", 0),
        "bob": ("passed on", 0),
        "nobody": ("unknown phone", 0),
        "denied": ("refused", 0),
        "x\r\ny": ("refused", 0),
    }
    assert not outcomes["alice"].is_answered
    assert outcomes["denied"].detail == "*** denied permission"
    assert said[2] == {"Action": "PJSIPNotify", "ActionID": "1", "Endpoint": "alice", "Variable": "Event=check-sync"}
    assert said[3]["Variable"] == "Event=check-sync;reboot=true"
    assert PASSWORD not in str(said)


def test_asterisk_is_asked_who_is_registered() -> None:
    with scripted.tcp_server(ami([])) as port:
        names = ("alice", "busy", "away", "nobody", "a)${SHELL(id)}")
        calls = [Call("", user, "pbx", asks=True) for user in names]
        outcomes = tell(asterisk.opened(asterisk.Settings("127.0.0.1", WHO, port)), calls)
    assert {user: (one.word, is_registered(one)) for user, one in outcomes.items()} == {
        "alice": ("answered", True),
        "busy": ("answered", True),
        "away": ("not registered", False),
        "nobody": ("unknown phone", False),
        "a)${SHELL(id)}": ("no address", False),
    }


def event_socket(said: list[dict[str, str]], *, password: str = PASSWORD) -> Callable[..., None]:
    """An event socket as mod_event_socket has it."""

    def talk(sock: socket.socket, _: threading.Event) -> None:
        sock.sendall(b"Content-Type: auth/request\n\n")
        for command in lines(sock, b"\n\n"):
            said.append(command)
            if f"auth {password}" in command:
                sock.sendall(b"Content-Type: command/reply\nReply-Text: +OK accepted\n\n")
            elif question := next((key for key in command if key.startswith("api sofia_contact ")), ""):
                found = "error/user_not_registered" if "/away@" in question else "sofia/lan/sip:alice@192.0.2.9:5060"
                head = f"Content-Type: api/response\nContent-Length: {len(found)}\n\n"
                sock.sendall(f"{head}{found}".encode())
            elif "sendevent NOTIFY" in command:
                reply = (
                    f"-ERR invalid: {password}"
                    if command["user"] == "bad"
                    else "+OK 7f4de4bc-17d7-11dd-b7a0-db4edd065621"
                )
                notice = b"Content-Type: text/disconnect-notice\nContent-Length: 7\n\nignore\n"
                sock.sendall(notice + f"Content-Type: command/reply\nReply-Text: {reply}\n\n".encode())
            else:
                sock.sendall(b"Content-Type: command/reply\nReply-Text: -ERR invalid\n\n")

    return talk


def test_freeswitch_is_told_to_tell() -> None:
    said: list[dict[str, str]] = []
    with scripted.tcp_server(event_socket(said)) as port:
        calls = [Call("", user, "pbx.test:5070", reboot=user == "bob") for user in ("alice", "bob", "bad", "x\n\ny")]
        outcomes = tell(freeswitch.opened(freeswitch.Settings("127.0.0.1", PASSWORD, port, "lan")), calls)
    assert words(outcomes) == {
        "alice": ("passed on", 0),
        "bob": ("passed on", 0),
        "bad": ("server error", 0),
        "x\n\ny": ("refused", 0),
    }
    assert outcomes["bad"].detail == "-ERR invalid: ***"
    assert said[1] == {
        "sendevent NOTIFY": "",
        "profile": "lan",
        "event-string": "check-sync",
        "user": "alice",
        "host": "pbx.test",
        "content-type": "application/simple-message-summary",
    }
    assert said[2]["event-string"] == "check-sync;reboot=true"


def test_freeswitch_is_asked_who_is_registered() -> None:
    said: list[dict[str, str]] = []
    with scripted.tcp_server(event_socket(said)) as port:
        # questions and orders are answered in turn
        calls = [Call("", user, "pbx.test:5070", asks=user != "bob") for user in ("alice", "bob", "away")]
        outcomes = tell(freeswitch.opened(freeswitch.Settings("127.0.0.1", PASSWORD, port, "lan")), calls)
    assert words(outcomes) == {"alice": ("answered", 0), "bob": ("passed on", 0), "away": ("not registered", 0)}
    assert list(said[1]) == ["api sofia_contact lan/alice@pbx.test"]


@pytest.mark.peer
def test_phones_are_asked_by_the_registrar_who_is_registered(tmp_path: Path) -> None:
    """OPTIONS through Kamailio, with Digest: real phones answer it, also those that do not take a NOTIFY."""
    kinds = {"busy": "486 Busy Here", "away": "480 Temporarily Unavailable"}
    with ExitStack() as stack:
        pbx = stack.enter_context(sip_peers.kamailio(digest="SHA-256", fr_timer_ms=1500))
        phones = {
            name: stack.enter_context(sip_peers.sipp(sip_peers.answering(status, method="OPTIONS"), tmp_path))
            for name, status in kinds.items()
        }
        phones["off"] = peers.free_port(udp=True)
        sip_peers.register(pbx.port, phones, tmp_path)
        names = (*phones, "nobody")
        calls = [Call("", user, f"127.0.0.1:{pbx.port}", asks=True) for user in names]
        outcomes = tell(registrar.opened(registrar.Settings(credentials=WHO, timers=QUICK)), calls)
    assert {user: (one.status, is_registered(one)) for user, one in outcomes.items()} == {
        "busy": (486, True),
        "away": (480, False),
        "off": (408, False),
        "nobody": (404, False),
    }


@pytest.mark.parametrize("name", ["asterisk", "freeswitch"])
def test_a_pbx_that_refuses_is_gone_or_is_none_is_told(name: str) -> None:
    def refusal(port: int) -> str:
        notify = {"route": name, "host": "127.0.0.1", "port": port, "username": USER}
        with pytest.raises(OffhookError) as caught:
            tell(open_route(notify, root=Path(), password="wrong"), [Call("", "alice", "pbx")])
        assert "wrong" not in f"{caught.value.message} {caught.value.hint}"
        assert caught.value.hint
        return caught.value.message

    title = {"asterisk": "Asterisk", "freeswitch": "FreeSWITCH"}[name]
    with scripted.tcp_server({"asterisk": ami, "freeswitch": event_socket}[name]([])) as port:
        assert "refuses" in refusal(port)
    closed = peers.free_port()
    assert refusal(closed) == f"{title} at 127.0.0.1:{closed} cannot be reached: connection refused"
    for chatter in (b"", b"SSH-2.0-OpenSSH\r\n", b"x" * 200_000, b"a: b\n" * 50_000):
        with scripted.tcp_server(lambda sock, _, chatter=chatter: sock.sendall(chatter)) as port:
            assert refusal(port).startswith(title)


def test_a_pbx_that_dies_or_falls_silent_is_every_waiting_phones_outcome() -> None:
    with scripted.tcp_server(ami([], answers=False)) as port:
        settings = asterisk.Settings("127.0.0.1", WHO, port, patience_s=0.2)
        calls = [Call("", f"u{number}", "pbx") for number in range(100)]
        outcomes = tell(asterisk.opened(settings), calls)
    assert {one.word for one in outcomes.values()} == {"no answer"}
    assert len(outcomes) == 100


def test_one_order_without_an_answer_is_that_phones_outcome_only() -> None:
    def talk(sock: socket.socket, stopping: threading.Event) -> None:
        manager(Deaf(sock), stopping)

    class Deaf:
        """Never says what became of u1."""

        def __init__(self, sock: socket.socket) -> None:
            self.recv = sock.recv
            self._sock = sock

        def sendall(self, data: bytes) -> None:
            if b"ActionID: 2\r\n" not in data:
                self._sock.sendall(data)

    manager = ami([])

    async def slowly(_: Call) -> bool:
        await asyncio.sleep(0.05)
        return True

    with scripted.tcp_server(talk) as port:
        settings = asterisk.Settings("127.0.0.1", WHO, port, patience_s=0.4)
        outcomes = tell(
            asterisk.opened(settings), [Call("", f"u{number}", "pbx") for number in range(20)], before=slowly
        )
    assert {user: (one.word, one.sends) for user, one in outcomes.items()} == {
        f"u{number}": ("no answer" if number == 1 else "passed on", 1) for number in range(20)
    }


@pytest.mark.parametrize("name", ["asterisk", "freeswitch"])
def test_a_pbx_that_restarts_is_connected_to_again(name: str) -> None:
    """Of what was written before nobody knows the fate; the others are told. One that always closes is left."""
    said: list[dict[str, str]] = []
    connections: list[socket.socket] = []

    class Dying:
        """Ends the connection at the fifth order that comes on it, on the first one only where `once`."""

        def __init__(self, sock: socket.socket) -> None:
            connections.append(sock)
            self.sendall = sock.sendall
            self._sock = sock
            self._orders = 0

        def recv(self, size: int) -> bytes:
            data = self._sock.recv(size)
            self._orders += data.count(b"NOTIFY") + data.count(b"PJSIPNotify")
            if self._orders >= at and (len(connections) == 1 or not once):
                raise OSError("restarted")
            return data

    manager = {"asterisk": ami, "freeswitch": event_socket}[name](said)

    async def slowly(_: Call) -> bool:
        await asyncio.sleep(0.03)
        return True

    notify = {"route": name, "host": "127.0.0.1", "username": USER}
    calls = [Call("", f"u{number}", "pbx") for number in range(10)]
    with scripted.tcp_server(lambda sock, stopping: manager(Dying(sock), stopping)) as port:
        at, once = 5, True
        outcomes = tell(open_route(notify | {"port": port}, root=Path(), password=PASSWORD), calls, before=slowly)
        assert {user: (one.word, one.sends) for user, one in outcomes.items()} == {
            f"u{number}": ("connection lost" if number == 4 else "passed on", 1) for number in range(10)
        }
        at, once = 1, False
        connections.clear()
        outcomes = tell(open_route(notify | {"port": port}, root=Path(), password=PASSWORD), calls, before=slowly)
        assert [(one.word, one.sends) for one in outcomes.values()] == [("connection lost", 1)] * 2 + [
            ("unreachable", 0)
        ] * 8
        assert len(connections) == 2


@pytest.mark.parametrize(
    "chatter", [b"Event: PeerStatus\r\nPrivilege: system\r\n\r\n", b"Response: Success\r\nActionID: none\r\n\r\n"]
)
def test_a_pbx_that_talks_of_other_things_only_does_not_answer(chatter: bytes) -> None:
    def talk(sock: socket.socket, stopping: threading.Event) -> None:
        speak = threading.Thread(target=lambda: manager(sock, stopping))
        speak.start()
        while not stopping.wait(0.02) and speak.is_alive():
            if any(one["Action"] == "PJSIPNotify" for one in said):
                sock.sendall(chatter)

    said: list[dict[str, str]] = []
    manager = ami(said, answers=False)
    with scripted.tcp_server(talk) as port:
        settings = asterisk.Settings("127.0.0.1", WHO, port, patience_s=0.5)
        outcomes = tell(asterisk.opened(settings), [Call("", "alice", "pbx")])
    assert words(outcomes) == {"alice": ("no answer", 0)}


def test_a_port_that_cannot_be_ends_the_call() -> None:
    outcomes = tell(registrar.opened(registrar.Settings(timers=QUICK)), [Call("", "alice", "127.0.0.1:99999")])
    assert words(outcomes) == {"alice": ("no address", 0)}
    with pytest.raises(OffhookError, match=r"no SIP address"):
        tell(registrar.opened(registrar.Settings(via="sip:127.0.0.1:65536")), [])


@pytest.mark.parametrize(
    ("notify", "message"),
    [
        ({"route": "asterisk", "host": "x"}, "route: asterisk needs a manager user"),
        ({"route": "asterisk", "username": "x"}, "route: asterisk needs to know where the PBX is"),
        ({"route": "freeswitch", "host": "x"}, "route: freeswitch needs the event socket's password"),
        ({"route": "freeswitch"}, "route: freeswitch needs to know where the PBX is"),
        ({"via": "pbx"}, "notify.via: pbx is no SIP address"),
        ({"via": "sip:pbx", "ca_file": "missing.pem"}, "missing.pem: no file of trusted authorities"),
    ],
)
def test_a_route_that_lacks_a_setting_is_told(notify: dict[str, str], message: str) -> None:
    password = "" if message.endswith(("password", "user")) else "x"
    with pytest.raises(OffhookError) as caught:
        tell(open_route(notify, root=Path(), password=password), [])
    assert caught.value.message == message


def test_every_route_of_the_schema_is_there() -> None:
    notify = json.loads((inventories.ROOT / "schema" / "fleet.schema.json").read_text())["$defs"]["notify"]
    assert list(ROUTES) == notify["properties"]["route"]["enum"]


def test_an_environment_says_it_all_or_leaves_it_to_the_fleet(tmp_path: Path) -> None:
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory" / "fleet.yaml").write_text(
        "notify: {via: sip:pbx.example.com, username: offhook, password: secret:notify/password}\n"
        "environments:\n"
        "  production: {}\n"
        "  lab:\n    notify: {route: freeswitch, host: 127.0.0.1, port: 8021, password: secret:lab/esl}\n"
    )
    fleet = read_fleet(tmp_path).inventory.fleet
    found = {name: dict(notify_of(fleet, one)) for name, one in fleet.environments.items()}
    assert found == {
        "production": {"via": "sip:pbx.example.com", "username": "offhook", "password": "secret:notify/password"},
        "lab": {"route": "freeswitch", "host": "127.0.0.1", "port": 8021, "password": "secret:lab/esl"},
    }


def test_every_status_has_its_words() -> None:
    for status in range(200, 700):
        word, sentence, hint = meaning_of(status)
        assert word
        assert sentence == sentence[0].lower() + sentence[1:]
        assert hint or status < 300
        assert (word == "answered") is (status < 300)
    assert all(row.hint or word in (200, "passed on") for word, row in MEANINGS.items())


def test_many_phones_wait_in_little_memory() -> None:
    """What 2,000 silent phones take, all waiting at once: the bench has the figure for 100,000."""
    import tracemalloc

    with scripted.udp_server(lambda _: []) as heard:

        async def run() -> int:
            async with registrar.opened(registrar.Settings(f"sip:127.0.0.1:{heard.port}")) as sender:
                tracemalloc.start()
                for number in range(2000):
                    sender.begin(Call("", f"u{number}", "pbx.test"), lambda _: None)
                return tracemalloc.get_traced_memory()[0]

        taken = asyncio.run(run())
        tracemalloc.stop()
    assert taken / 2000 < 3000


@settings(max_examples=500, deadline=None)
@given(user=st.text(max_size=20), domain=st.text(max_size=20), who=st.text(max_size=20), mac=st.text(max_size=12))
def test_no_name_makes_a_header(user: str, domain: str, who: str, mac: str) -> None:
    """Header injection: whatever a user name or a registrar holds, the same headers go out, or nothing does."""

    def headers(call: Call, sender: str) -> list[bytes]:
        data = render(request_to(call, call.address, sender=Call("", sender, call.domain).address))
        head, _, body = data.partition(b"\r\n\r\n")
        assert body == b""
        return [line.partition(b":")[0] for line in head.split(b"\r\n")[1:]]

    for parts in (user, "\r\nVia: x" + user, user + "\r\n\r\nbody"), (domain, "x\r\nVia: y" + domain, domain + "\n"):
        for one in parts:
            for call in (Call(mac, one, "pbx.test"), Call(mac, "alice", one), Call(mac, one, one)):
                try:
                    found = headers(call, who)
                except SipError:
                    continue
                assert found == headers(Call("", "alice", "pbx.test"), "offhook")
