"""The SIP client beside servers that do what they should, and what they should not, with short timers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import random
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import peers
import scripted
from offhook.problem import OffhookError
from offhook.sip.client import Client
from offhook.sip.credentials import Credentials
from offhook.sip.digest import answer as answer_to
from offhook.sip.digest import parse_challenges
from offhook.sip.locate import Naptr, Srv
from offhook.sip.message import Headers, Request, Response, parse, render
from offhook.sip.outcome import Outcome
from offhook.sip.tls import names_domain
from offhook.sip.transaction import Timers

QUICK = Timers(t1_s=0.02, t2_s=0.16, t4_s=0.2)
WHO = Credentials("offhook", "secret-word")
CHALLENGE = 'Digest realm="pbx", nonce="one", qop="auth", algorithm=MD5'


class Names:
    """A resolver of host names to 127.0.0.1, and of services to (host, port)."""

    def __init__(self, services: dict[str, list[tuple[str, int]]] | None = None) -> None:
        self._services = services or {}

    async def naptr(self, name: str) -> list[Naptr]:
        return []

    async def srv(self, name: str) -> list[Srv]:
        rows = self._services.get(name, [])
        return [Srv(number, 0, port, host) for number, (host, port) in enumerate(rows)]

    async def addresses(self, host: str) -> list[str]:
        return ["127.0.0.1"]


def notify(user: str = "alice", *, headers: tuple[tuple[str, str], ...] = ()) -> Request:
    fields = [
        ("Max-Forwards", "70"),
        ("From", "<sip:offhook@pbx.test>;tag=1"),
        ("To", f"<sip:{user}@pbx.test>"),
        ("Call-ID", "a-call"),
        ("Event", "check-sync"),
        ("Subscription-State", "terminated"),
    ]
    return Request("NOTIFY", f"sip:{user}@pbx.test", Headers.of(*fields, *headers))


def answer(data: bytes, status: int, reason: str = "", *, more: tuple[tuple[str, str], ...] = ()) -> bytes:
    """The bytes of a response to a request."""
    request = parse(data)
    assert isinstance(request, Request)
    kept = [
        (name, value) for name, value in request.headers.items() if name in ("Via", "From", "To", "Call-ID", "CSeq")
    ]
    return render(Response(status, reason, Headers.of(*kept, *more)))


def send(target: str, request: Request | None = None, **options: object) -> Outcome:
    """Send one request by a client of its own."""

    async def run() -> Outcome:
        credentials = options.pop("credentials", None)
        async with Client(timers=QUICK, **options) as client:  # type: ignore[arg-type]
            return await client.send(request or notify(), target, credentials=credentials)  # type: ignore[arg-type]

    return asyncio.run(run())


def heads(heard: scripted.Heard, name: str) -> list[str | None]:
    return [parse(data).headers.get(name) for data in heard.messages]


def test_a_request_brings_what_the_rfc_demands() -> None:
    with scripted.udp_server(lambda data: [answer(data, 200, "OK")]) as heard:
        outcome = send(f"sip:127.0.0.1:{heard.port}")
    assert outcome == Outcome("answered", 200, "OK", f"udp 127.0.0.1:{heard.port}", 1)
    (data,) = heard.messages
    text = data.decode()
    via = re.search(r"Via: SIP/2.0/UDP 127\.0\.0\.1:([0-9]+);branch=z9hG4bK[0-9a-f]{20};rport\r\n", text)
    assert via
    assert f"Contact: <sip:offhook@127.0.0.1:{via[1]}>\r\n" in text
    assert "CSeq: 1 NOTIFY\r\n" in text
    assert text.endswith("Content-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("status", "name", "said"), [(401, "WWW", "Authorization"), (407, "Proxy", "Proxy-Authorization")]
)
def test_a_challenge_is_answered_once(status: int, name: str, said: str) -> None:
    def ask(data: bytes) -> list[bytes]:
        if parse(data).headers.get(said):
            return [answer(data, 200)]
        return [answer(data, status, more=((f"{name}-Authenticate", CHALLENGE),))]

    with scripted.udp_server(ask) as heard:
        outcome = send(f"sip:127.0.0.1:{heard.port}", credentials=WHO)
    assert (outcome.word, outcome.sends) == ("answered", 2)
    assert heads(heard, "CSeq") == ["1 NOTIFY", "2 NOTIFY"]
    first, second = heads(heard, "Via")
    assert first != second  # a transaction of its own
    assert b"secret-word" not in b"".join(heard.messages)


def test_wrong_credentials_are_shown_once() -> None:
    refuse = lambda data: [answer(data, 407, more=(("Proxy-Authenticate", CHALLENGE),))]  # noqa: E731
    with scripted.udp_server(refuse) as heard:
        outcome = send(f"sip:127.0.0.1:{heard.port}", credentials=WHO)
    assert (outcome.word, outcome.status, len(heard.messages)) == ("credentials refused", 407, 2)


def test_a_stale_nonce_is_answered_again_but_not_for_ever() -> None:
    stale = lambda data: [answer(data, 401, more=(("WWW-Authenticate", CHALLENGE + ", stale=true"),))]  # noqa: E731
    with scripted.udp_server(stale) as heard:
        outcome = send(f"sip:127.0.0.1:{heard.port}", credentials=WHO)
    assert (outcome.word, len(heard.messages)) == ("credentials refused", 4)


def test_both_a_proxy_and_a_phone_may_ask() -> None:
    def ask(data: bytes) -> list[bytes]:
        headers = parse(data).headers
        if not headers.get("Proxy-Authorization"):
            return [answer(data, 407, more=(("Proxy-Authenticate", CHALLENGE),))]
        if not headers.get("Authorization"):
            return [answer(data, 401, more=(("WWW-Authenticate", CHALLENGE.replace("pbx", "phone")),))]
        return [answer(data, 200)]

    with scripted.udp_server(ask) as heard:
        assert send(f"sip:127.0.0.1:{heard.port}", credentials=WHO).word == "answered"
    assert len(heard.messages) == 3


@pytest.mark.parametrize(
    ("credentials", "challenge", "word"),
    [
        (None, CHALLENGE, "credentials wanted"),
        (Credentials("offhook", "x", realm="pbx"), CHALLENGE.replace('"pbx"', '"stranger"'), "credentials not used"),
        (WHO, "Basic realm=pbx", "credentials not used"),
        (WHO, CHALLENGE.replace("MD5", "ROT13"), "credentials not used"),
        (WHO, CHALLENGE.replace('"auth"', '"auth-int"'), "credentials not used"),
        (WHO, CHALLENGE.replace('nonce="one"', 'nonce="a\rb"'), "credentials not used"),
        (WHO, CHALLENGE.replace('nonce="one"', 'nonce="\udcff\udcfe"'), "credentials not used"),
        (WHO, CHALLENGE.replace('realm="pbx"', 'realm="\udcff"'), "credentials not used"),
    ],
)
def test_what_cannot_or_must_not_be_answered_is_told(
    credentials: Credentials | None, challenge: str, word: str
) -> None:
    def ask(data: bytes) -> list[bytes]:
        said = challenge.encode(errors="surrogateescape")  # bytes that are no UTF-8
        return [answer(data, 401, more=(("WWW-Authenticate", "CHALLENGE"),)).replace(b"CHALLENGE", said)]

    with scripted.udp_server(ask) as heard:
        outcome = send(f"sip:127.0.0.1:{heard.port}", credentials=credentials)
    assert (outcome.word, len(heard.messages)) == (word, 1)
    assert outcome.sentence.isprintable()
    assert ("stranger" in outcome.sentence) == ("stranger" in challenge)


def test_of_many_challenges_a_few_are_answered() -> None:
    many = tuple(("WWW-Authenticate", CHALLENGE.replace("pbx", f"pbx{number}")) for number in range(500))
    with scripted.udp_server(lambda data: [answer(data, 401, more=many)]) as heard:
        send(f"sip:127.0.0.1:{heard.port}", credentials=WHO)
    assert max(data.count(b"\r\nAuthorization:") for data in heard.messages) == 6


def test_a_503_goes_on_to_the_next_server_and_the_last_one_tells_when_to_come_back() -> None:
    busy = lambda data: [answer(data, 503, "Full", more=(("Retry-After", "120 (backup);duration=9"),))]  # noqa: E731
    with scripted.udp_server(busy) as one, scripted.udp_server(lambda data: [answer(data, 200)]) as two:
        services = {"_sip._udp.pbx.test": [("a.test", one.port), ("b.test", two.port)]}
        assert send("sip:pbx.test", resolver=Names(services)).word == "answered"
        assert (len(one.messages), len(two.messages)) == (1, 1)
        only = {"_sip._udp.pbx.test": [("a.test", one.port)]}
        outcome = send("sip:pbx.test", resolver=Names(only))
    assert (outcome.word, outcome.status, outcome.retry_after_s) == ("overloaded", 503, 120)
    assert outcome.sentence == "the server has no time now (503 Full), to be tried again after 120 s"


def test_a_server_that_is_silent_or_gone_is_left_for_the_next_and_avoided_for_a_while() -> None:
    with (
        scripted.udp_server(lambda _: []) as silent,
        scripted.udp_server(lambda data: [answer(data, 200)]) as alive,
    ):
        gone = peers.free_port(udp=True)
        services = {"_sip._udp.pbx.test": [("a", gone), ("b", silent.port), ("c", alive.port)]}

        async def run() -> list[str]:
            async with Client(timers=QUICK, resolver=Names(services)) as client:
                return [(await client.send(notify(), "sip:pbx.test")).server for _ in range(2)]

        assert asyncio.run(run()) == [f"udp 127.0.0.1:{alive.port}"] * 2
        assert len(silent.messages) == 11  # of the first request only
        assert len(alive.messages) == 2


def test_a_server_that_is_gone_is_told_at_once() -> None:
    port = peers.free_port(udp=True)
    outcome = send(f"sip:127.0.0.1:{port}")
    assert outcome == Outcome("unreachable", 0, "connection refused", f"udp 127.0.0.1:{port}", 1)
    port = peers.free_port()
    outcome = send(f"sip:127.0.0.1:{port};transport=tcp")
    assert outcome == Outcome("unreachable", 0, "connection refused", f"tcp 127.0.0.1:{port}", 1)


def test_nobody_answers() -> None:
    with scripted.udp_server(lambda _: []) as heard:
        outcome = send(f"sip:127.0.0.1:{heard.port}")
    assert (outcome.word, outcome.status, outcome.sends) == ("no answer", 0, len(heard.messages))
    # timer E repeats ten times before timer F, fewer where the machine stood still: see test_sip_transaction
    assert 2 <= outcome.sends <= 11
    assert len(set(heard.messages)) == 1  # a repetition is the same to the byte


@pytest.mark.parametrize("lost", [OSError(101, "Network is unreachable"), None])
def test_a_name_of_very_many_servers_without_a_route_ends_and_is_told(
    lost: OSError | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Many(Names):
        async def addresses(self, host: str) -> list[str]:
            if lost is None:
                raise LookupError("what no resolver should raise")
            return [f"192.0.{number // 250}.{number % 250 + 1}" for number in range(2000)]

    def no_route(_: object) -> str:
        assert lost is not None
        raise lost

    monkeypatch.setattr("offhook.sip.client.local_address", no_route)
    outcome = send("sip:pbx.test:5060", resolver=Many())
    if lost is None:
        assert outcome == Outcome("no address", detail="LookupError('what no resolver should raise')")
    else:
        assert outcome == Outcome("unreachable", 0, "network is unreachable", "udp 192.0.7.250:5060", 0)


def big() -> Request:
    return notify(headers=(("Subject", "x" * 1300),))


def talk(sock: socket.socket, _: threading.Event) -> None:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        received = sock.recv(65536)
        if not received:
            return
        data += received
    whole = b"\r\n\r\n" + answer(data, 100) + answer(data, 200)
    for position in range(0, len(whole), 100):  # in pieces, after a keep-alive
        sock.sendall(whole[position : position + 100])


def test_a_long_request_goes_over_tcp() -> None:
    with scripted.tcp_server(talk) as port:
        outcome = send(f"sip:127.0.0.1:{port}", big())
    assert (outcome.word, outcome.server) == ("answered", f"tcp 127.0.0.1:{port}")


def test_a_long_request_goes_over_udp_where_nobody_speaks_tcp() -> None:
    with scripted.udp_server(lambda data: [answer(data, 200)]) as heard:
        outcome = send(f"sip:127.0.0.1:{heard.port}", big())
    assert (outcome.word, outcome.server) == ("answered", f"udp 127.0.0.1:{heard.port}")


@pytest.mark.parametrize(
    "words", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"\x15\x03\x01\x00\x02\x02\x28"]
)
@pytest.mark.parametrize("scheme", ["sip", "sips"])
def test_a_stream_that_ends_or_speaks_something_else_is_told(words: bytes, scheme: str) -> None:
    def chatter(sock: socket.socket, _: threading.Event) -> None:
        sock.recv(65536)
        sock.sendall(words)

    with scripted.tcp_server(chatter) as port:
        outcome = send(f"{scheme}:127.0.0.1:{port};transport=tcp")
    chats = {"sip": ("connection lost", "no SIP", "no answer"), "sips": ("unreachable", "TLS refused")}
    assert outcome.word in chats[scheme]
    assert (outcome.word == "no SIP") == (scheme == "sip" and words.startswith(b"HTTP"))


def test_a_connection_that_breaks_is_made_once_more() -> None:
    """A server that restarts closes connections over which requests came that it has not answered."""
    heard: list[bytes] = []

    def restarting(sock: socket.socket, stopping: threading.Event) -> None:
        if heard:
            talk(sock, stopping)
        heard.append(b"" if heard else sock.recv(65536))

    with scripted.tcp_server(restarting) as port:
        outcome = send(f"sip:127.0.0.1:{port};transport=tcp")
    assert (outcome.word, outcome.sends, len(heard)) == ("answered", 2, 2)


def test_a_connection_that_always_breaks_is_made_twice() -> None:
    heard: list[bytes] = []
    with scripted.tcp_server(lambda sock, _: heard.append(sock.recv(65536))) as port:
        outcome = send(f"sip:127.0.0.1:{port};transport=tcp")
    assert (outcome.word, outcome.sends, len(heard)) == ("connection lost", 2, 2)


@pytest.mark.parametrize(("count", "once"), [(20, False), (1, True)])
def test_what_would_pass_the_rate_or_restart_a_phone_twice_is_not_sent_again(count: int, once: bool) -> None:
    """A proxy that is restarted may have handed on what it has not answered."""
    heard: list[bytes] = []

    async def run() -> list[Outcome]:
        told: list[Outcome] = []
        async with Client(timers=QUICK) as client:
            for number in range(count):
                client.begin(notify(f"u{number}"), f"sip:127.0.0.1:{port};transport=tcp", told.append, once=once)
            while len(told) < count:
                await client.room(1, 1)
        return told

    with scripted.tcp_server(lambda sock, _: heard.append(sock.recv(65536))) as port:
        outcomes = asyncio.run(run())
    assert [(one.word, one.sends) for one in outcomes] == [("connection lost", 1)] * count
    assert len(heard) == 1


def test_a_server_that_only_closes_connections_is_left_for_the_next() -> None:
    """A load balancer without a server behind it. Of a restart nobody knows whether it was read; the next is spared."""

    async def run() -> list[tuple[str, str]]:
        told: list[Outcome] = []
        async with Client(timers=QUICK, resolver=Names(services)) as client:
            for number, once in enumerate([True, True, False], 1):
                client.begin(notify(), "sip:pbx.test", told.append, once=once)
                while len(told) < number:
                    await asyncio.sleep(0.01)
        return [(one.word, one.server) for one in told]

    with scripted.tcp_server(lambda sock, _: sock.recv(65536) and None) as gone, scripted.tcp_server(talk) as alive:
        services = {"_sip._tcp.pbx.test": [("a.test", gone), ("b.test", alive)]}
        answered = ("answered", f"tcp 127.0.0.1:{alive}")
        assert asyncio.run(run()) == [("connection lost", f"tcp 127.0.0.1:{gone}"), answered, answered]
        assert send("sip:pbx.test", resolver=Names(services)).word == "answered"


def test_what_is_heard_before_a_connection_breaks_is_not_asked_for_again() -> None:
    heard: list[bytes] = []

    def trying(sock: socket.socket, _: threading.Event) -> None:
        heard.append(sock.recv(65536))
        sock.sendall(answer(heard[0], 100))

    with scripted.tcp_server(trying) as port:
        assert send(f"sip:127.0.0.1:{port};transport=tcp").word == "connection lost"
    assert len(heard) == 1


class Late(Names):
    """Knows a name after a while."""

    async def addresses(self, host: str) -> list[str]:
        await asyncio.sleep(0.1)
        return ["127.0.0.1"] if host == "pbx.test" else []


def test_two_and_no_more_wait_for_a_name() -> None:
    async def run(target: str) -> list[int]:
        told: list[Outcome] = []
        waiting = []
        async with Client(resolver=Late()) as client:
            for _ in range(4):
                await client.room(64, 64)
                client.begin(notify(), target, told.append)
                waiting.append(len(client) - client.fresh)
            while len(told) < 4:
                await client.room(1, 1)
                await asyncio.sleep(0.01)
        assert len({one.word for one in told}) == 1
        return waiting

    with scripted.udp_server(lambda data: [answer(data, 200)]) as heard:
        assert asyncio.run(run(f"sip:pbx.test:{heard.port}")) == [1, 2, 0, 0]
    assert asyncio.run(run("sip:nowhere.test:5060")) == [1, 2, 0, 0]


def test_two_and_no_more_wait_for_a_connection_and_none_for_one_that_does_not_open() -> None:
    async def run(target: str, count: int) -> list[Outcome]:
        told: list[Outcome] = []
        async with Client(timers=QUICK) as client:
            for _ in range(count):
                await client.room(64, 64)
                client.begin(notify(), target, told.append)
            while len(told) < count:
                await client.room(1, 1)
                await asyncio.sleep(0.01)
        return told

    # whoever listens and says nothing never opens TLS; all others are told so without waiting, or 50 took 16 s
    with scripted.tcp_server(lambda _, stopping: stopping.wait(10) and None) as port:
        began = time.monotonic()
        outcomes = asyncio.run(run(f"sip:127.0.0.1:{port};transport=tls", 50))
        assert time.monotonic() - began < 10
    assert {(one.word, one.detail) for one in outcomes} == {("unreachable", "the connection does not open")}
    assert sum(one.sends for one in outcomes) == 2


def tls_server(certificate: peers.Certificate) -> Callable[[socket.socket, threading.Event], None]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certificate, certificate.key)

    def converse(sock: socket.socket, stopping: threading.Event) -> None:
        try:
            with context.wrap_socket(sock, server_side=True) as secure:
                talk(secure, stopping)
        except OSError:
            return

    return converse


def test_tls_wants_the_right_name_and_a_known_authority(tmp_path: Path) -> None:
    certificate = peers.make_certificate(tmp_path)
    with scripted.tcp_server(tls_server(certificate)) as port:
        trusted = {"ca_file": certificate.ca_file, "resolver": Names()}
        assert send(f"sips:127.0.0.1:{port}", **trusted).word == "answered"
        assert send(f"sip:localhost:{port};transport=tls", **trusted).word == "answered"
        wrong = send(f"sips:pbx.test:{port}", **trusted)
        assert (wrong.word, wrong.detail) == ("TLS refused", "the certificate does not name pbx.test")
        unknown = send(f"sips:127.0.0.1:{port}")
        assert (unknown.word, unknown.detail) == ("TLS refused", "unable to get local issuer certificate")
        # and what TLS refused is not sent in the clear
        services = {"_sips._tcp.pbx.test": [("a", port)], "_sip._udp.pbx.test": []}
        assert send("sips:pbx.test", ca_file=certificate.ca_file, resolver=Names(services)).word == "TLS refused"


@pytest.mark.parametrize(
    ("names", "domain", "fits"),
    [
        ([("DNS", "pbx.example.com")], "PBX.example.com", True),
        ([("DNS", "*.example.com")], "pbx.example.com", False),
        ([("URI", "sip:example.com"), ("DNS", "pbx.example.com")], "pbx.example.com", False),
        ([("URI", "sip:example.com"), ("DNS", "pbx.example.com")], "example.com", True),
        ([("URI", "sip:alice@example.com")], "example.com", False),
        ([("URI", "https://example.com/"), ("DNS", "example.com")], "example.com", True),
        ([("IP Address", "192.0.2.1")], "192.0.2.1", True),
        ([("DNS", "192.0.2.1")], "192.0.2.1", False),
        ([("IP Address", "2001:DB8:0:0:0:0:0:1")], "2001:db8::1", True),
        ([], "old.example.com", True),
        ([("DNS", "new.example.com")], "old.example.com", False),
    ],
)
def test_certificates_name_domains_as_rfc_5922_says(names: list[tuple[str, str]], domain: str, fits: bool) -> None:
    certificate = {"subject": ((("commonName", "old.example.com"),),), "subjectAltName": tuple(names)}
    assert names_domain(certificate, domain) is fits


@pytest.mark.parametrize(
    ("detail", "hint"),
    [
        ("certificate has expired", "have the server's certificate renewed"),
        ("certificate is not yet valid", "check the clocks of this machine and the server"),
        ("the certificate does not name pbx.test", "name in notify.via the domain that the certificate names"),
        ("wrong version number", "check notify.via and its port: no TLS is spoken there"),
        ("self-signed certificate", "name its authority in notify.ca_file"),
        ("unable to get local issuer certificate", "name its authority in notify.ca_file"),
    ],
)
def test_what_to_do_where_tls_is_refused(detail: str, hint: str) -> None:
    assert Outcome("TLS refused", detail=detail).hint == hint
    assert Outcome("server error", 500, detail).hint == "look into its log, and tell the phone again"


@pytest.mark.parametrize("qop", ["", ', qop="auth"'])
def test_a_session_s_digest_shows_the_cnonce_that_it_is_made_with(qop: str) -> None:
    """RFC 7616 section 3.4.2: A1 of -sess holds it, so a server that is not shown it cannot check the answer."""
    (challenge,) = parse_challenges([f'Digest realm="r", nonce="n", algorithm=MD5-sess{qop}'])
    said = answer_to(challenge, "NOTIFY", "sip:a@h", "u", "p", 1, "c0")

    def md5(*words: str) -> str:
        return hashlib.md5(":".join(words).encode()).hexdigest()

    middle = ("00000001", "c0", "auth") if qop else ()
    response = md5(md5(md5("u", "r", "p"), "n", "c0"), "n", *middle, md5("NOTIFY", "sip:a@h"))
    assert 'cnonce="c0"' in said
    assert f'response="{response}"' in said


def test_a_file_of_no_authorities_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(OffhookError, match="no file of trusted authorities"):
            send("sips:127.0.0.1", ca_file=tmp_path / name)


@pytest.mark.parametrize("target", ["pbx", "sip:", "sip:a b", "sip:[::1", "http://x/", "sip:x\r\nVia: y"])
def test_an_address_that_is_none_is_refused(target: str) -> None:
    with pytest.raises(OffhookError):
        send(target)


def test_a_line_break_never_becomes_a_header() -> None:
    with pytest.raises(OffhookError, match="cannot be sent"):
        send("sip:127.0.0.1:9", notify("x\r\nRoute: <sip:evil>"))


def test_a_client_that_is_closed_tells_everybody() -> None:
    async def run() -> list[Outcome]:
        told: list[Outcome] = []
        async with Client() as client:
            client.begin(notify(), f"sip:127.0.0.1:{heard.port}", told.append)
            client.begin(notify(), f"sip:127.0.0.1:{port};transport=tcp", told.append)
            client.begin(notify(), "sip:name.test", told.append)
            assert len(client) == 3
        return told

    with scripted.udp_server(lambda _: []) as heard, scripted.tcp_server(lambda _, stop: stop.wait(5) and None) as port:
        assert [one.word for one in asyncio.run(run())] == ["cancelled"] * 3


def mutated(data: bytes, luck: random.Random) -> bytes:
    """A response with bytes changed, cut out, doubled, or with another's part put in."""
    made = bytearray(data)
    for _ in range(luck.randint(1, 6)):
        start = luck.randrange(len(made) or 1)
        end = min(len(made), start + luck.randint(0, 30))
        match luck.randrange(5):
            case 0:
                made[start:end] = luck.randbytes(end - start)
            case 1:
                del made[start:end]
            case 2:
                made[start:start] = made[start:end] * luck.randint(1, 3)
            case 3:
                made[start:start] = luck.choice(
                    [b"\r\n", b"\0", b"\xff", b'"', b",", b";branch=", b"SIP/2.0 ", b"999999999"]
                )
            case _:
                made = made[:start]
    return bytes(made)


