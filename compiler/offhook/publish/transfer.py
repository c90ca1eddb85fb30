"""Carrying files to a root."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from offhook.publish.roots.root import About, Root

Progress = Callable[[int, int], None]


class Content(NamedTuple):
    """One file to write."""

    path: str
    data: bytes


def send(
    shares: Sequence[Callable[[], Iterable[Content]]],
    wanted: Collection[str],
    open_root: Callable[[], Root],
    *,
    about: Callable[[str], About],
    processes: int = 1,
    threads: int = 8,
    progress: Progress = lambda done, of: None,
) -> list[str]:
    """Write the wanted files of all shares; return their paths."""
    root = open_root()
    sent = []
    try:
        with ThreadPoolExecutor(threads) as pool:
            made = [one for share in shares for one in share() if one.path in wanted]
            for one, _ in zip(
                made, pool.map(lambda one: root.write(one.path, one.data, about(one.path)), made), strict=True
            ):
                sent.append(one.path)
                progress(len(sent), len(wanted))
    finally:
        root.close()
    return sent
