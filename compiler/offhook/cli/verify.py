"""`offhook verify`: virtual phones boot from a live root, and what they get is held against what was released."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from offhook.cli.codes import DONE, PROBLEMS
from offhook.cli.options import cached, canonical_mac, reading_bar, show_problems
from offhook.cli.run import Globals

if TYPE_CHECKING:
    from offhook.compile import Fleet
    from offhook.phone.request import FetchOptions
    from offhook.publish.places import Place
    from offhook.verify.expected import Compiled, Released
    from offhook.verify.verification import Verification

_EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_JOBS = 32
_FTP_JOBS = 8
"""Each file has a login of its own there, and servers bound the sessions of one address."""

_SECONDS = click.FloatRange(min=0, min_open=True, max=3600)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What is verified: phones, from where, against what; `place` where that is a release."""

    url: str
    against: str
    macs: list[str]
    known: list[str]
    expected: Released | Compiled
    place: Place | None


@click.command()
@click.argument("target", metavar="ENV|URL")
@click.argument("macs", nargs=-1, metavar="[MAC]...")
@click.option("--changed", is_flag=True, help="Only the phones that the release changed or added.")
@click.option("--via", metavar="URL", help="Boot from here instead of the environment's url.")
@click.option("--rev", metavar="REV", help="Hold against a git revision, not against the release.")
@click.option("--env", "environment", metavar="NAME", help="With a URL: the environment whose phones boot.")
@click.option("--timeout", type=_SECONDS, default=10.0, show_default=True, help="Seconds that one request may take.")
@click.option("--slow", type=_SECONDS, default=5.0, show_default=True, help="Seconds from which a boot is slow.")
@click.option("--ca", type=_EXISTING_FILE, help="Certificate authorities (PEM) to trust instead of the system's.")
@click.option("--jobs", type=click.IntRange(1, 512), help="Phones in flight (default: 32, over FTP 8).")
@click.option("--strict", is_flag=True, help="End with 1 for warnings, too.")
@click.option("--format", "style", type=click.Choice(["text", "json", "junit"]), default="text")
@click.pass_obj
def verify(
    settings: Globals,
    target: str,
    macs: tuple[str, ...],
    changed: bool,
    via: str | None,
    rev: str | None,
    environment: str | None,
    timeout: float,
    slow: float,
    ca: Path | None,
    jobs: int | None,
    strict: bool,
    style: str,
) -> int:
    """Boot virtual phones from a live root, many at once, and compare what they get with what was released.

    With the name of an environment, phones boot from its url and are held against the release that is published there;
    with a URL, against the work tree or --rev. Ends with 1 where a phone does not get what it should. What a stranger
    would get is a warning.
    """
    from offhook.phone.request import FetchOptions
    from offhook.review.verify import FORMATS
    from offhook.verify.fetching import with_credentials

    is_url = "://" in target
    if is_url and (via or changed):
        raise click.UsageError("--via and --changed go with the name of an environment, not with a URL")
    if not is_url and environment:
        raise click.UsageError("--env goes with a URL: the environment is named already")
    for url in filter(None, (via, target if is_url else None)):
        _check_url(url)
    wanted = [canonical_mac(one) for one in macs]
    if changed and (wanted or rev):
        raise click.UsageError("--changed goes with neither MACs nor --rev")
    root, fleet = _fleet(settings, environment if is_url else target, rev, is_url=is_url)
    if fleet.has_errors and (is_url or rev):
        show_problems(fleet.problems, quiet=settings.quiet)
        return PROBLEMS
    chosen = _choose(root, fleet, target, rev=rev, via=via, is_url=is_url, changed=changed, wanted=wanted)
    options = FetchOptions(ca_file=str(ca) if ca else None, timeout_s=timeout)
    options = with_credentials(options, fleet, chosen.url, trusted=not is_url)
    if jobs is None:
        jobs = _FTP_JOBS if chosen.url.startswith("ftp:") else _JOBS
    found = _verify(settings, root, fleet, chosen, options, target=target, slow=slow, jobs=jobs)
    click.echo(FORMATS[style](found))
    return DONE if found.is_good and not (strict and found.findings) else PROBLEMS


def _check_url(url: str) -> None:
    from offhook.phone.target import parse_target
    from offhook.problem import OffhookError

    try:
        parse_target(url.replace("$(MA)", "0" * 12))
    except OffhookError as error:
        raise click.UsageError(error.message) from error


def _fleet(settings: Globals, environment: str | None, rev: str | None, *, is_url: bool) -> tuple[Path, Fleet]:
    """The fleet that says where an environment is: as for publishing, or with a URL as for `check`."""
    from offhook.cli.options import read
    from offhook.parallel import available_processes
    from offhook.publish.plan.gate import choose_fleet
    from offhook.source import find_root

    if is_url:
        return read(settings, rev, environment)
    root = find_root(settings.directory, rev)
    count = available_processes()
    return root, cached(
        settings, root, lambda store: choose_fleet(root, environment or "", rev, store=store, processes=count)
    )


