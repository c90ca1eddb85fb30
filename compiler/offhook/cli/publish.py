"""`offhook publish`: carry the tree to where phones fetch it."""

from __future__ import annotations

import click

from offhook.cli.codes import DONE, PROBLEMS
from offhook.cli.options import cached, rev_option, show_problems
from offhook.cli.run import Globals


@click.command()
@click.argument("environment")
@rev_option()
@click.pass_obj
def publish(settings: Globals, environment: str, rev: str | None) -> int:
    """Carry the tree of ENVIRONMENT to its root, within its limits."""
    from offhook.parallel import available_processes
    from offhook.publish.carrying import carry
    from offhook.publish.gate import choose_fleet
    from offhook.publish.prepared import prepare
    from offhook.source import find_root

    root = find_root(settings.directory, rev)
    count = available_processes()
    fleet = cached(settings, root, lambda store: choose_fleet(root, environment, rev, store=store, processes=count))
    show_problems(fleet.problems, quiet=settings.quiet)
    if fleet.has_errors:
        return PROBLEMS
    prepared = cached(settings, root, lambda store: prepare(root, fleet, store=store, processes=count))
    outcome = carry(prepared, processes=count, say=lambda text: click.echo(text, err=True))
    click.echo(str(outcome))
    return DONE
