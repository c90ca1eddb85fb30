"""The command group: the table of verbs, the global options, and what becomes of every way to fail."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from offhook import __version__
from offhook.cli.codes import BUG, DONE, INTERRUPTED, PROBLEMS, USAGE
from offhook.problem import OffhookError

VERBS = {
    "check": "is the inventory right? every problem, sorted",
    "compile": "the tree that phones fetch, written to a folder",
    "show": "one phone's effective settings, and who said each",
    "labels": "a sheet of key labels for a site, to print",
    "diff": "what changes on which phone, between two revisions",
    "why": "who said so: the winner of one parameter, and every layer that it overrides",
    "blame": "each setting of a phone, and the commit that last changed it",
    "log": "the commits that changed a phone, and what they changed",
    "clock": "sites whose UTC offset changes soon, and the inventory with the new one",
    "publish": "carry the tree to where phones fetch it, within limits",
    "status": "drift: the root against what was published, and that against a revision",
    "releases": "what was published where, when, by whom and from which commit",
    "report": "the auditor's evidence: what changed on which phone, by whom, reviewed, signed, told",
    "rollback": "publish what was released before, once more",
    "boot": "a virtual phone: its requests, and what it ends with",
    "verify": "virtual phones boot from the live root, and are held against what was released",
    "dhcp": "what a DHCP server has to say for phones to find their server",
    "provision-page": "what to type into a phone's Provision page",
    "notify": "the phones that a release changed are told to fetch now, by SIP NOTIFY",
    "deploy": "publish in waves: each is switched, verified, told and judged",
    "rollout": "how a deploy stands; pause it, go on with it, or go back",
    "serve": "a lab server: phones configure themselves from it, and its log says which has what",
}
"""Verb -> its line in --help. Each is the click command of that name in the module of that name, with _ for -."""


@dataclass(frozen=True, slots=True)
class Globals:
    """The global options, as the verbs see them."""

    directory: Path
    color: bool | None
    quiet: bool
    verbose: bool
    cached: bool


class Verbs(click.Group):
    """A group that imports a verb's module when the verb is called, so that --help stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a verb's command."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"offhook.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of verbs without importing any."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="offhook %(version)s")
@click.option(
    "-C",
    "directory",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The fleet's repository (default: here, found upwards).",
)
@click.option(
    "--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colours (default: on a terminal)."
)
@click.option("-q", "--quiet", is_flag=True, help="Only the answer and errors.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on standard error.")
@click.option("--no-cache", is_flag=True, help="Read everything anew; the answer is the same.")
@click.pass_context
def offhook(ctx: click.Context, directory: Path, color: str, quiet: bool, verbose: bool, no_cache: bool) -> None:
    """A compiler for desk phones: an inventory in git becomes the files that phones fetch."""
    if not directory.is_dir():
        raise click.UsageError(f"-C {directory}: no such folder")
    ctx.obj = Globals(directory, _color(color), quiet, verbose, not no_cache)
    ctx.color = ctx.obj.color


def run(arguments: Sequence[str]) -> int:
    """Run offhook and return its exit code: 0, 1 problems or refusal, 2 usage, 3 a bug, 4 changes, 130 interrupted."""
    _reopen()
    try:
        code = offhook.main(list(arguments), prog_name="offhook", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return USAGE if isinstance(error, click.UsageError) else PROBLEMS
    except OffhookError as error:
        _say(error.message, error.hint)
        return PROBLEMS
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except OSError as error:
        # what no step foresaw: a full disk behind standard output, a path that cannot be
        _drop_output()
        place = f"{error.filename}: " if error.filename else ""
        _say(f"{place}{error.strerror or 'the system refuses'}".lower(), "")
        return PROBLEMS
    except MemoryError:
        _say("not enough memory", "a larger machine, or less at once")
        return PROBLEMS
    except Exception as error:
        _report(error)
        return BUG


def _reopen() -> None:
    """Give standard streams that the caller closed a place: the work is done all the same.

    Otherwise the next file that is opened would take their number, and a stray message would be written into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115


def _drop_output() -> None:
    """Forget what standard output cannot take, so that the interpreter does not try again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _color(choice: str) -> bool | None:
    """True and False force colours on and off; None leaves it to the terminal."""
    if choice != "auto":
        return choice == "always"
    return False if os.environ.get("NO_COLOR") else None


def _say(message: str, hint: str) -> None:
    click.echo(f"{click.style('error:', fg='red', bold=True)} {message}", err=True)
    if hint:
        click.echo(f"  {hint}", err=True)


def _report(error: Exception) -> None:
    """A bug's report: where it happened, without any value that the inventory holds."""
    import platform
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"  {Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames[-12:]]
    click.echo(
        "\n".join(
            [
                "offhook has a bug. Please report it with the lines below:",
                f"  offhook {__version__}, Python {platform.python_version()}, {platform.system()}",
                *lines,
                f"  {type(error).__name__}",
            ]
        ),
        err=True,
    )
