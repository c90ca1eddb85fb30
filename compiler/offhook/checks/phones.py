"""MAC addresses of other vendors: likely a slip of the finger, perhaps rebranded stock."""

from __future__ import annotations

from collections.abc import Iterator

from offhook.checks.subject import Subject
from offhook.checks.table import found
from offhook.model import mark
from offhook.problem import Problem

PREFIXES = ("0021f2", "789912")
"""EASY3CALL (guide's captures and examples; IEEE list) and Flyingvoice (HongKong) (IEEE list)."""


def check(subject: Subject) -> Iterator[Problem]:
    """Yield mac-vendor for every phone outside the vendor's prefixes."""
    for mac, phone in subject.inventory.phones.items():
        if not mac.startswith(PREFIXES):
            yield found(
                "mac-vendor",
                mark(phone, key=True),
                f"{mac} is not in the vendor's range: {' or '.join(PREFIXES)}",
                path=mac,
                hint="rebranded stock may differ: checks: {mac-vendor: off} in fleet.yaml",
            )
