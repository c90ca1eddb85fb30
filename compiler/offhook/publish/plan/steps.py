"""What a publish would do: a tree by digests, against what the manifest says is there.

The root itself is not read: what is believed to be there is what offhook wrote. Paths that a stopped run may have
written are unsure, and are written again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from offhook.publish.state.manifest import UNSURE, Manifest
from offhook.publish.tree.opened import FileRow, Survey
from offhook.publish.tree.paths import in_deleting_order, in_switching_order, is_referred_to, phone_of

GRACE_S = 3600
"""How long a file stays that no phone is told of any more: one that has read its boot file fetches the rest."""

Superseded = dict[str, tuple[FileRow, int]]


@dataclass(frozen=True, slots=True)
class Leftover:
    """What stopped runs may have written, path -> the row it would have, or deleted: path -> None.

    `sure` are those of which the head says that they were written.
    """

    files: Mapping[str, FileRow | None] = field(default_factory=dict)
    sure: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Steps:
    """The work: what is referred to, then the phones' own files and the common ones, then what goes. All sorted.

    `superseded` is what will be waiting to be deleted; `ours` is everything that offhook wrote or may have written.
    """

    referred: tuple[str, ...]
    switches: tuple[str, ...]
    deletes: tuple[str, ...]
    superseded: Superseded
    ours: frozenset[str]

    @property
    def writes(self) -> tuple[str, ...]:
        """Return everything that is written, in order."""
        return self.referred + self.switches

    @property
    def is_nothing(self) -> bool:
        """Tell whether the root is as it should be."""
        return not (self.referred or self.switches or self.deletes)


@dataclass(frozen=True, slots=True)
class PhonesMoved:
    """MACs whose effective settings, secrets opened, will differ; sorted."""

    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]


def plan_steps(manifest: Manifest, leftover: Leftover, wanted: Survey, now: int) -> Steps:
    """Return what makes a root, believed to be as the manifest says, hold the wanted tree. `now` is epoch seconds."""
    waiting = {path: row for path, (row, _) in manifest.superseded.items()}
    written = {**waiting, **manifest.files}
    believed = {path: row for path, row in written.items() if path not in leftover.files}
    believed.update((path, row) for path in leftover.sure if (row := leftover.files[path]) is not None)
    writes = {path for path, row in wanted.files.items() if believed.get(path) != row}
    deletes: list[str] = []
    superseded: Superseded = {}
    for path, row in _not_wanted(manifest, leftover, wanted.files):
        mac = phone_of(path)
        # a stopped run may have told phones of it once more
        waits = path in manifest.superseded and leftover.files.get(path) is None
        since = manifest.superseded[path][1] if waits else now
        if (mac and mac not in wanted.phones) or now - since >= GRACE_S:
            deletes.append(path)
        else:
            superseded[path] = (row, since)
    return Steps(
        referred=tuple(sorted(filter(is_referred_to, writes))),
        switches=tuple(in_switching_order(path for path in writes if not is_referred_to(path))),
        deletes=tuple(in_deleting_order(deletes)),
        superseded=superseded,
        ours=frozenset(written) | frozenset(leftover.files),
    )


def phones_moved(manifest: Manifest, wanted: Survey) -> PhonesMoved:
    """Return the phones that a release changes, adds and removes."""
    before, after = manifest.phones, wanted.phones
    return PhonesMoved(
        changed=tuple(sorted(mac for mac in before if mac in after and before[mac].digest != after[mac].digest)),
        added=tuple(sorted(mac for mac in after if mac not in before)),
        removed=tuple(sorted(mac for mac in before if mac not in after)),
    )


def _not_wanted(manifest: Manifest, leftover: Leftover, wanted: Collection[str]) -> Iterator[tuple[str, FileRow]]:
    """Files that are there, or may be, and are not part of the tree."""
    every: dict[str, FileRow] = {path: row for path, (row, _) in manifest.superseded.items()}
    every.update(manifest.files)
    # what a stopped run may have written must not be believed to be there when a later tree wants it
    every.update((path, (row if path in leftover.sure else None) or UNSURE) for path, row in leftover.files.items())
    for path, known in every.items():
        if path not in wanted:
            yield path, known
