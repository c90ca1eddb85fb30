"""`offhook clock`: the sites whose UTC offset changes soon."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from offhook.cli.codes import CHANGES, DONE, PROBLEMS
from offhook.cli.options import read, show_problems, warn
from offhook.cli.run import Globals

if TYPE_CHECKING:
    from offhook.clock import Due


@click.command()
@click.option("--within", type=click.IntRange(0, 400), default=8, metavar="DAYS", help="How far ahead (default: 8).")
@click.option("--at", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="A day instead of today, in UTC.")
@click.option("--write", is_flag=True, help="Put the new offsets into the inventory.")
@click.option("--exit-code", is_flag=True, help="End with 4 where an offset changes.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
@click.pass_obj
def clock(settings: Globals, within: int, at: object, write: bool, exit_code: bool, style: str) -> int:
    """Which sites' UTC offset changes soon? Phones are told a fixed one: it has to change twice a year.

    A site is named where its zone will have another offset than its phones are told. With --write its file says the new
    one, comments and all, or the site is marked "by hand"; commit it on the day, or let a pull request wait for it.
    """
    import json
    from datetime import UTC, datetime, timedelta

    from offhook.clock import due

    root, fleet = read(settings, None, None)
    show_problems(fleet.problems, quiet=True)
    if fleet.has_errors:
        return PROBLEMS
    now = at.replace(tzinfo=UTC) if isinstance(at, datetime) else datetime.now(UTC)
    rows = due(fleet.inventory, now, timedelta(days=within))
    left = _write(root, rows) if write else []
    if style == "json":
        click.echo(json.dumps({"sites": [{**_data(one), "by_hand": one in left} for one in rows]}, indent=1))
    else:
        lines = (_line(one) + ("; put it in by hand" if one in left else "") for one in rows)
        click.echo("\n".join(lines) or f"no site's offset changes within {within} days")
    return CHANGES if exit_code and rows else DONE


def _write(root: Path, rows: list[Due]) -> list[Due]:
    """Write what can be written; return the sites that a person must see to."""
    from offhook.clock import rewritten

    every: list[Due] = []
    for file in sorted({one.mark.file for one in rows}):
        path = root / file
        text, left = rewritten(path.read_bytes().decode(), [one for one in rows if one.mark.file == file])
        path.write_bytes(text.encode())
        every += left
        for one in left:
            warn(f"{one.mark}: {one.site} must say utc_offset: {one.new}; put it in by hand")
    return every


def _line(one: Due) -> str:
    when = "now" if one.at is None else f"on {one.at:%Y-%m-%d at %H:%M} UTC"
    return f"{one.mark.file}:{one.mark.line}: {one.site}  utc_offset {one.old} -> {one.new}  {one.time_zone}, {when}"


def _data(one: Due) -> dict[str, object]:
    return {
        "site": one.site,
        "time_zone": one.time_zone,
        "old": one.old,
        "new": one.new,
        "at": None if one.at is None else one.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "file": one.mark.file,
        "line": one.mark.line,
    }
