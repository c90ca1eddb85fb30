"""`offhook rollout`: how the last deploy stands, and what a person decides about it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from offhook.cli.campaigns import Screen, desk_of, ended, former_of, run_options
from offhook.cli.codes import DONE, PROBLEMS
from offhook.cli.options import cached, warn
from offhook.cli.publish import prepared_by
from offhook.cli.run import Globals

if TYPE_CHECKING:
    from offhook.compile import Fleet
    from offhook.publish.state.head import Intent
    from offhook.publish.state.manifest import Manifest
    from offhook.rollout.running.keeping import Campaign, Keeping

_PAUSED_S = 0.2


@click.group()
def rollout() -> None:
    """How the deploy of an environment stands; pause it, go on with it, or go back."""


@rollout.command()
@click.argument("environment", metavar="ENV")
@click.option("--format", "style", type=click.Choice(["text", "json", "csv", "junit", "prometheus"]), default="text")
@click.pass_obj
def status(settings: Globals, environment: str, style: str) -> int:
    """Say how far the rollout to ENV is: wave by wave, and who failed and why. Ends with 1 where it stands."""
    from offhook.review.rollout import FORMATS, metrics
    from offhook.rollout.campaign.progress import ENDED, RUNNING

    standing = _standing(settings, environment)
    campaign = standing.keeping.campaign()
    if campaign is None or (standing.intent is not None and campaign.id != standing.id):
        raise _nothing(environment, standing)
    # in this order: a run that ends in between has let go of what it wrote
    worked_on = standing.keeping.is_worked_on()
    progress = standing.keeping.progress()
    if style == "prometheus":
        click.echo(metrics(campaign, progress, worked_on=worked_on), nl=False)
    else:
        click.echo(FORMATS[style](campaign, progress, worked_on=worked_on))
    return DONE if progress.condition in (RUNNING, ENDED) else PROBLEMS


@rollout.command()
@click.argument("environment", metavar="ENV")
@click.pass_obj
def pause(settings: Globals, environment: str) -> int:
    """Let the rollout to ENV rest where it is: nobody else is switched before `rollout resume`."""
    import time

    from offhook.problem import OffhookError
    from offhook.rollout.campaign.progress import PAUSED, RUNNING
    from offhook.rollout.campaign.rows import Row
    from offhook.rollout.running.keeping import PAUSE

    standing = _standing(settings, environment)
    campaign = standing.keeping.campaign()
    if standing.intent is None or campaign is None or campaign.id != standing.id:
        raise _nothing(environment, standing)
    if standing.keeping.progress().condition != RUNNING:
        click.echo(f"{environment}: the rollout of release {campaign.release} rests already")
        return DONE
    standing.keeping.wish(PAUSE)
    while standing.keeping.progress().condition == RUNNING:
        try:
            with standing.keeping.journal(campaign) as (journal, _):
                journal.add([Row(PAUSED, at=time.time(), why="a person paused it")])
            standing.keeping.wish("")
        except OffhookError:  # a run has it, and hears the wish soon
            time.sleep(_PAUSED_S)
    click.echo(f"{environment}: the rollout of release {campaign.release} is paused")
    return DONE


@rollout.command()
@click.argument("environment", metavar="ENV")
@run_options
@click.pass_obj
def resume(settings: Globals, environment: str, leave: bool, ca: Path | None, metrics: Path | None, style: str) -> int:
    """Go on with the rollout to ENV. Failures so far are forgiven; a gate that was not passed is waived."""
    from offhook.publish.plan.gate import choose_fleet
    from offhook.publish.plan.limits import parse_allowance
    from offhook.publish.plan.saved_plan import identity
    from offhook.rollout.running.planning import Manner, changing, plan_of
    from offhook.rollout.running.run import go_on, recover

    standing = _standing(settings, environment)
    if standing.intent is None:
        raise _nothing(environment, standing)
    campaign = _kept(standing)
    commit = standing.intent.commit or None
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
            campaign = recover(prepared, plan, standing.keeping, standing.intent, opened=opened)
        plan = replace(plan_of(prepared, campaign.targets, manner), waves=campaign.waves)
        screen = Screen(quiet=settings.quiet, metrics=metrics)
        desk = desk_of(settings, prepared, standing.keeping, manner, ca=ca, leave=leave, show=screen)
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
    from offhook.rollout.running.run import recover
    from offhook.rollout.running.run import revert as go_back

    standing = _standing(settings, environment)
    if standing.intent is None:
        raise _nothing(environment, standing)
    root, manifest = standing.root, standing.manifest
    if not manifest.release or not manifest.commit:
        raise OffhookError(
            f"no release of a commit was on {environment} before: there is nothing to go back to",
            hint=f"offhook rollout resume {environment}, or publish what is right with --rev",
        )
    commit = standing.intent.commit or None
    today = cached(settings, root, lambda store: choose_fleet(root, environment, commit, store=store))
    campaign = _kept(standing)
    if campaign is None:
        with closing(prepared_by(settings, root, today, reviewed=True)) as new:
            plan = plan_of(new, changing(new, former_of(settings, new)), Manner())
            campaign = recover(new, plan, standing.keeping, standing.intent, opened="")
    fleet = cached(
        settings, root, lambda store: read_fleet(root, manifest.commit, environment=environment, store=store)
    )
    prepared = prepared_by(settings, root, fleet, reviewed=True, settled=today)
    with closing(prepared):
        manner = Manner(windows=False, tells=campaign.tells, verifies=bool(prepared.place.environment.url))
        plan = replace(plan_of(prepared, campaign.targets, manner), waves=campaign.waves)
        screen = Screen(quiet=settings.quiet, metrics=metrics)
        screen.about(campaign)
        desk = desk_of(settings, prepared, standing.keeping, manner, ca=ca, leave=leave, show=screen)
        return ended(go_back(prepared, plan, campaign, desk), root, screen, style)


@dataclass(frozen=True, slots=True)
class _Standing:
    """An environment: its fleet's root, what is released there, and the campaign that stands on it, if one does."""

    root: Path
    keeping: Keeping
    manifest: Manifest
    intent: Intent | None
    id: str


