"""`offhook provision-page`: what to type into a phone's Provision page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from offhook.cli.codes import DONE, PROBLEMS
from offhook.cli.options import read, rev_option, show_problems
from offhook.cli.run import Globals

if TYPE_CHECKING:
    from offhook.dhcp.provision_page import Page


@click.command("provision-page")
@click.argument("environment", metavar="ENV")
@click.option("--url", default="", metavar="URL", help="Another address than the environment's url.")
@rev_option()
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def provision_page(settings: Globals, /, environment: str, url: str, rev: str | None, style: str) -> int:
    """Print what to type into a phone's Provision page, field by field, and why.

    The password is not shown: the secret that holds it is named.
    """
    from offhook.dhcp.provision_page import provision_page as page_of

    _, fleet = read(settings, rev, environment)
    if fleet.has_errors:
        show_problems(fleet.problems, quiet=settings.quiet)
        return PROBLEMS
    page = page_of(fleet, url=url)
    click.echo(_json(page) if style == "json" else _text(page))
    return DONE


def _text(page: Page) -> str:
    names = max(len(row.field) for row in page.rows)
    values = max(len(row.value) for row in page.rows)
    lines = [f"{click.style(page.menu, bold=True)}, then Save & Apply at its bottom"]
    lines += [
        f"  {row.field:<{names}}  {click.style(f'{row.value:<{values}}', bold=True)}  {click.style(row.why, dim=True)}"
        for row in page.rows
    ]
    if page.secret:
        lines.append(f"the password is the secret {page.secret}")
    return "\n".join(lines)


def _json(page: Page) -> str:
    rows = [{"field": row.field, "value": row.value, "why": row.why} for row in page.rows]
    return json.dumps({"menu": page.menu, "fields": rows, "secret": page.secret}, indent=2, ensure_ascii=False)
