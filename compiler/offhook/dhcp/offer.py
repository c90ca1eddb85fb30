"""What DHCP shall tell phones, and where: a fleet and its environment -> an Offer, which each writer spells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from offhook.checks.phones import PREFIXES
from offhook.compile import Fleet
from offhook.dhcp.address import address_of
from offhook.model import Site
from offhook.problem import OffhookError
from offhook.settings import phones_of

_LONGEST = 255
"""RFC 2132, 2: the length of an option is one octet."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where the options are given out: a site and its networks."""

    site: str
    networks: tuple[IPv4Network, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """Options 66 (`server`) and 67 (`file`, "" for none) of RFC 2132, 9.4 and 9.5.

    `prefixes` are the first three octets of the MACs that are told, six lower-case hex digits each; empty for every
    client. `scopes` are where; empty for everywhere that the server serves. `unplaced` are sites of phones that have
    no subnets while others have.
    """

    environment: str
    server: str
    file: str = ""
    prefixes: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()
    unplaced: tuple[str, ...] = ()


def offer_of(
    fleet: Fleet, *, server: str = "", file: str = "", sites: Sequence[str] = (), all_clients: bool = False
) -> Offer:
    """Return what the fleet's environment tells its phones by DHCP: its url, or `server` where that is given.

    Whom: MACs with the vendor's prefixes and those of the environment's phones. The guide shows a phone that asks for
    option 66; the vendor class (option 60) that it sends is not known (facts, section 3), so it cannot be asked for.
    Raises OffhookError where there is no address, or one that no option can hold.
    """
    environment, said = address_of(fleet, url=server, verb="dhcp")
    for name, value in (("66", said), ("67", file)):
        _check(name, value)
    phones = [phone for phone in phones_of(fleet.inventory, environment) if not sites or phone.site in sites]
    named = sorted({phone.site for phone in phones if phone.site} | set(sites))
    strange = [name for name in sites if name not in fleet.inventory.sites]
    if strange:
        raise OffhookError(f'there is no site "{strange[0]}"', hint="a name from inventory/sites/")
    with_subnets = [fleet.inventory.sites[name] for name in named if fleet.inventory.sites[name].subnets]
    return Offer(
        environment.name,
        said,
        file,
        () if all_clients else tuple(sorted({*PREFIXES, *(phone.mac[:6] for phone in phones)})),
        tuple(Scope(site.id, networks_of(site)) for site in with_subnets),
        tuple(name for name in named if not fleet.inventory.sites[name].subnets) if with_subnets or sites else (),
    )


def networks_of(site: Site) -> tuple[IPv4Network, ...]:
    """Return a site's networks; it has been checked that they are some."""
    return tuple(IPv4Network(text) for text in site.subnets)


def _check(name: str, value: str) -> None:
    if len(value) > _LONGEST:
        raise OffhookError(f"option {name} holds {_LONGEST} characters, and this is {len(value)}", hint="a shorter one")
    if not value.isascii() or not value.isprintable() or set(value) & set('"\\ '):
        raise OffhookError(
            f"option {name} cannot be written so that every server reads the same: {value!r}",
            hint="ASCII without blanks, quotes and backslashes",
        )
