"""Which commits brought what differs between two commits, for many phones at once.

Comes in: two commits, and what differs between them: MAC -> parameters. Goes out: for each of these the commits that
lie between the two and changed it, the newest first. History is simplified as git does it for a path ("History
Simplification", git-log(1)), as `log` does it for one phone: at a commit where some parent has the same, only the first
such parent is followed. Only what changed anywhere between the two is resolved, and what two commits have in common is
asked once for all phones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from offhook.diff import MANY_PHONES, differences, macs_between
from offhook.diff.compare import Difference, SideOfDiff, make_side, sealed_change
from offhook.history.walk import History
from offhook.inventory import load
from offhook.problem import OffhookError
from offhook.source import whole

PRESENCE = ""
"""Stands for a parameter: that the phone is there at all."""

Key = tuple[str, str]
"""A MAC and a parameter."""

_KEPT = 3  # inventories that are held whole; one commit and its parents are compared at a time


@dataclass(slots=True)
class Sides:
    """The inventories at commits of one history, ready to resolve phones; few are kept."""

    history: History
    processes: int
    _light: dict[str | None, SideOfDiff] = field(default_factory=dict)
    _whole: dict[str | None, SideOfDiff] = field(default_factory=dict)

    def of(self, commit: str, *, many: bool) -> SideOfDiff:
        """Return the inventory at a commit; read whole where many phones are to be resolved."""
        kept = self._whole if many else self._light
        tree = self.history.tree(commit)
        if tree in kept:
            kept[tree] = kept.pop(tree)  # the last that is given up
        else:
            while len(kept) >= _KEPT:
                kept.pop(next(iter(kept)))
            view = self.history.view(commit)
            inventory = view.inventory
            if many:
                inventory = load(whole(view.snapshot), self.history.store, processes=self.processes)[0]
            kept[tree] = make_side(view, inventory, self.history.environment)
        return kept[tree]


def between(history: History, base: str, head: str) -> tuple[str, ...]:
    """Return the commits that are reached from `head` and not from `base`, children before parents, else by time.

    Raises OffhookError where a shallow clone lacks some of them.
    """
    old = set(_reached(history, base))
    found = {commit for commit in _reached(history, head) if commit not in old}
    for commit in found:
        if history.commit(commit).boundary:
            message = f"this clone is shallow and lacks commits between {base[:10]} and {head[:10]}"
            raise OffhookError(message, hint="git fetch --unshallow")
    waiting = dict.fromkeys(found, 0)
    for commit in found:
        for parent in history.commit(commit).parents:
            if parent in found:
                waiting[parent] += 1
    ready = [(-history.commit(commit).when, commit) for commit, children in waiting.items() if not children]
    ready.sort()
    order = []
    while ready:
        commit = heappop(ready)[1]
        order.append(commit)
        for parent in dict.fromkeys(history.commit(commit).parents):
            if parent in found:
                waiting[parent] -= history.commit(commit).parents.count(parent)
                if not waiting[parent]:
                    heappush(ready, (-history.commit(parent).when, parent))
    return tuple(order)


def brought(sides: Sides, commits: Sequence[str], wanted: Mapping[str, Collection[str]]) -> dict[Key, tuple[str, ...]]:
    """Return which of `commits` changed each parameter of each phone in `wanted`, the newest first.

    `commits` are what `between` returned. A key that is not there was changed by none of them.
    """
    history = sides.history
    inside = set(commits)
    edges: dict[Key, list[tuple[str, str]]] = {}
    for commit in commits:
        for parent in dict.fromkeys(history.commit(commit).parents):
            for key in _differing(sides, parent, commit, wanted):
                edges.setdefault(key, []).append((commit, parent))
    known: dict[tuple[tuple[str, str], ...], tuple[str, ...]] = {}
    found = {}
    for key, differs in edges.items():
        where = tuple(differs)
        if where not in known:
            known[where] = _walk(history, commits, inside, frozenset(where))
        if known[where]:
            found[key] = known[where]
    return found


def _walk(
    history: History, commits: Sequence[str], inside: Collection[str], differs: frozenset[tuple[str, str]]
) -> tuple[str, ...]:
    """The commits that differ from all of their parents, of those that lead to the value at the first commit."""
    found = set()
    seen = set()
    pending = list(commits[:1])
    while pending:
        commit = pending.pop()
        if commit in seen or commit not in inside:
            continue
        seen.add(commit)
        parents = history.commit(commit).parents
        same = next((parent for parent in parents if (commit, parent) not in differs), None)
        if same is not None:
            pending.append(same)
        elif parents:
            found.add(commit)
            pending.extend(parents)
    return tuple(commit for commit in commits if commit in found)


def _differing(sides: Sides, old: str, new: str, wanted: Mapping[str, Collection[str]]) -> Iterator[Key]:
    """What of the wanted differs between a commit's parent and the commit."""
    history = sides.history
    if history.tree(old) == history.tree(new):
        return
    names = history.names_between(old, new)
    before, after = (sides.of(commit, many=False) for commit in (old, new))
    macs = sorted(macs_between(before, after, names) & wanted.keys())
    is_many = len(macs) > MANY_PHONES
    if is_many:
        before, after = (sides.of(commit, many=True) for commit in (old, new))
    for one in differences(before, after, macs, names, sides.processes):
        asked = wanted[one.mac]
        if (before.phone(one.mac) is None) != (after.phone(one.mac) is None) and PRESENCE in asked:
            yield one.mac, PRESENCE
        for parameter in one.parameters:
            if parameter in asked:
                yield one.mac, parameter
        for parameter in _sealed_anew(before, after, one):
            if parameter in asked:
                yield one.mac, parameter


def _sealed_anew(before: SideOfDiff, after: SideOfDiff, one: Difference) -> Iterator[str]:
    """The parameters whose secret kept its name, and is or may be another one."""
    phone = after.phone(one.mac) if one.perhaps else None
    if phone is None:
        return
    values = after.resolver.resolve(phone).values
    for parameter in one.perhaps:
        if sealed_change(before, after, values[parameter]):
            yield parameter


def _reached(history: History, start: str) -> Iterator[str]:
    """Every commit that is reached from one, itself among them."""
    seen = {start}
    pending = [start]
    while pending:
        commit = pending.pop()
        yield commit
        for parent in history.commit(commit).parents:
            if parent not in seen:
                seen.add(parent)
                pending.append(parent)