@pytest.mark.parametrize("count", [4000, pytest.param(200_000, marks=pytest.mark.long)])
def test_what_strangers_send_breaks_nothing(count: int, caplog: pytest.LogCaptureFixture) -> None:
    """Mutated responses to a request under way: no traceback (asyncio logs those), and the true answer still counts."""
    luck = random.Random(count)
    more = (("WWW-Authenticate", CHALLENGE), ("Retry-After", "5"), ("Contact", '"A, B" <sip:x@y>;q=1'))

    async def run() -> Outcome:
        async with Client() as client:
            peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(5)
            outcomes: list[Outcome] = []
            client.begin(notify(), f"sip:127.0.0.1:{peer.getsockname()[1]}", outcomes.append, credentials=WHO)
            data, address = peer.recvfrom(65536)
            original = [answer(data, status, "Words", more=more) for status in (100, 180, 199)]
            for number in range(count):
                peer.sendto(mutated(luck.choice(original), luck), address)
                if number % 100 == 0:
                    await asyncio.sleep(0)
            peer.setblocking(False)
            while not outcomes:
                peer.sendto(answer(data, 200), address)
                await asyncio.sleep(0.01)
                with contextlib.suppress(BlockingIOError):  # where a mutation was a challenge, it was asked again
                    data = peer.recv(65536)
            peer.close()
            return outcomes[0]

    with caplog.at_level(logging.DEBUG, "asyncio"):
        outcome = asyncio.run(run(), debug=False)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert outcome.status in (200, *range(300, 700))


def test_what_a_server_says_is_harmless_to_show() -> None:
    ugly = "Bad \x1b[31mword‮ " + "x" * 500
    with scripted.udp_server(
        lambda data: [answer(data, 404).replace(b"SIP/2.0 404 ", b"SIP/2.0 404 " + ugly.encode())]
    ) as heard:
        outcome = send(f"sip:127.0.0.1:{heard.port}")
    assert outcome.detail.startswith("Bad ?[31mword? x")
    assert outcome.detail.isprintable()
    assert len(outcome.detail) == 120
