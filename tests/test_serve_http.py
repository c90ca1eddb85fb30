"""The lab server over HTTP and HTTPS: real clients, logins, and clients that mean no good."""

from __future__ import annotations

import random
import re
import socket
import ssl
import subprocess
import time
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import peers
from offhook.phone.boot import FetchOptions, boot
from offhook.serve.desk import FORBIDDEN, OK, Policy
from offhook.serve.http import MAX_OF_ONE
from offhook.serve.http_login import Login
from shelves import HOSTILE, LARGE, MAC, OWN, http, peak_kib, talk, wait_for

NAME, PASSWORD = 'pho"nes', 'pä:ss\\w"ord'
PROTECTED = Policy(protected=True)


def curl(*words: str) -> tuple[int, bytes]:
    """Return the status of the last answer and its body."""
    done = subprocess.run(
        [peers.program("curl"), "-sS", "--path-as-is", "--max-time", "20", "-w", "\n%{http_code}", *words],
        capture_output=True,
        check=True,
    )
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status), body


def wget(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [peers.program("wget"), "-q", "-O", "-", "--tries=1", "--timeout=20", *words], capture_output=True, check=False
    )


@pytest.mark.peer
def test_curl_and_wget_get_what_is_on_the_shelf() -> None:
    with http() as lab:
        url = f"http://127.0.0.1:{lab.port}"
        assert curl(f"{url}/{MAC}.cfg") == (200, OWN)
        assert curl("-0", f"{url}/{MAC}.cfg?x=1#y") == (200, OWN)
        assert wget(f"{url}/{MAC}.cfg").stdout == OWN
        assert curl(f"{url}/large.bin") == (200, LARGE)
        assert wget(f"{url}/large.bin").stdout == LARGE
        assert curl(f"{url}/a%20name.cfg") == (200, b"blank\n")
        assert curl(f"{url}/odd%252e.cfg") == (200, b"percent\n")
        assert curl(f"{url}/empty.cfg") == (200, b"")
        assert curl(f"{url}/nothing.cfg")[0] == 404
        assert curl("-T", "/dev/null", f"{url}/{MAC}.cfg")[0] == 405
        assert curl("-d", "x", f"{url}/{MAC}.cfg")[0] == 405
        assert curl("-r", "3-9", f"{url}/{MAC}.cfg") == (206, OWN[3:10])
        assert curl("-r", "-5", f"{url}/{MAC}.cfg") == (206, OWN[-5:])
        assert curl("-r", "999-", f"{url}/{MAC}.cfg")[0] == 416
        status, head = curl("-I", f"{url}/{MAC}.cfg")
        tag = re.findall(rb'ETag: ("[0-9a-f]+")', head)[0].decode()
        assert f"Content-Length: {len(OWN)}".encode() in head
        assert b"text/plain" in head
        assert (status, curl("-H", f"If-None-Match: {tag}", f"{url}/{MAC}.cfg")) == (200, (304, b""))
        own = [one for one in lab.until(14) if one.result == OK and one.name == f"{MAC}.cfg"]
        assert {one.mac for one in own} == {MAC}
        # three times all of it; two parts, and one that is not there; a look at its size; who has the same already
        sent = [(one.sent_bytes, one.whole) for one in own]
        assert sent == [(len(OWN), True)] * 3 + [(7, False), (5, False), (0, False), (0, False), (0, True)]


@pytest.mark.peer
def test_https_gives_the_same(tmp_path: Path) -> None:
    made = peers.make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    with http(tls=context) as lab:
        url = f"https://localhost:{lab.port}"
        assert curl("--cacert", str(made.ca_file), f"{url}/large.bin") == (200, LARGE)
        assert wget(f"--ca-certificate={made.ca_file}", f"{url}/{MAC}.cfg").stdout == OWN
        # what is no handshake, and half of one, is in nobody's way
        with ExitStack() as stack:
            for data in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\x16" * 1000):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", lab.port)))
                client.sendall(data)
            assert curl("--cacert", str(made.ca_file), f"{url}/{MAC}.cfg") == (200, OWN)


