"""`offhook notify`: the phones that a release changed are told to fetch now, by SIP NOTIFY."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from offhook.cli.codes import DONE, INTERRUPTED, PROBLEMS
from offhook.cli.options import cached, canonical_mac, progress_bar, warn
from offhook.cli.run import Globals

if TYPE_CHECKING:
    from offhook.compile import Fleet
    from offhook.inventory import Inventory
    from offhook.publish.state.manifest import Manifest
    from offhook.rollout.calls import Calls

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_USUAL_RATE = "20/s"


@click.command()
@click.argument("environment", metavar="ENV")
@click.argument("macs", nargs=-1, metavar="[MAC]...")
@click.option("--macs", "file", type=_FILE, help="The phones of a file, a MAC a line.")
@click.option("--since", type=click.IntRange(0), metavar="RELEASE", help="Phones that changed after this release.")
@click.option("--site", "sites", multiple=True, metavar="SITE", help="Phones of this site; may be repeated.")
@click.option("--profile", "profiles", multiple=True, metavar="PROFILE", help="Phones with this profile; likewise.")
@click.option("--all", "everybody", is_flag=True, help="Every phone of the release.")
@click.option("--reboot", is_flag=True, help="Tell them to restart at once, not to fetch.")
@click.option("--rate", metavar="N/s", help="At most so many at each registrar (20/s, 600/min; default: notify.rate).")
@click.option("--dry-run", is_flag=True, help="Show who would be told, and send nothing.")
@click.option(
    "--format", "style", type=click.Choice(["text", "json", "csv", "junit"]), default="text", show_default=True
)
@click.pass_obj
def notify(
    settings: Globals,
    /,
    environment: str,
    macs: tuple[str, ...],
    file: Path | None,
    since: int | None,
    sites: tuple[str, ...],
    profiles: tuple[str, ...],
    everybody: bool,
    reboot: bool,
    rate: str | None,
    dry_run: bool,
    style: str,
) -> int:
    """Tell phones of ENV to fetch now: those that the last release changed or added, or those that you name.

    Each is told once, by an account that only it has where it has one. Ends with 1 where a phone did not take it.
    """
    from offhook.review.notify import FORMATS, has_failed, plan_json, plan_text
    from offhook.rollout.notifying import notify_all
    from offhook.rollout.routes.table import notify_of, open_route

    named = (*map(canonical_mac, macs), *_listed(file))
    if named and (since is not None or everybody):
        raise click.UsageError("MACs are told whether they changed or not: they go with neither --since nor --all")
    if everybody and since is not None:
        raise click.UsageError("--all is every phone, and --since those that changed: say one of them")
    if dry_run and style not in ("text", "json"):
        raise click.UsageError("--dry-run is text or JSON")
    limit = None if rate is None else _per_second(rate)
    wish = _Asked(named, since, sites, profiles, everybody, reboot)
    root, now, calls, why = _chosen(settings, environment, wish)
    if dry_run:
        click.echo(plan_json(calls, why=why) if style == "json" else plan_text(calls, why=why))
        return DONE
    assert now.environment is not None
    said = notify_of(now.inventory.fleet, now.environment)
    limit = _per_second(said.get("rate", _USUAL_RATE)) if limit is None else limit
    route = open_route(said, root=root, password=_password(now, said))
    with progress_bar("telling", len(calls.planned), quiet=settings.quiet) as progress:
        results, whole = notify_all(calls, route, rate=limit, progress=progress)
    click.echo(FORMATS[style](results, why=why, whole=whole))
    if not whole:
        return INTERRUPTED
    return PROBLEMS if any(map(has_failed, results)) else DONE


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whom a person asks for; `named` are canonical MACs."""

    named: tuple[str, ...]
    since: int | None
    sites: tuple[str, ...]
    profiles: tuple[str, ...]
    everybody: bool
    reboot: bool


def _chosen(settings: Globals, environment: str, asked: _Asked) -> tuple[Path, Fleet, Calls, str]:
    """The fleet as it is now, whom to call, and in words who they are.

    Phones and accounts are those of the release, and how they are told (`notify`) is what is said now: what is mended
    there takes effect without another release.
    """
    from offhook.publish.places import place_of
    from offhook.publish.plan.gate import choose_fleet
    from offhook.rollout.calls import calls_for
    from offhook.rollout.routes.table import REGISTRAR, notify_of
    from offhook.rollout.who import Target, Wish, contact_of, targets, wished
    from offhook.source import find_root
    from offhook.verify.expected import read_release

    root = find_root(settings.directory, None)
    now = cached(settings, root, lambda store: choose_fleet(root, environment, None, store=store))
    manifest = read_release(place_of(root, now.environment, environment)).manifest
    macs, why = _asked_for(root, environment, manifest, asked)
    fleet = _read(settings, root, environment, manifest.commit)
    assert fleet.environment is not None
    chosen = wished(fleet.inventory, macs, Wish(sites=asked.sites, profiles=asked.profiles))
    assert now.environment is not None
    said = notify_of(now.inventory.fleet, now.environment)
    first = manifest.release - 1 if asked.since is None else asked.since
    found = targets(
        fleet.inventory,
        fleet.environment,
        former=_former(settings, root, fleet, first=first, last=manifest.release, reboot=asked.reboot),
        route=said.get("route", REGISTRAR),
        contact=contact_of(said),
    )
    calls = calls_for([found.get(mac, Target(mac)) for mac in chosen], reboot=asked.reboot)
    return root, now, calls, why


