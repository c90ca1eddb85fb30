"""Who has shown the fleet's credentials over HTTP: an Authorization header -> yes, no, or yes but with an old nonce.

Digest (RFC 7616) with MD5 and SHA-256 and qop auth, or Basic (RFC 7617). MD5 is offered first: it is what these phones
are known to answer (facts: FusionPBX challenges them so), and some clients look at the first challenge only. Nonces
are signed, not stored; of the last ones that were used the counter is kept, so that no request can be replayed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

DIGEST = "digest"
BASIC = "basic"

_HASHES: dict[str, Callable[..., hashlib._Hash]] = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_NONCE_S = 300
_MAX_NONCES = 8192
_ESCAPED = re.compile(r"\\(.)")
_FIELD = re.compile(r'([A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)')


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request has shown the credentials; `stale` where only its nonce is too old or was used before."""

    trusted: bool
    stale: bool = False


class Login:
    """Checks requests against one name and password. `scheme` is DIGEST or BASIC. Not for several threads at once."""

    def __init__(
        self, username: str, password: str, scheme: str = DIGEST, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._username = username
        self._password = _Secret(password)
        self._scheme = scheme
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._used: OrderedDict[str, int] = OrderedDict()
        self._forgotten_s = float("-inf")

    def challenges(self, *, stale: bool = False) -> list[str]:
        """Return the values of the WWW-Authenticate headers."""
        if self._scheme == BASIC:
            return ['Basic realm="phones", charset="UTF-8"']
        nonce = self._nonce()
        old = ", stale=true" if stale else ""
        return [
            f'Digest realm="phones", qop="auth", algorithm={name}, nonce="{nonce}", charset=UTF-8{old}'
            for name in _HASHES
        ]

    def check(self, method: str, target: str, header: str) -> Verdict:
        """Return what an Authorization header is worth for a request; `target` is the request line's.

        Both are bytes read as Latin-1, as HTTP has them.
        """
        target, header = _text(target), _text(header)
        scheme, _, rest = header.strip().partition(" ")
        if scheme.lower() != self._scheme:
            return Verdict(False)
        return self._basic(rest) if self._scheme == BASIC else self._digest(method, target, rest)

    def _basic(self, rest: str) -> Verdict:
        try:
            shown = base64.b64decode(rest.strip(), validate=True)
        except (binascii.Error, ValueError):
            return Verdict(False)
        wanted = f"{self._username}:{self._password.text}".encode()
        return Verdict(hmac.compare_digest(shown, wanted))

    def _digest(self, method: str, target: str, rest: str) -> Verdict:
        fields = {name.lower(): plain or _ESCAPED.sub(r"\1", quoted) for name, quoted, plain in _FIELD.findall(rest)}
        name = fields.get("algorithm", "MD5").upper()
        if name not in _HASHES or fields.get("qop") != "auth" or fields.get("uri") != target:
            return Verdict(False)

        def hashed(*words: str) -> str:
            return _HASHES[name](_bytes(":".join(words))).hexdigest()

        nonce, count = fields.get("nonce", ""), fields.get("nc", "")
        user = hashed(self._username, "phones", self._password.text)
        wanted = hashed(user, nonce, count, fields.get("cnonce", ""), "auth", hashed(method, target))
        is_known = hmac.compare_digest(_bytes(fields.get("username", "")), self._username.encode())
        is_right = hmac.compare_digest(_bytes(fields.get("response", "").lower()), wanted.encode())
        if not (is_known and is_right):
            return Verdict(False)
        is_fresh = re.fullmatch(r"[0-9a-fA-F]{8}", count) is not None and self._is_fresh(nonce, int(count, 16))
        return Verdict(is_fresh, stale=not is_fresh)

    def _nonce(self) -> str:
        stamp = f"{int(self._clock() * 1000):x}.{secrets.token_hex(8)}"
        return f"{stamp}.{self._signed(stamp)}"

    def _signed(self, stamp: str) -> str:
        return hmac.digest(self._key, _bytes(stamp), "sha256").hex()[:32]

    def _is_fresh(self, nonce: str, count: int) -> bool:
        """Tell whether a nonce is ours, not too old, and its counter higher than it was."""
        stamp, _, signature = nonce.rpartition(".")
        if not hmac.compare_digest(_bytes(signature), self._signed(stamp).encode()):
            return False
        made = _made(nonce)
        if self._clock() - made > _NONCE_S or count <= self._used.get(nonce, 0):
            return False
        if nonce not in self._used and made <= self._forgotten_s:
            return False
        self._used[nonce] = count
        self._used.move_to_end(nonce)
        if len(self._used) > _MAX_NONCES:
            # what is forgotten could be replayed, so everything as old as it is refused from now on
            self._forgotten_s = max(self._forgotten_s, _made(self._used.popitem(last=False)[0]))
        return True


def _text(latin: str) -> str:
    return latin.encode("latin-1", "replace").decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _made(nonce: str) -> float:
    """When a nonce of ours was made, in seconds of the clock."""
    return int(nonce.partition(".")[0], 16) / 1000


@dataclass(frozen=True, slots=True)
class _Secret:
    """A password that no debugger's listing shows."""

    text: str = field(repr=False)
