"""`offhook report ENV`: the auditor's evidence on releases."""

from __future__ import annotations

from pathlib import Path

import click

from offhook.cli.codes import DONE
from offhook.cli.options import cached, revision_of, warn
from offhook.cli.run import Globals

_PATIENCE_S = 20.0
_FORMATS = ("text", "html", "csv", "json")


@click.command()
@click.argument("environment", metavar="ENV")
@click.option("--from", "first", default="", metavar="RELEASE|DAY", help="The first release, such as 9 or 2026-10-01.")
@click.option("--to", "last", default="", metavar="RELEASE|DAY", help="The last release (default: the newest).")
@click.option("--no-fetch", is_flag=True, help="Do not ask the remote: only what this clone has.")
@click.option("--format", "style", type=click.Choice(_FORMATS), default="text")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the answer to a file.")
@click.pass_obj
def report(
    settings: Globals, environment: str, first: str, last: str, no_fetch: bool, style: str, out: Path | None
) -> int:
    """What changed on which phone, by whom, reviewed and signed, when it was published, and what the phones answered.

    Of the last release of ENV, or of those from --from to --to, both included; days are those of publishing, in UTC.
    Made from git alone: the same from every clone.
    """
    from offhook.parallel import available_processes
    from offhook.problem import OffhookError
    from offhook.publish.releases.evidence import gather, unchecked
    from offhook.publish.releases.ledger import ref_of
    from offhook.publish.releases.records import fetch_releases

    ref_of(environment)
    root, _ = revision_of(settings, None)
    if not no_fetch:
        try:
            fetch_releases(root, environment, timeout_s=_PATIENCE_S)
        except OffhookError as error:
            warn(f"{error.message}; this is what the clone has")
            click.echo(f"  {error.hint}", err=True)
    found = cached(
        settings,
        root,
        lambda store: gather(
            root, environment, first=first, last=last, store=store, processes=available_processes(), warn=warn
        ),
    )
    for reason in unchecked(found):
        warn(f"signatures are not all checked here, so another clone may say more: {reason}")
    if style == "csv":
        from offhook.review.report.as_csv import report_csv

        answer = report_csv(found)
    elif style == "json":
        from offhook.review.report.as_json import report_json

        answer = report_json(found) + "\n"
    elif style == "html":
        from offhook.review.report.page import report_page

        answer = report_page(found)
    else:
        from offhook.review.report.as_text import report_text

        answer = report_text(found) + "\n"
    if out is not None:
        out.write_text(click.unstyle(answer), encoding="utf-8", newline="")
    else:
        click.echo(answer, nl=False)
    return DONE
