"""`offhook dhcp`: what a DHCP server has to say for phones to find their provisioning server."""

from __future__ import annotations

import click

from offhook.cli.codes import DONE, PROBLEMS
from offhook.cli.options import read, rev_option, show_problems, warn
from offhook.cli.run import Globals


@click.command()
@click.argument("environment", metavar="ENV")
@click.option(
    "--format", "server", type=click.Choice(["dnsmasq", "kea", "isc"]), required=True, help="The DHCP server's words."
)
@click.option("--site", "sites", multiple=True, metavar="SITE", help="Only this site's subnets; may be repeated.")
@click.option("--option-67", "file", default="", metavar="TEXT", help="Say option 67, too; phones ship with it off.")
@click.option("--url", default="", metavar="URL", help="Option 66, instead of the environment's url.")
@click.option(
    "--all-clients", is_flag=True, help="Tell every client, not MACs of the vendor and of the inventory only."
)
@rev_option()
@click.pass_obj
def dhcp(
    settings: Globals,
    /,
    environment: str,
    server: str,
    sites: tuple[str, ...],
    file: str,
    url: str,
    all_clients: bool,
    rev: str | None,
) -> int:
    """Write option 66 for a DHCP server: phones that start with no address of a server ask for it.

    Where sites have subnets, phones are told in those only; else everywhere. Only phones are told, by their MACs' first
    half, since other machines start from the network by the same option.
    """
    from offhook.dhcp.offer import offer_of
    from offhook.dhcp.table import SERVERS

    _, fleet = read(settings, rev, environment)
    if fleet.has_errors:
        show_problems(fleet.problems, quiet=settings.quiet)
        return PROBLEMS
    offer = offer_of(fleet, server=url, file=file, sites=sites, all_clients=all_clients)
    for site in offer.unplaced:
        warn(f"site {site} has no subnets: nothing is said there")
    click.echo(SERVERS[server](offer), nl=False)
    return DONE
