"""Text and bytes that hold opened secrets: themselves to whoever uses them, and nothing to whoever looks at variables.

Debuggers, crash reporters and tracebacks with local variables show what `repr` says. What is made of an opened secret
(a value, a phone's file) travels in these, so that they say so much and no more.
"""

from __future__ import annotations

from typing import SupportsIndex


class OpenedText(str):
    """A text that shows itself as `<secret>`; so do its slices. What is formatted or joined of it is plain."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"

    def __getitem__(self, key: SupportsIndex | slice) -> OpenedText:
        # who shortens what is long before it is shown (rich does) gets nothing either
        return OpenedText(super().__getitem__(key))


class OpenedBytes(bytes):
    """Bytes that show their number only; so do their slices. What is joined of them is plain."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes with secrets>"

    def __getitem__(self, key: SupportsIndex | slice) -> int | OpenedBytes:  # type: ignore[override]
        found = super().__getitem__(key)
        return OpenedBytes(found) if isinstance(found, bytes) else found
