"""`offhook rollout`: how the last deploy stands, and what a person decides about it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from offhook.cli.campaigns import Screen, desk_of, ended, former_of, run_options
from offhook.cli.codes import DONE, PROBLEMS
from offhook.cli.options import cached, show_problems, warn
from offhook.cli.publish import prepared_by
from offhook.cli.run import Globals

if TYPE_CHECKING:
    from offhook.compile import Fleet
    from offhook.model import Environment
    from offhook.publish.places import Place
    from offhook.publish.state.head import Intent
    from offhook.publish.state.manifest import Manifest
    from offhook.rollout.campaign.progress import Progress
    from offhook.rollout.campaign.rows import Row
    from offhook.rollout.running.keeping import Campaign, Keeping

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

    standing = _standing(settings, environment)
    campaign = standing.last
    if campaign is None:
        raise _nothing(environment, standing)
    progress = standing.keeping.progress()
    if standing.intent is None and progress.condition != ENDED:
        if not progress.phones:  # it asked for the environment, and never had it
            raise _nothing(environment, standing)
        progress.take(_ended_elsewhere(campaign, standing.manifest, progress))
    works, why = standing.is_worked_on, ""
    if standing.intent is not None and (rows := _as_it_stands(standing, progress)):
        progress.take(rows)
        why = progress.why
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

    standing = _standing(settings, environment)
    intent = standing.intent
    if intent is None:
        raise _nothing(environment, standing)
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

    standing = _standing(settings, environment)
    intent = _resting(environment, standing)
    if is_reverting(intent):
        raise being_reverted(environment)
    if heeds_pause and _is_paused(standing):
        click.echo(f"{environment}: a person paused this rollout: it rests until offhook rollout resume {environment}")
        return DONE
    campaign = _kept(standing)
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

    standing = _standing(settings, environment)
    intent = _resting(environment, standing)
    root, manifest = standing.root, standing.manifest
    if not manifest.release or not manifest.commit:
        raise OffhookError(
            f"no release of a commit was on {environment} before: there is nothing to go back to",
            hint=f"offhook rollout resume {environment}, or publish what is right with --rev",
        )
    commit = intent.commit or None
    today = cached(settings, root, lambda store: choose_fleet(root, environment, commit, store=store))
    campaign = _kept(standing)
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


@dataclass(frozen=True, slots=True)
class _Standing:
    """An environment: its fleet's root, what is released there, and the campaign that stands on it, if one does.

    `last` is the campaign whose journal is here: the one that stands, or, where none does, the last one of this clone.
    `is_waiting` tells that its last run ended for a maintenance window, `is_pause_wanted` that a person wants it to
    rest.
    """

    root: Path
    place: Place
    keeping: Keeping
    manifest: Manifest
    intent: Intent | None
    id: str
    is_worked_on: bool
    last: Campaign | None
    is_waiting: bool = False
    is_pause_wanted: bool = False


def _standing(settings: Globals, environment: str) -> _Standing:
    """How an environment stands; a campaign that another clone went on with is brought here."""
    from offhook.publish.carry.carrying import campaign_id
    from offhook.publish.places import place_of
    from offhook.publish.state.head import read_released
    from offhook.publish.state.hold import is_worked_on
    from offhook.rollout.running.copies import Copies
    from offhook.rollout.running.keeping import keeping_of
    from offhook.rollout.running.run import USUAL
    from offhook.source import find_root

    root = find_root(settings.directory, None)
    keeping = keeping_of(root, environment)
    place = place_of(root, _environment(settings, root, environment, keeping), environment)
    with closing(place.open_state()) as state:
        before, manifest = read_released(state)
        intent = before.head.intent
        id_ = campaign_id(intent)
        if not id_ or intent is None:
            return _Standing(root, place, keeping, manifest, None, "", False, keeping.campaign())
        copies = Copies(state, id_)
        is_here = keeping.knows(intent.id) or copies.bring(keeping, intent.id)
        said = copies.is_waiting(intent.id), copies.wants_pause()
    last = keeping.campaign() if is_here else None
    return _Standing(root, place, keeping, manifest, intent, id_, is_worked_on(intent, USUAL), last, *said)


def _environment(settings: Globals, root: Path, environment: str, keeping: Keeping) -> Environment | None:
    """What the fleet says of an environment; where HEAD is too broken to say it, what the rollout's commit said."""
    from offhook.publish.plan.gate import choose_fleet

    fleet: Fleet = cached(settings, root, lambda store: choose_fleet(root, environment, None, store=store))
    if fleet.environment is not None or not fleet.has_errors:
        return fleet.environment
    last = keeping.campaign()
    if last is None or not last.commit:
        show_problems(fleet.problems, quiet=settings.quiet)
        return None
    return cached(settings, root, lambda store: choose_fleet(root, environment, last.commit, store=store)).environment


