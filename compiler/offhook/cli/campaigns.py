"""What `deploy` and `rollout` share: from words on a command line to a campaign that runs, and its one report."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from offhook.cli.codes import DONE, INTERRUPTED, PROBLEMS
from offhook.cli.options import cached, warn
from offhook.cli.run import Globals

if TYPE_CHECKING:
    from offhook.compile import Fleet
    from offhook.publish.plan.prepared import Prepared
    from offhook.rollout.campaign.progress import Progress
    from offhook.rollout.campaign.steps import Action
    from offhook.rollout.running.fetched import Watch
    from offhook.rollout.running.keeping import Campaign, Keeping
    from offhook.rollout.running.planning import Manner
    from offhook.rollout.running.run import Desk, Ran

_METRICS_S = 10.0
_FILE = click.Path(path_type=Path, dir_okay=False)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--leave, --ca, --metrics and --format: how a run is done and reported."""
    for option in (
        click.option("--format", "style", type=click.Choice(["text", "json", "csv", "junit"]), default="text"),
        click.option("--metrics", type=_FILE, metavar="FILE", help="Keep a text file for Prometheus up to date."),
        click.option("--ca", type=_FILE, help="Authorities (PEM) that virtual phones trust instead of the system's."),
        click.option("--leave", is_flag=True, help="End where only a maintenance window is waited for."),
    ):
        command = option(command)
    return command


def desk_of(
    settings: Globals,
    prepared: Prepared,
    keeping: Keeping,
    manner: Manner,
    *,
    ca: Path | None,
    leave: bool,
    show: Callable[[Progress, Action], None],
    judges: bool = True,
    heeds_pause: bool = False,
) -> Desk:
    """Return what a campaign is run with; `judges` says that gates are passed; `heeds_pause` as a `Desk` has it.

    Raises OffhookError where a password cannot be opened, and where a gate asks who fetched and nobody can tell.
    """
    from urllib.parse import urlsplit

    from offhook.parallel import available_processes
    from offhook.phone.request import FetchOptions
    from offhook.publish.tree.opening import open_by
    from offhook.rollout.campaign.config import config_of
    from offhook.rollout.routes.table import notify_of, open_route
    from offhook.rollout.running.fetched import Watch
    from offhook.rollout.running.keeping import WATCHED
    from offhook.rollout.running.looking import Looking, look_of
    from offhook.rollout.running.planning import access_log
    from offhook.rollout.running.run import Desk
    from offhook.secrets.reference import PREFIX

    environment, root = prepared.rule.environment, prepared.root
    assert environment is not None
    said = notify_of(prepared.rule.inventory.fleet, environment)
    name = str(said.get("password", "")).removeprefix(PREFIX)
    password = str(open_by(prepared.rule, [name]).value(name)) if name and manner.tells else ""
    look = None
    if environment.url and manner.verifies:
        options = FetchOptions(ca_file=str(ca) if ca else None)
        look = look_of(prepared, Looking(environment.url, options, available_processes()))
    log, watch = access_log(environment), None
    if log:
        own = urlsplit(environment.url).scheme if environment.url and look is not None else ""
        watch = Watch(root / log, own, keeping.folder / WATCHED)
        _tell_of_log(watch, is_needed=judges and config_of(environment.rollout).gate.fetched is not None)
    return Desk(
        keeping,
        look,
        (lambda: open_route(said, root=root, password=password)) if manner.tells else None,
        watch,
        warn,
        show,
        leaves=leave,
        heeds_pause=heeds_pause,
        processes=available_processes(),
    )


def _tell_of_log(watch: Watch, *, is_needed: bool) -> None:
    """Warn where nobody will be seen to fetch. Raises OffhookError where the log cannot be read, and has to be."""
    from offhook.problem import OffhookError

    try:
        doubt = watch.doubt()
    except OffhookError as error:
        if is_needed:
            raise
        doubt = error.message
    if doubt:
        warn(doubt)


def former_of(settings: Globals, prepared: Prepared) -> Fleet | None:
    """Return the fleet as it was released before, None where nothing was, or its commit is not here."""
    from offhook.compile import read_fleet
    from offhook.problem import OffhookError

    manifest, root = prepared.manifest, prepared.root
    if not manifest.release or not manifest.commit:
        return None
    try:
        return cached(
            settings,
            root,
            lambda store: read_fleet(root, manifest.commit, environment=manifest.environment, store=store),
        )
    except OffhookError:
        return None


class Screen:
    """Shows how a campaign goes: a line that changes on a terminal, a line a step elsewhere; and the metrics file."""

    def __init__(self, *, quiet: bool, metrics: Path | None) -> None:
        """Raise OffhookError where the metrics file has no folder."""
        from offhook.problem import OffhookError

        if metrics is not None and not metrics.parent.is_dir():
            raise OffhookError(f"{metrics}: there is no folder {metrics.parent}", hint=f"mkdir -p {metrics.parent}")
        self._quiet = quiet
        self._metrics = metrics
        self._last = ""
        self._at = 0.0
        self._campaign: Campaign | None = None

    def about(self, campaign: Campaign) -> None:
        """Say which campaign it is."""
        self._campaign = campaign

    def __call__(self, progress: Progress, action: Action) -> None:
        """Show what is done next."""
        from offhook.review.rollout import action_line

        if time.monotonic() - self._at > _METRICS_S:
            self._at = time.monotonic()
            self._write(progress, worked_on=True)
        line = action_line(action)
        if self._quiet or not line or line == self._last:
            return
        self._last = line
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[K{line}", err=True, nl=False)
        else:
            click.echo(line, err=True)

    def end(self, progress: Progress) -> None:
        """Clear the line, and write the metrics as they are now."""
        if self._last and sys.stderr.isatty():
            click.echo("\r\x1b[K", err=True, nl=False)
        self._write(progress, worked_on=False)

    def _write(self, progress: Progress, *, worked_on: bool) -> None:
        """Write the metrics; where that is refused, a rollout goes on without them."""
        from offhook.problem import OffhookError
        from offhook.review.rollout import metrics
        from offhook.rollout.running.files import replace_file

        if self._metrics is None or self._campaign is None:
            return
        try:
            replace_file(self._metrics, metrics(self._campaign, progress, worked_on=worked_on).encode())
        except OffhookError as error:
            warn(f"{error.message}: there are no metrics any more")
            self._metrics = None


def ended(ran: Ran, root: Path, screen: Screen, style: str) -> int:
    """Report what a run came to, add its outcomes to the release's record, and return the exit code.

    What the world refused in mid-run is raised after the report.
    """
    from offhook.review.rollout import FORMATS, WINDOW
    from offhook.rollout.running.recorded import record_outcomes

    screen.end(ran.progress)
    for warning in ran.warnings:
        warn(warning)
    if warning := record_outcomes(root, ran):
        warn(warning)
    click.echo(FORMATS[style](ran.campaign, ran.progress, why=ran.why, waits=WINDOW if ran.is_waiting else ""))
    if ran.refusal is not None:
        raise ran.refusal
    if ran.interrupted:
        return INTERRUPTED
    is_untold = ran.reverted and any(one.has_failed for one in ran.progress.phones.values())
    return DONE if (ran.release and not is_untold) or ran.is_waiting else PROBLEMS
