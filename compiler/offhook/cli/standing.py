"""How an environment stands for `offhook rollout`: what is released, and which campaign stands there."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from offhook.cli.options import cached, show_problems, warn
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


@dataclass(frozen=True, slots=True)
class Standing:
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


def standing_of(settings: Globals, environment: str) -> Standing:
    """Return how an environment stands; a campaign that another clone went on with is brought here."""
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
            return Standing(root, place, keeping, manifest, None, "", False, keeping.campaign())
        copies = Copies(state, id_)
        is_here = keeping.knows(intent.id) or copies.bring(keeping, intent.id)
        said = copies.is_waiting(intent.id), copies.wants_pause()
    last = keeping.campaign() if is_here else None
    return Standing(root, place, keeping, manifest, intent, id_, is_worked_on(intent, USUAL), last, *said)


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


def resting(environment: str, standing: Standing) -> Intent:
    """Return the rollout that stands. Raises OffhookError where none does, or a run is at it."""
    from offhook.problem import OffhookError
    from offhook.rollout.running.run import USUAL

    if standing.intent is None:
        raise nothing_stands(environment, standing)
    if standing.is_worked_on:
        raise OffhookError(
            f"{standing.intent.owner} works on this rollout to {environment}",
            hint=f"offhook rollout pause {environment} lets it rest; "
            f"a run that was killed on another machine is let go of after {USUAL.lease_s:.0f} seconds",
        )
    return standing.intent


def kept(standing: Standing) -> Campaign | None:
    """Return the campaign as its last run left it; None where nobody has its journal any more."""
    if standing.last is None:
        warn(
            "the journal of this rollout is lost: "
            "phones that were switched may just have been told, and are told once more in 2 minutes"
        )
    return standing.last


def is_paused(standing: Standing) -> bool:
    """Tell whether a person paused what stands: by a wish that no run has heard yet, or by one that a run has."""
    from offhook.rollout.campaign.progress import PAUSED

    return standing.is_pause_wanted or (standing.last is not None and standing.keeping.progress().condition == PAUSED)


def as_it_stands(standing: Standing, progress: Progress) -> list[Row]:
    """Return what the state knows of the last campaign beyond its journal, for a report.

    That another clone ended it, that it is not released, or that a person wants a rest.
    """
    from offhook.rollout.campaign.progress import ENDED, PAUSED, RUNNING
    from offhook.rollout.campaign.rows import Row
    from offhook.rollout.running.standing import unreleased

    if standing.intent is None:
        assert standing.last is not None
        is_known = progress.condition == ENDED
        return [] if is_known else _ended_elsewhere(standing.last, standing.manifest, progress)
    if progress.condition == RUNNING and standing.is_pause_wanted and not standing.is_worked_on:
        return [Row(PAUSED, why="a person paused it")]
    return unreleased(progress)


def _ended_elsewhere(campaign: Campaign, manifest: Manifest, progress: Progress) -> list[Row]:
    """What is known of a campaign that does not stand any more, and that another clone ended: where its phones are."""
    from offhook.rollout.campaign.progress import ENDED, NEW, OLD, REVERTING, SWITCHED
    from offhook.rollout.campaign.rows import Row

    name = campaign.environment
    why = f"another clone ended it, and {name} is at release {manifest.release}; see offhook report {name}"
    is_other = manifest.release == campaign.release and manifest.commit != campaign.commit
    if manifest.release < campaign.release or is_other:  # going back is a release, too, where a secret was rotated
        return [Row(REVERTING), *(Row(SWITCHED, mac, to=OLD) for mac in progress.on_new()), Row(ENDED, why=why)]
    known = {mac for mac in campaign.targets if progress.of(mac).to == NEW and progress.of(mac).switched}
    others = (mac for mac in campaign.targets if mac not in known)
    return [*(Row(SWITCHED, mac, to=NEW) for mac in others), Row(ENDED, why=why)]


def nothing_stands(environment: str, standing: Standing) -> Exception:
    """Return the refusal where no campaign stands, or none that is known here."""
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
