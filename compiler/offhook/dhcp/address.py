"""Where an environment's phones fetch from: what DHCP and the Provision page both tell them."""

from __future__ import annotations

from offhook.compile import Fleet
from offhook.model import Environment
from offhook.problem import OffhookError


def address_of(fleet: Fleet, *, url: str, verb: str) -> tuple[Environment, str]:
    """Return the chosen environment and its url, or `url` where that is given.

    Raises OffhookError where no environment is chosen, or nobody says an address.
    """
    environment = fleet.environment
    if environment is None:
        raise OffhookError("no environment is chosen", hint=f"offhook {verb} ENV")
    said = url or environment.url
    if not said:
        raise OffhookError(
            f"environments.{environment.name} has no url: nobody says where phones fetch from",
            hint="url: https://prov.example.com/, or --url URL",
        )
    return environment, said
