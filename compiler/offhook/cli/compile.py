"""`offhook compile`: the tree, written to a folder or compared with one."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from offhook.cli.codes import DONE, PROBLEMS
from offhook.cli.options import cached, env_option, processes, progress_bar, read, rev_option, show_problems
from offhook.cli.run import Globals
from offhook.problem import OffhookError, Problem

if TYPE_CHECKING:
    from offhook.compile import Fleet
    from offhook.output import Written
    from offhook.store import Store


@click.command("compile")
@rev_option()
@env_option()
@click.option("--out", type=click.Path(path_type=Path), help="The folder (default: site/ beside inventory/).")
@click.option(
    "--check", "only_check", is_flag=True, help="Write nothing; fail where the folder is not what would be written."
)
@click.option("--timings", is_flag=True, help="Seconds of the steps, as JSON on standard error.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def compile(
    settings: Globals,
    rev: str | None,
    environment: str | None,
    out: Path | None,
    only_check: bool,
    timings: bool,
    style: str,
) -> int:
    """Compile the inventory into the tree that phones fetch. Secrets stay sealed."""
    from offhook.source import find_root

    root = find_root(settings.directory, rev)
    folder = out if out is not None else root / "site"
    _refuse_inventory(root, folder)
    job = _Job(settings, root, rev, environment, folder, is_default=out is None, only_check=only_check, timings=timings)
    found = cached(settings, root, job.is_done_already)
    if found is None:
        found = job.compile()
    if found is None:
        return PROBLEMS
    if style == "json":
        answer = {
            "added": found.added,
            "changed": found.changed,
            "deleted": found.deleted,
            "unchanged": found.unchanged,
        }
        click.echo(json.dumps(answer))
    else:
        _say(settings, folder, found, only_check)
    return PROBLEMS if only_check and not found.is_current else DONE


@dataclass(frozen=True, slots=True)
class _Job:
    """One call of the verb. Both ways to answer it return what became of the folder, and show the problems."""

    settings: Globals
    root: Path
    revision: str | None
    environment: str | None
    folder: Path
    is_default: bool
    only_check: bool
    timings: bool

    def is_done_already(self, store: Store) -> Written | None:
        """Return what there is to say where a former run compiled this inventory into this folder; else None."""
        from offhook.again import former, inventory_key
        from offhook.compile import fleet_source
        from offhook.output import Written
        from offhook.parallel import available_processes

        source = fleet_source(self.root, self.revision, store)
        key = inventory_key(source, self.environment)
        found = former(store, self.folder, key, processes=available_processes())
        if found is None:
            return None
        self._show(found.problems, found.default_environment)
        return Written((), (), (), found.files)

    def compile(self) -> Written | None:
        """Return what became of the folder, None where the inventory has errors."""
        from offhook.compile import tree_of
        from offhook.output import compare_tree, write_tree

        start = time.perf_counter()
        _, fleet = read(self.settings, self.revision, self.environment)
        usual = fleet.inventory.fleet.default_environment
        self._show(fleet.problems, usual)
        if fleet.has_errors:
            return None
        middle = time.perf_counter()
        shares = tree_of(fleet)
        count = processes(self.root)
        if self.only_check:
            written = compare_tree(self.folder, shares, processes=count)
        else:
            with progress_bar("compiling", len(shares), quiet=self.settings.quiet) as progress:
                written = write_tree(self.folder, shares, processes=count, progress=progress)
        end = time.perf_counter()
        if self.settings.cached and (written.is_current or not self.only_check):
            cached(self.settings, self.root, lambda store: self._remember(store, fleet, written))
        if self.timings:
            seconds = {"read_and_check": middle - start, "resolve_and_write": end - middle, "write": written.seconds}
            click.echo(json.dumps({name: round(value, 3) for name, value in seconds.items()}), err=True)
        return written

    def _remember(self, store: Store, fleet: Fleet, written: Written) -> None:
        from offhook.again import Former, inventory_key, remember

        files = len(written.added) + len(written.changed) + written.unchanged
        found = Former(fleet.problems, fleet.inventory.fleet.default_environment, files)
        key = inventory_key(fleet.source, self.environment)
        remember(store, self.folder, key, found, processes=processes(self.root))

    def _show(self, problems: Sequence[Problem], usual: str | None) -> None:
        show_problems(problems, quiet=self.settings.quiet)
        is_other = self.environment is not None and self.environment != usual
        if self.is_default and is_other and not self.settings.quiet:
            click.echo(f"{self.folder} takes the tree of {self.environment}; --out keeps environments apart", err=True)


def _say(settings: Globals, folder: Path, written: Written, only_check: bool) -> None:
    if only_check and not written.is_current:
        for sign, paths in (("+", written.added), ("~", written.changed), ("-", written.deleted)):
            for path in paths[:20]:
                click.echo(f"{sign} {path}")
            if len(paths) > 20:
                click.echo(f"{sign} ... and {len(paths) - 20} more")
        click.echo(f"{folder} is stale: run offhook compile", err=True)
        return
    if not settings.quiet:
        count = len(written.added) + len(written.changed) + written.unchanged
        changes = (
            "nothing changed"
            if written.is_current
            else f"{len(written.added)} added, {len(written.changed)} changed, {len(written.deleted)} deleted"
        )
        click.echo(f"{folder}: {count} files, {changes}")


def _refuse_inventory(root: Path, folder: Path) -> None:
    """A tree written into the inventory, or around it, would become input."""
    target, inventory = folder.absolute().resolve(), (root / "inventory").resolve()
    if ".git" in target.parts:
        raise OffhookError(f"--out {folder} lies in git's own folder", hint="name a folder beside inventory/")
    if target == inventory or inventory in target.parents or target in inventory.parents:
        raise OffhookError(
            f"--out {folder} holds the inventory, or is held by it", hint="name a folder beside inventory/"
        )
