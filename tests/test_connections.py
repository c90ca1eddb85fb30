"""Connections that are kept: the same answers as the client of one boot, over fewer of them, whatever servers do."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import peers
from offhook.phone.boot import FetchOptions, boot
from offhook.phone.connections import Connections
from offhook.phone.fetch import fetch
from offhook.phone.request import Answer
from offhook.phone.target import parse_target
from scripted import http_server, page, tcp_server
from test_phone_hostile import HTTP_ANSWERS, HTTP_TIMEOUTS, PATIENT, QUICK, Talk, drips, silent

MAC = "0021f222b01d"
PASSWORD = 's3 cr"et:ü'
FILES = {
    f"{MAC}.boot": b'include:config "sites/berlin 1.cfg"\ninclude:config "0021f222b01d.cfg"\n',
    "sites/berlin 1.cfg": b"a=1\n",
    f"{MAC}.cfg": b"b=2\n" + b"#" * 200_000 + b"\n",
}


def asked(url: str, options: FetchOptions = PATIENT, *, keep: bool = True) -> Answer:
    with Connections(keep=keep) as connections:
        return connections.fetch(parse_target(url), options)


@pytest.mark.parametrize("talk", HTTP_TIMEOUTS.values(), ids=HTTP_TIMEOUTS.keys())
def test_slow_servers(talk: Talk) -> None:
    begin = time.monotonic()
    with tcp_server(talk) as port:
        answer = asked(f"http://127.0.0.1:{port}/", QUICK)
    assert time.monotonic() - begin < 5
    assert (answer.result, answer.message) == ("timeout", "no complete answer within 0.2 s")


@pytest.mark.parametrize(("talk", "result"), HTTP_ANSWERS.values(), ids=HTTP_ANSWERS.keys())
def test_wrong_servers_are_told_as_the_other_client_tells_them(talk: Talk, result: str) -> None:
    with tcp_server(talk) as port:
        target = parse_target(f"http://127.0.0.1:{port}/")
        answer, other = asked(target.url), fetch(target, PATIENT)
    assert answer == other
    assert answer.result == result


@pytest.mark.parametrize("talk", [silent, drips(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"\0")])
def test_slow_tls(talk: Talk) -> None:
    with tcp_server(talk) as port:
        assert asked(f"https://127.0.0.1:{port}/", QUICK).result == "timeout"


@contextmanager
def counting(*answers: bytes) -> Iterator[tuple[int, list[int]]]:
    """A server that keeps connections and gives the answers in turn, over and over; the number of requests of each."""
    connections: list[int] = []
    number = iter(range(1_000))

    def talk(sock: socket.socket, stopping: threading.Event) -> None:
        sock.settimeout(0.1)
        connections.append(0)
        place = len(connections) - 1
        head = b""
        while not stopping.is_set():
            try:
                received = sock.recv(65536)
            except TimeoutError:
                continue
            if not received:
                return
            head += received
            if head.endswith(b"\r\n\r\n"):
                connections[place] += 1
                head = b""
                answer = answers[next(number) % len(answers)]
                sock.sendall(answer)
                if not answer or b"Connection: close" in answer:
                    return

    with tcp_server(talk) as port:
        yield port, connections


def test_a_connection_is_kept() -> None:
    with counting(page(b"x"), page(status="404 No")) as (port, connections), Connections() as kept:
        target = parse_target(f"http://127.0.0.1:{port}/")
        assert [kept.fetch(target, PATIENT).result for _ in range(6)] == ["ok", "not found"] * 3
    assert connections == [6]


def test_none_is_kept_where_that_is_asked() -> None:
    with counting(page(b"x")) as (port, connections), Connections(keep=False) as kept:
        target = parse_target(f"http://127.0.0.1:{port}/")
        assert [kept.fetch(target, PATIENT).result for _ in range(3)] == ["ok"] * 3
    assert connections == [1, 1, 1]


@pytest.mark.parametrize(
    "answer",
    [
        page(b"x", headers=("Connection: close",)),
        page(b"x").replace(b"HTTP/1.1", b"HTTP/1.0"),
        page(b"x") + page(b"the reply to nothing"),  # it must not pass for the next file
        page(b"x" * 100_001),
        b"HTTP/1.1 404 No\r\nContent-Length: 99999999\r\n\r\n",
    ],
    ids=["close", "HTTP/1.0", "more than the body", "too big", "a large refusal"],
)
def test_a_connection_that_is_not_fit_is_not_used_again(answer: bytes) -> None:
    with counting(answer, page(b"y")) as (port, connections), Connections() as kept:
        target = parse_target(f"http://127.0.0.1:{port}/")
        first, second = kept.fetch(target, PATIENT), kept.fetch(target, PATIENT)
    assert first.body in (b"x", b"")
    assert second == Answer("ok", b"y")
    assert connections == [1, 1]


def test_a_connection_that_the_server_closed_is_opened_again() -> None:
    with counting(page(b"x"), b"", page(b"y")) as (port, connections), Connections() as kept:
        target = parse_target(f"http://127.0.0.1:{port}/")
        assert [kept.fetch(target, PATIENT).body for _ in range(2)] == [b"x", b"y"]
    assert connections == [2, 1]


def test_a_connection_that_the_server_resets_is_opened_again() -> None:
    answers = iter([page(b"x"), page(b"y")])

    def talk(sock: socket.socket, stopping: threading.Event) -> None:
        sock.recv(65536)
        sock.sendall(next(answers))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.recv(65536)  # and the next request is answered with a reset

    with tcp_server(talk) as port, Connections() as kept:
        target = parse_target(f"http://127.0.0.1:{port}/")
        assert [kept.fetch(target, PATIENT).body for _ in range(2)] == [b"x", b"y"]


def test_credentials_are_sent_after_a_challenge_only() -> None:
    challenge = page(status="401 No", headers=('WWW-Authenticate: Basic realm="phones"',))
    with http_server({"/a": challenge}) as heard:
        answer = asked(f"http://phone:p4ss@127.0.0.1:{heard.port}/a")
    assert answer == Answer("unauthorized", message="the server refuses the credentials")
    assert [b"Authorization: Basic cGhvbmU6cDRzcw==" in one for one in heard.messages] == [False, True]


def test_a_user_agent_cannot_add_headers() -> None:
    with http_server({}) as heard:
        answer = asked(f"http://127.0.0.1:{heard.port}/", FetchOptions(user_agent="a\r\nX-More: 1"))
    assert (answer.result, heard.messages) == ("error", [])


def test_few_servers_are_kept() -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(counting(page(b"x"))) for _ in range(5)]
        kept = stack.enter_context(Connections())
        for port, _ in (*servers, servers[4], servers[0]):
            assert kept.fetch(parse_target(f"http://127.0.0.1:{port}/"), PATIENT).result == "ok"
        assert [connections for _, connections in servers] == [[1, 1], [1], [1], [1], [2]]


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["http", "https", "basic", "digest", "ftp"])
def test_a_boot_is_the_same(kind: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    tls = peers.make_certificate(tmp_path)
    login = FetchOptions(username="phone", password=PASSWORD, ca_file=str(tls.ca_file))
    server = {
        "http": lambda: peers.nginx(root),
        "https": lambda: peers.nginx(root, tls=tls),
        "basic": lambda: peers.nginx(root, user="phone", password=PASSWORD),
        "digest": lambda: peers.lighttpd_digest(root, "phone", PASSWORD),
        "ftp": lambda: peers.ftpd(root, "phone", "p"),
    }[kind]
    with server() as url, Connections() as kept:
        made = [boot(MAC, url, options=login, fetch=kept.fetch) for _ in range(3)]
        plain = boot(MAC, url, options=login)
    assert plain.settings == {"a": "1", "b": "2"}
    assert made == [plain] * 3


@pytest.mark.peer
def test_certificates_are_checked(tmp_path: Path) -> None:
    tls = peers.make_certificate(tmp_path)
    with peers.nginx(tmp_path, tls=tls) as url:
        answer = asked(url)
    assert (answer.result, "is not trusted" in answer.message) == ("error", True)
