"""`offhook compile`: the tree, written to a folder or compared with one."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from offhook.cli.codes import DONE, PROBLEMS
from offhook.cli.options import env_option, processes, progress_bar, read, rev_option, show_problems
from offhook.cli.run import Globals
from offhook.problem import OffhookError


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
    from offhook.compile import tree_of
    from offhook.output import compare_tree, write_tree

    start = time.perf_counter()
    root, fleet = read(settings, rev, environment)
    show_problems(fleet, quiet=settings.quiet)
    if fleet.has_errors:
        return PROBLEMS
    folder = out if out is not None else root / "site"
    usual = fleet.inventory.fleet.default_environment
    if out is None and environment is not None and environment != usual and not settings.quiet:
        click.echo(f"{folder} takes the tree of {environment}; --out keeps environments apart", err=True)
    _refuse_inventory(root, folder)
    middle = time.perf_counter()
    shares = tree_of(fleet)
    count = processes(root)
    if only_check:
        written = compare_tree(folder, shares, processes=count)
    else:
        with progress_bar("compiling", len(shares), quiet=settings.quiet) as progress:
            written = write_tree(folder, shares, processes=count, progress=progress)
    if timings:
        seconds = {
            "read_and_check": middle - start,
            "resolve_and_write": time.perf_counter() - middle,
            "write": written.seconds,
        }
        click.echo(json.dumps({name: round(value, 3) for name, value in seconds.items()}), err=True)
    if style == "json":
        answer = {
            "added": written.added,
            "changed": written.changed,
            "deleted": written.deleted,
            "unchanged": written.unchanged,
        }
        click.echo(json.dumps(answer))
    else:
        _say(settings, folder, written, only_check)
    return PROBLEMS if only_check and not written.is_current else DONE


def _say(settings: Globals, folder: Path, written: object, only_check: bool) -> None:
    from offhook.output import Written

    assert isinstance(written, Written)
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
