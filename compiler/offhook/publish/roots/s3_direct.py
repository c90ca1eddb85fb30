"""One small request to S3 without botocore: a signature, a kept connection, and nothing that is clever.

boto3 takes 0.25 s to start and 1.3 ms a request, this 0.02 s and a fifth of it. It is only for what is known before:
where the bucket is (`Access`: either said outright, see `plain_access`, or seen in a request of boto3's), and answers
that leave nothing to decide. On anything else `Unclear` is raised, and boto3 is asked.
"""

from __future__ import annotations

import http.client
import importlib.util
import os
import re
import ssl
from collections import deque
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from offhook import __version__
from offhook.publish.roots.root import RootOptions
from offhook.publish.roots.s3_signature import Keys, sign, utc_now

_KNOWN = frozenset(
    f"AWS_{name}"
    for name in (
        *("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "REGION", "DEFAULT_REGION"),
        *("CA_BUNDLE", "DEFAULT_OUTPUT", "PAGER", "CLI_AUTO_PROMPT", "EC2_METADATA_DISABLED", "EXECUTION_ENV"),
    )
)
"""The variables of AWS's that `plain_access` understands, or that cannot matter to a request with keys."""

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_VIRTUAL = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_REGION = re.compile(r"(af|ap|ca|eu|il|me|mx|sa|us)-(central|(north|south)?(east|west)?)-[1-9]")
"""Regions of Amazon's partition "aws"; those of China, GovCloud and others have names of their own."""

_IP = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
_PRINTABLE = re.compile(r"[ -~]*")


class Access(NamedTuple):
    """Where a bucket is, and who asks: the URL that keys are added to, the region to sign for, the credentials.

    `keys` is called for each request: credentials are renewed in time by whom they belong to.
    """

    base: str
    region: str
    keys: Callable[[], Keys]


class Unclear(Exception):
    """Nothing is known for certain: ask botocore. `may_have_acted`: the request may have been carried out.

    `status` is that of an answer, 0 where there was none.
    """

    def __init__(self, status: int = 0, *, may_have_acted: bool = False) -> None:
        super().__init__(status)
        self.status = status
        self.may_have_acted = may_have_acted


class Answer(NamedTuple):
    """An answer that says all: its status, its ETag, its body."""

    status: int
    etag: str
    body: bytes


def plain_access(bucket: str, options: RootOptions, environment: Mapping[str, str] = os.environ) -> Access | None:
    """Return how to reach a bucket, where that is written down in so many words; None where boto3 has to say.

    That is: keys in the environment, which come first for boto3, too; a region that is given; an endpoint by its IP
    address or with path addressing, or none in a region of Amazon's; no other variable of AWS's, no configuration
    file, no proxy.
    """
    access, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    region = options.region
    if not access or not secret or not region or not is_simple(environment):
        return None
    base = _base(bucket, region, options)
    keys = Keys(access, secret, environment.get("AWS_SESSION_TOKEN", ""))
    return Access(base, region, lambda: keys) if base else None


def is_simple(environment: Mapping[str, str]) -> bool:
    """Tell whether nothing but keys, a region and authorities is set up, and no proxy stands between."""
    if has_proxy(environment) or any(name.startswith("AWS_") and name not in _KNOWN for name in environment):
        return False
    return not Path("~/.aws/config").expanduser().exists()


def has_proxy(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether requests may go through a proxy."""
    return any(value and name.lower() in _PROXIES for name, value in environment.items())


def _base(bucket: str, region: str, options: RootOptions) -> str:
    is_virtual = _VIRTUAL.fullmatch(bucket) is not None and "--" not in bucket
    if not options.endpoint:
        is_plain = is_virtual and options.addressing == "auto" and _REGION.fullmatch(region) is not None
        return f"https://{bucket}.s3.{region}.amazonaws.com" if is_plain else ""
    try:
        parts = urlsplit(options.endpoint)
        by_path = options.addressing == "path" or (
            options.addressing == "auto" and _IP.fullmatch(parts.hostname or "") is not None
        )
        is_plain = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.path in ("", "/")
        parts.port  # noqa: B018  raises where it is no number
    except ValueError:
        return ""
    if not is_plain or not by_path or not is_virtual or "@" in parts.netloc or parts.query or parts.fragment:
        return ""
    return f"{parts.scheme}://{parts.netloc}/{bucket}"


class Direct:
    """Requests to one bucket. Connections are kept and lent to one thread at a time."""

    def __init__(self, access: Access, options: RootOptions) -> None:
        parts = urlsplit(access.base)
        self._access = access
        self._is_secure = parts.scheme == "https"
        self._place = (parts.hostname or "", parts.port)
        self._folder = parts.path.rstrip("/")
        # the usual port is not said
        self._host = parts.netloc.removesuffix(":443" if self._is_secure else ":80")
        self._options = options
        self._trust: ssl.SSLContext | None = None
        self._idle: deque[http.client.HTTPConnection] = deque()

    def ask(
        self, method: str, key: str, *, body: bytes, headers: Mapping[str, str], expected: Collection[int]
    ) -> Answer:
        """Return the answer to a request about a key: 2xx, or one of the `expected`. Raises Unclear on anything else.

        404 means that there is no such key, and not that there is no such bucket.
        """
        path = f"{self._folder}/{quote(key, safe='/')}"
        said = {"host": self._host, **headers}
        if not all(map(_PRINTABLE.fullmatch, said.values())):
            raise Unclear
        access = self._access
        signed = sign(method, path, headers=said, body=body, region=access.region, keys=access.keys(), at=utc_now())
        signed["user-agent"] = f"offhook/{__version__}"
        answer = self._send(method, path, body, signed)
        is_of_key = answer.status != 404 or b"<Code>NoSuchKey</Code>" in answer.body
        if answer.status // 100 == 2 or (answer.status in expected and is_of_key):
            return answer
        raise Unclear(answer.status, may_have_acted=answer.status >= 500)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    def _send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        connection = None
        try:
            connection = self._borrow()
            connection.request(method, path, body if method == "PUT" else None, headers)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers.get("ETag", ""), response.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Unclear(may_have_acted=True) from error
        else:
            self._idle.append(connection)
            connection = None
            return answer
        finally:
            if connection:
                connection.close()

    def _borrow(self) -> http.client.HTTPConnection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._connection()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._place
        timeout_s = self._options.timeout_s
        if not self._is_secure:
            return http.client.HTTPConnection(host, port, timeout=timeout_s)
        if self._trust is None:
            self._trust = ssl.create_default_context(cafile=_authorities(self._options, os.environ))
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=self._trust)


def _authorities(options: RootOptions, environment: Mapping[str, str]) -> str | None:
    """The authorities that boto3 trusts: a file that is named, certifi's where it is installed, or its own."""
    if options.ca_file:
        return str(options.ca_file)
    if named := environment.get("AWS_CA_BUNDLE") or environment.get("REQUESTS_CA_BUNDLE"):
        return named
    for package in ("certifi", "botocore"):
        found = importlib.util.find_spec(package)
        for folder in (found.submodule_search_locations or ()) if found else ():
            if (file := Path(folder) / "cacert.pem").is_file():
                return str(file)
    return None
