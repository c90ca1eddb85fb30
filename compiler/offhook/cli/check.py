"""`offhook check`: every problem of the inventory."""

from __future__ import annotations

import os

import click

from offhook.cli.codes import DONE, PROBLEMS
from offhook.cli.options import env_option, read, rev_option
from offhook.cli.run import Globals


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

    _, fleet = read(settings, rev, environment, against or "auto")
    problems = list(fleet.problems)
    answer = report.FORMATS[style](problems)
    if answer:
        click.echo(answer)
    if os.environ.get("GITHUB_ACTIONS") == "true" and style != "github" and problems:
        click.echo(report.github(problems), err=True)
    if style == "text" and not settings.quiet:
        click.echo(report.summary(problems, len(fleet.inventory.phones)), err=True)
    return PROBLEMS if fleet.has_errors else DONE
