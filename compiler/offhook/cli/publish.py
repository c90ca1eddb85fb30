"""`offhook publish`: carry the tree to where phones fetch it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from offhook.cli.codes import CHANGES, DONE, PROBLEMS
from offhook.cli.options import cached, show_problems, warn
from offhook.cli.run import Globals

if TYPE_CHECKING:
    from offhook.compile import Fleet
    from offhook.publish.carry.publication import Progress
    from offhook.publish.plan.prepared import Prepared
    from offhook.publish.plan.saved_plan import SavedPlan


@click.command()
@click.argument("environment")
@click.option("--rev", metavar="REV", help="A git revision instead of HEAD.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and write nothing.")
@click.option("--plan", "plan_file", type=click.Path(path_type=Path, dir_okay=False), help="Save the plan to a file.")
@click.option(
    "--apply", "apply_file", type=click.Path(path_type=Path, dir_okay=False), help="Carry out a saved plan, no other."
)
@click.option("--allow", multiple=True, metavar="WHAT:SCOPE", help="changed, removed or cutoff : a site or a MAC.")
@click.option("--adopt", is_flag=True, help="Overwrite files in the way that offhook did not write.")
@click.option("--repair", is_flag=True, help="Look at the root, and write anew what was changed or is missing there.")
@click.option("--reason", default="", help="Why: it is recorded with the release.")
@click.option("--exit-code", is_flag=True, help="With --dry-run: end with 4 where there is something to do.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def publish(
    settings: Globals,
    environment: str,
    rev: str | None,
    dry_run: bool,
    plan_file: Path | None,
    apply_file: Path | None,
    allow: tuple[str, ...],
    adopt: bool,
    repair: bool,
    reason: str,
    exit_code: bool,
    style: str,
) -> int:
    """Carry the tree of ENVIRONMENT to its root, within its limits: HEAD, or another revision."""
    from offhook.parallel import available_processes
    from offhook.publish.plan.gate import choose_fleet, commit_of
    from offhook.publish.plan.limits import REVIEWABLE, parse_allowance
    from offhook.publish.plan.saved_plan import check_environment, check_plan, identity, read_plan
    from offhook.review.publish import plan_json, plan_text
    from offhook.source import find_root

    if apply_file is not None and (dry_run or plan_file is not None):
        raise click.UsageError("--apply carries a plan out: it goes with neither --dry-run nor --plan")
    only_plan = dry_run or plan_file is not None
    allowed = tuple(map(parse_allowance, allow))
    plan = read_plan(apply_file) if apply_file is not None else None
    if plan is not None:
        allowed += plan.allowed
    root = find_root(settings.directory, rev)
    count = available_processes()
    fleet = cached(settings, root, lambda store: choose_fleet(root, environment, rev, store=store, processes=count))
    show_problems(fleet.problems, quiet=settings.quiet)
    if fleet.has_errors:
        return PROBLEMS
    if plan is not None:
        check_environment(plan, environment, commit_of(fleet))
    prepared = prepared_by(
        settings,
        root,
        fleet,
        allow=allowed,
        reviewed=plan is not None,
        repair=repair,
        adopt=adopt,
        writing=not only_plan,
    )
    with closing(prepared):
        now = identity(prepared, allowed)
        if plan is not None:
            check_plan(plan, now)
        if plan_file is not None:
            plan_file.write_text(plan_json(prepared, now) + "\n", encoding="utf-8")
        if only_plan:
            tell_of_campaign(prepared)
            click.echo(plan_json(prepared, now) if style == "json" else plan_text(prepared))
            # a saved plan is there to be reviewed, and that is what the limits it exceeds ask for
            refused = [one for one in prepared.exceeded if plan_file is None or one.limit not in REVIEWABLE]
            if refused or (prepared.strangers and not adopt):
                return PROBLEMS
            return CHANGES if exit_code and not prepared.is_nothing else DONE
        return carry_out(settings, prepared, now, adopt=adopt, reason=reason, style=style)


def prepared_by(settings: Globals, root: Path, fleet: Fleet, **how: Any) -> Prepared:
    """Return what publishing a fleet would do; `how` is what `prepare` takes."""
    from offhook.parallel import available_processes
    from offhook.publish.plan.prepared import prepare

    count = available_processes()
    return cached(settings, root, lambda store: prepare(root, fleet, store=store, processes=count, **how))


def tell_of_campaign(prepared: Prepared) -> None:
    """Warn that a plan could not be carried out now, where a rollout is under way."""
    from offhook.publish.carry.carrying import campaign_fault

    if standing := campaign_fault(prepared):
        warn(f"{standing.message}, and nothing else can be published before: {standing.hint}")


def carry_out(
    settings: Globals,
    prepared: Prepared,
    plan: SavedPlan,
    *,
    style: str,
    adopt: bool = False,
    rollback_of: int | None = None,
    reason: str = "",
) -> int:
    """Carry a plan out, with a bar where one waits; say what was done, and return the exit code."""
    from offhook.parallel import available_processes
    from offhook.publish.carry.carrying import carry
    from offhook.review.publish import done_text, plan_json, plan_text

    if style == "text" and not settings.quiet and not prepared.is_nothing:
        click.echo(plan_text(prepared), err=True)
    with steps_bar(quiet=settings.quiet) as progress:
        outcome = carry(
            prepared,
            adopt=adopt,
            rollback_of=rollback_of,
            reason=reason,
            processes=available_processes(),
            progress=progress,
            say=warn,
        )
    for warning in outcome.warnings:
        warn(warning)
    if style == "json":
        click.echo(plan_json(prepared, plan, outcome))
    elif not settings.quiet:
        click.echo(done_text(prepared, outcome))
    return DONE


@contextmanager
def steps_bar(*, quiet: bool) -> Iterator[Progress]:
    """A bar on standard error that is told the files of each step; nothing where that is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda step, done, of: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[tuple[str, int], Any] = {}

        def watch(step: str, done: int, of: int) -> None:
            if (step, of) not in tasks:
                tasks[step, of] = bar.add_task(step, total=of)
            bar.update(tasks[step, of], completed=done)

        yield watch
