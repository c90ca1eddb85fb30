"""HTTP: which server hears what of the phone, redirects, and the mathematics of Digest."""

from __future__ import annotations

import errno
import socket
import ssl
import time
from collections.abc import Callable
from hashlib import md5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.phone.boot import FetchOptions, Request, boot
from offhook.phone.http import phone_user_agent
from offhook.phone.http_auth import Challenge, authorization, parse_challenges
from offhook.phone.watch import TimeLimit
from offhook.problem import OffhookError
from scripted import Heard, http_server, page, tcp_server

MAC = "0021f222b01d"
BASIC = ('WWW-Authenticate: Basic realm="phones"',)


def paths(heard: Heard) -> list[bytes]:
    return [message.split(b" ")[1] for message in heard.messages]


def header(message: bytes, name: bytes) -> list[bytes]:
    lines = message.split(b"\r\n")
    return [line.partition(b": ")[2] for line in lines if line.lower().startswith(name + b":")]


def test_what_a_phone_says() -> None:
    """User-Agent: FusionPBX, app/provision; the other headers are not known."""
    options = FetchOptions(user_agent=phone_user_agent("FIP13G", "0021f222aef1"))
    with http_server({}) as heard:
        boot(MAC, f"http://127.0.0.1:{heard.port}/c/$(MA).cfg?mac=$(MA)&", options=options)
    assert heard.messages == [
        b"GET /c/0021f222b01d.cfg?mac=0021f222b01d& HTTP/1.1\r\n"
        b"Host: 127.0.0.1:%d\r\n"
        b"Accept-Encoding: identity\r\n"
        b"User-Agent: Flyingvoice FIP13G V0.6.24 00:21:F2:22:AE:F1\r\n"
        b"Accept: */*\r\n"
        b"Connection: close\r\n\r\n" % heard.port
    ]


def test_query_goes_with_every_file_that_is_looked_for() -> None:
    with http_server({}) as heard:
        boot(MAC, f"http://127.0.0.1:{heard.port}/c?mac=$(MA)")
    assert paths(heard)[:2] == [
        b"/c/%s?mac=%s" % (name, MAC.encode()) for name in (b"0021f222b01d", b"0021f222b01d.boot")
    ]
    assert len(heard.messages) == 5


def test_redirects_to_the_same_origin() -> None:
    pages = {
        f"/{MAC}.cfg": page(status="301 Moved", headers=("Location: /there",)),
        "/there": page(status="307 Temporary", headers=("Location: there/a b",)),
        "/there/a%20b": page(b"a=1\n"),
    }
    with http_server(pages) as heard:
        url = f"http://127.0.0.1:{heard.port}/{MAC}.cfg"
        result = boot(MAC, url)
    assert result.requests == (Request(url, "ok", 4, "cfg"),)
    assert result.settings == {"a": "1"}


REDIRECTS = [
    ("/loop", "error", "more than 5 redirects"),
    ("", "error", "the server redirects to nowhere"),
    ("http://[", "error", "the server redirects to a wrong address: a URL has an invalid host or port"),
    ("file:///etc/passwd", "skipped", "the server redirects to file:///etc/passwd, another scheme, host or port"),
    ("https://127.0.0.1/", "skipped", "the server redirects to https://127.0.0.1/, another scheme, host or port"),
    ("//u:secret@localhost/", "skipped", "the server redirects to http://localhost/, another scheme, host or port"),
]


@pytest.mark.parametrize(("location", "result", "message"), REDIRECTS)
def test_redirects_that_are_not_followed(location: str, result: str, message: str) -> None:
    with http_server({}, other=page(status="302 Found", headers=(f"Location: {location}",))) as heard:
        answer = boot(MAC, f"http://127.0.0.1:{heard.port}/")
    assert [(r.result, r.message) for r in answer.requests] == [(result, message)]
    assert answer.failed


def test_other_hosts_are_asked_only_when_allowed() -> None:
    """And then they learn neither the username nor the password of the first server."""
    options = FetchOptions(username="phone", password="p4ssw0rd")
    with http_server({"/b.cfg": page(b"b=2\n")}, other=page(status="401 No", headers=BASIC)) as other:
        elsewhere = f"http://127.0.0.1:{other.port}"
        pages = {
            f"/{MAC}.boot": page(f"include:config <{elsewhere}/b.cfg>\ninclude:config <c.cfg>\n".encode()),
            "/c.cfg": page(f"c=3\nremote_phonebook.data.1.url={elsewhere}/book.xml\n".encode()),
            f"/{MAC}": page(status="404 Not Found"),
        }
        with http_server(pages) as heard:
            url = f"http://127.0.0.1:{heard.port}/"
            strict = boot(MAC, url, options=options)
            assert other.messages == []
            free = boot(MAC, url, options=FetchOptions("phone", "p4ssw0rd", allow_other_hosts=True))
    assert [r.result for r in strict.requests[2:]] == ["skipped", "ok", "skipped"]
    assert [r.result for r in free.requests[2:]] == ["ok", "ok", "unauthorized"]
    assert strict.settings.keys() == {"c", "remote_phonebook.data.1.url"}
    assert free.settings.keys() == {"b", "c", "remote_phonebook.data.1.url"}
    assert paths(other) == [b"/b.cfg", b"/book.xml"]
    assert all(not header(message, b"authorization") for message in other.messages)


