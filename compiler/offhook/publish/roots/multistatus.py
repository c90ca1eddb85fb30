"""Reading a WebDAV answer 207 (RFC 4918 section 13): bytes in, members of a folder out."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

_DAV = "{DAV:}"


class Member(NamedTuple):
    """A path below the top, without slashes at its ends, and its size in bytes; None for a folder."""

    path: str
    size: int | None


def members(body: bytes, top: str) -> list[Member]:
    """Return what the answer names below `top`, a decoded path with slashes at both ends, and nothing beside it.

    Raises ValueError where the body is no multistatus, or declares entities.
    """
    if b"<!" in body.replace(b"<!--", b"").replace(b"<![CDATA[", b""):
        raise ValueError("a document type")
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise ValueError("not XML") from error
    if root.tag != f"{_DAV}multistatus":
        raise ValueError("no multistatus")
    found = []
    for response in root.iter(f"{_DAV}response"):
        path = unquote(urlsplit((response.findtext(f"{_DAV}href") or "").strip()).path)
        if f"{path.rstrip('/')}/".startswith(top):
            found.append(Member(path[len(top) :].strip("/"), _size(response)))
    return found


def _size(response: ElementTree.Element) -> int | None:
    if response.find(f".//{_DAV}resourcetype/{_DAV}collection") is not None:
        return None
    length = response.findtext(f".//{_DAV}getcontentlength") or "0"
    if not (length.isascii() and length.isdigit()):
        raise ValueError("a size that is no number")
    return int(length)
