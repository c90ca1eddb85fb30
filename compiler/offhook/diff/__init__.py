"""Which phones change between two revisions, which parameter, from what to what, and who says so.

Comes in: two revisions of a fleet. Goes out: a `Diff`. Only what differs is looked at: the files that differ give
the names that differ (`names`), these the phones that depend on them, and these are compared (`compare`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from posixpath import normpath
from typing import Any

from offhook.cache import with_store
from offhook.diff.change import REMOVED, Change, Diff, Panels, PhoneChange
from offhook.diff.compare import Difference, SideOfDiff, common_file_changes, describe, find_difference, make_side
from offhook.diff.mistakes import file_mistakes, fleet_is_unread, head_mistakes, unread_phones
from offhook.diff.names import changed_names, concerns_all, deltas, dependent_phones
from offhook.diff.panels import panels
from offhook.diff.phonebooks import phonebook_changes
from offhook.diff.policy import ReadFile, policy_changes
from offhook.diff.scope import Scope, check_scopes, outside, parse_scope
from offhook.git.checkout import read_checked_out
from offhook.git.repository import Git, merge_base, open_git, read_file, resolve
from offhook.index import worktree
from offhook.inventory import load
from offhook.parallel import map_in_processes
from offhook.problem import OffhookError
from offhook.source import WORKTREE, snapshot_of, whole
from offhook.store import Store
from offhook.view import View

__all__ = ["MANY_PHONES", "Change", "Diff", "PhoneChange", "apply", "diff", "differences", "macs_between", "revisions"]

_SHARE = 500
MANY_PHONES = 2_000
"""From here on, reading both inventories whole costs less than looking each phone's parts up."""


def diff(
    root: Path,
    base: str = "HEAD",
    head: str | None = None,
    *,
    environment: str | None = None,
    store: Store | None = None,
    processes: int = 1,
    pictured: int = 0,
    only: Sequence[str] = (),
    warn: Callable[[str], None] = lambda _: None,
) -> Diff:
    """Return what changes from `base` to `head` (None: the work tree), for one environment.

    Without `environment` each revision's default one is taken. Without `store` the fleet's cache file is used, and
    `warn` is told of trouble with it. Of the first `pictured` phones whose line keys differ, `panels` has all keys on
    both sides. With `only` (`sites/berlin`, see `scope`) `outside` tells what changes elsewhere. Raises OffhookError
    where there is no such revision, environment or scope.
    """

    scopes = tuple(map(parse_scope, only))

    def use(store: Store) -> Diff:
        return _diff(root, base, head, environment, store, processes, pictured, scopes)

    return use(store) if store is not None else with_store(root, use, warn=warn)


