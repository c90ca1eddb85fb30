"""What a change means, in the words that every format uses."""

from __future__ import annotations

from collections.abc import Iterable

from offhook.diff.change import LIKELY, UNKNOWN, Change, PhoneChange

_RESTART_WORDS = {LIKELY: "restart likely", UNKNOWN: "restart not known", "no": "no restart"}


def count(number: int, noun: str) -> str:
    """Return "1 phone", "2 phones"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(values: Iterable[str], *, limit: int = 3) -> str:
    """Return a short list: "a, b, c and 4 more"."""
    every = list(values)
    head = ", ".join(every[:limit])
    return head if len(every) <= limit else f"{head} and {len(every) - limit:,} more"


def sites(phones: Iterable[PhoneChange]) -> str:
    """Return where phones stand: " in berlin, lyon", "" where none has a site."""
    names = sorted({phone.site for phone in phones if phone.site})
    return f" in {listed(names)}" if names else ""


def restart(phone: PhoneChange) -> str:
    """Return whether a phone restarts, in words."""
    return _RESTART_WORDS[phone.restart]


def cutoff(phone: PhoneChange) -> str:
    """Return what may go wrong with a phone that may be cut off: the parameters that decide it."""
    risky = [change.parameter for change in phone.changes if change.cutoff]
    accounts = [name for name in risky if name.startswith("account.")]
    words = "may lose its registration" if accounts and len(accounts) == len(risky) else "may become unreachable"
    return f"{words}: {listed(risky)}"


def values(change: Change) -> str:
    """Return "+1 -> +2", or what is known of a secret."""
    if change.secret and change.new is not None:
        return f"{change.new.value} {change.secret}"
    if change.new is None:
        return f"{change.old.value if change.old else ''} is kept: nothing says it any more"
    return f"{change.old.value if change.old else 'nothing'} -> {change.new.value}"
