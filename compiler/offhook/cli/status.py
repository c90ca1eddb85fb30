"""`offhook status`: the root against what was published, and that against a revision."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from offhook.cli.codes import CHANGES, DONE, PROBLEMS
from offhook.cli.options import cached
from offhook.cli.publish import steps_bar
from offhook.cli.run import Globals

if TYPE_CHECKING:
    from offhook.publish.places import Place
    from offhook.publish.state.head import Intent


@click.command()
@click.argument("environment")
@click.option("--rev", metavar="REV", help="A git revision instead of HEAD.")
@click.option("--quick", is_flag=True, help="Compare sizes only, not what files hold.")
@click.option("--exit-code", is_flag=True, help="End with 4 where the revision is not deployed.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def status(settings: Globals, environment: str, rev: str | None, quick: bool, exit_code: bool, style: str) -> int:
    """Drift of ENVIRONMENT: files changed by hand, missing or strange on its root; what is not deployed yet.

    Ends with 1 where the root is not as it was published, or where a rollout has stopped; one that waits is no drift.
    """
    from offhook.diff import Diff, diff
    from offhook.parallel import available_processes
    from offhook.problem import OffhookError
    from offhook.publish.places import place_of
    from offhook.publish.plan.gate import choose_fleet
    from offhook.publish.status import drift
    from offhook.review.publish import drift_json, drift_text
    from offhook.source import WORKTREE, find_root

    root = find_root(settings.directory, rev)
    count = available_processes()
    fleet = cached(settings, root, lambda store: choose_fleet(root, environment, rev, store=store, processes=count))
    place = place_of(root, fleet.environment, environment)
    with steps_bar(quiet=settings.quiet) as progress:
        found = drift(place, quick=quick, progress=lambda done, of: progress("look", done, of))
    if found.intent is not None and found.intent.campaign:
        found = replace(found, stuck=_stuck(root, place, found.intent))

    def ahead() -> Diff | None:
        head = None if fleet.source.revision == WORKTREE else fleet.source.revision
        try:
            return cached(
                settings,
                root,
                lambda store: diff(
                    root, found.manifest.commit, head, environment=environment, store=store, processes=count
                ),
            )
        except OffhookError:
            return None

    difference = ahead() if found.manifest.commit else None
    shown = drift_json if style == "json" else drift_text
    click.echo(shown(found, place, difference))
    if found.is_drift:
        return PROBLEMS
    is_ahead = difference is None or bool(difference.phones or difference.phonebooks)
    return CHANGES if exit_code and is_ahead else DONE


def _stuck(root: Path, place: Place, intent: Intent) -> str:
    """Why a rollout that stands cannot go on by itself: stopped by its gate, or without a journal; "" for neither."""
    from offhook.publish.carry.carrying import campaign_id
    from offhook.publish.state.hold import is_worked_on
    from offhook.rollout.campaign.progress import STOPPED
    from offhook.rollout.running.copies import Copies
    from offhook.rollout.running.keeping import keeping_of
    from offhook.rollout.running.run import USUAL

    keeping = keeping_of(root, place.environment.name)
    with closing(place.open_state()) as state:
        is_here = keeping.knows(intent.id) or Copies(state, campaign_id(intent)).bring(keeping, intent.id)
    if is_here:
        return "has stopped" if keeping.progress().condition == STOPPED else ""
    return "" if is_worked_on(intent, USUAL) else "has no journal here"