def apply(changes: Diff, settings: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return the settings of all phones (MAC -> parameter -> value) at the head, given those at the base."""
    after = {mac: dict(values) for mac, values in settings.items()}
    for phone in changes.phones:
        values = after.setdefault(phone.mac, {})
        for change in phone.changes:
            if change.new is None:
                values.pop(change.parameter, None)
            else:
                values[change.parameter] = change.new.value
        if phone.status == "removed":
            del after[phone.mac]
    return after


def revisions(root: Path, base: str | None, head: str | None) -> tuple[str, str | None]:
    """Return base and head as commits, from what people write: BASE HEAD, BASE, A..B, A...B or nothing.

    Nothing is HEAD against the work tree; A...B is the merge base of both against B. None is the work tree.
    """
    if base is None:
        return "HEAD", head
    for dots in ("...", ".."):
        if dots in base and head is None:
            one, _, other = base.partition(dots)
            one, other = one or "HEAD", other or "HEAD"
            if dots == "..":
                return one, other
            git = open_git(root)
            return merge_base(git, resolve(git, one), resolve(git, other)), other
    return base, head


def _diff(
    root: Path,
    base: str,
    head: str | None,
    environment: str | None,
    store: Store,
    processes: int,
    pictured: int,
    scopes: Sequence[Scope],
) -> Diff:
    git = open_git(root)
    snapshots = [worktree(root, store) if one is None else snapshot_of(git, resolve(git, one)) for one in (base, head)]
    old, new = (View(one, store, git, processes=processes) for one in snapshots)
    changed = deltas(old.snapshot, new.snapshot, git)
    names = changed_names(old, new, changed)
    before, after = (make_side(view, view.inventory, environment) for view in (old, new))
    if not (before.exists or after.exists):
        known = sorted({*before.inventory.fleet.environments, *after.inventory.fleet.environments})
        raise OffhookError(f'the fleet has no environment "{environment}"', hint=f"known: {', '.join(known) or 'none'}")
    check_scopes(scopes, (before, after))
    macs = sorted(macs_between(before, after, names))
    if len(macs) > MANY_PHONES:
        before, after = (
            make_side(view, load(whole(view.snapshot), store, processes=processes)[0], environment)
            for view in (old, new)
        )
    found = differences(before, after, macs, names, processes)
    phones = [phone for one in found if (phone := describe(before, after, one)) is not None]
    unread = unread_phones(old, before, new, [phone.mac for phone in phones if phone.status == REMOVED])
    chosen = after.environment or before.environment
    mistakes = [
        *file_mistakes(new, "at the head"),
        *head_mistakes(after, [phone.mac for phone in phones], changed),
    ]
    readers = _reader(git, old), _reader(git, new)
    policy = tuple(policy_changes(old, new, *readers, names=names, folders=_folders(git)))
    books = tuple(phonebook_changes(old, new, names, changed))
    own = [book.id for book in books if f"contacts/{book.id}" in names]
    common = () if fleet_is_unread(new) else tuple(common_file_changes(before, after))
    return Diff(
        base=old.snapshot.revision,
        head=new.snapshot.revision,
        environment=chosen.name if chosen else None,
        policy=policy,
        phones=tuple(replace(phone, is_unread=True) if phone.mac in unread else phone for phone in phones),
        phonebooks=books,
        common=common,
        warnings=(*mistakes, *file_mistakes(old, "at the base")),
        head_is_broken=bool(mistakes),
        fleet_is_unread=fleet_is_unread(new),
        panels=dict(islice(_panels(before, after, phones), pictured)),
        outside=outside(
            scopes, (before, after), phones, touched=macs, rules=policy, common=bool(common), phonebooks=own
        )
        if scopes
        else None,
    )


def _panels(before: SideOfDiff, after: SideOfDiff, phones: list[PhoneChange]) -> Iterator[tuple[str, Panels]]:
    """The keys of phones of which some differ, one after the other."""
    for phone in phones:
        found = panels(before, after, phone)
        if found is not None:
            yield phone.mac, found


def differences(
    before: SideOfDiff, after: SideOfDiff, macs: list[str], names: frozenset[str], processes: int
) -> list[Difference]:
    """Return what differs on each phone; where there are many, several processes look.

    For more than MANY_PHONES both inventories must have been loaded whole. `names` differ between them.
    """

    def look(share: list[str]) -> list[tuple[Any, ...]]:
        found = (find_difference(before, after, mac, names) for mac in share)
        return [tuple(one) for one in found if one is not None]

    shares = [macs[start : start + _SHARE] for start in range(0, len(macs), _SHARE)]
    # few phones are looked up in the store, which no second process may share
    many = processes if len(macs) > MANY_PHONES else 1
    return [Difference(*row) for rows in map_in_processes(look, shares, processes=many, keep=list) for row in rows]


def macs_between(before: SideOfDiff, after: SideOfDiff, names: frozenset[str]) -> set[str]:
    """Return the phones that may differ, given the names that do."""
    chosen = {side.environment.name if side.environment else None for side in (before, after)}
    if any(concerns_all(after.view, names, one) for one in chosen):
        return {*before.inventory.phones, *after.inventory.phones}
    return dependent_phones(after.view, names)


def _reader(git: Git, view: View) -> ReadFile:
    """What reads a file outside the inventory, at the revision of a view."""
    top = replace(git, prefix="")

    def read(path: str) -> bytes | None:
        whole = normpath(f"{git.prefix}/{path}" if git.prefix else path)
        revision = view.snapshot.revision
        return read_checked_out(top, whole) if revision == WORKTREE else read_file(top, revision, whole)

    return read


def _folders(git: Git) -> list[str]:
    """The folders from the repository's top down to the fleet's, as paths from the fleet's: "..", "."."""
    depth = len(git.prefix.split("/")) if git.prefix else 0
    return ["/".join([".."] * up) or "." for up in range(depth, -1, -1)]