def _standing(settings: Globals, environment: str) -> _Standing:
    """How an environment stands; a campaign that another machine left is brought here."""
    from offhook.publish.places import place_of
    from offhook.publish.plan.gate import choose_fleet
    from offhook.publish.state.head import read_released
    from offhook.rollout.running.keeping import bring, keeping_of
    from offhook.rollout.running.run import campaign_id
    from offhook.source import find_root

    root = find_root(settings.directory, None)
    fleet: Fleet = cached(settings, root, lambda store: choose_fleet(root, environment, None, store=store))
    keeping = keeping_of(root, environment)
    with closing(place_of(root, fleet.environment, environment).open_state()) as state:
        before, manifest = read_released(state)
        intent = before.head.intent
        id_ = campaign_id(intent)
        kept = keeping.campaign()
        if id_ and (kept is None or kept.id != id_):
            bring(keeping, state, id_)
    return _Standing(root, keeping, manifest, intent if id_ else None, id_)


def _kept(standing: _Standing) -> Campaign | None:
    """The campaign as its last run left it; None where nobody has its journal any more."""
    campaign = standing.keeping.campaign()
    if campaign is not None and campaign.id == standing.id:
        return campaign
    warn("the journal of this rollout is lost: phones that were switched are taken as told a moment ago")
    return None


def _nothing(environment: str, standing: _Standing) -> Exception:
    from offhook.problem import OffhookError

    if standing.intent is not None:
        return OffhookError(
            f"the rollout to {environment} was begun by {standing.intent.owner}, and its journal is there",
            hint=f"offhook rollout resume {environment} goes on without it, rollout revert {environment} goes back",
        )
    return OffhookError(f"no rollout to {environment} is under way", hint=f"offhook deploy {environment}")
