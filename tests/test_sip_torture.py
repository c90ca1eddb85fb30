"""The 49 torture messages of RFC 4475 and what fuzz makes of them: each is read or refused, and none confuses.

tests/rfc4475/ has them byte for byte as the RFC's appendix A names them.
"""

from __future__ import annotations

import random

import pytest

import inventories
import scripted
from offhook.sip.message import Request, Response, SipError, parse, parse_uri, parse_via, render
from test_sip_client import answer, send

FOLDER = inventories.ROOT / "tests/rfc4475"
MESSAGES = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.dat"))}

# 3.1.1: valid, however odd; 3.1.2: wrong in a header that nothing here looks into; 3.2 to 3.4: for applications to bear
READ = {
    "wsinv": "INVITE",
    "intmeth": "!interesting-Method0123456789_*+`.%indeed'~",
    "esc01": "INVITE",
    "escnull": "REGISTER",
    "esc02": "RE%47IST%45R",
    "lwsdisp": "OPTIONS",
    "longreq": "INVITE",
    "dblreq": "REGISTER",
    "semiuri": "OPTIONS",
    "transports": "OPTIONS",
    "mpart01": "MESSAGE",
    "unreason": 200,
    "noreason": 100,
    "badinv01": "INVITE",
    "scalar02": "REGISTER",
    "scalarlg": 503,
    "quotbal": "INVITE",
    "ltgtruri": "INVITE",
    "escruri": "INVITE",
    "baddate": "INVITE",
    "regbadct": "REGISTER",
    "badaspec": "OPTIONS",
    "baddn": "OPTIONS",
    "mismatch01": "OPTIONS",
    "mismatch02": "NEWMETHOD",
    "badbranch": "OPTIONS",
    "insuf": "INVITE",
    "unkscm": "OPTIONS",
    "novelsc": "OPTIONS",
    "unksm2": "REGISTER",
    "bext01": "OPTIONS",
    "invut": "INVITE",
    "regaut01": "REGISTER",
    "multi01": "INVITE",
    "mcl01": "OPTIONS",
    "bcast": 200,
    "zeromf": "OPTIONS",
    "cparam01": "REGISTER",
    "cparam02": "REGISTER",
    "regescrt": "REGISTER",
    "sdp01": "INVITE",
    "inv2543": "INVITE",
}
REFUSED = {
    "clerr": "Content-Length does not fit",
    "ncl": "Content-Length does not fit",
    "lwsruri": "no first line of SIP",
    "lwsstart": "no first line of SIP",
    "trws": "no first line of SIP",
    "badvers": "no first line of SIP",
    "bigcode": "no first line of SIP",
}


def test_all_are_there() -> None:
    assert MESSAGES.keys() == {*READ, *REFUSED}
    assert len(MESSAGES) == 49


@pytest.mark.parametrize("name", sorted(READ))
def test_a_message_is_read(name: str) -> None:
    found = parse(MESSAGES[name])
    assert (found.method if isinstance(found, Request) else found.status) == READ[name]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_message_is_refused(name: str) -> None:
    with pytest.raises(SipError, match=REFUSED[name]):
        parse(MESSAGES[name])


def test_a_tortuous_message_says_what_it_says() -> None:
    found = parse(MESSAGES["wsinv"])
    assert isinstance(found, Request)
    assert found.uri == "sip:vivekg@chair-dnrc.example.com;unknownparam"
    assert parse_uri(found.uri).parameters == {"unknownparam": ""}
    assert found.headers.get("Call-ID") == "wsinv.ndaksdj@192.0.2.1"
    assert found.headers.get("Subject") == ""
    assert found.headers.get("Max-Forwards") == "0068"
    vias = [parse_via(one) for one in found.headers.all("Via")]
    assert [(one.transport, one.host, one.parameters.get("branch")) for one in vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    unreason = parse(MESSAGES["unreason"])
    assert isinstance(unreason, Response)
    assert unreason.reason.startswith("= 2**3 * 5**2 но сто девяносто девять")


def test_none_of_them_is_taken_for_an_answer() -> None:
    with scripted.udp_server(lambda data: [*MESSAGES.values(), answer(data, 200, "OK")]) as heard:
        outcome = send(f"sip:127.0.0.1:{heard.port}")
    assert (outcome.word, outcome.detail, outcome.sends) == ("answered", "OK", 1)


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_fuzz_is_read_or_refused(count: int) -> None:
    chance = random.Random(4475)
    seeds = list(MESSAGES.values())
    ended = {"read": 0, "refused": 0}
    for _ in range(count):
        try:
            found = parse(damaged(chance, chance.choice(seeds)))
            found.headers.all("Contact")
            parse_via(found.headers.get("Via") or "")
            if isinstance(found, Request):
                parse_uri(found.uri)
            render(found)
            ended["read"] += 1
        except SipError:
            ended["refused"] += 1
    assert min(ended.values()) > count / 10


def damaged(chance: random.Random, message: bytes) -> bytes:
    """A message with one to four places changed: bytes, lines, lengths, and what parsers trip over."""
    data = bytearray(message)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + chance.randrange(1, 40)]
            case 2:
                data[at:at] = chance.choice([b"\0", b"\r\n", b"\r\n ", b'"', b"<", b";;", b"\xff\xfe", b"," * 50, b"["])
            case _:
                start = chance.randrange(len(data) + 1)
                data[at:at] = data[start : start + chance.randrange(200)]
    return bytes(data)
