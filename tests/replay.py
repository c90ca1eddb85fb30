"""The slow oracle of blame, log and diff: every commit of a history compiled whole, and compared with its parents.

Comes in: a repository and an environment's name. Goes out: the state of every phone at every commit, and from these,
by the plainest loops, what `offhook.history` and `offhook.diff` are to find. Of offhook it uses `read_fleet` and the
resolver alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pygit2
import yaml

from offhook.compile import Fleet, choose_environment, read_fleet
from offhook.problem import OffhookError
from offhook.settings import Setting, phones_of

PREFIX = "secret:"

Told = tuple[str, str | None]
"""A value, and the sealed text of the secret that it names."""

State = Mapping[str, Told]
"""What a phone is told at a commit: parameter -> Told."""

Changes = dict[str, tuple[str | None, str | None]]
"""Parameter -> its value before and after, None where nothing was said."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What log is to list: commit -> Changes; `followed` has to which parents the walk went on from each commit."""

    entries: dict[str, Changes]
    followed: dict[str, tuple[str, ...]]

    def is_ordered(self, commits: list[str]) -> bool:
        """Tell whether none of the commits stands before one from which the walk came to it."""
        for place, commit in enumerate(commits):
            pending, reached = [commit], set[str]()
            while pending:
                new = set(self.followed[pending.pop()]) - reached
                reached |= new
                pending.extend(new)
            if not reached.isdisjoint(commits[:place]):
                return False
        return True


@dataclass(slots=True)
class Compiled:
    """Every commit of a repository that HEAD reaches, compiled once for each distinct inventory.

    `parents` is commit -> parents; `fleets` is commit -> what was understood, None where there is no inventory.
    """

    root: Path
    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fleets: dict[str, Fleet | None] = field(default_factory=dict)
    _trees: dict[str, Fleet | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Compile."""
        repository = pygit2.Repository(str(self.root))
        for commit in repository.walk(repository.head.target):
            tree = str(commit.tree["inventory"].id) if "inventory" in commit.tree else ""
            if tree not in self._trees:
                self._trees[tree] = read_fleet(self.root, str(commit.id)) if tree else None
            self.parents[str(commit.id)] = tuple(map(str, commit.parent_ids))
            self.fleets[str(commit.id)] = self._trees[tree]


@dataclass(slots=True)
class Oracle:
    """The phones of one environment at every commit; without a name, of each commit's default one."""

    compiled: Compiled
    environment: str | None = None
    _states: dict[int, dict[str, State]] = field(default_factory=dict)

    def fleet(self, commit: str) -> Fleet | None:
        """Return the fleet for the environment, None where the commit has no inventory, or none with that name."""
        fleet = self.compiled.fleets[commit]
        if fleet is None or self.environment is None:
            return fleet
        try:
            return replace(fleet, environment=choose_environment(fleet.inventory, self.environment))
        except OffhookError:
            return None

    def states(self, commit: str) -> dict[str, State]:
        """Return MAC -> state of every phone of the environment at a commit."""
        key = id(self.compiled.fleets[commit])
        if key not in self._states:
            self._states[key] = _states(self.fleet(commit))
        return self._states[key]

    def state(self, mac: str, commit: str) -> State | None:
        """Return a phone's state at a commit, None where it is not there."""
        return self.states(commit).get(mac)

    def explain(self, mac: str, commit: str) -> dict[str, Setting]:
        """Return who says each setting of a phone at a commit."""
        fleet = self.fleet(commit)
        assert fleet is not None
        return fleet.resolver().explain(fleet.inventory.phones[mac])

    def macs(self) -> list[str]:
        """Return every phone that was ever there."""
        return sorted({mac for commit in self.compiled.parents for mac in self.states(commit)})

    def blame(self, mac: str, parameter: str, commit: str) -> str:
        """Return the commit that gave a parameter the value it has: from there, every parent has another one."""
        while True:
            value = told(self.state(mac, commit), parameter)
            parents = self.compiled.parents[commit]
            same = [parent for parent in parents if told(self.state(mac, parent), parameter) == value]
            if not same:
                return commit
            commit = same[0]

    def log(self, mac: str, start: str, parameter: str | None = None) -> Listing:
        """Return the commits that changed a phone, or one parameter, as git's default simplification keeps them."""
        listing = Listing({}, {})
        pending = [start]
        while pending:
            commit = pending.pop()
            if commit in listing.followed:
                continue
            parents = self.compiled.parents[commit]
            state = self._part(mac, commit, parameter)
            same = [parent for parent in parents if self._part(mac, parent, parameter) == state]
            if not same and (parents or state is not None):
                before = self.state(mac, parents[0]) if parents else None
                listing.entries[commit] = changes(before, self.state(mac, commit), parameter)
            listing.followed[commit] = tuple(same[:1] or parents)
            pending.extend(listing.followed[commit])
        return listing

    def _part(self, mac: str, commit: str, parameter: str | None) -> Any:
        state = self.state(mac, commit)
        return state if parameter is None else told(state, parameter)


def told(state: State | None, parameter: str) -> Told | None:
    """Return what a state says of a parameter, None where the phone is not there or is not told it."""
    return None if state is None else state.get(parameter)


def changes(old: State | None, new: State | None, parameter: str | None = None) -> Changes:
    """Return the values that differ between two states, also those whose secret alone does."""
    before, after = old or {}, new or {}
    names = {parameter} if parameter else before.keys() | after.keys()
    return {
        name: (before.get(name, (None,))[0], after.get(name, (None,))[0])
        for name in names
        if before.get(name) != after.get(name)
    }


def _states(fleet: Fleet | None) -> dict[str, State]:
    if fleet is None:
        return {}
    sealed = _sealed(fleet)
    resolver = fleet.resolver()
    found: dict[str, State] = {}
    for phone in phones_of(fleet.inventory, fleet.environment):
        values = resolver.resolve(phone).values
        found[phone.mac] = {name: (value, sealed.get(value)) for name, value in values.items()}
    return found


def _sealed(fleet: Fleet) -> dict[str, str]:
    """Every "secret:NAME" and the sealed text of that leaf; of two files that have it, the first."""
    found: dict[str, str] = {}

    def walk(value: Any, name: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{name}/{key}" if name else key)
        else:
            found.setdefault(PREFIX + name, value)

    for file in fleet.source.files:
        if file.kind == "secret":
            try:
                content = yaml.load(file.content, yaml.CBaseLoader)
            except yaml.YAMLError:
                continue  # nobody knows what a broken file holds
            walk({key: inner for key, inner in content.items() if key != "sops"}, "")
    return found
