"""How telling a phone ended: from a SIP status, or from no answer at all, to one word, a sentence and what to do.

The words are what reports count and journals keep, so they stay as they are. Statuses that the table does not name are
taken as the x00 of their class (RFC 3261 section 8.1.3.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from offhook.sip.message import Response
from offhook.sip.transaction import LOST, NO_SIP, TIMEOUT, TLS_REFUSED, UNREACHABLE, Failure
from offhook.texts import one_line

ANSWERED = "answered"
PASSED_ON = "passed on"
REDIRECTED = "redirected"
REFUSED = "refused"
CREDENTIALS_WANTED = "credentials wanted"
CREDENTIALS_REFUSED = "credentials refused"
CREDENTIALS_UNUSED = "credentials not used"
UNKNOWN_PHONE = "unknown phone"
NOT_REGISTERED = "not registered"
NO_SUBSCRIPTION = "no subscription"
BUSY = "busy"
OVERLOADED = "overloaded"
SERVER_ERROR = "server error"
NO_ADDRESS = "no address"
CANCELLED = "cancelled"
NOT_SENT = "not sent"
NO_ACCOUNT = "no account"
SHARED = "shared account"


NOT_THERE = (UNKNOWN_PHONE, NOT_REGISTERED)
"""Nobody has heard it."""


class Meaning(NamedTuple):
    """What a status says: the word for it, a sentence for people (lower case, no full stop), and a next step."""

    word: str
    sentence: str
    hint: str = ""


_ASK_THE_REGISTRAR = "send it through the registrar (notify.route: registrar): phones may listen to no one else"
_ONLINE = "see whether it is switched on and registered; it fetches by itself when it starts, and at its next poll"
_SET_THEM = "set notify.username and notify.password"
_OPEN_PROXY = "let the registrar forward NOTIFY for this user, or choose notify.route: asterisk or freeswitch"

MEANINGS: dict[int | str, Meaning] = {
    200: Meaning(ANSWERED, "the phone has taken the NOTIFY"),
    300: Meaning(REDIRECTED, "the phone is said to be somewhere else", "name the place it is at in notify.via"),
    400: Meaning(REFUSED, "the NOTIFY was refused", "look into the log of the registrar or the phone"),
    401: Meaning(CREDENTIALS_WANTED, "credentials are demanded, and none are set", _SET_THEM),
    403: Meaning(REFUSED, "the NOTIFY is forbidden", _OPEN_PROXY),
    404: Meaning(UNKNOWN_PHONE, "the registrar knows no such phone, or it is not registered", _ONLINE),
    405: Meaning(REFUSED, "a NOTIFY is not allowed there", _OPEN_PROXY),
    407: Meaning(CREDENTIALS_WANTED, "the proxy demands credentials, and none are set", _SET_THEM),
    408: Meaning(TIMEOUT, "the phone did not answer the proxy", _ONLINE),
    410: Meaning(UNKNOWN_PHONE, "the registrar knows this phone no longer", "check the account's user"),
    480: Meaning(NOT_REGISTERED, "the phone is not registered now", _ONLINE),
    481: Meaning(NO_SUBSCRIPTION, "the phone takes no NOTIFY that it did not subscribe to", _ASK_THE_REGISTRAR),
    483: Meaning(REFUSED, "the proxies send it in a circle", "check notify.via and the proxy's own names"),
    486: Meaning(BUSY, "the phone is busy", "tell it again later; it fetches at its next poll anyway"),
    489: Meaning(REFUSED, "the phone does not know the event check-sync", "check its model and firmware"),
    500: Meaning(SERVER_ERROR, "the server failed", "look into its log, and tell the phone again"),
    503: Meaning(OVERLOADED, "the server has no time now", "tell it again later, and slower (notify.rate)"),
    600: Meaning(REFUSED, "the phone refuses everywhere", "look into the phone's log"),
    PASSED_ON: Meaning(PASSED_ON, "the PBX has taken the order; it does not say what the phone answered"),
    CREDENTIALS_REFUSED: Meaning(
        CREDENTIALS_REFUSED, "the user name or the password is wrong", "check notify.username, password and realm"
    ),
    CREDENTIALS_UNUSED: Meaning(
        CREDENTIALS_UNUSED,
        "credentials are demanded for another realm, or in a way that is not known",
        "set notify.realm to the realm that it names; Digest by MD5, SHA-256 or SHA-512-256 with qop auth is known",
    ),
    TIMEOUT: Meaning(TIMEOUT, "nobody answered in time", _ONLINE),
    UNREACHABLE: Meaning(UNREACHABLE, "the server cannot be reached", "check notify.via, the server and firewalls"),
    LOST: Meaning(
        LOST,
        "the connection ended before an answer came: nobody knows whether the phone was told",
        "see whether it fetches or restarts; else tell it again",
    ),
    NO_SIP: Meaning(NO_SIP, "what answers there does not speak SIP", "check notify.via and its port"),
    TLS_REFUSED: Meaning(
        TLS_REFUSED, "the server's certificate is not accepted", "name its authority in notify.ca_file"
    ),
    NO_ADDRESS: Meaning(NO_ADDRESS, "the server's name leads nowhere", "check the name, and its SRV and A records"),
    NO_ACCOUNT: Meaning(
        NO_ACCOUNT, "the phone has no account by which it could be told", "it fetches at its next poll"
    ),
    SHARED: Meaning(SHARED, "others would restart, too: they have the same account", "tell it without --reboot"),
    CANCELLED: Meaning(CANCELLED, "it was sent; the work was stopped before an answer came", "tell the phone again"),
    NOT_SENT: Meaning(NOT_SENT, "the work was stopped before it was sent", "tell the phone again"),
}
"""What is known about each way to end, by status or by word."""

_WORDS = frozenset(one.word for one in MEANINGS.values())
_OF_TLS = {
    "expired": "have the server's certificate renewed",
    "not yet valid": "check the clocks of this machine and the server",
    "does not name": "name in notify.via the domain that the certificate names",
    "wrong version": "check notify.via and its port: no TLS is spoken there",
}
"""What to do where TLS is refused for another reason than an unknown authority, by what is said of it."""

_THERE = frozenset({486, 488, 600, 603})
_REASON_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class Outcome:
    """How telling one phone ended. `status` is SIP's, 0 where no response came.

    `word` is one of the table's. `detail` is what the server or the network said, made harmless. `server` is who was
    asked last ("udp 192.0.2.1:5060"), `sends` how many times anything was sent for it, `retry_after_s` what a 503 or
    486 asks for.
    """

    word: str
    status: int = 0
    detail: str = ""
    server: str = ""
    sends: int = 0
    retry_after_s: int | None = None

    @property
    def is_answered(self) -> bool:
        """Whether the phone itself has said that it took the NOTIFY."""
        return self.word == ANSWERED

    @property
    def meaning(self) -> Meaning:
        """The table's row."""
        row = meaning_of(self.status) if self.status else MEANINGS[self.word]
        return row if row.word == self.word else MEANINGS[self.word]

    @property
    def sentence(self) -> str:
        """What happened, for people: lower case, no full stop."""
        said = self._said
        later = "" if self.retry_after_s is None else f", to be tried again after {self.retry_after_s} s"
        return self.meaning.sentence + (f" ({said})" if said else "") + later

    @property
    def short(self) -> str:
        """The word for it and what was said: it fits whatever was sent."""
        return f"{self.word} ({self._said})" if self._said else self.word

    @property
    def _said(self) -> str:
        return " ".join(part for part in (str(self.status or ""), self.detail) if part)

    @property
    def hint(self) -> str:
        """What to do next."""
        other = [hint for words, hint in _OF_TLS.items() if self.word == TLS_REFUSED and words in self.detail]
        return other[0] if other else self.meaning.hint


