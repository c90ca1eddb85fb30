"""Credentials: what a server asks for -> the headers that answer it (RFC 3261 section 22), as often as makes sense.

Comes in: a 401 or 407, and who asks. Goes out: `Answered`, whose headers the next attempt carries.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

from offhook.sip.digest import Challenge, answer, parse_challenges
from offhook.sip.message import Request, Response

CHALLENGES = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}
"""By status: the header that asks, and the one that answers."""

_MOST_ANSWERS = 6
_MOST_STALE = 2


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who asks. Where `realm` is given, nobody else's challenge is answered: an answer lets a stranger guess."""

    username: str
    password: str = field(repr=False)
    realm: str = ""


@dataclass(slots=True)
class Answered:
    """What one request has answered so far, by header and realm; `stale` counts nonces that had become too old."""

    values: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)
    stale: int = 0

    def __bool__(self) -> bool:
        return bool(self.values)

    def headers(self) -> Iterator[tuple[str, str]]:
        """Give the headers of the next attempt."""
        return ((header, value) for (header, _), value in self.values.items())

    def take(self, response: Response, who: Credentials, request: Request) -> bool:
        """Answer a challenge, each realm once and again where only its nonce was too old; tell whether it could be."""
        asks, answers = CHALLENGES[response.status]
        found: dict[str, Challenge] = {}
        for challenge in parse_challenges(response.headers.all(asks)):
            if not who.realm or who.realm == challenge.realm:
                found.setdefault(challenge.realm, challenge)
        is_new = False
        for realm, challenge in found.items():
            if len(self.values) + self.stale >= _MOST_ANSWERS:
                break
            if (answers, realm) in self.values:
                if not challenge.stale or self.stale >= _MOST_STALE:
                    continue
                self.stale += 1
            cnonce = secrets.token_hex(16)
            value = answer(challenge, request.method, request.uri, who.username, who.password, 1, cnonce)
            if value.isprintable():  # what a server sent must not break the header
                self.values[answers, realm] = value
                is_new = True
        return is_new


def asked(response: Response) -> str:
    """Return what a challenge says, for people who wonder why it was not answered; "" where it says nothing."""
    asks, _ = CHALLENGES[response.status]
    return ", ".join(response.headers.all(asks))
