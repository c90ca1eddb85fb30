"""Options 66 and 67 for ISC dhcpd: statements to include at the top of dhcpd.conf (dhcp-eval(5), dhcp-options(5))."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from offhook.dhcp.offer import Offer

_OCTET = 8


def isc(offer: Offer) -> str:
    """Return one condition a site, by the address that is leased; nothing in the subnets' own declarations changes."""
    return "\n".join([*_lines(offer), ""])


def _lines(offer: Offer) -> Iterator[str]:
    yield f"# offhook dhcp {offer.environment} --format isc"
    macs = " or ".join(f"substring(hardware, 1, 3) = {_hex(bytes.fromhex(one))}" for one in offer.prefixes)
    if not offer.scopes:
        yield from _told(offer, [macs] if macs else [])
    for scope in offer.scopes:
        yield f"# site {scope.site}: {', '.join(map(str, scope.networks))}"
        where = " or ".join(one for network in scope.networks for one in _within(network))
        yield from _told(offer, [one for one in (macs, where) if one])
    for site in offer.unplaced:
        yield f"# site {site} has no subnets: nothing is said there"


def _told(offer: Offer, conditions: list[str]) -> Iterator[str]:
    indent = "  " if conditions else ""
    if conditions:
        joined = " and ".join(f"({one})" for one in conditions)
        yield f"if {joined if len(conditions) == 1 else f'({joined})'} {{"
    yield f'{indent}option tftp-server-name "{offer.server}";'
    if offer.file:
        yield f'{indent}option bootfile-name "{offer.file}";'
    if conditions:
        yield "}"


def _within(network: IPv4Network) -> Iterator[str]:
    """Conditions on whole octets of the leased address, one of which is true within the network."""
    octets = -(-network.prefixlen // _OCTET)
    if not octets:
        yield "exists dhcp-message-type"
        return
    for part in network.subnets(new_prefix=octets * _OCTET):
        yield f"substring(leased-address, 0, {octets}) = {_hex(part.network_address.packed[:octets])}"


def _hex(octets: bytes) -> str:
    return octets.hex(":")
