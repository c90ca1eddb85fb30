"""Networks of sites: each is one, and is of one site only, since DHCP tells a phone by its network where it is."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from offhook.checks.subject import Subject, dotted
from offhook.checks.table import found
from offhook.model import Site, mark
from offhook.problem import Problem


def check(subject: Subject) -> Iterator[Problem]:
    """Yield site-subnet."""
    known: list[tuple[IPv4Network, Site]] = []
    for site in subject.inventory.sites.values():
        for number, text in enumerate(site.subnets):
            network = IPv4Network(text, strict=False)
            if str(network) != text:
                yield _problem(site, number, f"{text} is an address in a network", f"the network is {network}")
            known.append((network, site))
    # in the order of their addresses a network that overlaps another stands behind it, or behind one within that
    known.sort(key=lambda row: (row[0].network_address, row[0].prefixlen))
    around: list[tuple[IPv4Network, Site]] = []
    for network, site in known:
        while around and not network.overlaps(around[-1][0]):
            around.pop()
        for other, its in around:
            if its is not site:
                words = f"{network} is a network of {site.id}, and within {other} of {its.id}"
                number = next(at for at, text in enumerate(site.subnets) if IPv4Network(text, strict=False) == network)
                yield _problem(site, number, words, "a network is of one site, so that DHCP knows which")
                break
        around.append((network, site))


def _problem(site: Site, number: int, message: str, hint: str) -> Problem:
    return found(
        "site-subnet", mark(site, "subnets", number), message, path=dotted(site.id, "subnets", number), hint=hint
    )
