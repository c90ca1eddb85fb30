"""The whole flow on one page: source -> documents -> inventory -> settings -> tree.

`read_fleet` is the front end and says everything that is wrong; `tree_of` is the back end. Nothing here
prints, and only what `offhook.output` is handed is ever written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from offhook.checks import check
from offhook.checks.table import FIXED
from offhook.git.repository import open_git, resolve
from offhook.index import worktree
from offhook.inventory import Inventory, load
from offhook.model import Environment
from offhook.output import Share
from offhook.problem import ERROR, OFF, OffhookError, Problem
from offhook.settings import Resolver, phones_of
from offhook.source import FLEET_FILE, Source, has_inventory, read_source, whole
from offhook.store import Store
from offhook.tree import FLAT, File, phone_files, shared_files

AUTO = "auto"
_PHONES_A_SHARE = 500


@dataclass(frozen=True, slots=True)
class Fleet:
    """A fleet that was read: its inventory, the environment chosen, and every problem, sorted."""

    source: Source
    inventory: Inventory
    environment: Environment | None
    problems: tuple[Problem, ...]

    @property
    def has_errors(self) -> bool:
        """Tell whether anything stands in the way of a tree."""
        return any(problem.severity == ERROR for problem in self.problems)

    @property
    def layout(self) -> str:
        """Return the environment's layout, flat where there is none."""
        return self.environment.layout if self.environment else FLAT

    def resolver(self) -> Resolver:
        """Return a resolver of settings for the environment."""
        return Resolver(self.inventory, self.environment)


def read_fleet(
    root: Path,
    revision: str | None = None,
    *,
    environment: str | None = None,
    base: str | None = None,
    store: Store | None = None,
    processes: int = 1,
) -> Fleet:
    """Read and check the inventory of the fleet at `root`, in the work tree or at a git revision.

    `base` is a revision to compare with: what leaves the inventory without being retired is a problem.
    "auto" is HEAD for a work tree that differs from it, the first parent for a revision. With a store, files that it
    knows are not read again. Raises OffhookError where there is no such environment or revision; where fleet.yaml has
    mistakes nobody can say that, and they are what is told.
    """
    source = fleet_source(root, revision, store)
    inventory, problems = load(source, store, processes=processes)
    is_understood = not any(one.severity == ERROR and one.mark.file.endswith(f"/{FLEET_FILE}") for one in problems)
    is_there = is_understood or environment in inventory.fleet.environments
    chosen = choose_environment(inventory, environment) if is_there else None
    before = None if base is None else _before(root, source, revision, base, store, processes)
    # where something was not understood, what follows from the hole it left is no news
    refused = {problem.mark for problem in problems}
    found = check(inventory, chosen, before, files=source.files, processes=processes)
    problems += [problem for problem in found if problem.mark not in refused]
    return Fleet(source, inventory, chosen, tuple(by_severity(inventory, problems)))


def fleet_source(root: Path, revision: str | None, store: Store | None) -> Source:
    """Return the inventory's files; with a store, those of the work tree that look as they did are not read."""
    return whole(worktree(root, store)) if revision is None and store is not None else read_source(root, revision)


def _before(
    root: Path, source: Source, revision: str | None, base: str, store: Store | None, processes: int
) -> Inventory | None:
    """The inventory at the base revision, None where nothing differs, or no inventory was there."""
    is_named = base != AUTO
    if not is_named:
        base = "HEAD" if revision is None else f"{source.revision}^"
    if not has_inventory(root, base):
        if is_named:
            resolve(open_git(root), base)  # what is no revision is refused
        return None
    former = read_source(root, base)
    return None if former.files == source.files else load(former, store, processes=processes)[0]


def choose_environment(inventory: Inventory, name: str | None) -> Environment | None:
    """Return the environment called `name`, or the default one; None where the fleet has none.

    Without a name and without `default_environment`, an only environment is taken.
    """
    environments = inventory.fleet.environments
    if name is None:
        name = inventory.fleet.default_environment
        if name is None and len(environments) == 1:
            return next(iter(environments.values()))
        return environments.get(name) if name else None
    if name not in environments:
        known = ", ".join(sorted(environments)) or "none"
        raise OffhookError(f'the fleet has no environment "{name}"', hint=f"known: {known}")
    return environments[name]


def by_severity(inventory: Inventory, problems: list[Problem]) -> Iterator[Problem]:
    """Yield the problems, sorted, with the severities that fleet.yaml gives to checks."""
    severities = inventory.fleet.checks
    for problem in sorted(set(problems), key=lambda one: one.sort_key):
        severity = problem.severity if problem.id in FIXED else severities.get(problem.id, problem.severity)
        if severity != OFF:
            yield problem if severity == problem.severity else replace(problem, severity=severity)


def tree_of(fleet: Fleet) -> list[Share]:
    """Return the tree as shares of files, each a function that makes them: shared files first, then phones by MAC."""
    resolver = fleet.resolver()
    phones = phones_of(fleet.inventory, fleet.environment)
    layout = fleet.layout

    def share(start: int) -> Share:
        def make() -> Iterator[File]:
            for phone in phones[start : start + _PHONES_A_SHARE]:
                yield from phone_files(resolver, phone, layout=layout)

        return make

    shares: list[Share] = [lambda: shared_files(resolver, phones, layout=layout)]
    return shares + [share(start) for start in range(0, len(phones), _PHONES_A_SHARE)]
