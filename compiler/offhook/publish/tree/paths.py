"""What a published path is to phones, and so when it is written and deleted. Guide, "Managing Boot Files"."""

from __future__ import annotations

import re
from collections.abc import Iterable

from offhook.flyingvoice.boot import COMMON

_PHONE = re.compile(r"([0-9a-f]{12})\.(boot|cfg)")
_OWN = re.compile(r"(?:phones/)?([0-9a-f]{12})(?:\.[0-9a-f]{8})?\.(?:boot|cfg)")
_TYPES = {
    "xml": "application/xml; charset=utf-8",
    "cfg": "text/plain; charset=utf-8",
    "boot": "text/plain; charset=utf-8",
}


def phone_of(path: str) -> str:
    """Return the MAC of the phone that asks for this path by itself, "" where none does: the path is its switch."""
    found = _PHONE.fullmatch(path)
    return found[1] if found else ""


def is_common(path: str) -> bool:
    """Tell whether phones that nobody listed ask for this path."""
    return path in (f"{COMMON}.boot", f"{COMMON}.cfg")


def is_referred_to(path: str) -> bool:
    """Tell whether phones come to this path only through another file: it must be there before that one."""
    return not is_common(path) and not phone_of(path)


def in_switching_order(paths: Iterable[str]) -> list[str]:
    """Return phones' files by MAC, each boot file after the cfg file that it includes; the common ones last."""
    return sorted(paths, key=lambda path: (is_common(path), path.partition(".")[0], path.endswith(".boot")))


def in_deleting_order(paths: Iterable[str]) -> list[str]:
    """Return paths so that nothing is gone while a boot file includes it: boot files first."""
    return sorted(paths, key=lambda path: (not path.endswith(".boot"), path))


def content_type(path: str) -> str:
    """Return the media type of a file, for stores that say one."""
    return _TYPES.get(path.rpartition(".")[2], "application/octet-stream")


def owner_of(path: str) -> str:
    """Return the MAC whose own file this is, "" for a file that several phones share."""
    found = _OWN.fullmatch(path)
    return "" if found is None or is_common(path) else found[1]
