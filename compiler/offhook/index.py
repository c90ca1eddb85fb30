"""Brings what is missing into the store: the facts of files, and of whole snapshots.

A git tree that was read whole is known by its id; another one is compared with it, and only what differs is
read. So the second revision of a run, and the first of the next, cost what changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from offhook.facts import Facts, Packed, numbers_of, pack_facts, read_facts
from offhook.git.repository import Git, compare_trees
from offhook.parallel import map_in_processes
from offhook.source import INVENTORY, InventoryFile, Snapshot, Stamps, kind_of, snapshot
from offhook.store import Place, Store

R = TypeVar("R")

_FEW_FILES = 20


def facts_of(
    files: Sequence[InventoryFile],
    store: Store | None,
    *,
    keep: Callable[[InventoryFile, Facts], R],
    processes: int = 1,
) -> list[R]:
    """Return keep(file, facts) for each file, in their order: facts the store has, else read now and kept there.

    Facts are handed over one by one: all of a large inventory's at once would be most of a run's memory.
    """
    if store is None:
        numbered = list(enumerate(files))
        return map_in_processes(
            lambda row: (row[0], tuple(read_facts(row[1]))),
            numbered,
            processes=processes,
            keep=lambda data: keep(files[data[0]], Facts(*data[1])),
        )
    missing = [file for file in files if not store.has_facts((file.path, file.blob))]
    # whoever reads an inventory whole looks nothing up by name
    made = _read(missing, store, processes, with_names=False)
    found = []
    for file in files:
        place = (file.path, file.blob)
        found.append(keep(file, made.pop(place).unpack() if place in made else store.one_facts(place)))
    return found


def worktree(root: Path, store: Store) -> Snapshot:
    """Return the work tree's files. Those that look as they did to a former run are not read again."""
    key = ("stamps", str(root.resolve()))
    stamps = Stamps({path: (tuple(stamp), blob) for path, (stamp, blob) in (store.memo(key) or {}).items()})
    found = snapshot(root, None, stamps)
    if stamps.fresh != stamps.known:
        store.remember({key: stamps.fresh})
    return found


def complete(snapshot: Snapshot, store: Store, *, git: Git | None, processes: int = 1) -> None:
    """See to it that the store has every file of a snapshot, so that its names can be looked up.

    Files that nothing reads are left out. `git` is the repository of a revision's snapshot.
    """
    tree = snapshot.tree
    if tree is not None and store.has_tree(tree):
        return
    read_places(_places(snapshot, store, git), snapshot, store, processes=processes)
    if tree is not None:
        store.put_trees([tree])


def read_places(
    places: Iterable[tuple[str, str | None]], snapshot: Snapshot, store: Store, *, processes: int = 1
) -> None:
    """Read those places into the store that it has not seen. Special files, and files of no kind, are left out.

    Blobs are read by their id: where they are git's, `snapshot` may be of any revision.
    """
    wanted = [(path, blob) for path, blob in places if blob and kind_of(path) is not None]
    unnamed = store.unnamed(wanted)
    # a few files are read sooner than a process is started
    processes = processes if len(unnamed) > _FEW_FILES else 1
    known = [place for place in unnamed if store.has_facts(place)]
    if known:
        store.put_names({place: numbers_of(kind_of(place[0]) or "", store.one_facts(place)) for place in known})
    missing = [snapshot.file(*place) for place in set(unnamed).difference(known)]
    _read(sorted(missing, key=lambda file: file.path), store, processes, with_names=True)


def _places(snapshot: Snapshot, store: Store, git: Git | None) -> list[tuple[str, str | None]]:
    """Every place of a snapshot, or those that differ from a tree that the store has whole."""
    if snapshot.tree is not None and git is not None:
        for known in store.last_trees():
            if known in git.repository:
                return [(one.path, one.new) for one in compare_trees(git, known, snapshot.tree, INVENTORY)]
    return [(entry.path, entry.blob) for entry in snapshot.entries()]


def _read(files: Sequence[InventoryFile], store: Store, processes: int, *, with_names: bool) -> dict[Place, Packed]:
    def read(file: InventoryFile) -> tuple[Any, ...]:
        return tuple(pack_facts(file, with_names=with_names))

    made = map_in_processes(read, files, processes=processes, keep=lambda data: Packed(*data))
    packed = {(file.path, file.blob): one for file, one in zip(files, made, strict=True)}
    store.put(packed)
    return packed
