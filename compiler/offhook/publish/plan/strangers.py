"""Files on a root that offhook did not write: they are never overwritten or deleted unless they are adopted."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from offhook.publish.roots.root import Root, Unlistable

_FEW = 50
"""Up to so many paths are asked for one by one: a list may be long."""

_AT_ONCE = 16


def strangers(open_root: Callable[[], Root], paths: Collection[str]) -> list[str]:
    """Return those of `paths` that are on the root, sorted. Nothing is asked where there are no paths."""
    if not paths:
        return []
    root = open_root()
    try:
        if len(paths) > _FEW:
            try:
                wanted = frozenset(paths)
                return sorted(found.path for found in root.list() if found.path in wanted)
            except Unlistable:
                pass  # one by one, then
        asked = sorted(paths)
        with ThreadPoolExecutor(min(_AT_ONCE, len(asked))) as pool:
            there = list(pool.map(lambda path: root.read(path) is not None, asked))
        return [path for path, is_there in zip(asked, there, strict=True) if is_there]
    finally:
        root.close()
