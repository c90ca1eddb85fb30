"""`offhook diff`: what changes on which phone between two revisions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from offhook.cli.codes import CHANGES, DONE, PROBLEMS
from offhook.cli.options import cached, env_option, prefix_of, warn
from offhook.cli.run import Globals

if TYPE_CHECKING:
    from offhook.diff import Diff
    from offhook.diff.change import Outside
    from offhook.review.links import Links


@click.command()
@click.argument("base", required=False)
@click.argument("head", required=False)
@env_option()
@click.option("--format", "style", type=click.Choice(["text", "json", "markdown", "html"]), default="text")
@click.option("--artifact", default="", metavar="URL", help="Where the whole diff is, for a comment to point to.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the answer to a file.")
@click.option(
    "--only",
    multiple=True,
    metavar="SCOPE",
    help="End with 1 where anything else changes: sites/ID, profiles/ID, models/NAME or phones/MAC.",
)
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
    only: tuple[str, ...],
    exit_code: bool,
) -> int:
    """What changes on which phone: BASE against HEAD, both git revisions.

    Without HEAD, BASE is compared with the work tree; without both, HEAD is. A..B compares two revisions, A...B what
    B changes since it left A. --format markdown is the comment for a pull request, within what GitHub and GitLab take;
    --format html one page with pictures of keys, which needs no network.
    """
    from offhook.diff import diff as compare
    from offhook.diff import revisions
    from offhook.parallel import available_processes
    from offhook.review.diff_text import diff_text, summary
    from offhook.review.page import PICTURED
    from offhook.source import find_root
    from offhook.texts import visible

    root = find_root(settings.directory, head or (base and (base.rpartition("..")[2] or "HEAD")))
    first, second = revisions(root, base, head)
    found = cached(
        settings,
        root,
        lambda store: compare(
            root,
            first,
            second,
            environment=environment,
            store=store,
            processes=available_processes(),
            pictured=PICTURED if style == "html" else 0,
            only=only,
        ),
    )
    if style == "json":
        from offhook.review.diff_json import diff_json

        answer = diff_json(found)
    elif style == "markdown":
        answer = _comment(root, found, artifact)
    elif style == "html":
        from offhook.review.page.page import page

        answer = page(found, _links(root)).rstrip("\n")
    else:
        answer = diff_text(found)
    if out is not None:
        out.write_text(click.unstyle(answer) + "\n" if answer else "", encoding="utf-8")
    elif answer:
        click.echo(answer)
    for warning in found.warnings:
        warn(visible(warning))
    if style == "text" and not settings.quiet:
        click.echo("nothing changes" if found.is_empty else summary(found), err=True)
    if found.outside is not None:
        if not found.outside.is_empty:
            _say_outside(found.outside)
            return PROBLEMS
        if not settings.quiet and not found.head_is_broken:
            click.echo(f"nothing changes outside of {', '.join(found.outside.scopes)}", err=True)
    if found.head_is_broken:
        return PROBLEMS
    return CHANGES if exit_code and not found.is_empty else DONE


def _say_outside(outside: Outside) -> None:
    """What changes and may not, on standard error: every phone on a line."""
    from offhook.diff.change import CHANGED
    from offhook.review.words import count, sites
    from offhook.texts import listed, visible

    what = [
        *([count(len(outside.phones), "phone")] if outside.phones else []),
        *([f"{count(outside.rules, 'rule')}"] if outside.rules else []),
        *(["the common file"] if outside.common else []),
        *(f"phonebook {one}" for one in outside.phonebooks),
    ]
    numbers = (len(outside.phones), outside.rules, int(outside.common), len(outside.phonebooks))
    verb = "changes" if sum(numbers) == 1 else "change"
    words = f"{listed(what, limit=6)} {verb} outside of {listed(outside.scopes, limit=6)}"
    click.echo(f"{click.style('error:', fg='red', bold=True)} {visible(words)}", err=True)
    for phone in outside.phones:
        fate = "goes over, as it is" if phone.status == CHANGED and not phone.changes else phone.status
        click.echo(f"  {phone.mac}  {visible(phone.model)}{sites([phone])}  {fate}", err=True)


def _comment(root: Path, found: Diff, artifact: str) -> str:
    """The comment on a pull request, with links where this is a platform's CI."""
    import re

    from offhook.review.comment import comment

    if artifact and not re.fullmatch(r"https?://[^\s()<>\[\]\\\"'`]{1,2000}", artifact):
        raise click.BadParameter("expected an http or https URL", param_hint="--artifact")
    return comment(found, _links(root), artifact=artifact).rstrip("\n")


def _links(root: Path) -> Links:
    import os

    from offhook.review.links import links_in

    return links_in(os.environ, prefix_of(root))
