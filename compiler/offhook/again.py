"""What a former compile did: where neither the inventory nor the folder has changed since, there is nothing to do.

The inventory is known by its blobs, the folder by what the system says of each of its files (size, times, inode), as
git knows its work tree. Comparing these takes a fraction of making the tree.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offhook.output import folder_stamp
from offhook.problem import Problem, pack_problems, unpack_problems
from offhook.source import Source
from offhook.store import Store

_TICK_S = 0.02
"""Longer than a tick of any system's clock: a file that changes later has another time."""


@dataclass(frozen=True, slots=True)
class Former:
    """What a former compile found: the problems that were no errors, the default environment, and how many files."""

    problems: tuple[Problem, ...]
    default_environment: str | None
    files: int


def inventory_key(source: Source, environment: str | None) -> tuple[Any, ...]:
    """Return what an inventory and an environment are known by."""
    digest = hashlib.sha256()
    for file in source.files:
        digest.update(f"{file.path}\0{file.blob}\0".encode())
    for problem in source.problems:
        digest.update(f"{problem}\0".encode())
    return ("compiled", digest.hexdigest(), environment)


def former(store: Store, folder: Path, key: tuple[Any, ...], *, processes: int) -> Former | None:
    """Return what a former compile of the same inventory into `folder` found, None where one of them changed."""
    known = store.memo((*key, str(folder.resolve())))
    if known is None or folder_stamp(folder, processes=processes) != known[0]:
        return None
    return Former(tuple(unpack_problems(known[1])), known[2], known[3])


def remember(store: Store, folder: Path, key: tuple[Any, ...], found: Former, *, processes: int) -> None:
    """Remember that `folder` holds the tree of an inventory."""
    time.sleep(_TICK_S)
    stamp = folder_stamp(folder, processes=processes)
    if stamp is not None:
        row = (stamp, pack_problems(found.problems), found.default_environment, found.files)
        store.remember({(*key, str(folder.resolve())): row})