@pytest.mark.peer
@pytest.mark.parametrize("scheme", ["digest", "basic"])
def test_a_protected_server_gives_nothing_without_the_password(scheme: str) -> None:
    with http(PROTECTED, login=Login(NAME, PASSWORD, scheme)) as lab:
        url = f"http://127.0.0.1:{lab.port}"
        for name in (f"{MAC}.cfg", "y000000000000.cfg", "nothing.cfg", ""):
            assert curl(f"{url}/{name}") == (401, b"")
            assert curl(f"--{scheme}", "-u", f"{NAME}:wrong", f"{url}/{name}") == (401, b"")
            assert curl(f"--{scheme}", "-u", f"other:{PASSWORD}", f"{url}/{name}") == (401, b"")
        assert curl(f"--{scheme}", "-u", f"{NAME}:{PASSWORD}", f"{url}/{MAC}.cfg") == (200, OWN)
        assert curl(f"--{scheme}", "-u", f"{NAME}:{PASSWORD}", f"{url}/nothing.cfg")[0] == 404
        assert all(PASSWORD not in repr(one) for one in lab.events)


@pytest.mark.peer
@pytest.mark.parametrize("scheme", ["digest", "basic"])
def test_wget_logs_in(scheme: str) -> None:
    with http(PROTECTED, login=Login("phones", "secret", scheme)) as lab:
        url = f"http://127.0.0.1:{lab.port}/{MAC}.cfg"
        assert wget("--user=phones", "--password=secret", url).stdout == OWN
        assert wget("--user=phones", "--password=wrong", url).returncode == 6


@pytest.mark.parametrize("scheme", ["digest", "basic"])
def test_a_virtual_phone_logs_in(scheme: str) -> None:
    with http(PROTECTED, login=Login(NAME, PASSWORD, scheme)) as lab:
        result = boot(MAC, f"http://127.0.0.1:{lab.port}/", options=FetchOptions(username=NAME, password=PASSWORD))
    assert result.settings["account.1.password"] == "secret"


def test_own_files_are_for_the_networks_that_the_policy_admits() -> None:
    with http(Policy(networks=(ip_network("10.20.0.0/24"),))) as lab:
        url = f"http://127.0.0.1:{lab.port}"
        assert curl(f"{url}/{MAC}.cfg") == (404, b"not found\n")
        assert curl(f"{url}/y000000000000.cfg")[0] == 200
        assert [one.result for one in lab.until(2)] == [FORBIDDEN, OK]
    with http(Policy(networks=(ip_network("127.0.0.0/8"),))) as lab:
        assert curl(f"http://127.0.0.1:{lab.port}/{MAC}.cfg") == (200, OWN)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_leads_off_the_shelf(name: str) -> None:
    target = name.encode().replace(b" ", b"%20")
    with http() as lab:
        for path in (
            b"/" + target,
            target,
            b"/" + target.replace(b".", b"%2e").replace(b"/", b"%2f"),
            b"/%00" + target,
        ):
            answer = talk(lab.port, b"GET " + path + b" HTTP/1.0\r\n\r\n")
            assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")), path
            assert b"root:" not in answer


