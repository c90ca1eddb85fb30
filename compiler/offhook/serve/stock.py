"""What a lab server hands out, from where: a fleet compiled with its secrets opened, or a folder that was published."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from offhook.compile import Fleet
from offhook.model import Phone
from offhook.problem import OffhookError
from offhook.publish.state.keyed import Key
from offhook.publish.tree.needed_secrets import needed_secrets
from offhook.publish.tree.opened import opened_tree
from offhook.publish.tree.opening import open_by
from offhook.publish.tree.paths import owner_of
from offhook.serve.shelf import Shelf, shelf_of
from offhook.settings import phones_of
from offhook.source import WORKTREE

_MAX_FILE = 16 * 1024 * 1024
_MAX_FILES = 1_000_000


def compiled(fleet: Fleet, key: Key) -> Shelf:
    """Return the tree of a fleet that has no errors, as phones would fetch it. Raises OffhookError like publishing.

    With the same key a file that has not changed has the same name, where names hold fingerprints.
    """
    places = needed_secrets(fleet)
    tree = opened_tree(fleet, open_by(fleet, places, places=places), key)
    phones = phones_of(fleet.inventory, fleet.environment)
    rows = ((path, bytes(data), owner_of(path)) for share in tree.shares for path, data in share())
    revision = "the work tree" if fleet.source.revision == WORKTREE else f"commit {fleet.source.revision[:10]}"
    return shelf_of(rows, phones={phone.mac: _title(phone) for phone in phones}, revision=revision)


def published(folder: Path) -> Shelf:
    """Return the files of a folder: its regular files, and none that a link would take from elsewhere.

    The phones are those that have files of their own there. Raises OffhookError where there is no such folder.
    """
    if not folder.is_dir():
        raise OffhookError(f"{folder}: no such folder", hint="the folder that offhook publish or compile wrote")
    rows = [(path, data, owner_of(path)) for path, data in _files(folder)]
    return shelf_of(rows, phones={owner: "" for _, _, owner in rows if owner}, revision=f"the folder {folder}")


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    count = 0
    for path, folders, names in os.walk(folder):  # links to folders are not followed
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            file = Path(path, name)
            if name.startswith(".") or file.is_symlink() or not file.is_file():
                continue
            count += 1
            if count > _MAX_FILES or file.stat().st_size > _MAX_FILE:
                raise OffhookError(f"{file}: more than a tree for phones holds", hint="is it the right folder?")
            yield file.relative_to(folder).as_posix(), file.read_bytes()


def _title(phone: Phone) -> str:
    return phone.label or ""
