"""Digest for SIP (RFC 3261 section 22, RFC 8760): challenges -> the header that answers the best of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

_PART = re.compile(  # in time that grows with the text only, whatever a stranger sends
    r'(?<![A-Za-z0-9_-])([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.?)*)(?:"|\Z)|([^\s,"]*))', re.S
)
_HASHES = {"md5": "md5", "sha-256": "sha256", "sha-512-256": "sha512_256"}


@dataclass(frozen=True, slots=True)
class Challenge:
    """One Digest challenge; parameters by lower-case name."""

    parameters: dict[str, str]

    @property
    def realm(self) -> str:
        """Whose password is asked for."""
        return self.parameters.get("realm", "")

    @property
    def stale(self) -> bool:
        """Whether only the nonce was too old."""
        return self.parameters.get("stale", "").lower() == "true"


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Return the Digest challenges that can be answered, in order."""
    found = []
    for header in headers:
        scheme, _, rest = header.strip().partition(" ")
        if scheme.lower() != "digest":
            continue
        given: dict[str, str] = {}
        for name, quoted, plain in _PART.findall(rest):
            given.setdefault(name.lower(), plain or re.sub(r"\\(.)", r"\1", quoted, flags=re.S))
        algorithm = given.get("algorithm", "MD5").lower().removesuffix("-sess")
        qops = given.get("qop")
        if algorithm in _HASHES and "nonce" in given and (qops is None or "auth" in re.split(r"[\s,]+", qops.lower())):
            found.append(Challenge(given))
    return found


def answer(challenge: Challenge, method: str, uri: str, user: str, password: str, nc: int, cnonce: str) -> str:
    """Return the value of Authorization or Proxy-Authorization."""
    given = challenge.parameters
    algorithm = given.get("algorithm", "MD5")

    def hashed(*words: str) -> str:
        name = _HASHES[algorithm.lower().removesuffix("-sess")]
        return hashlib.new(name, ":".join(words).encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()

    secret = hashed(user, challenge.realm, password)
    fields = {"username": user, "realm": challenge.realm, "nonce": given["nonce"], "uri": uri}
    if algorithm.lower().endswith("-sess"):  # then the cnonce is part of the secret, also without qop (RFC 7616 3.4.2)
        secret = hashed(secret, given["nonce"], cnonce)
        fields["cnonce"] = cnonce
    plain = {"algorithm": algorithm}
    if "qop" in given:
        count = f"{nc:08x}"
        fields |= {
            "cnonce": cnonce,
            "response": hashed(secret, given["nonce"], count, cnonce, "auth", hashed(method, uri)),
        }
        plain |= {"qop": "auth", "nc": count}
    else:
        fields["response"] = hashed(secret, given["nonce"], hashed(method, uri))
    if "opaque" in given:
        fields["opaque"] = given["opaque"]
    words = [name + '="' + re.sub(r'(["\\])', r"\\\1", value) + '"' for name, value in fields.items()]
    return "Digest " + ", ".join([*words, *(f"{name}={value}" for name, value in plain.items())])
