"""MAC addresses: any usual spelling in, 12 lower-case hex digits out."""

from __future__ import annotations

import re

_SPELLINGS = re.compile(
    r"[0-9A-Fa-f]{12}"
    r"|[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}"
    r"|[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}"
    r"|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2}"
)
_SEPARATORS = str.maketrans("", "", ":-.")


def parse_mac(text: str) -> str | None:
    """Return the MAC address as 12 lower-case hex digits, or None where `text` is none.

    Accepted: 0021f2000001, 00:21:f2:00:00:01, 00-21-F2-00-00-01 and 0021.f200.0001, in either case.
    The phone asks for files by this form (guide, "Creating MAC-Oriented Boot File": case-sensitive).
    """
    if not _SPELLINGS.fullmatch(text):
        return None
    return text.translate(_SEPARATORS).lower()
