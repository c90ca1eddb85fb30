"""Addresses of roots: the text in fleet.yaml -> an Address.

A folder (`/srv/phones`, `file:///srv/phones`), or a URL (RFC 3986) of a kind: `s3://bucket/prefix`,
`sftp://user@host:22/srv/phones`, `ftps://host/phones`, `webdavs://host/dav`, `https://host/put`. A username may stand
in it, a password may not: fleet.yaml is in git.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from offhook.problem import OffhookError
from offhook.publish.roots.root import check_path

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


@dataclass(frozen=True, slots=True)
class Address:
    """A place. `path` is decoded, without slashes at its ends; a folder's is as written. `port` 0: the usual one."""

    scheme: str
    host: str
    port: int
    path: str
    username: str = ""

    @property
    def name(self) -> str:
        """The address for people."""
        if not self.scheme:
            return self.path
        user = f"{self.username}@" if self.username else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        return f"{self.scheme}://{user}{host}{port}/{self.path}"


def parse_address(text: str) -> Address:
    """Return the address. Raises OffhookError, which shows nothing that stands before an `@`."""
    scheme = _SCHEME.match(text)
    if not text or re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", text):
        raise OffhookError("the address of a root is empty or holds a control character", hint="name a folder or a URL")
    if not scheme:
        return Address("", "", 0, text)
    try:
        parts = urlsplit(text)
        port = parts.port or 0
    except ValueError as error:
        raise OffhookError(
            "the address of a root has an invalid host or port", hint="check publish and state"
        ) from error
    if parts.password is not None:
        raise OffhookError(
            "the address of a root holds a password",
            hint="take it out, change it, and give it by environment variable, netrc or SSH key",
        )
    kind = parts.scheme
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise OffhookError(f"a {kind}:// address holds ? or #", hint="encode them as %3F and %23 where a name has them")
    if kind == "file":
        if parts.netloc not in ("", "localhost"):
            raise OffhookError("a file:// address names a host", hint="write file:///srv/phones")
        return Address("", "", 0, unquote(parts.path))
    host = parts.hostname or ""
    if not _HOST.fullmatch(host):
        raise OffhookError(f"a {kind}:// address has no valid host", hint=f"write {kind}://host/path")
    path = unquote(parts.path).strip("/")
    if path:
        check_path(path)
    return Address(kind, host, port, path, unquote(parts.username or ""))
