"""`offhook diff`: what changes on which phone between two revisions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from offhook.cli.codes import CHANGES, DONE, PROBLEMS
from offhook.cli.options import cached, env_option
from offhook.cli.run import Globals

if TYPE_CHECKING:
    from offhook.diff import Diff


@click.command()
@click.argument("base", required=False)
@click.argument("head", required=False)
@env_option()
@click.option("--format", "style", type=click.Choice(["text", "json", "markdown"]), default="text")
@click.option("--artifact", default="", metavar="URL", help="Where the whole diff is, for a comment to point to.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the answer to a file.")
@click.option("--exit-code", is_flag=True, help="End with 4 where anything changes.")
@click.pass_obj
def diff(
    settings: Globals,
    base: str | None,
    head: str | None,
    environment: str | None,
    style: str,
    artifact: str,
    out: Path | None,
    exit_code: bool,
) -> int:
    """What changes on which phone: BASE against HEAD, both git revisions.

    Without HEAD, BASE is compared with the work tree; without both, HEAD is. A..B compares two revisions, A...B what
    B changes since it left A. --format markdown is the comment for a pull request, within what GitHub and GitLab take.
    """
    from offhook.diff import diff as compare
    from offhook.diff import revisions
    from offhook.parallel import available_processes
    from offhook.review.diff_text import diff_text, summary
    from offhook.source import find_root
    from offhook.texts import visible

    root = find_root(settings.directory, head or (base and (base.rpartition("..")[2] or "HEAD")))
    first, second = revisions(root, base, head)
    found = cached(
        settings,
        root,
        lambda store: compare(
            root, first, second, environment=environment, store=store, processes=available_processes()
        ),
    )
    if style == "json":
        from offhook.review.diff_json import diff_json

        answer = diff_json(found)
    elif style == "markdown":
        answer = _comment(root, found, artifact)
    else:
        answer = diff_text(found)
    if out is not None:
        out.write_text(click.unstyle(answer) + "\n" if answer else "", encoding="utf-8")
    elif answer:
        click.echo(answer)
    for warning in found.warnings:
        click.echo(f"{click.style('warning:', fg='yellow')} {visible(warning)}", err=True)
    if style == "text" and not settings.quiet:
        click.echo("nothing changes" if found.is_empty else summary(found), err=True)
    if found.head_is_broken:
        return PROBLEMS
    return CHANGES if exit_code and not found.is_empty else DONE


def _comment(root: Path, found: Diff, artifact: str) -> str:
    """The comment on a pull request, with links where this is a platform's CI."""
    import os
    import re

    from offhook.git.repository import open_git
    from offhook.review.comment import comment
    from offhook.review.links import links_in

    if artifact and not re.fullmatch(r"https?://[^\s()<>\"']{1,2000}", artifact):
        raise click.BadParameter("expected an http or https URL", param_hint="--artifact")
    prefix = open_git(root).prefix
    return comment(found, links_in(os.environ, f"{prefix}/" if prefix else ""), artifact=artifact).rstrip("\n")
