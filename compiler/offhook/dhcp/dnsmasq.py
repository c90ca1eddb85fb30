"""Options 66 and 67 for dnsmasq: lines for its configuration (dnsmasq(8): dhcp-mac, dhcp-option, dhcp-range)."""

from __future__ import annotations

from collections.abc import Iterator

from offhook.dhcp.offer import Offer

PHONE = "offhook-phone"


def dnsmasq(offer: Offer) -> str:
    """Return the lines. A site is known by the tag of its range, which only whoever writes the ranges can set."""
    return "\n".join([*_lines(offer), ""])


def _lines(offer: Offer) -> Iterator[str]:
    yield f"# offhook dhcp {offer.environment} --format dnsmasq"
    for prefix in offer.prefixes:
        yield f"dhcp-mac=set:{PHONE},{prefix[:2]}:{prefix[2:4]}:{prefix[4:]}:*:*:*"
    if not offer.scopes:
        yield from _options(offer, [])
    for scope in offer.scopes:
        tag = f"site-{scope.site}"
        for network in scope.networks:
            yield f"# the range of {network} needs this site's tag: dhcp-range=set:{tag},{network[0]},..."
        yield from _options(offer, [tag])
    for site in offer.unplaced:
        yield f"# site {site} has no subnets: nothing is said there"


def _options(offer: Offer, tags: list[str]) -> Iterator[str]:
    condition = "".join(f"tag:{tag}," for tag in [*([PHONE] if offer.prefixes else []), *tags])
    # sent to who does not ask for it, too: what phones ask for is not known
    yield f'dhcp-option-force={condition}66,"{offer.server}"'
    if offer.file:
        yield f'dhcp-option-force={condition}67,"{offer.file}"'
