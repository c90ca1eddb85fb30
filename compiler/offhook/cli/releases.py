"""`offhook releases ENV`: what was published there, when, by whom and from which commit."""

from __future__ import annotations

import click

from offhook.cli.codes import DONE
from offhook.cli.options import cached, revision_of, warn
from offhook.cli.run import Globals

_PATIENCE_S = 20.0


@click.command()
@click.argument("environment", metavar="ENV")
@click.option("-n", "--limit", type=click.IntRange(min=1), help="The newest N releases only.")
@click.option("--no-fetch", is_flag=True, help="Do not ask the remote: only what this clone has.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def releases(settings: Globals, environment: str, limit: int | None, no_fetch: bool, style: str) -> int:
    """What was published to ENV, when, by whom and from which commit; the newest first."""
    from offhook.problem import OffhookError
    from offhook.publish.releases.audit import audit
    from offhook.publish.releases.ledger import ref_of
    from offhook.publish.releases.records import fetch_releases
    from offhook.review.releases import releases_json, releases_text

    ref_of(environment)
    root, _ = revision_of(settings, None)
    if not no_fetch:
        try:
            fetch_releases(root, environment, timeout_s=_PATIENCE_S)
        except OffhookError as error:
            _warn(f"{error.message}; this is what the clone has", error.hint)
    found = cached(settings, root, lambda store: audit(root, environment, store, limit=limit))
    for line in found.notes:
        _warn(line)
    answer = releases_json(found) if style == "json" else releases_text(found)
    if answer:
        click.echo(answer)
    elif not settings.quiet:
        click.echo(f"no release of {environment} is recorded", err=True)
    return DONE


def _warn(message: str, hint: str = "") -> None:
    warn(message)
    if hint:
        click.echo(f"  {hint}", err=True)
