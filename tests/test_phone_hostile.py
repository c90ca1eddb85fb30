"""Servers that mean no good, or are broken: the phone neither hangs nor raises, and says what happened."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.phone.boot import FetchOptions, Request, boot
from scripted import http_server, page, tcp_server, tftp_data, tftp_error, tftp_oack, udp_server

MAC = "0021f222b01d"
QUICK = FetchOptions(timeout_s=0.2, max_bytes=100_000, username="phone", password="p4ssw0rd")
PATIENT = FetchOptions(timeout_s=10, max_bytes=100_000, username="phone", password="p4ssw0rd")

Talk = Callable[[socket.socket, threading.Event], None]


def ask(url: str, options: FetchOptions) -> Request:
    """The first request of a boot, which must end within the time limit and a little."""
    begin = time.monotonic()
    result = boot(MAC, url, options=options)
    assert time.monotonic() - begin < options.timeout_s + 5
    assert "p4ssw0rd" not in repr(result)
    return result.requests[0]


def silent(sock: socket.socket, stopping: threading.Event) -> None:
    stopping.wait(10)


def says(*parts: bytes) -> Talk:
    """A server that says this and closes; it hears what it is sent first."""

    def talk(sock: socket.socket, stopping: threading.Event) -> None:
        sock.recv(65536)
        for part in parts:
            sock.sendall(part)

    return talk


def drips(begin: bytes, drop: bytes) -> Talk:
    """A server that says this and then a little for ever."""

    def talk(sock: socket.socket, stopping: threading.Event) -> None:
        sock.sendall(begin)
        while not stopping.wait(0.05):
            sock.sendall(drop)

    return talk


def floods(begin: bytes, flood: bytes) -> Talk:
    """A server that never stops."""

    def talk(sock: socket.socket, stopping: threading.Event) -> None:
        sock.sendall(begin)
        while not stopping.is_set():
            sock.sendall(flood)

    return talk


HTTP_TIMEOUTS: dict[str, Talk] = {
    "nothing": silent,
    "dripping status": drips(b"", b"H"),
    "dripping headers": drips(b"HTTP/1.1 200 OK\r\n", b"a"),
    "endless headers of 100": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "dripping body": drips(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"#"),
    "dripping body without a length": drips(b"HTTP/1.1 200 OK\r\n\r\n", b"#"),
    "dripping chunks": drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n#\r\n"),
    "dripping trailer": drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
}


@pytest.mark.parametrize("talk", HTTP_TIMEOUTS.values(), ids=HTTP_TIMEOUTS.keys())
def test_slow_http(talk: Talk) -> None:
    with tcp_server(talk) as port:
        request = ask(f"http://127.0.0.1:{port}/", QUICK)
    assert (request.result, request.message) == ("timeout", "no complete answer within 0.2 s")


HTTP_ANSWERS: dict[str, tuple[Talk, str]] = {
    "endless body": (floods(b"HTTP/1.1 200 OK\r\n\r\n", b"#" * 65536), "too big"),
    "endless chunks": (
        floods(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"ffff\r\n" + b"#" * 65535 + b"\r\n"),
        "too big",
    ),
    "a large length": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n"), "too big"),
    "a huge length": (says(b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n"), "error"),
    "endless status": (floods(b"", b"H" * 65536), "error"),
    "endless header": (floods(b"HTTP/1.1 200 OK\r\n", b"a" * 65536), "error"),
    "many headers": (floods(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 100), "error"),
    "endless chunk size": (
        floods(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0" * 65536),
        "error",
    ),
    "wrong chunk size": (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n"), "error"),
    "chunks cut short": (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nx"), "error"),
    "body cut short": (says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na=1"), "error"),
    "compressed": (says(page(b"x", headers=("Content-Encoding: gzip",))), "error"),
    "no HTTP": (says(b"SSH-2.0-OpenSSH_9.2\r\n"), "error"),
    "HTTP/0.9": (says(b"<html>"), "error"),
    "wrong status": (says(b"HTTP/1.1 -200 OK\r\n\r\n"), "error"),
    "nothing and close": (says(), "error"),
    "endless 401": (
        floods(b'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="a"\r\n\r\n', b"#" * 65536),
        "unauthorized",
    ),
    "endless 404": (floods(b"HTTP/1.1 404 No\r\n\r\n", b"#" * 65536), "not found"),
    "endless redirect": (floods(b"HTTP/1.1 302 No\r\nLocation: /x\r\n\r\n", b"#" * 65536), "error"),
    "broken": (says(page(status="500 Oops")), "error"),
    "busy": (says(page(status="503 Later")), "error"),
    "empty": (says(page(status="204 No Content")), "error"),
    "part": (says(page(b"a=1", status="206 Partial Content")), "error"),
    "forbidden": (says(page(status="403 No")), "forbidden"),
    "gone": (says(page(status="410 Gone")), "not found"),
}


@pytest.mark.parametrize(("talk", "result"), HTTP_ANSWERS.values(), ids=HTTP_ANSWERS.keys())
def test_wrong_http(talk: Talk, result: str) -> None:
    with tcp_server(talk) as port:
        request = ask(f"http://127.0.0.1:{port}/", PATIENT)
    assert (request.result, request.bytes) == (result, 0), request.message


@pytest.mark.parametrize(
    "talk", [silent, drips(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"\0")], ids=["silent", "dripping handshake"]
)
def test_slow_tls(talk: Talk) -> None:
    with tcp_server(talk) as port:
        assert ask(f"https://127.0.0.1:{port}/", QUICK).result == "timeout"


def test_no_tls() -> None:
    with tcp_server(says(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        request = ask(f"https://127.0.0.1:{port}/", PATIENT)
    assert request.result == "error"
    assert request.message.startswith("TLS fails: ")


def ftp(*replies: str | Talk) -> Talk:
    """A server that greets, and answers each line with the next reply; the last one may be anything."""

    def talk(sock: socket.socket, stopping: threading.Event) -> None:
        for number, reply in enumerate(replies):
            if number:
                while not sock.recv(1, socket.MSG_PEEK).endswith(b"\n") and sock.recv(1):
                    pass
                sock.recv(1)
            if isinstance(reply, str):
                sock.sendall(f"{reply}\r\n".encode())
            else:
                reply(sock, stopping)

    return talk


LOGIN = ("220 hello", "331 password", "230 welcome", "200 binary")

FTP: dict[str, tuple[Talk, FetchOptions, str]] = {
    "silent": (silent, QUICK, "timeout"),
    "dripping greeting": (drips(b"", b"2"), QUICK, "timeout"),
    "dripping reply": (drips(b"220-hello\r\n", b"220-more\r\n"), QUICK, "timeout"),
    "endless reply": (floods(b"220-hello\r\n", b"220-more\r\n" * 1000), PATIENT, "error"),
    "endless line": (floods(b"", b"2" * 65536), PATIENT, "error"),
    "no FTP": (says(b"\xff\xfe\x00SSH\r\n"), QUICK, "timeout"),
    "closes": (ftp("220 hello"), PATIENT, "error"),
    "closed for today": (ftp("421 try tomorrow"), PATIENT, "error"),
    "refuses the user": (ftp("220 hello", "530 phone, p4ssw0rd? no"), PATIENT, "unauthorized"),
    "no binary": (ftp(*LOGIN[:-1], "500 what"), PATIENT, "error"),
    "no passive": (ftp(*LOGIN, "502 no"), PATIENT, "error"),
    "wrong passive": (ftp(*LOGIN, "227 somewhere"), PATIENT, "error"),
    "passive to nowhere": (ftp(*LOGIN, "227 ok (127,0,0,1,0,1)"), PATIENT, "refused"),
    "busy": (ftp(*LOGIN, "421 busy"), PATIENT, "error"),
    "reply of bytes": (ftp(*LOGIN, says(b"\xff\xff\r\n")), QUICK, "timeout"),
}


@pytest.mark.parametrize(("talk", "options", "result"), FTP.values(), ids=FTP.keys())
def test_wrong_ftp(talk: Talk, options: FetchOptions, result: str) -> None:
    with tcp_server(talk) as port:
        assert ask(f"ftp://127.0.0.1:{port}/", options).result == result


@pytest.mark.parametrize(
    ("data", "after", "result"),
    [
        (floods(b"", b"#" * 65536), "", "too big"),
        (drips(b"", b"#"), "", "timeout"),
        (lambda sock, stopping: sock.sendall(b"a=1\n"), "426 cut short", "error"),
        (lambda sock, stopping: sock.sendall(b"a=1\n"), "", "timeout"),
    ],
    ids=["endless", "dripping", "cut short", "never done"],
)
def test_wrong_ftp_data(data: Talk, after: str, result: str) -> None:
    options = QUICK if result == "timeout" else PATIENT
    with tcp_server(data) as data_port:
        passive = f"227 ok (10,0,0,1,{data_port // 256},{data_port % 256})"  # another host is not gone to
        replies = (*LOGIN, passive, "150 here it comes")

        def end(sock: socket.socket, stopping: threading.Event) -> None:
            sock.sendall(b"150 here it comes\r\n" + (f"{after}\r\n".encode() if after else b""))
            stopping.wait(10)

        with tcp_server(ftp(*replies[:-1], end)) as port:
            assert ask(f"ftp://127.0.0.1:{port}/", options).result == result


TFTP: dict[str, tuple[Callable[[bytes], list[bytes]], str]] = {
    "silent": (lambda _: [], "timeout"),
    "not found": (lambda _: [tftp_error(1, b"File not found")], "not found"),
    "forbidden": (lambda _: [tftp_error(2, b"no")], "forbidden"),
    "full": (lambda _: [tftp_error(3, b"full")], "error"),
    "unknown error": (lambda _: [tftp_error(999, b"\x1b[31m\xff" + b"x" * 500)], "error"),
    "error without text": (lambda _: [b"\0\5\0\1"], "not found"),
    "error without a code": (lambda _: [b"\0\5"], "error"),
    "empty packet": (lambda _: [b""], "timeout"),
    "short packet": (lambda _: [b"\0"], "timeout"),
    "unknown packet": (lambda _: [b"\0\x09\0\1"], "error"),
    "a request": (lambda _: [b"\0\1x\0octet\0"], "error"),
    "the second block first": (lambda _: [tftp_data(2, b"a=1\n")], "error"),
    "block without number": (lambda _: [b"\0\3"], "error"),
    "block too long": (lambda _: [tftp_data(1, b"#" * 513)], "error"),
    "huge block": (lambda _: [tftp_data(1, b"#" * 60000)], "error"),
    "OACK of options not asked for": (lambda _: [tftp_oack(b"windowsize", b"64")], "error"),
    "OACK with a larger block": (lambda _: [tftp_oack(b"blksize", b"1024")], "error"),
    "OACK with an empty block": (lambda _: [tftp_oack(b"blksize", b"0")], "error"),
    "OACK with no number": (lambda _: [tftp_oack(b"blksize", b"x")], "error"),
    "OACK with half an option": (lambda _: [b"\0\6blksize\x005"], "error"),
    "OACK with a huge number": (lambda _: [tftp_oack(b"tsize", b"9" * 5000)], "error"),
    "OACK of 60 kB": (lambda _: [tftp_oack(*[b"tsize", b"1"] * 6000)], "timeout"),
    "OACK for ever": (lambda _: [tftp_oack(b"tsize", b"5")], "timeout"),
    "OACK of a large file": (lambda _: [tftp_oack(b"tsize", b"100001")], "too big"),
    "less than announced": (
        lambda packet: [tftp_oack(b"tsize", b"9")] if packet[1] == 1 else [tftp_data(1, b"a=1\n")],
        "error",
    ),
    "more than announced": (
        lambda packet: [tftp_oack(b"tsize", b"2")] if packet[1] == 1 else [tftp_data(1, b"a=1\n")],
        "error",
    ),
    "endless": (
        lambda packet: (
            [tftp_data(int.from_bytes(packet[2:4], "big") + 1, b"#" * 512)]
            if packet[1] == 4
            else [tftp_data(1, b"#" * 512)]
        ),
        "too big",
    ),
    "the same block for ever": (lambda _: [tftp_data(1, b"#" * 512)], "timeout"),
}


@pytest.mark.parametrize(("answers", "result"), TFTP.values(), ids=TFTP.keys())
def test_wrong_tftp(answers: Callable[[bytes], list[bytes]], result: str) -> None:
    with udp_server(answers) as heard:
        request = ask(f"tftp://127.0.0.1:{heard.port}/", QUICK if result == "timeout" else PATIENT)
    assert (request.result, request.bytes) == (result, 0), request.message
    assert request.message.isprintable()
    assert len(request.message) <= 200


PACKETS = st.binary(max_size=40) | st.builds(
    lambda opcode, rest: bytes([0, opcode]) + rest, st.integers(0, 8), st.binary(max_size=40)
)


@given(st.lists(PACKETS, min_size=1, max_size=4), st.binary(max_size=80))
@settings(max_examples=15, deadline=None)
def test_any_answer(packets: list[bytes], stream: bytes) -> None:
    """Whatever is answered, over UDP or over TCP after an honest beginning, is an answer."""
    options = FetchOptions(timeout_s=0.15)
    with udp_server(lambda _: packets) as heard:
        boot(MAC, f"tftp://127.0.0.1:{heard.port}/{MAC}.cfg", options=options)
    for begin in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest "):
        with http_server({}, other=begin + stream or b"x") as heard:
            boot(MAC, f"http://127.0.0.1:{heard.port}/{MAC}.cfg", options=options)


def test_refused_and_unknown_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    for scheme in ("http", "https", "ftp"):
        result = boot(MAC, f"{scheme}://127.0.0.1:{port}/", memory={"a": "1"})
        assert [(r.result, r.message) for r in result.requests] == [("refused", "no server listens there")]
        assert (result.settings, result.complete, result.failed) == ({"a": "1"}, False, True)
        assert result.warnings == (f"{MAC}: refused: no server listens there; the phone keeps what it has",)


def test_a_server_that_dies_leaves_the_phone_as_it_was() -> None:
    """Settings are merged after every download has ended: half a configuration never counts."""
    pages = {f"/{MAC}.boot": page(b"include:config <a.cfg>\ninclude:config <b.cfg>\n"), "/a.cfg": page(b"a=new\n")}
    requests = itertools.count()

    def talk(sock: socket.socket, stopping: threading.Event) -> None:
        head = sock.recv(65536)
        if next(requests) == 3:
            stopping.wait(10)
        missing = page(status="404 Not Found")
        sock.sendall(pages.get(head.split(b" ")[1].decode(), missing))

    with tcp_server(talk) as port:
        result = boot(MAC, f"http://127.0.0.1:{port}/", memory={"a": "old"}, options=QUICK)
    assert [r.result for r in result.requests] == ["not found", "ok", "ok", "timeout"]
    assert (result.settings, result.failed) == ({"a": "old"}, True)
