"""`offhook rollout`: how the last deploy stands, and what a person decides about it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from offhook.cli.campaigns import Screen, desk_of, ended, former_of, run_options
from offhook.cli.codes import DONE, PROBLEMS
from offhook.cli.options import cached
from offhook.cli.publish import prepared_by
from offhook.cli.run import Globals
from offhook.cli.standing import as_it_stands, is_paused, kept, nothing_stands, resting, standing_of

if TYPE_CHECKING:
    from offhook.publish.state.head import Intent

_PAUSED_S = 0.5


@click.group()
def rollout() -> None:
    """How the deploy of an environment stands; pause it, go on with it, or go back."""


@rollout.command()
@click.argument("environment", metavar="ENV")
@click.option("--format", "style", type=click.Choice(["text", "json", "csv", "junit", "prometheus"]), default="text")
@click.pass_obj
def status(settings: Globals, environment: str, style: str) -> int:
    """Say how far the rollout to ENV is: wave by wave, and who failed and why. Ends with 1 where it stands."""
    from offhook.review.rollout import FORMATS, WINDOW, metrics
    from offhook.rollout.campaign.progress import ENDED, REVERTING, RUNNING

    standing = standing_of(settings, environment)
    campaign = standing.last
    if campaign is None:
        raise nothing_stands(environment, standing)
    progress = standing.keeping.progress()
    if standing.intent is None and progress.condition != ENDED and not progress.phones:
        # it asked for the environment, and never had it
        raise nothing_stands(environment, standing)
    works, rows = standing.is_worked_on, as_it_stands(standing, progress)
    progress.take(rows)
    why = progress.why if rows else ""
    waits = WINDOW if standing.is_waiting and progress.condition == RUNNING and not works else ""
    if style == "prometheus":
        click.echo(metrics(campaign, progress, worked_on=works), nl=False)
    else:
        click.echo(FORMATS[style](campaign, progress, why=why, worked_on=works, waits=waits))
    is_fine = progress.condition == ENDED or (works and progress.condition in (RUNNING, REVERTING))
    return DONE if is_fine else PROBLEMS


@rollout.command()
@click.argument("environment", metavar="ENV")
@click.pass_obj
def pause(settings: Globals, environment: str) -> int:
    """Let the rollout to ENV rest where it is, whoever works on it, or will: nobody else is switched before a person's
    `rollout resume`.
    """
    import time

    from offhook.problem import OffhookError
    from offhook.publish.state.head import read_head
    from offhook.publish.state.hold import is_worked_on
    from offhook.rollout.running.copies import Copies
    from offhook.rollout.running.run import USUAL
    from offhook.rollout.running.standing import is_reverting

    standing = standing_of(settings, environment)
    intent = standing.intent
    if intent is None:
        raise nothing_stands(environment, standing)
    if is_reverting(intent):
        raise OffhookError(
            f"{intent.owner} takes this rollout to {environment} back, and that is not paused",
            hint=f"{'Ctrl-C there ends it; ' * standing.is_worked_on}"
            f"offhook rollout revert {environment} goes on with it",
        )
    with closing(standing.place.open_state()) as state:
        Copies(state, standing.id).ask_for_pause()  # also where nobody seems to work: that goes by another's clock
        if not standing.is_worked_on:
            nobody = f"{environment}: nobody works on this rollout"
            click.echo(f"{nobody}: it rests until offhook rollout resume {environment}")
            return DONE
        now: Intent | None = intent
        while now is not None and now.id == intent.id and is_worked_on(now, USUAL):
            time.sleep(_PAUSED_S)
            now = read_head(state).head.intent
    if now is None or now.campaign != intent.campaign:
        click.echo(f"{environment}: the rollout of {intent.owner} has ended before it heard of it")
        return PROBLEMS
    click.echo(f"{environment}: the rollout of {intent.owner} rests")
    return DONE


@rollout.command()
@click.argument("environment", metavar="ENV")
@click.option("--unless-paused", "heeds_pause", is_flag=True, help="For machines: leave what a person paused.")
@run_options
@click.pass_obj
def resume(
    settings: Globals,
    environment: str,
    heeds_pause: bool,
    leave: bool,
    ca: Path | None,
    metrics: Path | None,
    style: str,
) -> int:
    """Go on with the rollout to ENV. Failures so far are forgiven; a gate that was not passed is waived.

    A pause that somebody asked for is over then; with --unless-paused it is not, and that ends with 0.
    """
    from offhook.publish.plan.gate import choose_fleet
    from offhook.publish.plan.limits import parse_allowance
    from offhook.publish.plan.saved_plan import identity
    from offhook.rollout.running.planning import Manner, changing, plan_of
    from offhook.rollout.running.run import being_reverted, go_on
    from offhook.rollout.running.standing import is_reverting, recover

    standing = standing_of(settings, environment)
    intent = resting(environment, standing)
    if is_reverting(intent):
        raise being_reverted(environment)
    if heeds_pause and is_paused(standing):
        click.echo(f"{environment}: a person paused this rollout: it rests until offhook rollout resume {environment}")
        return DONE
    campaign = kept(standing)
    commit = intent.commit or None
    root = standing.root
    fleet = cached(settings, root, lambda store: choose_fleet(root, environment, commit, store=store))
    allowed = tuple(parse_allowance(one) for one in campaign.allowed) if campaign is not None else ()
    prepared = prepared_by(settings, root, fleet, allow=allowed, reviewed=True)
    with closing(prepared):
        url = bool(prepared.place.environment.url)
        manner = Manner(verifies=url)
        if campaign is not None:
            manner = Manner(windows=campaign.windows, tells=campaign.tells, verifies=url)
        opened = identity(prepared, allowed).opened
        if campaign is None:
            plan = plan_of(prepared, changing(prepared, former_of(settings, prepared)), manner)
            campaign = recover(prepared, plan, standing.keeping, intent, opened=opened)
        plan = replace(plan_of(prepared, campaign.targets, manner), waves=campaign.waves)
        screen = Screen(quiet=settings.quiet, metrics=metrics)
        desk = desk_of(
            settings, prepared, standing.keeping, manner, ca=ca, leave=leave, show=screen, heeds_pause=heeds_pause
        )
        screen.about(campaign)
        return ended(go_on(prepared, plan, campaign, desk, opened=opened), root, screen, style)


@rollout.command()
@click.argument("environment", metavar="ENV")
@run_options
@click.pass_obj
def revert(settings: Globals, environment: str, leave: bool, ca: Path | None, metrics: Path | None, style: str) -> int:
    """Go back: every phone that the rollout to ENV switched has the release before again, at once, and is told."""
    from offhook.compile import read_fleet
    from offhook.problem import OffhookError
    from offhook.publish.plan.gate import choose_fleet
    from offhook.rollout.running.planning import Manner, changing, plan_of
    from offhook.rollout.running.run import revert as go_back
    from offhook.rollout.running.standing import recover

    standing = standing_of(settings, environment)
    intent = resting(environment, standing)
    root, manifest = standing.root, standing.manifest
    if not manifest.release or not manifest.commit:
        raise OffhookError(
            f"no release of a commit was on {environment} before: there is nothing to go back to",
            hint=f"offhook rollout resume {environment}, or publish what is right with --rev",
        )
    commit = intent.commit or None
    today = cached(settings, root, lambda store: choose_fleet(root, environment, commit, store=store))
    campaign = kept(standing)
    if campaign is None:
        with closing(prepared_by(settings, root, today, reviewed=True)) as new:
            plan = plan_of(new, changing(new, former_of(settings, new)), Manner())
            campaign = recover(new, plan, standing.keeping, intent, opened="")
    fleet = cached(
        settings, root, lambda store: read_fleet(root, manifest.commit, environment=environment, store=store)
    )
    prepared = prepared_by(settings, root, fleet, reviewed=True, settled=today)
    with closing(prepared):
        manner = Manner(windows=False, tells=campaign.tells, verifies=bool(prepared.place.environment.url))
        plan = replace(plan_of(prepared, campaign.targets, manner), waves=campaign.waves)
        screen = Screen(quiet=settings.quiet, metrics=metrics)
        screen.about(campaign)
        desk = desk_of(settings, prepared, standing.keeping, manner, ca=ca, leave=leave, show=screen, judges=False)
        return ended(go_back(prepared, plan, campaign, desk), root, screen, style)
