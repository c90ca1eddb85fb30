"""What the S3 part of a publish takes, as a process of its own: `carry.py TREE ADDRESS ENDPOINT [PATH ...]`.

Reads one object as large as a manifest, writes those paths of the tree (all of it without any), and the manifest. What
has changed it is told: finding that out is git's and the compiler's part.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from offhook.publish.roots.opening import open_root, writers
from offhook.publish.roots.root import About, Root, RootOptions
from offhook.publish.transfer import Content, send

SHARE = 500
"""Objects that one process makes and sends before it takes the next."""

_MANIFEST = ".state/manifest.json"
_LINE_BYTES = 100
_ABOUT = About("text/plain; charset=utf-8", "no-cache", "0123456789abcdef0123456789abcdef01234567")


def contents(tree: Path, paths: list[str]) -> Iterator[Content]:
    """Read a share."""
    for path in paths:
        yield Content(path, (tree / path).read_bytes())


def main(tree: Path, address: str, endpoint: str, *chosen: str) -> int:
    """Carry it."""

    def opening() -> Root:
        return open_root(address, options=RootOptions(endpoint=endpoint, region="us-east-1"))

    def share(paths: list[str]) -> Callable[[], Iterator[Content]]:
        return lambda: contents(tree, paths)

    state = opening()
    manifest = state.read(_MANIFEST) or b"x" * _LINE_BYTES * sum(1 for _ in tree.iterdir())
    wanted = list(chosen) or sorted(file.name for file in tree.iterdir())
    shares = [share(wanted[start : start + SHARE]) for start in range(0, len(wanted), SHARE)]
    processes, threads = writers(address)
    send(
        shares,
        wanted,
        opening,
        about=lambda _: _ABOUT,
        processes=processes,
        threads=threads,
        progress=lambda done, total: None,
    )
    state.write(_MANIFEST, manifest)
    state.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
