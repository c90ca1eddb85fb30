"""What strangers send is understood, or refused, in a time that grows with its length, not with the square of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from offhook.sip.digest import parse_challenges
from offhook.sip.message import Headers, Response, SipError, parse, parse_uri, parse_via
from offhook.sip.outcome import retry_after_s
from offhook.sip.stream import Framer

SIZE = 4_000


def took_s(work: Callable[[str], object], text: str) -> float:
    """The least CPU time of a few runs."""
    found = []
    for _ in range(5):
        start = time.process_time()
        with contextlib.suppress(SipError):
            work(text)
        found.append(time.process_time() - start)
    return min(found)


def whole(text: str) -> object:
    return parse(f"SIP/2.0 200 OK\r\nVia: {text}\r\n\r\n".encode()).headers.all("Via")


WORK: dict[str, Callable[[str], object]] = {
    "list": lambda text: Headers.of(("Via", text)).all("Via"),
    "via": parse_via,
    "address": parse_uri,
    "challenge": lambda text: parse_challenges([f"Digest {text}"]),
    "message": whole,
    "wait": lambda text: retry_after_s(Response(503, "", Headers.of(("Retry-After", text)))),
    "stream": lambda text: Framer().feed(text.encode()),
}
REPEATED = [*" <,;=a:@[%1", '"', "\\", '\\"', '"\\', "a ", "a=", "\r\n ", 'a="']
STARTS = ["", "SIP/2.0/UDP a", "sip:a@", "sip:", '"', "a=", 'a="', "<", "SIP/2.0/"]


@pytest.mark.parametrize("name", list(WORK))
def test_time_grows_with_the_length(name: str) -> None:
    """Twice the square would be four times; a floor of the clock's own grain is added to both."""
    slow = []
    for start in STARTS:
        for one in REPEATED:
            short, long = (start + one * (size // len(one)) for size in (SIZE, 4 * SIZE))
            if took_s(WORK[name], long) > 8 * took_s(WORK[name], short) + 0.01:
                slow.append((start, one))
    assert slow == []


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ('"a, b" <sip:x>, c', ['"a, b" <sip:x>', "c"]),
        ('"a \\" , b", c', ['"a \\" , b"', "c"]),
        ('a, "b', ["a", '"b']),
        ('a, "b\\', ["a", '"b\\']),
        ("a, <b, c", ["a", "<b, c"]),
        (",,a,,", ["a"]),
    ],
)
def test_lists_are_taken_apart(text: str, items: list[str]) -> None:
    assert Headers.of(("Contact", text)).all("Contact") == items


def test_parts_of_a_challenge_are_taken_apart() -> None:
    (found,) = parse_challenges(
        ['Digest realm="a \\"b\\" , c",nonce = "n", qop="auth,auth-int", stale=FALSE,opaque=""']
    )
    assert found.parameters == {
        "realm": 'a "b" , c',
        "nonce": "n",
        "qop": "auth,auth-int",
        "stale": "FALSE",
        "opaque": "",
    }