def next_step(word: str, status: int = 0) -> str:
    """Return what to do about an outcome that a journal kept; "" for a word that is not in the table."""
    return Outcome(word, status).hint if word in _WORDS else ""


def is_registered(outcome: Outcome) -> bool:
    """Tell whether an answer to the question says that the phone is there.

    OPTIONS is answered as an INVITE would be (RFC 3261 section 11.2): busy and declining phones are there, too. All
    phones must know it (section 11): who does not is no phone.
    """
    return outcome.word == ANSWERED or outcome.status in _THERE


def meaning_of(status: int) -> Meaning:
    """Return the row of a final status: its own, or that of its class."""
    if status < 300:
        return MEANINGS[200]
    return MEANINGS.get(status) or MEANINGS[status // 100 * 100]


def outcome_of(result: Response | Failure, *, server: str = "", sends: int = 0, has_answered: bool = False) -> Outcome:
    """Return how it ended. `has_answered` says that credentials were shown, so that a 401 or 407 refuses them."""
    if isinstance(result, Failure):
        return Outcome(result.word, detail=harmless(result.detail), server=server, sends=sends)
    word = meaning_of(result.status).word
    if has_answered and word == CREDENTIALS_WANTED:
        word = CREDENTIALS_REFUSED
    later = retry_after_s(result) if result.status in (404, 413, 480, 486, 500, 503, 600, 603) else None
    return Outcome(word, result.status, harmless(result.reason), server, sends, later)


def retry_after_s(response: Response) -> int | None:
    """Return the seconds of a Retry-After (RFC 3261 section 20.33): "120 (maintenance);duration=60"; None without."""
    match = re.match(r"\s*([0-9]{1,9})\s*(?:[;(]|$)", response.headers.get("Retry-After") or "")
    return int(match[1]) if match else None


def harmless(text: str) -> str:
    """Return what a stranger said on one line, without what terminals obey, and not too long."""
    clean = one_line(text)
    return clean if len(clean) <= _REASON_CHARACTERS else clean[: _REASON_CHARACTERS - 1] + "…"
