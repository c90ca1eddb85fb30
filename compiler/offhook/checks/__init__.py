"""What a schema cannot say, one small file a subject. `TABLE` is the list: add a check here and in table.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from offhook.checks import (
    accounts,
    clock,
    convergence,
    delivery,
    expressions,
    line_keys,
    parameters,
    phones,
    references,
    secrets,
    subnets,
)
from offhook.checks.subject import Subject
from offhook.inventory import Inventory
from offhook.model import Environment
from offhook.parallel import map_in_processes
from offhook.problem import Problem, pack_problems, unpack_problems
from offhook.settings import Resolver
from offhook.source import InventoryFile

Check = Callable[[Subject], Iterator[Problem]]

TABLE: tuple[Check, ...] = (
    references.check,
    phones.check,
    accounts.check,
    line_keys.check,
    parameters.check,
    convergence.check,
    expressions.check,
    secrets.check,
    clock.check,
    delivery.check,
    subnets.check,
)


WITHOUT_FLEET: tuple[Check, ...] = (references.check, line_keys.check)
"""What can be judged where fleet.yaml could not be understood: the rest would be about its absence."""


def check(
    inventory: Inventory,
    environment: Environment | None,
    before: Inventory | None = None,
    *,
    files: Iterable[InventoryFile],
    processes: int = 1,
) -> list[Problem]:
    """Return what is wrong with an inventory of `files`, unsorted; `before` is the inventory at the base revision."""
    resolver = Resolver(inventory, environment)
    subject = Subject(inventory, environment, resolver, before, {file.path: file for file in files})
    subject.fill()
    chosen = WITHOUT_FLEET if "fleet" in inventory.broken else TABLE
    found = map_in_processes(lambda one: pack_problems(one(subject)), chosen, processes=processes, keep=unpack_problems)
    return [problem for problems in found for problem in problems]
