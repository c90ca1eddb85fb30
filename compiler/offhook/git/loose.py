"""Loose objects that were cut off, as a crash or a full disk leaves them.

libgit2 up to 1.9.7 reads one for ever, and no interrupt ends it: https://github.com/libgit2/libgit2/issues/7342,
mended by its pull request 7346. This module can go when pygit2 requires a libgit2 that has it.
"""

from __future__ import annotations

import zlib
from pathlib import Path

_STEP = 1 << 20


def objects_of(repository: str) -> Path:
    """Return the folder of a repository's objects, given its own folder; a linked work tree shares another's."""
    own = Path(repository)
    try:
        return own / (own / "commondir").read_text(encoding="utf-8").strip() / "objects"
    except (OSError, ValueError):
        return own / "objects"


def is_cut_off(objects: Path, identifier: str) -> bool:
    """Tell whether an object is a loose one whose end is missing. Other damage is libgit2's to find."""
    try:
        with open(f"{objects}/{identifier[:2]}/{identifier[2:]}", "rb") as stream:
            data = stream.read()
    except (OSError, ValueError):
        return False
    inflating = zlib.decompressobj()
    try:
        while data and not inflating.eof:
            inflating.decompress(data, _STEP)
            data = inflating.unconsumed_tail
    except zlib.error:
        return False
    return not inflating.eof