def _asked_for(root: Path, environment: str, manifest: Manifest, asked: _Asked) -> tuple[Sequence[str], str]:
    """The phones before sites and profiles choose among them, and in words who they are."""
    from offhook.publish.releases.records import phones_of_release
    from offhook.rollout.who import moved_since

    last, since = manifest.release, asked.since
    if asked.named:
        strange = [mac for mac in asked.named if mac not in manifest.phones]
        if strange:
            raise click.UsageError(f"{strange[0]} is not among the {len(manifest.phones):,} phones of release {last}")
        return sorted(set(asked.named)), f"named, of release {last}"
    if asked.everybody or (since is None and (asked.sites or asked.profiles)):
        return tuple(manifest.phones), f"all of release {last}"
    if since is not None and since > last:
        raise click.BadParameter(f"there is no release {since} yet; the last is {last}", param_hint="--since")
    numbers = range(last if since is None else since + 1, last + 1)
    changes = [phones_of_release(root, environment, number) for number in numbers]
    macs = moved_since(([*one.changed, *one.added] for one in changes), manifest.phones)
    return macs, f"changed by release {last}" if since is None else f"changed after release {since}"


def _former(settings: Globals, root: Path, fleet: Fleet, *, first: int, last: int, reboot: bool) -> Sequence[Inventory]:
    """As what phones may be registered that have not fetched the last release: the inventory of the release `first`.

    Before a reboot those of all releases since, and the last of other environments: who would hear it must be known.
    """
    from offhook.problem import OffhookError
    from offhook.publish.releases.records import read_releases

    assert fleet.environment is not None
    name = fleet.environment.name
    commits = {one.number: one.commit for one in read_releases(root, name)}
    numbers = range(max(first, 1), last)
    wanted = [(name, number, commits.get(number, "")) for number in (numbers if reboot else numbers[:1])]
    if reboot:
        others = (one for one in fleet.inventory.fleet.environments if one != name)
        newest = [one for other in others for one in read_releases(root, other)[:1]]
        wanted += [(one.environment, one.number, one.commit) for one in newest if one.commit]
    found: dict[str, Inventory] = {}
    for environment, number, commit in wanted:
        try:
            if not commit:
                raise OffhookError("it was released without a commit, or is not recorded here")
            if commit not in found:
                found[commit] = _read(settings, root, environment, commit).inventory
        except OffhookError as error:
            words = f"nobody knows as what phones are registered that still have release {number} of {environment}"
            if reboot:
                hint = error.hint or "tell them without --reboot"
                raise OffhookError(f"{words}: {error.message}", hint=hint) from error
            warn(f"{words}: {error.message}")
    return tuple(found.values())


def _read(settings: Globals, root: Path, environment: str, revision: str) -> Fleet:
    from offhook.compile import read_fleet
    from offhook.parallel import available_processes

    count = available_processes()
    return cached(
        settings,
        root,
        lambda store: read_fleet(root, revision or None, environment=environment, store=store, processes=count),
    )


def _password(fleet: Fleet, said: Mapping[str, Any]) -> str:
    from offhook.publish.tree.opening import open_by
    from offhook.secrets.reference import PREFIX

    if not said.get("password"):
        return ""
    name = said["password"].removeprefix(PREFIX)
    return str(open_by(fleet, [name]).value(name))


def _per_second(rate: str) -> float:
    from offhook.rollout.calls import per_second

    try:
        return per_second(rate)
    except ValueError as error:
        raise click.BadParameter("expected a rate like 20/s, 600/min or 1000/h", param_hint="--rate") from error


def _listed(file: Path | None) -> list[str]:
    """The MACs of a file. One without any would mean everybody, which nobody asked for."""
    if file is None:
        return []
    try:
        texts = [line.partition("#")[0].strip() for line in file.read_text("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter("the file cannot be read as UTF-8 text", param_hint="--macs") from error
    macs = [canonical_mac(text) for text in texts if text]
    if not macs:
        raise click.BadParameter("the file names no phone", param_hint="--macs")
    return macs