def test_many_requests_in_one_write_are_answered_in_their_order() -> None:
    names = [f"block{size}.cfg" for size in (511, 512, 513)] * 7
    asked = "".join(f"GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n" for name in names[:-1])
    asked += f"GET /{names[-1]} HTTP/1.1\r\nConnection: close\r\n\r\n"
    with http() as lab:
        answer = talk(lab.port, asked.encode())
    lengths = [int(one) for one in re.findall(rb"Content-Length: ([0-9]+)", answer)]
    assert lengths == [int(name[5:8]) for name in names]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET /x\r\n\r\n", 400),
        (b"GET  /x HTTP/1.1\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\na: b\r\n folded\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\na: \x00\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 405),
        (b"GET /x HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n", 405),
        (b"GET /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /empty.cfg HTTP/1.1\r\n\r\n", 405),
        (b"BREW /x HTTP/1.1\r\n\r\n", 405),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /x HTTP/1.1\r\n" + b"a: b\r\n" * 4_000 + b"\r\n", 431),
    ],
)
def test_what_is_no_plain_question_ends_the_connection(request_: bytes, status: int) -> None:
    with http() as lab:
        answer = talk(lab.port, request_)
    assert re.findall(rb"HTTP/1\.1 ([0-9]+)", answer) == [str(status).encode()]
    assert b"Connection: close" in answer


def test_slow_and_silent_clients_do_not_stop_others() -> None:
    with http() as lab, ExitStack() as stack:

        def client(data: bytes) -> socket.socket:
            made = stack.enter_context(socket.create_connection(("127.0.0.1", lab.port)))
            made.sendall(data)
            return made

        held = [client(data) for data in [b"", b"G", b"GET /large.bin HTTP/1.1\r\nX: "] * 100]
        held += [client(b"GET /large.bin HTTP/1.1\r\n\r\n" * 3) for _ in range(100)]
        slow = client(b"GET /large.bin HTTP/1.0\r\n\r\n")
        for _ in range(5):
            assert slow.recv(1)
            assert curl(f"http://127.0.0.1:{lab.port}/{MAC}.cfg") == (200, OWN)
        assert len(held) == 400


def test_connections_of_one_address_are_bounded_and_those_that_end_make_room() -> None:
    with http() as lab, ExitStack() as stack:
        made = [stack.enter_context(socket.create_connection(("127.0.0.1", lab.port))) for _ in range(MAX_OF_ONE + 20)]
        gone = 0
        for one in made[MAX_OF_ONE:]:
            one.settimeout(20)
            try:
                gone += one.recv(1) == b""
            except ConnectionResetError:
                gone += 1
        assert gone == 20
        for one in made:
            one.close()
        wait_for(lambda: curl_works(lab.port))


def curl_works(port: int) -> bool:
    done = subprocess.run(["curl", "-s", f"http://127.0.0.1:{port}/{MAC}.cfg"], capture_output=True, check=False)
    return done.stdout == OWN


def test_an_answer_that_is_not_taken_is_told_as_such() -> None:
    with http() as lab:
        with socket.create_connection(("127.0.0.1", lab.port)) as client:
            client.sendall(b"GET /large.bin HTTP/1.1\r\n\r\n")
            assert client.recv(10)
        (event,) = lab.until(1)
    assert (event.result, event.whole) == (OK, False)


# Digest, RFC 7616


def digest(
    login: Login, *, nc: str = "00000001", uri: str = "/x", target: str = "/x", nonce: str = "", **more: str
) -> tuple[bool, bool]:
    import hashlib

    def md5(*words: str) -> str:
        return hashlib.md5(":".join(words).encode()).hexdigest()

    nonce = nonce or re.findall(r'nonce="([^"]+)"', login.challenges()[0])[0]
    response = md5(md5(NAME, "phones", PASSWORD), nonce, nc, "c", "auth", md5("GET", uri))
    name = NAME.replace('"', '\\"')
    said = {"username": f'"{name}"', "realm": '"phones"', "nonce": f'"{nonce}"', "uri": f'"{uri}"', "qop": "auth"}
    said |= {"nc": nc, "cnonce": '"c"', "response": f'"{response}"', **more}
    verdict = login.check("GET", target, "Digest " + ", ".join(f"{key}={value}" for key, value in said.items()))
    return verdict.trusted, verdict.stale


