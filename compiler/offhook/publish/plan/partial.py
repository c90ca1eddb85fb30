"""A publish of some phones only: going back with those that a rollout switched, and with nobody else.

Comes in: a `Prepared` of the release before, its secrets opened today. Where one was rotated meanwhile, that tree gives
every phone something else than it has; phones that were never switched keep what the manifest says.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace

from offhook.publish.plan.prepared import Prepared
from offhook.publish.plan.steps import Leftover, phones_moved, plan_steps
from offhook.publish.tree.opened import FileRow
from offhook.publish.tree.paths import is_common, owner_of


def staying(prepared: Prepared, switched: Collection[str], *, unsure: Collection[str]) -> frozenset[str]:
    """Return the phones that were not switched, and would have other settings than were released.

    `unsure` are files that the rollout may have written beside its waves: whose they are does not stay. Where what was
    released is on another root, or in another layout, nobody does.
    """
    released, wanted = prepared.manifest, prepared.survey
    if (released.root, released.layout) != (prepared.place.root, prepared.fleet.layout):
        return frozenset()
    macs = released.phones.keys() | wanted.phones.keys()
    return frozenset(
        macs - {*switched} - {owner_of(path) for path in unsure}
        - {mac for mac in macs if released.phones.get(mac) == wanted.phones.get(mac)}
    )  # fmt: skip


def without(prepared: Prepared, stay: Collection[str], *, unsure: Collection[str]) -> Prepared:
    """Return the same publish, where these phones stay as they were released; their files are not written.

    Common files stay, too, but for `unsure` ones; and what the phones that stay are told of.
    """
    if not stay:
        return prepared
    released, wanted = prepared.manifest, prepared.survey

    def is_kept(path: str) -> bool:
        return owner_of(path) in stay or (is_common(path) and path not in unsure)

    def is_there(path: str, row: FileRow) -> bool:
        """Whether a file that was released is part of the root: it is kept, or shared and not deleted."""
        is_shared = not owner_of(path) and path not in wanted.files
        return is_kept(path) or (is_shared and prepared.leftover.files.get(path, row) is not None)

    files = {path: row for path, row in wanted.files.items() if not is_kept(path)}
    files.update((path, row) for path, row in released.files.items() if is_there(path, row))
    phones = {mac: row for mac, row in wanted.phones.items() if mac not in stay}
    phones.update((mac, row) for mac, row in released.phones.items() if mac in stay)
    survey = replace(wanted, files=files, phones=phones)
    known = {path for path in released.files if is_kept(path)}
    leftover = Leftover(
        {path: row for path, row in prepared.leftover.files.items() if path not in known},
        prepared.leftover.sure - known,
    )
    return replace(
        prepared,
        survey=survey,
        leftover=leftover,
        steps=plan_steps(released, leftover, survey, int(time.time())),
        moved=phones_moved(released, survey),
    )