def _resting(environment: str, standing: _Standing) -> Intent:
    """The rollout that stands. Raises OffhookError where none does, or a run is at it."""
    from offhook.problem import OffhookError
    from offhook.rollout.running.run import USUAL

    if standing.intent is None:
        raise _nothing(environment, standing)
    if standing.is_worked_on:
        raise OffhookError(
            f"{standing.intent.owner} works on this rollout to {environment}",
            hint=f"offhook rollout pause {environment} lets it rest; "
            f"a run that was killed on another machine is let go of after {USUAL.lease_s:.0f} seconds",
        )
    return standing.intent


def _kept(standing: _Standing) -> Campaign | None:
    """The campaign as its last run left it; None where nobody has its journal any more."""
    if standing.last is None:
        warn(
            "the journal of this rollout is lost: "
            "phones that were switched may just have been told, and are told once more in 2 minutes"
        )
    return standing.last


def _is_paused(standing: _Standing) -> bool:
    """Whether a person paused what stands: by a wish that no run has heard yet, or by one that a run has."""
    from offhook.rollout.campaign.progress import PAUSED

    return standing.is_pause_wanted or (standing.last is not None and standing.keeping.progress().condition == PAUSED)


def _as_it_stands(standing: _Standing, progress: Progress) -> list[Row]:
    """What the state knows of a campaign beyond its journal: that it is not released, or that a person wants a rest."""
    from offhook.rollout.campaign.progress import PAUSED, RUNNING
    from offhook.rollout.campaign.rows import Row
    from offhook.rollout.running.run import unreleased

    if progress.condition == RUNNING and standing.is_pause_wanted and not standing.is_worked_on:
        return [Row(PAUSED, why="a person paused it")]
    return unreleased(progress)


def _ended_elsewhere(campaign: Campaign, manifest: Manifest, progress: Progress) -> list[Row]:
    """What is known of a campaign that does not stand any more, and that another clone ended: where its phones are."""
    from offhook.rollout.campaign.progress import ENDED, NEW, OLD, REVERTING, SWITCHED
    from offhook.rollout.campaign.rows import Row

    name = campaign.environment
    why = f"another clone ended it, and {name} is at release {manifest.release}; see offhook report {name}"
    if manifest.release < campaign.release:
        return [Row(REVERTING), *(Row(SWITCHED, mac, to=OLD) for mac in progress.on_new()), Row(ENDED, why=why)]
    known = {mac for mac in campaign.targets if progress.of(mac).to == NEW and progress.of(mac).switched}
    others = (mac for mac in campaign.targets if mac not in known)
    return [*(Row(SWITCHED, mac, to=NEW) for mac in others), Row(ENDED, why=why)]


def _nothing(environment: str, standing: _Standing) -> Exception:
    from offhook.problem import OffhookError

    if standing.intent is None:
        return OffhookError(f"no rollout to {environment} is under way", hint=f"offhook deploy {environment}")
    owner = standing.intent.owner
    if standing.is_worked_on:
        return OffhookError(
            f"{owner} works on a rollout to {environment}, and how far it is, is known there",
            hint=f"when it rests every clone knows it: offhook rollout pause {environment}",
        )
    return OffhookError(
        f"the rollout to {environment} was begun by {owner}, and its journal is there",
        hint=f"offhook rollout resume {environment} goes on without it, rollout revert {environment} goes back",
    )
