"""Addresses: the text of a URL -> a Target, and a reference in a boot file -> the Target that it means.

RFC 3986 with two additions of this field: a path may hold blanks and other characters that a URL must
not (guide, "Editing Common Boot File": `http://10.20.0.88/HTTP Directory/sip.cfg`), which are encoded
here; and a TFTP, FTP or file path has no query, so a question mark there is part of the name (RFC 1738
section 3.2, RFC 3617).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, quote, unquote, urlsplit

from offhook.problem import OffhookError

PORTS = {"file": 0, "ftp": 21, "http": 80, "https": 443, "tftp": 69}
"""The protocols of the guide's introduction and `file`, which a phone does not have, with their ports."""

_QUERY_SCHEMES = frozenset({"http", "https"})
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.%A-Za-z0-9_-]*")
_SAFE_IN_PATH = "/%:@!$&'()*+,;=~[]"
_SAFE_IN_QUERY = _SAFE_IN_PATH + "?{}|"


@dataclass(frozen=True, slots=True)
class Target:
    """One address. `path` and `query` are percent-encoded; `path` begins with a slash.

    `host` is in lower case, an IPv6 address without its brackets, and empty for `file`. Username and
    password are decoded. `root` is the folder that a `file` path may not leave (empty: its own folder).
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str = ""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    root: str = ""

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what must stay the same unless other hosts are allowed."""
        return (self.scheme, self.host, self.port)

    @property
    def url(self) -> str:
        """The address as a URL, without username and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{host}{port}{self.path}{query}"

    @property
    def name(self) -> str:
        """The file's decoded name as TFTP and FTP send it: the path without its first slash."""
        return unquote(self.path[1:])

    @property
    def folder(self) -> Target:
        """The folder that the path stands in, with its slash."""
        return replace(self, path=self.path[: self.path.rindex("/") + 1])


def parse_target(text: str) -> Target:
    """Return the address that an absolute URL names.

    Raises OffhookError where it is none that a phone could fetch. The message never shows what stands
    before an `@`, nor the text itself.
    """
    if _CONTROL.search(text):
        raise OffhookError("a URL holds a control character")
    if text.startswith("file:/") and not text.startswith("file://"):
        text = "file://" + text.removeprefix("file:")  # RFC 8089, section 2: both forms name a local file
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise OffhookError("a URL has an invalid host or port") from error
    if parts.scheme not in PORTS or not _ABSOLUTE.match(text):
        found = f'"{parts.scheme}"' if parts.scheme else "none"
        raise OffhookError(
            f"the scheme of a URL is {found}, expected file, ftp, http, https or tftp",
            hint="a folder is named file:///path/to/site/, a server tftp://192.0.2.1/",
        )
    if parts.scheme == "file" and parts.netloc not in ("", "localhost"):
        raise OffhookError("a file URL names a host, expected file:///path/")
    path, query = _split_query(parts.scheme, text)
    return Target(
        scheme=parts.scheme,
        host=_checked_host(parts),
        port=PORTS[parts.scheme] if port is None else port,
        path=_without_dots(_encoded(path, safe=_SAFE_IN_PATH) or "/"),
        query=_encoded(query, safe=_SAFE_IN_QUERY),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def join(base: Target, reference: str) -> Target:
    """Return the address that a reference in the file at `base` means (RFC 3986 section 5.2).

    A relative reference keeps the base's credentials and root; an absolute URL has its own or none.
    Raises OffhookError like `parse_target`.
    """
    if _ABSOLUTE.match(reference):
        return parse_target(reference)
    if reference.startswith("//"):
        return parse_target(f"{base.scheme}:{reference}")
    if _CONTROL.search(reference):
        raise OffhookError("a URL holds a control character")
    path, mark, query = reference, "", ""
    if base.scheme in _QUERY_SCHEMES:
        path, mark, query = reference.partition("?")
    path = _encoded(path, safe=_SAFE_IN_PATH)
    whole = path if path.startswith("/") else base.folder.path + path
    return replace(base, path=_without_dots(whole), query=_encoded(query, safe=_SAFE_IN_QUERY) if mark else "")


def _split_query(scheme: str, text: str) -> tuple[str, str]:
    """Return the path and the query of an absolute URL's text; a `#` is part of a name, as in a boot file."""
    after_host = re.match(r"[^:]+://[^/?#]*", text)
    rest = text[after_host.end() :] if after_host else ""
    if scheme not in _QUERY_SCHEMES:
        return rest, ""
    path, _, query = rest.partition("?")
    return path, query


def _checked_host(parts: SplitResult) -> str:
    """Return the host in ASCII, or raise OffhookError."""
    if parts.scheme == "file":
        return ""
    try:
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except UnicodeError:
        host = ""
    if not _HOST.fullmatch(host):
        raise OffhookError("a URL has no valid host")
    return host.lower()


def _encoded(text: str, *, safe: str) -> str:
    """Return the text percent-encoded as UTF-8; what is encoded already stays as it is."""
    try:
        return quote(_STRAY_PERCENT.sub("%25", text), safe=safe)
    except UnicodeEncodeError as error:
        raise OffhookError("a URL is not valid UTF-8") from error


def _without_dots(path: str) -> str:
    """Return the path without `.` and `..` segments, encoded ones too (RFC 3986 section 5.2.4)."""
    kept: list[str] = []
    segments = path.split("/")[1:] if path.startswith("/") else path.split("/")
    for segment in segments:
        plain = unquote(segment)
        if plain == "..":
            del kept[-1:]
        elif plain != ".":
            kept.append(segment)
    if unquote(segments[-1]) in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
