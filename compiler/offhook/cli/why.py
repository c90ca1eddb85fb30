"""`offhook why`: who said so."""

from __future__ import annotations

import click

from offhook.cli.codes import DONE
from offhook.cli.options import cached, canonical_mac, env_option, revision_of
from offhook.cli.run import Globals


@click.command()
@click.argument("mac")
@click.argument("parameter")
@click.option("--rev", metavar="REV", help="A git revision instead of HEAD.")
@env_option()
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def why(settings: Globals, mac: str, parameter: str, rev: str | None, environment: str | None, style: str) -> int:
    """Who said so: the winner of one PARAMETER, every layer that it overrides, and since which commit."""
    from offhook import history
    from offhook.review.history import why_json, why_text

    wanted = canonical_mac(mac)
    root, revision = revision_of(settings, rev)
    found = cached(
        settings,
        root,
        lambda store: history.why(root, wanted, parameter, revision, environment=environment, store=store),
    )
    click.echo(why_json(wanted, found) if style == "json" else why_text(wanted, found))
    return DONE
