"""References to secrets: `secret:berlin/alice` names one; the value is never in the inventory or the tree."""

from __future__ import annotations

import re

PREFIX = "secret:"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://)?[^/?#@\s]*:[^/?#@\s]*@")


def has_password(text: str) -> bool:
    """Tell whether a text begins with an address that carries a password (ftp://user:password@host/)."""
    return "@" in text and _PASSWORD.match(text) is not None


def secret_name(value: str) -> str | None:
    """Return the name in a reference ("berlin/alice"), None where `value` is no well-formed reference."""
    if not value.startswith(PREFIX):
        return None
    name = value[len(PREFIX) :]
    return name if _NAME.fullmatch(name) else None


def variable(name: str) -> str:
    """Return the environment variable of a secret: berlin/alice is OFFHOOK_SECRET_BERLIN_ALICE."""
    return "OFFHOOK_SECRET_" + re.sub(r"[^A-Za-z0-9]", "_", name).upper()
