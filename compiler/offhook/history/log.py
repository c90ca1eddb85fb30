"""The commits that changed a phone, with what they changed.

History is simplified as git does it for a path ("History Simplification", git-log(1)): at a commit, where some
parent has the phone as it is, only the first such parent is followed and the commit is not listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

from offhook.flyingvoice.cfg import in_order
from offhook.git.repository import Commit
from offhook.git.signatures import Signature
from offhook.history.walk import History, State, differing, is_same, secret_between


@dataclass(frozen=True, slots=True)
class Changed:
    """One parameter that a commit changed: its values before and after, None where nothing was said.

    `secret` is "changed" or "may have changed" where only the sealed value of a secret differs.
    """

    parameter: str
    old: str | None
    new: str | None
    secret: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One commit that changed the phone, and what differs from its first parent.

    `status` is added or removed where the phone came or left, else changed. `review` is the pull request, where a
    message names it; `signature` is None where nobody looked.
    """

    commit: str
    about: Commit
    status: str
    changes: tuple[Changed, ...]
    review: str | None = None
    signature: Signature | None = None


_NOWHERE = State(None, {}, frozenset())


def entries(history: History, start: str, parameter: str | None) -> Iterator[Entry]:
    """Yield the commits that changed a phone, or one parameter of it; the newest first, children before parents."""
    queue: list[tuple[int, int, str]] = []
    seen: set[str] = set()
    waiting: dict[str, int] = {}

    def add(commit: str) -> None:
        if commit not in seen:
            seen.add(commit)
            heappush(queue, (-history.commit(commit).when, len(seen), commit))

    add(start)
    found: dict[str, Entry] = {}
    followed: dict[str, tuple[str, ...]] = {}
    while queue:
        commit = heappop(queue)[2]
        about = history.commit(commit)
        state = history.state(commit)
        parents = [(parent, history.parent_state(commit, parent)) for parent in about.parents]
        same = next((parent for parent, other in parents if _is_equal(other, state, parameter)), None)
        followed[commit] = (same,) if same is not None else about.parents
        for parent in followed[commit]:
            add(parent)
            waiting[parent] = waiting.get(parent, 0) + 1
        if same is None and (state.values is not None or parents):
            entry = _entry(about, parents[0][1] if parents else _NOWHERE, state, parameter)
            if entry is not None:
                found[commit] = entry
    yield from _in_order(history, start, followed, waiting, found)


def _in_order(
    history: History,
    start: str,
    followed: dict[str, tuple[str, ...]],
    waiting: dict[str, int],
    found: dict[str, Entry],
) -> Iterator[Entry]:
    """What was found, the newest first, and no parent before its child (clocks go wrong)."""
    ready = [(-history.commit(start).when, start)]
    while ready:
        commit = heappop(ready)[1]
        if commit in found:
            yield found[commit]
        for parent in followed[commit]:
            waiting[parent] -= 1
            if not waiting[parent]:
                heappush(ready, (-history.commit(parent).when, parent))


def _is_equal(old: State, new: State, parameter: str | None) -> bool:
    if old is new:
        return True
    if parameter is not None:
        return is_same(old, new, parameter)
    return (old.values is None) == (new.values is None) and not differing(old, new)


def _entry(about: Commit, old: State, new: State, parameter: str | None) -> Entry | None:
    names = in_order(differing(old, new) if parameter is None else {parameter})
    changes = (Changed(name, old.value(name), new.value(name), secret_between(old, new, name)) for name in names)
    told = tuple(one for one in changes if one.old != one.new or one.secret)
    status = "added" if old.values is None else "removed" if new.values is None else "changed"
    if not told and (old.values is None or parameter is not None):
        return None  # nothing was there, before or after
    return Entry(about.id, about, status if parameter is None else "changed", told)
