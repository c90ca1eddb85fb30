"""What phones keep: values of a former inventory that the present one neither says nor clears.

A phone keeps what it was once told; a blank value and a missing line both mean "keep" (observed on public
templates, medium confidence). So a phone that took one inventory and then another ends with the second's
settings and with what only the first one said: that is what is named here.
"""

from __future__ import annotations

from collections.abc import Iterator

from offhook.inventory import Inventory
from offhook.model import Environment
from offhook.settings import Resolver


def kept_values(
    before: Inventory, after: Inventory, environment: Environment | None
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (mac, parameters kept, sorted) for every phone of both inventories that keeps something.

    The former one is resolved for its own environment of the same name; parameters are in the spelling that
    the phone was told.
    """
    former_environment = before.fleet.environments.get(environment.name) if environment else None
    old, new = Resolver(before, former_environment), Resolver(after, environment)
    for mac, phone in after.phones.items():
        former = before.phones.get(mac)
        if former is None:
            continue
        kept = old.resolve(former).values.keys() - new.resolve(phone).values.keys()
        if kept:
            yield mac, tuple(sorted(kept))
