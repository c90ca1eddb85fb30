"""From a publish that is prepared to a campaign: whom it changes, in which waves, windows and at which rates.

Comes in: a `Prepared`, and where phones were registered before. Goes out: a `Plan`. The same commit, release and
inventory give the same plan, so that a campaign can be taken up by another process.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from offhook.compile import Fleet
from offhook.model import Environment
from offhook.publish.plan.prepared import Prepared
from offhook.rollout.campaign.config import budget, config_of, rate_per_s
from offhook.rollout.campaign.progress import FETCHED, REGISTERED
from offhook.rollout.campaign.steps import Plan
from offhook.rollout.campaign.waves import waves
from offhook.rollout.campaign.windows import window_of
from offhook.rollout.routes.table import REGISTRAR, notify_of
from offhook.rollout.who import Target, contact_of, targets


@dataclass(frozen=True, slots=True)
class Manner:
    """How a person wants this campaign: `windows` False passes over maintenance windows, `tells` False sends nothing.

    `verifies` is False where nobody says from where phones fetch.
    """

    windows: bool = True
    tells: bool = True
    verifies: bool = True


def changing(prepared: Prepared, former: Fleet | None) -> dict[str, Target]:
    """Return MAC -> target for every phone that the release changes or adds.

    `former` is the fleet as it was released before, None where that is not known: until a phone has fetched it is
    registered as that says.
    """
    fleet = prepared.fleet
    assert fleet.environment is not None
    said = notify_of(fleet.inventory.fleet, fleet.environment)
    found = targets(
        fleet.inventory,
        fleet.environment,
        former=[former.inventory] if former is not None else [],
        route=said.get("route", REGISTRAR),
        contact=contact_of(said),
    )
    return {mac: found[mac] for mac in sorted({*prepared.moved.changed, *prepared.moved.added})}


def plan_of(prepared: Prepared, chosen: Mapping[str, Target], manner: Manner) -> Plan:
    """Return the campaign. Raises OffhookError where a site with a maintenance window has an unknown time zone."""
    environment, inventory = prepared.rule.environment, prepared.rule.inventory
    assert environment is not None
    config = config_of(environment.rollout)
    config = replace(
        config,
        verify=config.verify and manner.verifies,
        respects_windows=config.respects_windows and manner.windows,
    )
    if not manner.tells:
        chosen = {mac: replace(one, user="", contact="") for mac, one in chosen.items()}
    sites = {one.site for one in chosen.values()}
    offset = inventory.fleet.utc_offset
    return Plan(
        waves=waves(chosen.values(), config.waves, seed=prepared.survey.sealed),
        targets=chosen,
        config=config,
        budget=budget(config.failures, len(chosen)),
        windows={site: window_of(inventory.sites.get(site), offset) for site in sites},
        rates=_rates(notify_of(inventory.fleet, environment), chosen),
        tells=manner.tells,
        seen=frozenset(([FETCHED] if access_log(environment) else []) + ([REGISTERED] if manner.tells else [])),
    )


def access_log(environment: Environment) -> str:
    """Return where the web server writes what phones fetch, "" where nobody says."""
    return str(environment.rollout.get("access_log", ""))


def _rates(said: Mapping[str, Any], chosen: Mapping[str, Target]) -> dict[Hashable, float]:
    """NOTIFYs a second: for every registrar, and for every site where that is said."""
    rates: dict[Hashable, float] = {}
    rate = rate_per_s(said["rate"]) if "rate" in said else rate_per_s()
    for one in chosen.values():
        if one.is_addressed:
            rates["registrar", one.registrar] = rates["registrar", one.fetched.registrar] = rate
            if "site_rate" in said and one.site:
                rates["site", one.site] = rate_per_s(said["site_rate"])
    return rates
