"""A request to S3 and its signature: Signature Version 4, headers only.

The specification is the Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header (AWS
Signature Version 4)". Only what `s3_direct` sends can be signed: no query, and a body that is there as a whole.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from functools import reduce
from typing import NamedTuple

_ALGORITHM = "AWS4-HMAC-SHA256"


class Keys(NamedTuple):
    """Credentials of one moment; `token` is empty where they are not a session's."""

    access: str
    secret: str
    token: str = ""


def utc_now() -> str:
    """Return the time as signatures have it: 20260131T235959Z."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


def sign(
    method: str, path: str, *, headers: Mapping[str, str], body: bytes, region: str, keys: Keys, at: str
) -> dict[str, str]:
    """Return the headers of a signed request, with names in lower case.

    `path` is encoded, as it is sent; `headers` hold `host`, lower-case names, and texts of printable ASCII. All of them
    are signed. `at` is `utc_now()`.
    """
    digest = hashlib.sha256(body).hexdigest()
    signed = {**headers, "x-amz-content-sha256": digest, "x-amz-date": at}
    if keys.token:
        signed["x-amz-security-token"] = keys.token
    names = sorted(signed)
    lines = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in names)
    listed = ";".join(names)
    request = f"{method}\n{path}\n\n{lines}\n{listed}\n{digest}"
    scope = (at[:8], region, "s3", "aws4_request")
    text = f"{_ALGORITHM}\n{at}\n{'/'.join(scope)}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = reduce(_hmac, scope, f"AWS4{keys.secret}".encode())
    credential = f"{keys.access}/{'/'.join(scope)}"
    signature = _hmac(key, text).hex()
    signed["authorization"] = f"{_ALGORITHM} Credential={credential}, SignedHeaders={listed}, Signature={signature}"
    return signed


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
