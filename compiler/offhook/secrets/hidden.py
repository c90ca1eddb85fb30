"""What of a value may be shown: everything but passwords in the clear, which no output repeats.

An inventory shall hold no such thing, and `offhook check` refuses it; a diff, a history or a listing is asked of
commits that nobody has checked yet, and what they print ends in logs and reviews.
"""

from __future__ import annotations

import re

from offhook.flyingvoice.catalogue import find
from offhook.secrets.reference import secret_name

HIDDEN = "(hidden)"

_TELLING = re.compile(r"pass|pwd|secret|token|credential")
_KEY_OR_PIN = re.compile(
    r"(?:^|[^a-z])(?:key|pin)s?(?:$|[^a-z])|(?:api|private|shared|auth|access|enc|wep|psk)_?key|pincode"
)
_IN_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:(?://)?[^/?#@\s:]*:)[^/?#\s]*@")


def hidden(name: str, value: str) -> str:
    """Return a value as it may be shown: "(hidden)" in place of a password.

    That is the value of a parameter that the catalogue calls a secret (writeOnly), unless it is a reference to one;
    the value of a name the catalogue does not know and that reads like a password's; and the password in an address.
    """
    if secret_name(value) is not None:
        return value
    found = find(name)
    if found.parameter.secret if found is not None else reads_as_secret(name):
        return HIDDEN
    return _IN_ADDRESS.sub(rf"\1{HIDDEN}@", value) if "@" in value else value


def reads_as_secret(name: str) -> bool:
    """Tell whether a name says that a password stands under it: its last word does, or any that is unmistakable."""
    name = name.lower()
    return _TELLING.search(name) is not None or _KEY_OR_PIN.search(name) is not None
