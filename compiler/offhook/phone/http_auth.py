"""HTTP authentication: the server's challenges -> the Authorization header that answers the best of them.

Digest (RFC 7616) goes before Basic (RFC 7617), and among Digest challenges the first one that is
understood, because servers list them in order of preference (RFC 7616 section 3.7). The Provision page
of the guide shows Digest as the phone's setting.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

_PART = re.compile(
    r"[\s,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)"  # a scheme, or a parameter's name
    r"(?:\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]*)))?"
)
_HASHES = {"md5": hashlib.md5, "sha-256": hashlib.sha256}


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge of a WWW-Authenticate header: the scheme in lower case, parameters by lower-case name."""

    scheme: str
    parameters: dict[str, str]


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Return the challenges of all WWW-Authenticate headers, in order; what is malformed is passed over."""
    challenges: list[Challenge] = []
    for header in headers:
        position = 0
        while part := _PART.match(header, position):
            position = part.end()
            name, quoted, plain = part.groups()
            if quoted is None and plain is None:
                challenges.append(Challenge(name.lower(), {}))
            elif challenges:
                value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                challenges[-1].parameters.setdefault(name.lower(), value)
    return challenges


def authorization(
    challenges: Iterable[Challenge], uri: str, *, username: str, password: str, cnonce: str = ""
) -> bytes | None:
    """Return the Authorization header for a GET of `uri` (the request target); None where no challenge fits.

    `cnonce` is random unless it is given.
    """
    for challenge in challenges:
        if challenge.scheme == "digest" and (method := _digest_method(challenge)):
            return _digest(challenge, uri, method, (username, password), cnonce or secrets.token_hex(16))
    if any(challenge.scheme == "basic" for challenge in challenges):
        return b"Basic " + base64.b64encode(f"{username}:{password}".encode())
    return None


def _digest_method(challenge: Challenge) -> str:
    """Return the algorithm of a Digest challenge, in lower case, or "" where it cannot be answered."""
    algorithm = challenge.parameters.get("algorithm", "MD5").lower()
    qops = challenge.parameters.get("qop")
    if qops is not None and "auth" not in re.split(r"[\s,]+", qops.lower()):
        return ""
    known = algorithm.removesuffix("-sess") in _HASHES and "nonce" in challenge.parameters
    return algorithm if known else ""


def _digest(challenge: Challenge, uri: str, algorithm: str, credentials: tuple[str, str], cnonce: str) -> bytes:
    """Return a Digest Authorization header (RFC 7616 section 3.4; without qop RFC 2069 section 2.1.2)."""

    def hashed(*words: str) -> str:
        return _HASHES[algorithm.removesuffix("-sess")](":".join(words).encode()).hexdigest()

    given = challenge.parameters
    username, password = credentials
    realm, nonce = given.get("realm", ""), given["nonce"]
    user = hashed(username, realm, password)
    if algorithm.endswith("-sess"):
        user = hashed(user, nonce, cnonce)
    request = hashed("GET", uri)
    fields = {"username": username, "realm": realm, "nonce": nonce, "uri": uri}
    plain = {"algorithm": given["algorithm"]} if "algorithm" in given else {}
    if "qop" in given:
        fields |= {"cnonce": cnonce, "response": hashed(user, nonce, "00000001", cnonce, "auth", request)}
        plain |= {"qop": "auth", "nc": "00000001"}
    else:
        fields["response"] = hashed(user, nonce, request)
    if "opaque" in given:
        fields["opaque"] = given["opaque"]
    words = [f"{name}={_quoted(value)}" for name, value in fields.items()]
    words += [f"{name}={value}" for name, value in plain.items()]
    return f"Digest {', '.join(words)}".encode()


def _quoted(text: str) -> str:
    escaped = re.sub(r'(["\\])', r"\\\1", text)
    return f'"{escaped}"'
