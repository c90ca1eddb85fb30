"""What a reviewer must know before merging, and what to do about it: the same words in the comment and on the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from offhook.diff.change import CHANGED, LIKELY, REMOVED, UNKNOWN, Change, Diff, PhoneChange
from offhook.review.words import depends_on_a_secret

_SLOTS = ("account.", "linekey.", "programablekey.")


class Advice(NamedTuple):
    """A warning, the phones that it is of, sorted by MAC, and what to do.

    `tag` is the kind: "cutoff" and "retired" are grave, "restart", "unknown" and "kept" are not.
    """

    tag: str
    label: str
    phones: tuple[PhoneChange, ...]
    hint: str

    @property
    def is_named(self) -> bool:
        """Tell whether one wants to know which phones these are: nearly every change may restart some."""
        return self.tag not in ("restart", "unknown")


def advice(diff: Diff) -> list[Advice]:
    """Return every warning that some phone gives reason for, the gravest first."""
    return [one for one in _advice(diff) if one.phones]


def _advice(diff: Diff) -> Iterator[Advice]:
    changed = diff.of_status(CHANGED)
    risky = [phone for phone in changed if phone.cutoff]
    yield _of(
        "cutoff",
        "may be cut off",
        [phone for phone in risky if not (phone.retires or depends_on_a_secret(phone))],
        "Deploy to one of them first, and have somebody beside it.",
    )
    yield _of(
        "cutoff",
        "removed, but not retired before",
        [phone for phone in diff.of_status(REMOVED) if phone.cutoff],
        "They keep their accounts: retire first, delete later.",
    )
    yield _of(
        "retired",
        "switched off",
        [phone for phone in changed if phone.retires],
        "Delete their entries once they have fetched this.",
    )
    yield _of("cutoff", "not known", diff.unread, "Their file cannot be read: mend it first.")
    yield _of(
        "restart",
        "cut off if a secret is another one now",
        [phone for phone in risky if depends_on_a_secret(phone)],
        "Ask who sealed it anew, or deploy to one of them first.",
    )
    yield _of(
        "restart",
        "restart likely",
        [phone for phone in changed if phone.restart == LIKELY],
        "A restart ends calls: deploy when nobody is on the phone.",
    )
    yield _of(
        "unknown",
        "restart not known",
        [phone for phone in changed if phone.restart == UNKNOWN],
        "Nobody has noted what these settings do: deploy to one of them first, and watch it.",
    )
    yield _of(
        "kept",
        "keep what nothing says any more",
        [phone for phone in changed if any(_is_kept(change) for change in phone.changes)],
        "A line that is gone tells a phone nothing: say the value that it shall have instead.",
    )


def _is_kept(change: Change) -> bool:
    """Tell whether a phone goes by what nothing says any more; not by what belongs to a key or account that is off."""
    return change.new is None and not change.parameter.startswith(_SLOTS)


def _of(tag: str, label: str, phones: Sequence[PhoneChange], hint: str) -> Advice:
    return Advice(tag, label, tuple(phones), hint)
