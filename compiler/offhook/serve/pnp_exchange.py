"""What plug and play says: a phone's SUBSCRIBE -> the 200 OK and the NOTIFY with its URL. Pure functions.

Guide, "Plug and Play (PnP) Server", and its capture: the phone multicasts `SUBSCRIBE sip:MAC0021f222b01d@224.0.1.75`,
gets a 200 at its source port, then `NOTIFY sip:MAC0021f222b01d@ADDRESS:PORT` whose body is one line, the URL. The
headers are collapsed in the guide; what relatives of these phones send and expect is in facts, section 11.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from offhook.sip.message import Headers, Request, Response, SipError, parse, render

# facts, section 11: the separator may have been lost in the guide; relatives write MAC%3a, MAC: and MAC=
_USER = re.compile(r"sips?:(mac(?:%3a|%3d|:|=)?([0-9a-f]{12}))@", re.IGNORECASE)
_PACKAGE = "ua-profile"
_MAX_DATAGRAM = 4096
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ECHOED = ("Via", "From", "To", "Call-ID", "CSeq")


@dataclass(frozen=True, slots=True)
class Subscription:
    """A phone's question. `user` is as it was written in the request's address; `event` is the Event header's value."""

    mac: str
    user: str
    event: str
    headers: Headers = field(repr=False)

    @property
    def number(self) -> tuple[str, str]:
        """What a repetition of the same question has in common with it (RFC 3261, 17.2.3, as far as phones keep it)."""
        return self.headers.get("Call-ID") or "", self.headers.get("CSeq") or ""


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who answers: the address and port that it sends from, and the tag and branch of this exchange."""

    address: str
    port: int
    tag: str
    branch: str


def subscription_in(data: bytes) -> Subscription | None:
    """Return the question of a datagram; None for anything else, which a multicast server passes over in silence.

    RFC 3261, 8.2 and 18.2.2: who would refuse a request that came by multicast says nothing.
    """
    if len(data) > _MAX_DATAGRAM:
        return None
    try:
        request = parse(data)
    except SipError:
        return None
    if not isinstance(request, Request) or request.method != "SUBSCRIBE":
        return None
    user = _USER.match(request.uri)
    echoed = [value for name in _ECHOED for value in request.headers.all(name)]
    if user is None or any(not request.headers.all(name) for name in _ECHOED) or _CONTROL.search("".join(echoed)):
        return None
    event = request.headers.get("Event") or _PACKAGE
    if event.partition(";")[0].strip().lower() != _PACKAGE or _CONTROL.search(event):
        return None
    return Subscription(user[2].lower(), user[1], event, request.headers)


def accepted(asked: Subscription, client: tuple[str, int], answerer: Answerer) -> bytes:
    """Return the 200 OK (RFC 6665, 4.2.1.1; RFC 3581 for the Via, since the answer goes to the source port)."""
    fields = [("Via", via) for via in asked.headers.all("Via")]
    fields[0] = ("Via", _seen(fields[0][1], client))
    fields += [
        ("From", asked.headers.get("From") or ""),
        ("To", _tagged(asked.headers.get("To") or "", answerer.tag)),
        ("Call-ID", asked.headers.get("Call-ID") or ""),
        ("CSeq", asked.headers.get("CSeq") or ""),
        ("Contact", f"<sip:{_host(answerer.address)}:{answerer.port}>"),
        ("Expires", "0"),
    ]
    return render(Response(200, "OK", Headers(tuple(fields))))


def notify(asked: Subscription, client: tuple[str, int], answerer: Answerer, url: str) -> bytes:
    """Return the NOTIFY whose body is the URL, as in the guide's capture; the subscription ends with it."""
    here = f"{_host(answerer.address)}:{answerer.port}"
    fields = (
        ("Via", f"SIP/2.0/UDP {here};branch={answerer.branch};rport"),
        ("Max-Forwards", "70"),
        ("From", _tagged(asked.headers.get("To") or "", answerer.tag)),
        ("To", asked.headers.get("From") or ""),
        ("Call-ID", asked.headers.get("Call-ID") or ""),
        ("CSeq", "1 NOTIFY"),
        ("Contact", f"<sip:{here}>"),
        ("Event", asked.event),
        ("Subscription-State", "terminated;reason=timeout"),
        ("Content-Type", "application/url"),
    )
    address = f"sip:{asked.user}@{_host(client[0])}:{client[1]}"
    return render(Request("NOTIFY", address, Headers(fields), url.encode("ascii")))


def answer_in(data: bytes) -> tuple[str, int] | None:
    """Return (Call-ID, status) of a phone's answer to a NOTIFY; None for anything else."""
    try:
        response = parse(data) if len(data) <= _MAX_DATAGRAM else None
    except SipError:
        return None
    if not isinstance(response, Response):
        return None
    return response.headers.get("Call-ID") or "", response.status


def _seen(via: str, client: tuple[str, int]) -> str:
    """The topmost Via with where it came from: received= (RFC 3261, 18.2.1), and rport= where it was asked for."""
    kept = [one for one in via.split(";") if not re.match(r"\s*(?:received|rport)\s*(?:=|$)", one, re.IGNORECASE)]
    asks = re.search(r";\s*rport\s*(?:;|=|$)", via, re.IGNORECASE)
    return ";".join([*kept, f"received={client[0]}", *([f"rport={client[1]}"] if asks else [])])


def _tagged(value: str, tag: str) -> str:
    """A To with our tag; one that has a tag already keeps it."""
    has = re.search(r";\s*tag\s*=", value.rpartition(">")[2], re.IGNORECASE)
    return value if has else f"{value};tag={tag}"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