def _choose(
    root: Path,
    fleet: Fleet,
    target: str,
    *,
    rev: str | None,
    via: str | None,
    is_url: bool,
    changed: bool,
    wanted: list[str],
) -> _Chosen:
    from offhook.problem import OffhookError
    from offhook.publish.places import place_of
    from offhook.publish.releases.records import phones_of_release
    from offhook.verify.expected import Released, compiled, read_release

    environment = fleet.environment
    place = None
    expected: Released | Compiled
    if is_url or rev is not None:
        expected = compiled(fleet)
        known = expected.macs
        against = "against the work tree" if rev is None else f"against revision {fleet.source.revision[:10]}"
    else:
        place = place_of(root, environment, target)
        expected = read_release(place)
        known = sorted(expected.manifest.phones)
        against = f"against release {expected.manifest.release} of {expected.manifest.at}"
    url = target if is_url else via or (environment.url if environment else None)
    if url is None:
        raise OffhookError(
            f"environments.{target} has no url: nobody says where phones fetch from",
            hint="url: https://prov.example.com/, or --via URL",
        )
    if changed and isinstance(expected, Released):
        phones = phones_of_release(root, target, expected.manifest.release)
        wanted = sorted({*phones.changed, *phones.added} & set(known))
        against += ", the phones that it changed"
    elif wanted:
        strange = [mac for mac in wanted if mac not in set(known)]
        if strange:
            raise OffhookError(
                f"{strange[0]} is not among the {len(known):,} phones that are held {against}",
                hint="offhook boot boots any MAC, and compares nothing",
            )
        wanted = sorted(set(wanted))
    else:
        wanted = known
    return _Chosen(url, against, wanted, known, expected, place)


def _verify(
    settings: Globals,
    root: Path,
    fleet: Fleet,
    chosen: _Chosen,
    options: FetchOptions,
    *,
    target: str,
    slow: float,
    jobs: int,
) -> Verification:
    from offhook.compile import read_fleet
    from offhook.parallel import available_processes
    from offhook.phone.target import parse_target
    from offhook.problem import OffhookError
    from offhook.source import WORKTREE
    from offhook.verify.compare import EQUAL
    from offhook.verify.expected import Released, compiled, has_moved
    from offhook.verify.probes import probe
    from offhook.verify.verification import Verification, verdicts_of

    notes: list[str] = []
    count = min(available_processes(), jobs)

    def compile_anew(released: Released) -> Compiled | None:
        name, commit = released.manifest.environment, released.manifest.commit or None
        try:
            then = cached(
                settings,
                root,
                lambda store: read_fleet(root, commit, environment=name, store=store, processes=count),
            )
        except OffhookError as error:
            notes.append(f"which parameters differ is not known, the released commit is not here: {error.message}")
            return None
        return compiled(then, released)

    promised = fleet.environment is not None and bool(fleet.environment.username)
    findings = probe(chosen.url, chosen.known, options=options, promised=promised)
    verdicts, took = verdicts_of(
        chosen.macs,
        chosen.url,
        chosen.expected,
        options=options,
        compile_anew=compile_anew,
        slow_s=slow,
        at_once=max(1, jobs // count),
        processes=count,
        watching=lambda: reading_bar(quiet=settings.quiet),
    )
    if chosen.place is not None and isinstance(chosen.expected, Released):
        if any(one.verdict != EQUAL for one in verdicts) and has_moved(chosen.place, chosen.expected):
            notes.append("a publish is under way, was stopped, or ended meanwhile: verify again when it is done")
        commit = chosen.expected.manifest.commit
    else:
        commit = "" if fleet.source.revision == WORKTREE else fleet.source.revision
    elsewhere = sum(one.elsewhere for one in verdicts)
    if elsewhere:
        notes.append(f"phonebooks on other servers were not fetched: {elsewhere:,} requests")
    return Verification(
        target=target if "://" not in target else parse_target(chosen.url.replace("$(MA)", "0" * 12)).host,
        url=_shown_url(chosen.url),
        against=chosen.against,
        release=chosen.expected.manifest.release if isinstance(chosen.expected, Released) else 0,
        commit=commit,
        verdicts=tuple(verdicts),
        findings=tuple(findings),
        notes=tuple(notes),
        took_s=took,
    )


def _shown_url(url: str) -> str:
    """The URL without credentials, its macro as it was."""
    from offhook.phone.target import parse_target

    marker = "offhook-mac"
    return parse_target(url.replace("$(MA)", marker)).url.replace(marker, "$(MA)")