def test_a_nonce_counts_up_and_is_never_taken_twice() -> None:
    login = Login(NAME, PASSWORD)
    nonce = re.findall(r'nonce="([^"]+)"', login.challenges()[0])[0]
    assert digest(login, nonce=nonce) == (True, False)
    assert digest(login, nonce=nonce) == (False, True)
    assert digest(login, nonce=nonce, nc="00000003") == (True, False)
    assert digest(login, nonce=nonce, nc="00000002") == (False, True)
    assert digest(Login(NAME, PASSWORD), nonce=nonce) == (False, True)
    assert digest(login, uri="/y") == (False, False)
    assert digest(login, response='"0"') == (False, False)
    assert digest(login, qop="auth-int") == (False, False)
    assert digest(login, algorithm="MD4") == (False, False)


def test_a_nonce_grows_old_and_forgotten_ones_cannot_be_replayed() -> None:
    now = [1000.0]
    login = Login(NAME, PASSWORD, clock=lambda: now[0])
    first = re.findall(r'nonce="([^"]+)"', login.challenges()[0])[0]
    assert digest(login, nonce=first) == (True, False)
    for _ in range(8192):
        now[0] += 0.001
        assert digest(login) == (True, False)
    assert digest(login, nonce=first) == (False, True)
    late = re.findall(r'nonce="([^"]+)"', login.challenges()[0])[0]
    now[0] += 301
    assert digest(login, nonce=late) == (False, True)
    assert "stale=true" in login.challenges(stale=True)[0]


@settings(max_examples=300)
@given(st.text(max_size=200), st.sampled_from(["digest", "basic"]))
def test_no_header_logs_in_by_chance(header: str, scheme: str) -> None:
    assert not Login(NAME, PASSWORD, scheme).check("GET", "/x", f"{scheme} {header}").trusted


# damaged requests

SEED = (
    b"GET /0021f2000001.cfg HTTP/1.1\r\nHost: x\r\nUser-Agent: FIP14G\r\nRange: bytes=0-5\r\nConnection: close\r\n\r\n"
)
PIECES = (
    b"\r\n",
    b"\n",
    b"\0",
    b"\xff",
    b"%2e%2e/",
    b"../",
    b"/",
    b":",
    b" ",
    b"HTTP/1.1",
    b"Content-Length: 9",
    b"a" * 300,
    b"-",
)


def damaged(chance: random.Random) -> bytes:
    data = bytearray(SEED)
    for _ in range(chance.randrange(1, 8)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(3):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + chance.randrange(1, 30)]
            case _:
                data[at:at] = chance.choice(PIECES)
    return bytes(data)


def throw(count: int) -> None:
    """Send damaged requests, and see that only what is on the shelf comes back, and memory stays."""
    chance = random.Random(count)
    allowed = {200, 206, 304, 400, 404, 405, 416, 431, 505}
    after_warming = 0
    with http() as lab:
        for number in range(count):
            answer = talk(lab.port, damaged(chance))
            statuses = {int(one) for one in re.findall(rb"^HTTP/1\.1 ([0-9]{3}) ", answer, re.M)}
            assert statuses <= allowed
            assert b"root:" not in answer
            if number == count // 2:
                after_warming = peak_kib()
            if number % 1000 == 0:
                lab.events.clear()
        assert curl(f"http://127.0.0.1:{lab.port}/{MAC}.cfg") == (200, OWN)
    assert peak_kib() - after_warming < 8_000


def test_damaged_requests_get_nothing_that_is_not_on_the_shelf() -> None:
    throw(1500)


@pytest.mark.long
def test_a_hundred_thousand_damaged_requests() -> None:
    throw(100_000)


def test_a_flood_leaves_no_trace() -> None:
    with http() as lab:
        for _ in range(2000):
            with socket.create_connection(("127.0.0.1", lab.port)) as client:
                client.sendall(b"GET /x HTTP/1.0\r\n\r\n")
        wait_for(lambda: curl_works(lab.port))
        time.sleep(0.1)
