"""`offhook blame`: each setting of a phone, and the commit that last changed it."""

from __future__ import annotations

import click

from offhook.cli.codes import DONE
from offhook.cli.options import cached, canonical_mac, env_option, line_width, revision_of
from offhook.cli.run import Globals


@click.command()
@click.argument("mac")
@click.option("--rev", metavar="REV", help="A git revision instead of HEAD.")
@env_option()
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def blame(settings: Globals, mac: str, rev: str | None, environment: str | None, style: str) -> int:
    """Each effective setting of a phone, and the commit that last changed that value."""
    from offhook import history
    from offhook.review.history import blame_json, blame_text

    wanted = canonical_mac(mac)
    root, revision = revision_of(settings, rev)
    found = cached(
        settings, root, lambda store: history.blame(root, wanted, revision, environment=environment, store=store)
    )
    click.echo(blame_json(wanted, found) if style == "json" else blame_text(found, line_width()))
    return DONE
