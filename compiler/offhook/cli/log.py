"""`offhook log`: the commits that changed a phone."""

from __future__ import annotations

import click

from offhook.cli.codes import DONE
from offhook.cli.options import cached, canonical_mac, env_option, line_width, revision_of
from offhook.cli.run import Globals


@click.command()
@click.argument("mac")
@click.argument("parameter", required=False)
@click.option("--rev", metavar="REV", help="A git revision instead of HEAD.")
@click.option("-n", "limit", type=click.IntRange(min=1), help="The newest N commits only.")
@env_option()
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def log(
    settings: Globals,
    mac: str,
    parameter: str | None,
    rev: str | None,
    limit: int | None,
    environment: str | None,
    style: str,
) -> int:
    """The commits that changed a phone, or one PARAMETER of it, with what they changed; the newest first."""
    from offhook import history
    from offhook.review.history import log_json, log_text

    wanted = canonical_mac(mac)
    root, revision = revision_of(settings, rev)
    found = cached(
        settings,
        root,
        lambda store: history.log(root, wanted, parameter, revision, environment=environment, limit=limit, store=store),
    )
    answer = log_json(wanted, found) if style == "json" else log_text(found, line_width())
    if answer:
        click.echo(answer)
    if not found:
        wrong = cached(
            settings,
            root,
            lambda store: history.nothing_found(
                root, wanted, parameter, revision, environment=environment, store=store
            ),
        )
        if wrong is not None:
            raise wrong
    if not found and not settings.quiet:
        what = f"{parameter} of {wanted}" if parameter else wanted
        click.echo(f"no commit changed {what}", err=True)
    return DONE
