"""`offhook deploy`: publish in waves, each verified and told, and stop where something is wrong."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from offhook.cli.campaigns import Screen, desk_of, ended, former_of, run_options
from offhook.cli.codes import CHANGES, DONE, PROBLEMS
from offhook.cli.options import cached, show_problems
from offhook.cli.publish import prepared_by
from offhook.cli.run import Globals

if TYPE_CHECKING:
    from offhook.publish.plan.prepared import Prepared
    from offhook.publish.plan.saved_plan import SavedPlan
    from offhook.rollout.campaign.forecast import Forecast

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("environment", metavar="ENV")
@click.option("--rev", metavar="REV", help="A git revision instead of HEAD.")
@click.option("--dry-run", is_flag=True, help="Show the plan and the forecast, and write nothing.")
@click.option("--plan", "plan_file", type=_FILE, metavar="FILE", help="Save the plan to a file.")
@click.option("--apply", "apply_file", type=_FILE, metavar="FILE", help="Carry out a saved plan, no other.")
@click.option("--allow", multiple=True, metavar="WHAT:SCOPE", help="changed, removed or cutoff : a site or a MAC.")
@click.option("--adopt", is_flag=True, help="Overwrite files in the way that offhook did not write.")
@click.option("--now", "at_once", is_flag=True, help="Do not wait for maintenance windows.")
@click.option("--no-notify", "silent", is_flag=True, help="Tell no phone: each fetches when it polls.")
@click.option("--reason", default="", help="Why: it is recorded with the release.")
@click.option("--exit-code", is_flag=True, help="With --dry-run: end with 4 where there is something to do.")
@run_options
@click.pass_obj
def deploy(
    settings: Globals,
    environment: str,
    rev: str | None,
    dry_run: bool,
    plan_file: Path | None,
    apply_file: Path | None,
    allow: tuple[str, ...],
    adopt: bool,
    at_once: bool,
    silent: bool,
    reason: str,
    exit_code: bool,
    leave: bool,
    ca: Path | None,
    metrics: Path | None,
    style: str,
) -> int:
    """Publish to ENV in waves: each is switched inside its sites' maintenance windows, verified, told, and judged.

    Where more phones fail than may, or a wave does not pass its gate, the rest keeps what it has: `offhook rollout`
    says how it stands, goes on, or goes back. Ends with 0 where everything is released.
    """
    from offhook.parallel import available_processes
    from offhook.publish.carry.carrying import refuse_within_campaign
    from offhook.publish.plan.gate import choose_fleet, commit_of
    from offhook.publish.plan.limits import parse_allowance
    from offhook.publish.plan.saved_plan import check_environment, check_plan, identity, read_plan
    from offhook.review.publish import plan_json
    from offhook.rollout.campaign.forecast import forecast
    from offhook.rollout.running.keeping import keeping_of
    from offhook.rollout.running.planning import Manner, changing, plan_of
    from offhook.rollout.running.run import start
    from offhook.source import find_root

    if apply_file is not None and (dry_run or plan_file is not None):
        raise click.UsageError("--apply carries a plan out: it goes with neither --dry-run nor --plan")
    only_plan = dry_run or plan_file is not None
    if only_plan and style not in ("text", "json"):
        raise click.UsageError("--dry-run is text or JSON")
    saved = read_plan(apply_file) if apply_file is not None else None
    allowed = (*map(parse_allowance, allow), *(saved.allowed if saved is not None else ()))
    root = find_root(settings.directory, rev)
    keeping = keeping_of(root, environment)
    count = available_processes()
    fleet = cached(settings, root, lambda store: choose_fleet(root, environment, rev, store=store, processes=count))
    show_problems(fleet.problems, quiet=settings.quiet)
    if fleet.has_errors:
        return PROBLEMS
    if saved is not None:
        check_environment(saved, environment, commit_of(fleet))
    prepared = prepared_by(
        settings, root, fleet, allow=allowed, reviewed=saved is not None, adopt=adopt, writing=not only_plan
    )
    with closing(prepared):
        now = identity(prepared, allowed)
        if saved is not None:
            check_plan(saved, now)
        refuse_within_campaign(prepared)
        manner = Manner(windows=not at_once, tells=not silent, verifies=bool(prepared.place.environment.url))
        plan = plan_of(prepared, changing(prepared, former_of(settings, prepared)), manner)
        found = forecast(plan, time.time())
        if plan_file is not None:
            plan_file.write_text(plan_json(prepared, now) + "\n", encoding="utf-8")
        if only_plan:
            click.echo(_plan(prepared, now, found, style))
            return _planned(prepared, adopt=adopt, saving=plan_file is not None, exit_code=exit_code)
        if not (settings.quiet or prepared.is_nothing):
            click.echo(_plan(prepared, now, found, "text"), err=True)
        screen = Screen(quiet=settings.quiet, metrics=metrics)
        desk = desk_of(settings, prepared, keeping, manner, ca=ca, leave=leave, show=screen)
        ran = start(
            prepared,
            plan,
            desk,
            manner=manner,
            allowed=map(str, allowed),
            opened=now.opened,
            reason=reason,
            adopt=adopt,
            about=screen.about,
        )
        return ended(ran, root, screen, style)


def _plan(prepared: Prepared, plan: SavedPlan, found: Forecast, style: str) -> str:
    """The plan as `publish` shows it, and the forecast."""
    from offhook.review.forecast import forecast_data, forecast_text, restarts_of
    from offhook.review.publish import plan_json, plan_text

    now = time.time()
    restarts = None if prepared.diff is None else restarts_of(prepared.diff.phones)
    if style == "json":
        return plan_json(prepared, plan, forecast=forecast_data(found, now, restarts=restarts))
    return f"{plan_text(prepared)}\n\n{forecast_text(found, now, restarts=restarts)}"


def _planned(prepared: Prepared, *, adopt: bool, saving: bool, exit_code: bool) -> int:
    from offhook.publish.plan.limits import REVIEWABLE

    refused = [one for one in prepared.exceeded if not saving or one.limit not in REVIEWABLE]
    if refused or (prepared.strangers and not adopt):
        return PROBLEMS
    return CHANGES if exit_code and not prepared.is_nothing else DONE