def test_a_redirect_to_another_host_loses_the_credentials() -> None:
    with http_server({}, other=page(status="401 No", headers=BASIC)) as other:
        moved = page(status="302 Found", headers=(f"Location: http://127.0.0.1:{other.port}/x",))
        with http_server({}, other=moved) as heard:
            url = f"http://phone:p4ssw0rd@127.0.0.1:{heard.port}/"
            boot(MAC, url, options=FetchOptions(allow_other_hosts=True))
    assert [header(message, b"authorization") for message in other.messages] == [[]]


def test_a_server_never_makes_the_phone_read_this_machine(tmp_path: object) -> None:
    pages = {f"/{MAC}.boot": page(f"include:config <file://{tmp_path}/a.cfg>\n".encode())}
    with http_server(pages) as heard:
        options = FetchOptions(allow_other_hosts=True)
        result = boot(MAC, f"http://127.0.0.1:{heard.port}/", options=options)
    assert result.requests[2].result == "skipped"


def test_credentials_are_sent_after_a_challenge_only() -> None:
    with http_server({}, other=page(status="401 No", headers=BASIC)) as heard:
        result = boot(MAC, f"http://Aladdin:open sesame@127.0.0.1:{heard.port}/{MAC}.cfg")
    assert [header(message, b"authorization") for message in heard.messages] == [
        [],
        [b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="],  # RFC 7617 section 2
    ]
    assert result.requests[0].message == "the server refuses the credentials"


@pytest.mark.parametrize(
    "challenge",
    ['Digest nonce="x", algorithm=ROT13', "Negotiate", "", 'Digest realm="x"', 'Digest nonce="x", qop=auth-int'],
)
def test_challenges_that_nobody_can_answer(challenge: str) -> None:
    refusal = page(status="401 No", headers=(f"WWW-Authenticate: {challenge}",))
    with http_server({}, other=refusal) as heard:
        result = boot(MAC, f"http://u:p@127.0.0.1:{heard.port}/")
    assert [r.result for r in result.requests] == ["unauthorized"]
    assert len(heard.messages) == 1


def test_a_user_agent_cannot_add_headers() -> None:
    with tcp_server(lambda sock, stopping: None) as port:
        result = boot(MAC, f"http://127.0.0.1:{port}/", options=FetchOptions(user_agent="a\r\nX: y"))
    assert [r.result for r in result.requests] == ["error"]


def test_missing_authorities() -> None:
    with pytest.raises(OffhookError) as caught:
        boot(MAC, "https://127.0.0.1:1/", options=FetchOptions(ca_file="/nowhere/ca.pem"))
    assert caught.value.message == "the file of certificate authorities /nowhere/ca.pem cannot be read"


def test_a_dead_server_of_resources_is_asked_once() -> None:
    """Resources do not stop a boot, and ten phonebooks do not take ten time limits."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    books = "".join(f"remote_phonebook.data.{n}.url=http://127.0.0.1:{port}/{n}.xml\n" for n in (1, 2))
    with http_server({f"/{MAC}.cfg": page(f"a=1\n{books}".encode())}) as heard:
        url = f"http://127.0.0.1:{heard.port}/{MAC}.cfg"
        result = boot(MAC, url, options=FetchOptions(allow_other_hosts=True))
    assert [r.result for r in result.requests] == ["ok", "refused"]
    assert result.warnings == (
        "1.xml: refused: no server listens there, not fetched",
        "2.xml: not fetched, its server could not be asked before",
    )
    assert (result.settings["a"], result.complete, result.failed) == ("1", False, False)


ERRORS: list[tuple[Exception, str, str]] = [
    (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "unreachable", "the host has no known address"),
    (OSError(errno.ENETUNREACH, "Network is unreachable"), "unreachable", "no route to the host"),
    (OSError(errno.ECONNRESET, "Connection reset by peer"), "error", "the connection fails: Connection reset by peer"),
    (ConnectionAbortedError(), "error", "the connection fails: ConnectionAbortedError"),
    (ssl.SSLError(), "error", "TLS fails: the connection ends"),
    (UnicodeError("x"), "error", "the server breaks the protocol: UnicodeError"),
]


@pytest.mark.parametrize(("error", "result", "message"), ERRORS)
def test_errors_of_the_network(monkeypatch: pytest.MonkeyPatch, error: Exception, result: str, message: str) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("offhook.phone.watch.socket.getaddrinfo", fails)
    answer = boot(MAC, "https://h.example/")
    assert [(r.result, r.message) for r in answer.requests] == [(result, message)]
    assert answer.failed


def with_time_limit(act: Callable[[TimeLimit], object]) -> None:
    """Act when the time limit has just run out."""
    with TimeLimit(0.01) as limit:
        time.sleep(0.05)
        act(limit)


def test_a_time_limit_cuts_what_comes_too_late() -> None:
    """A connection that is made while the time runs out is not waited for either."""
    with (
        tcp_server(lambda sock, stopping: stopping.wait(10) and None) as port,
        socket.create_connection(("127.0.0.1", port)) as sock,
        pytest.raises(TimeoutError, match="the time limit of the request was reached"),
    ):
        with_time_limit(lambda limit: limit.guard(sock) or sock.recv(1))


def test_a_time_limit_does_not_hide_an_interrupt() -> None:
    def interrupted(_: TimeLimit) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        with_time_limit(interrupted)


# RFC 7616 section 3.9.1, one challenge each.
RFC_NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
RFC_CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
RFC_OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_digest_of_the_rfc(algorithm: str, response: str) -> None:
    challenge = (
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm},'
        f' nonce="{RFC_NONCE}", opaque="{RFC_OPAQUE}"'
    )
    assert (
        authorization(
            parse_challenges([challenge]),
            "/dir/index.html",
            username="Mufasa",
            password="Circle of Life",
            cnonce=RFC_CNONCE,
        )
        == (
            f'Digest username="Mufasa", realm="http-auth@example.org", nonce="{RFC_NONCE}", uri="/dir/index.html",'
            f' cnonce="{RFC_CNONCE}", response="{response}", opaque="{RFC_OPAQUE}",'
            f" algorithm={algorithm}, qop=auth, nc=00000001"
        ).encode()
    )


def test_digest_without_qop() -> None:
    """RFC 2617 section 3.5's realm and user, answered as RFC 2069 section 2.1.2 asks."""
    answer = authorization(
        parse_challenges(['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"']),
        "/dir/index.html",
        username="Mufasa",
        password="Circle Of Life",
    )
    assert answer is not None
    assert b'response="670fd8c2df070c60b045671b8b24ff02"' in answer
    assert b"qop" not in answer


def test_digest_session() -> None:
    """MD5-sess: the hash of the user covers both nonces (RFC 7616 section 3.4.2)."""
    answer = authorization(
        parse_challenges(['Digest realm="r\\"q", nonce="n", qop=auth, algorithm=MD5-sess']),
        "/",
        username='u"',
        password="p",
        cnonce="c",
    )
    assert answer is not None
    assert answer.startswith(b'Digest username="u\\"", realm="r\\"q", nonce="n", uri="/"')

    def hashed(text: str) -> str:
        return md5(text.encode()).hexdigest()

    user = hashed(hashed('u":r"q:p') + ":n:c")
    response = hashed(f"{user}:n:00000001:c:auth:{hashed('GET:/')}")
    assert f'response="{response}"'.encode() in answer


@pytest.mark.parametrize(
    ("headers", "challenges"),
    [
        ([], []),
        (["Basic"], [Challenge("basic", {})]),
        (
            ['Digest realm="a, b", nonce=x , Basic realm="c"', 'BASIC realm="d"'],
            [
                Challenge("digest", {"realm": "a, b", "nonce": "x"}),
                Challenge("basic", {"realm": "c"}),
                Challenge("basic", {"realm": "d"}),
            ],
        ),
        (['Digest realm = "a\\"b\\\\", qop="auth'], [Challenge("digest", {"realm": 'a"b\\', "qop": ""})]),
        (['="x" Basic'], []),
        (['realm="x"'], []),
    ],
)
def test_challenges(headers: list[str], challenges: list[Challenge]) -> None:
    assert parse_challenges(headers) == challenges


@given(st.lists(st.text(max_size=80) | st.sampled_from(['Digest nonce="x', "Basic", ","]), max_size=3))
@settings(max_examples=200, deadline=None)
def test_any_challenge_is_answered_or_not(headers: list[str]) -> None:
    answer = authorization(parse_challenges(headers), "/", username="u", password="p")
    assert answer is None or answer.startswith((b"Basic ", b"Digest "))
