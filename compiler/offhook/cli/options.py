"""Options and steps that several verbs share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from offhook.cli.run import Globals

if TYPE_CHECKING:
    from offhook.compile import Fleet
    from offhook.problem import Problem
    from offhook.store import Store

R = TypeVar("R")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
_MANY_BYTES = 500_000
_MANY_STEPS = 20


def rev_option() -> Decorator:
    """--rev REV."""
    return click.option("--rev", metavar="REV", help="A git revision instead of the work tree.")


def env_option() -> Decorator:
    """--env NAME."""
    return click.option(
        "--env", "environment", metavar="NAME", help="The environment (default: the fleet's default_environment)."
    )


def read(
    settings: Globals, revision: str | None, environment: str | None, against: str | None = None
) -> tuple[Path, Fleet]:
    """Return the fleet's root and the fleet, read and checked."""
    from offhook.compile import read_fleet
    from offhook.source import find_root

    root = find_root(settings.directory, revision)
    count = processes(root)
    return root, cached(
        settings,
        root,
        lambda store: read_fleet(root, revision, environment=environment, base=against, store=store, processes=count),
    )


def prefix_of(root: Path) -> str:
    """Return the path from the repository's top to the fleet, with its slash; "" at the top, or outside of git."""
    from offhook.git.repository import is_repository, open_git

    prefix = open_git(root).prefix if is_repository(root) else ""
    return f"{prefix}/" if prefix else ""


def cached(settings: Globals, root: Path, use: Callable[[Store], R]) -> R:
    """Return use(store) with the fleet's cache, or with a store in memory for --no-cache."""
    from offhook.cache import with_store

    with reading_bar(quiet=settings.quiet):
        return with_store(root, use, cached=settings.cached, warn=warn)


@contextmanager
def reading_bar(*, quiet: bool) -> Iterator[None]:
    """A bar on standard error while many files or phones are gone through; nothing where that is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from offhook.parallel import watched_by

    bar: list[Any] = []

    def watch(done: int, of: int) -> None:
        if of < _MANY_STEPS or done % (of // _MANY_STEPS):
            return  # drawing takes longer than many a step
        if not bar:
            bar.append(_start_bar())
        bar[0].update(bar[0].task_ids[0], completed=done, total=of)
        bar[0].refresh()

    try:
        with watched_by(watch):
            yield
    finally:
        for one in bar:
            one.stop()


def _start_bar() -> Any:
    from rich.console import Console
    from rich.progress import Progress

    # refreshed by hand: a thread of its own would be in the way of the processes that work
    made = Progress(console=Console(stderr=True), transient=True, auto_refresh=False)
    made.add_task("reading")
    made.start()
    return made


def revision_of(settings: Globals, revision: str | None) -> tuple[Path, str]:
    """Return the fleet's root and the revision that history is asked at: HEAD unless another is named."""
    from offhook.source import find_root

    chosen = "HEAD" if revision is None else revision
    return find_root(settings.directory, chosen), chosen


def line_width() -> int:
    """Return how many columns the terminal has, 80 where standard output is none; COLUMNS says otherwise."""
    import shutil

    return max(shutil.get_terminal_size((80, 24)).columns, 40)


def canonical_mac(text: str) -> str:
    """Return a MAC as people write it in canonical form. Raises UsageError."""
    from offhook.mac import parse_mac

    found = parse_mac(text)
    if found is None:
        raise click.UsageError(f'"{text}" is no MAC address: 12 hex digits are expected')
    return found


def processes(root: Path) -> int:
    """Return how many processes are worth having for an inventory: one for a small one."""
    from offhook.parallel import available_processes
    from offhook.source import INVENTORY

    size = 0
    for path in (root / INVENTORY).rglob("*.y*ml"):
        size += path.lstat().st_size
        if size > _MANY_BYTES:
            return available_processes()
    return 1


@contextmanager
def progress_bar(words: str, steps: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar on standard error that is told the step under way; nothing where that is no terminal, or the work short."""
    if quiet or steps < _MANY_STEPS or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    # refreshed by hand: a thread of its own would be in the way of the processes that compile
    bar = Progress(console=Console(stderr=True), transient=True, auto_refresh=False)
    with bar:
        task = bar.add_task(words, total=steps)

        def advance(step: int) -> None:
            bar.update(task, completed=step)
            bar.refresh()

        yield advance


def warn(message: str) -> None:
    """Write a warning to standard error."""
    click.echo(f"{click.style('warning:', fg='yellow')} {message}", err=True)


def show_problems(problems: Sequence[Problem], *, quiet: bool) -> None:
    """Write problems to standard error, errors only where `quiet`."""
    from offhook.problem import ERROR
    from offhook.report import text

    chosen = [one for one in problems if not quiet or one.severity == ERROR]
    if chosen:
        click.echo(text(chosen), err=True)
