"""`offhook rollback`: what was released before, once more."""

from __future__ import annotations

from contextlib import closing

import click

from offhook.cli.codes import DONE, PROBLEMS
from offhook.cli.options import cached, show_problems, warn
from offhook.cli.publish import carry_out, prepared_by, tell_of_campaign
from offhook.cli.run import Globals

_PATIENCE_S = 20.0


@click.command()
@click.argument("environment")
@click.argument("release", type=click.IntRange(min=1), required=False)
@click.option("--dry-run", is_flag=True, help="Show the plan, and write nothing.")
@click.option("--allow", multiple=True, metavar="WHAT:SCOPE", help="changed, removed or cutoff : a site or a MAC.")
@click.option("--reason", default="", help="Why: it is recorded with the release.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def rollback(
    settings: Globals,
    environment: str,
    release: int | None,
    dry_run: bool,
    allow: tuple[str, ...],
    reason: str,
    style: str,
) -> int:
    """Publish to ENVIRONMENT what RELEASE had, with today's secrets; without a number, the last one that differs.

    Many phones may change: the release was reviewed. What may cut phones off needs its name (--allow), as ever.
    """
    from offhook.parallel import available_processes
    from offhook.problem import OffhookError
    from offhook.publish.plan.gate import choose_fleet
    from offhook.publish.plan.limits import parse_allowance
    from offhook.publish.plan.saved_plan import identity
    from offhook.publish.releases.records import fetch_releases, find_release, read_releases
    from offhook.publish.releases.rollback import check_tree, fleet_of
    from offhook.review.publish import plan_json, plan_text
    from offhook.source import find_root

    allowed = tuple(map(parse_allowance, allow))
    root = find_root(settings.directory, "HEAD")
    count = available_processes()
    try:
        fetch_releases(root, environment, timeout_s=_PATIENCE_S)
    except OffhookError as error:
        warn(f"{error.message}; going by what this clone has")
    chosen = find_release(read_releases(root, environment, warn=warn), release)
    today = cached(settings, root, lambda store: choose_fleet(root, environment, "HEAD", store=store, processes=count))
    fleet = cached(settings, root, lambda store: fleet_of(root, chosen, store=store, processes=count))
    if fleet.has_errors:
        show_problems(fleet.problems, quiet=True)
        return PROBLEMS
    prepared = prepared_by(settings, root, fleet, allow=allowed, reviewed=True, settled=today, writing=not dry_run)
    with closing(prepared):
        check_tree(prepared, chosen)
        if dry_run:
            tell_of_campaign(prepared)
            now = identity(prepared, allowed)
            click.echo(plan_json(prepared, now) if style == "json" else plan_text(prepared))
            return PROBLEMS if prepared.exceeded or prepared.strangers else DONE
        return carry_out(
            settings, prepared, identity(prepared, allowed), style=style, rollback_of=chosen.number, reason=reason
        )
