"""`offhook check`: every problem of the inventory."""

from __future__ import annotations

import os

import click

from offhook.cli.codes import DONE, PROBLEMS
from offhook.cli.options import env_option, prefix_of, read, rev_option
from offhook.cli.run import Globals

_FROM_TOP = ("github", "sarif")
"""In these files are named from the repository's top, wherever in it the fleet is: so platforms find them."""


@click.command()
@rev_option()
@env_option()
@click.option(
    "--against",
    metavar="REV",
    help="Compare with this revision: what left without being retired (default: HEAD, or the parent of --rev).",
)
@click.option("--format", "style", type=click.Choice(["text", "github", "json", "sarif", "junit"]), default="text")
@click.pass_obj
def check(settings: Globals, rev: str | None, environment: str | None, against: str | None, style: str) -> int:
    """Is the inventory right? Every problem, sorted; nothing is written."""
    from offhook import report

    root, fleet = read(settings, rev, environment, against or "auto")
    problems = list(fleet.problems)
    in_actions = os.environ.get("GITHUB_ACTIONS") == "true" and style != "github" and bool(problems)
    from_top = report.placed(problems, prefix_of(root)) if style in _FROM_TOP or in_actions else problems
    answer = report.FORMATS[style](from_top if style in _FROM_TOP else problems)
    if answer:
        click.echo(answer)
    if in_actions:
        click.echo(report.github(from_top), err=True)
    if style == "text" and not settings.quiet:
        click.echo(report.summary(problems, len(fleet.inventory.phones)), err=True)
    return PROBLEMS if fleet.has_errors else DONE
