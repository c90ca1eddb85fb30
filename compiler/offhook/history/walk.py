"""The walk back through commits that blame and log share: where was a phone the same, and where not?

Comes in: an open repository, a phone and an environment. Goes out: `State`s of the phone at commits. What a phone's
settings depend on is a set of names (`offhook.links`); where none of them differs between a commit and its parent,
the phone is the same at both, and nothing is resolved. What differs between two inventories is remembered in the
store, so the second walk reads no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from offhook.diff.compare import SideOfDiff, make_side
from offhook.diff.names import changed_names, deltas, dependencies
from offhook.git.repository import Commit, Git, compare_trees, inventory_tree, open_git, read_commit
from offhook.index import read_places
from offhook.layers import Said
from offhook.parallel import available_processes
from offhook.secrets.changes import Sealed, secret_change
from offhook.secrets.reference import PREFIX
from offhook.source import INVENTORY, snapshot_of
from offhook.store import Store
from offhook.view import View


@dataclass(frozen=True, slots=True)
class State:
    """A phone at a commit: its effective values, and for those that name a secret the file that seals it.

    `depends` are the names that all this depends on. A phone that is not there, or not in the environment, has None
    for its values.
    """

    values: Mapping[str, str] | None
    sealed: Mapping[str, Sealed | None]
    depends: frozenset[str]

    def value(self, parameter: str) -> str | None:
        """Return the value of a parameter, None where the phone is not told it."""
        return None if self.values is None else self.values.get(parameter)


def secret_between(old: State, new: State, parameter: str) -> str:
    """Return what became of a secret whose name stayed: "", "changed" or "may have changed"."""
    value = new.value(parameter)
    if value is None or not value.startswith(PREFIX) or old.value(parameter) != value:
        return ""
    return secret_change(value[len(PREFIX) :], old.sealed.get(parameter), new.sealed.get(parameter))


def is_same(old: State, new: State, parameter: str) -> bool:
    """Tell whether a parameter has the same value, and the same sealed secret, in two states."""
    return old.value(parameter) == new.value(parameter) and not secret_between(old, new, parameter)


def differing(old: State, new: State) -> set[str]:
    """Return the parameters that differ between two states."""
    names = (old.values or {}).keys() | (new.values or {}).keys()
    return {name for name in names if not is_same(old, new, name)}


@dataclass(slots=True)
class History:
    """One phone's states at the commits of a repository, found when they are asked for."""

    git: Git
    mac: str
    environment: str | None
    store: Store
    _commits: dict[str, Commit] = field(default_factory=dict)
    _trees: dict[str, str | None] = field(default_factory=dict)
    _states: dict[str | None, State] = field(default_factory=dict)
    _views: dict[str | None, View] = field(default_factory=dict)
    _changed: dict[tuple[str | None, str | None], frozenset[str]] = field(default_factory=dict)
    _fresh: dict[tuple[str, str | None, str | None], list[str]] = field(default_factory=dict)

    def commit(self, identifier: str) -> Commit:
        """Return a commit, read once."""
        if identifier not in self._commits:
            self._commits[identifier] = read_commit(self.git, identifier)
        return self._commits[identifier]

    def tree(self, commit: str) -> str | None:
        """Return the id of a commit's inventory, None where it has none."""
        if commit not in self._trees:
            self._trees[commit] = inventory_tree(self.git, commit, INVENTORY)
        return self._trees[commit]

    def state(self, commit: str) -> State:
        """Return the phone at a commit."""
        tree = self.tree(commit)
        if tree not in self._states:
            self._states[tree] = self._resolve(commit)
        return self._states[tree]

    def parent_state(self, commit: str, parent: str) -> State:
        """Return the phone at a commit's parent; where nothing it depends on differs, it is that of the commit."""
        here, there = self.tree(commit), self.tree(parent)
        if there not in self._states:
            state = self.state(commit)
            if state.depends.isdisjoint(self.names_between(parent, commit)):
                self._states[there] = state
        return self._states[here] if here == there else self.state(parent)

    def side(self, commit: str) -> SideOfDiff:
        """Return the inventory at a commit, ready to resolve phones for the environment."""
        view = self.view(commit)
        return make_side(view, view.inventory, self.environment)

    def trace(self, commit: str) -> dict[str, Said]:
        """Return who says each of the phone's settings at a commit; {} where the phone is not there."""
        side = self.side(commit)
        phone = side.phone(self.mac)
        return {} if phone is None else side.resolver.trace(phone)

    def view(self, commit: str) -> View:
        """Return the inventory at a commit."""
        tree = self.tree(commit)
        if tree not in self._views:
            if len(self._views) >= _MANY_VIEWS:
                self._views.pop(next(iter(self._views)))
            self._views[tree] = View(snapshot_of(self.git, commit), self.store, self.git)
        return self._views[tree]

    def keep(self) -> None:
        """Remember in the store what was found to differ between inventories."""
        self.store.remember(self._fresh)
        self._fresh.clear()

    def names_between(self, old: str, new: str) -> frozenset[str]:
        """Return the names that differ between the inventories of two commits."""
        key = (self.tree(old), self.tree(new))
        if key not in self._changed:
            known = self.store.memo(("names", *key))
            if known is None:
                before, after = self.view(old), self.view(new)
                names = changed_names(before, after, deltas(before.snapshot, after.snapshot, self.git))
                known = self._fresh["names", *key] = sorted(names)
            self._changed[key] = frozenset(known)
        return self._changed[key]

    def prepare(self, start: str) -> None:
        """Read what the commits up to `start` changed, all at once: in a new cache, most of a walk's work."""
        self.view(start)
        places: set[tuple[str, str | None]] = set()
        trees: set[str] = set()
        seen = {start}
        pending = [start]
        while pending:
            commit = pending.pop()
            for parent in self.commit(commit).parents:
                old, new = self.tree(parent), self.tree(commit)
                if old != new and (old is None or not self.store.has_tree(old)):
                    for delta in compare_trees(self.git, old, new, INVENTORY):
                        places |= {(delta.path, delta.old), (delta.path, delta.new)}
                    trees |= {tree for tree in (old, new) if tree is not None}
                if parent not in seen:
                    seen.add(parent)
                    pending.append(parent)
        if trees:
            read_places(places, self.view(start).snapshot, self.store, processes=available_processes())
            self.store.put_trees(trees)

    def _resolve(self, commit: str) -> State:
        side = self.side(commit)
        view = side.view
        environment = side.environment.name if side.environment else self.environment
        depends = dependencies(view, self.mac, environment)
        phone = side.phone(self.mac)
        if phone is None:
            return State(None, {}, depends)
        values = side.resolver.resolve(phone).values
        secrets = {name: value[len(PREFIX) :] for name, value in values.items() if value.startswith(PREFIX)}
        return State(values, {name: view.sealed(secret) for name, secret in secrets.items()}, depends)


_MANY_VIEWS = 64


def open_history(root: Path, mac: str, environment: str | None, store: Store) -> History:
    """Return the history of a phone in the repository around `root`."""
    return History(open_git(root), mac, environment, store)
