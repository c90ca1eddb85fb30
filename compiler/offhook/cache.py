"""Where the cache file is, and what becomes of a run when it fails.

One file a fleet, below $OFFHOOK_CACHE, else $XDG_CACHE_HOME/offhook, else ~/.cache/offhook: outside the repository,
readable by its owner alone. Its name holds a digest of offhook itself, so that another version never sees it.
What the cache cannot do is done without it: a damaged file is deleted and made again, an unusable one is left out.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

from offhook import __version__
from offhook.store import Store, StoreDamaged, StoreUnusable

_NO_INPUT = frozenset({"__pycache__", "cli", "editor", "output", "phone"})
"""Folders of offhook that nothing in the cache depends on."""

_LIBRARIES = ("pyyaml-", "jsonschema", "jinja2-", "tzdata-")

R = TypeVar("R")
Warn = Callable[[str], None]

MAX_BYTES = 2 * 1024**3
"""A cache that has grown beyond is begun anew."""

MEMORY = False
DISK = True


def with_store(root: Path, use: Callable[[Store], R], *, cached: bool = DISK, warn: Warn = lambda _: None) -> R:
    """Return use(store), with the fleet's cache file where `cached`, else with a store in memory.

    `use` may be called twice: what it does before it returns must bear repeating. `warn` is told in one line
    where the file was damaged or cannot be used; the answer is the same.
    """
    path = cache_file(root) if cached else None
    if path is not None:
        try:
            return _use(path, use)
        except StoreDamaged:
            warn(f"the cache was damaged and is made anew: {path}")
            _remove(path)
        except (StoreUnusable, OSError) as error:
            if isinstance(error, OSError) and not _concerns(error, path):
                raise
            warn(f"going on without the cache {path}: {error}")
            path = None
    if path is not None:
        with suppress(StoreDamaged, StoreUnusable):
            return _use(path, use)
    return _in_memory(use)


def cache_file(root: Path) -> Path | None:
    """Return the path of a fleet's cache file, whether or not it is there; None where there is no place for one."""
    chosen = os.environ.get("OFFHOOK_CACHE") or os.environ.get("XDG_CACHE_HOME")
    if chosen:
        folder = Path(chosen)
    else:
        try:
            folder = Path.home() / ".cache"
        except RuntimeError:
            return None
    if not os.environ.get("OFFHOOK_CACHE"):
        folder /= "offhook"
    fleet = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return folder.absolute() / f"{fleet}-{_fingerprint()}.db"


def _use(path: Path, use: Callable[[Store], R]) -> R:
    is_new = not path.exists()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if is_new:
        for other in path.parent.glob(f"{path.name.partition('-')[0]}-*"):
            other.unlink(missing_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    store = Store(path)
    try:
        if store.size() > MAX_BYTES:
            raise StoreDamaged("too large")
        return use(store)
    finally:
        store.close()


def _in_memory(use: Callable[[Store], R]) -> R:
    store = Store(None)
    try:
        return use(store)
    finally:
        store.close()


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _concerns(error: OSError, path: Path) -> bool:
    """Tell whether an error is about the cache's own place."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else ""
    return name != "" and (Path(name) == path or Path(name) in path.parents)


@cache
def _fingerprint() -> str:
    """A digest of what answers depend on beside the inventory: offhook, Python, the libraries that read, time zones.

    Offhook's files count by size; where it runs from its sources, their times count too.
    """
    package = Path(__file__).parent
    is_installed = package.parent.name in ("site-packages", "dist-packages")
    seen = [f"{__version__} {sys.version}"]
    for place in filter(os.path.isdir, sys.path):
        libraries = (name for name in os.listdir(place) if name.lower().startswith(_LIBRARIES))
        seen += sorted(name for name in libraries if name.endswith(".dist-info"))
    zones = sysconfig.get_config_var("TZPATH") or ""
    seen += (f"{place} {os.stat(place).st_mtime_ns}" for place in filter(os.path.isdir, zones.split(os.pathsep)))
    for folder in (package, package.parent.parent / "schema"):
        for place, inner, names in os.walk(folder):
            inner[:] = sorted(name for name in inner if name not in _NO_INPUT)
            for name in sorted(names):
                status = os.stat(os.path.join(place, name))
                seen.append(f"{name} {status.st_size} {0 if is_installed else status.st_mtime_ns}")
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()[:16]
