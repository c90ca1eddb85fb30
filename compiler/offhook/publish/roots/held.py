"""A root that is written only while its publisher has the hold: it is asked before each write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from offhook.publish.roots.root import NOTHING, About, Root, Stored


class HeldRoot:
    """A root, and what raises where nothing more may be written: in every thread and forked child, at every write."""

    def __init__(self, root: Root, check: Callable[[], None]) -> None:
        self._root = root
        self._check = check

    @property
    def name(self) -> str:
        """The root's name."""
        return self._root.name

    def list(self) -> Iterator[Stored]:
        """Return everything below."""
        return self._root.list()

    def read(self, path: str) -> bytes | None:
        """Return the content, or None."""
        return self._root.read(path)

    def write(self, path: str, content: bytes, about: About = NOTHING) -> None:
        """Write, where it still may be."""
        self._check()
        self._root.write(path, content, about)

    def delete(self, paths: Sequence[str]) -> None:
        """Delete, where it still may be."""
        self._check()
        self._root.delete(paths)

    def close(self) -> None:
        """Let go of connections."""
        self._root.close()
