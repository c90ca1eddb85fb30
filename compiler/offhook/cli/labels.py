"""`offhook labels SITE`: a sheet of key labels for a site, to print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from offhook.cli.codes import DONE, PROBLEMS
from offhook.cli.options import env_option, read, rev_option, show_problems, warn
from offhook.cli.run import Globals
from offhook.problem import OffhookError

if TYPE_CHECKING:
    from offhook.inventory import Inventory
    from offhook.model import Phone


@click.command()
@click.argument("site")
@rev_option()
@env_option()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the sheet to a file.")
@click.pass_obj
def labels(settings: Globals, site: str, rev: str | None, environment: str | None, out: Path | None) -> int:
    """A sheet of key labels for a site: a card a phone, its keys as they stand beside the screen.

    One HTML page that needs no network, made for paper. Phones that are retired, or of another environment, have none.
    """
    import difflib

    from offhook.flyingvoice.panels import panel_of
    from offhook.review.page.sheet import Card, sheet
    from offhook.settings import belongs_to
    from offhook.texts import visible

    _, fleet = read(settings, rev, environment)
    show_problems(fleet.problems, quiet=True)
    if fleet.has_errors:
        return PROBLEMS
    if site not in fleet.inventory.sites:
        near = difflib.get_close_matches(site, fleet.inventory.sites, n=3)
        raise OffhookError(f'the inventory has no site "{site}"', hint=f"near: {', '.join(near)}" if near else "")
    resolver = fleet.resolver()
    is_there = belongs_to(fleet.environment)
    at_site = [one for one in fleet.inventory.phones.values() if one.site == site and not one.retired]
    phones = [one for one in at_site if is_there(one)]
    others = len(at_site) - len(phones)
    if others and fleet.environment is not None:
        which = f"1 phone of {site} is" if others == 1 else f"{others} phones of {site} are"
        warn(visible(f"{which} not of the environment {fleet.environment.name}: no card"))
    cards = [
        Card(
            one.mac,
            _whose(fleet.inventory, one),
            panel_of(one.model, resolver.bases.dialect(one), resolver.resolve(one).values),
        )
        for one in phones
    ]
    answer = sheet(site, sorted(cards, key=lambda card: (card.name, card.mac)))
    if out is not None:
        out.write_text(answer, encoding="utf-8")
    else:
        click.echo(answer, nl=False)
    return DONE


def _whose(inventory: Inventory, phone: Phone) -> str:
    """The name by which people know a phone: its own label, else its first account's name; "" where none says one."""
    account = inventory.accounts.get(phone.accounts[0]) if phone.accounts else None
    named = (account.display_name or account.label or account.extension) if account else ""
    return phone.label or named
