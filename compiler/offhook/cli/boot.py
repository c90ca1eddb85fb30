"""`offhook boot`: a virtual phone boots, and the requests it makes and the settings it gets are shown."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from offhook.mac import parse_mac

if TYPE_CHECKING:
    from offhook.phone.boot import BootResult
    from offhook.phone.request import FetchOptions

_FILE = click.Path(dir_okay=False, path_type=Path)
_EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SPREAD = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(s|m)?")
_LONGEST_S = 86_400
_COUNT = click.IntRange(1, 1_000_000)
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9()._-]{0,31}")


@click.command("boot")
@click.argument("mac", required=False)
@click.option("--from", "url", required=True, metavar="URL", help="Folder or file to boot from; $(MA) is the MAC.")
@click.option("--memory", type=_FILE, help="File with what the phone was told before; updated afterwards.")
@click.option("--user", default="", help="User name for HTTP or FTP, where the URL has none.")
@click.option("--password-file", type=_EXISTING_FILE, help="File whose first line is the password.")
@click.option("--ca", type=_EXISTING_FILE, help="Certificate authorities (PEM) to trust instead of the system's.")
@click.option("--allow-other-hosts", is_flag=True, help="Follow URLs to other schemes, hosts and ports, too.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=3600),
    default=10.0,
    show_default=True,
    help="Seconds that one request may take.",
)
@click.option("--model", metavar="MODEL", help="Say in the HTTP User-Agent to be this model.")
@click.option(
    "--swarm", "count", type=click.IntRange(1, 1_000_000), metavar="N", help="Boot N phones, as after a power cut."
)
@click.option("--spread", default="40s", show_default=True, help="Time within which the swarm starts, like 40s or 2m.")
@click.option("--macs", metavar="FILE|ENV", help="The swarm's MACs: a line each, or an environment's phones.")
@click.option("--seed", type=int, help="Repeat a swarm's delays.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def boot(
    context: click.Context,
    /,
    mac: str | None,
    url: str,
    memory: Path | None,
    user: str,
    password_file: Path | None,
    ca: Path | None,
    allow_other_hosts: bool,
    timeout: float,
    model: str | None,
    count: int | None,
    spread: str,
    macs: str | None,
    seed: int | None,
    form: str,
) -> None:
    """Boot a virtual phone from a provisioning root; or with --swarm many, and see how the server bears it.

    It asks for the files that a phone asks for, in the same order, over file, tftp, ftp, http or https,
    and shows what the phone would then have. Passwords are shown as asterisks. The exit code is 1 when
    the server could not be asked or a file was missing.
    """
    from offhook.phone.boot import FetchOptions
    from offhook.phone.boot import boot as boot_phone
    from offhook.phone.memory import read_memory, write_memory

    if (mac is None) == (count is None):
        raise click.UsageError("one MAC is booted, or --swarm N phones")
    digits = parse_mac(mac) if mac is not None else "0" * 12
    if digits is None:
        raise click.BadParameter("expected 12 hex digits, like 0021f2000001", param_hint="MAC")
    _check_url(url.replace("$(MA)", digits))
    if password_file and not user:
        raise click.UsageError("--password-file needs --user")
    options = FetchOptions(
        username=user,
        password=_first_line(password_file) if password_file else "",
        ca_file=str(ca) if ca else None,
        allow_other_hosts=allow_other_hosts,
        timeout_s=timeout,
    )
    if count is not None:
        if memory or allow_other_hosts:
            raise click.UsageError("--memory and --allow-other-hosts are for one phone")
        if model is not None:
            _user_agent(model, digits)
        _swarm(context, url, count, options, spread=spread, macs=macs, seed=seed, model=model, form=form)
        return
    if macs or seed is not None:
        raise click.UsageError("--macs and --seed go with --swarm")
    if model is not None:
        options = replace(options, user_agent=_user_agent(model, digits))
    result = boot_phone(digits, url, memory=read_memory(memory) if memory else {}, options=options)
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(_json(result) if form == "json" else _text(result))
    if memory and not result.failed:
        write_memory(memory, result.memory)
    if result.failed or not result.complete:
        context.exit(1)


def _swarm(
    context: click.Context,
    url: str,
    count: int,
    options: FetchOptions,
    *,
    spread: str,
    macs: str | None,
    seed: int | None,
    model: str | None,
    form: str,
) -> None:
    """Boot many phones, show how it went, and end with 1 where one of them did not get all its files."""
    import secrets

    from offhook.parallel import available_processes
    from offhook.phone.swarm import COMPLETE, made_up, swarm
    from offhook.review.swarm import swarm_json, swarm_text

    found = swarm(
        _macs(context, macs) if macs else made_up(count),
        url,
        count=count,
        spread_s=_seconds(spread),
        seed=secrets.randbelow(1_000_000) if seed is None else seed,
        options=options,
        model=model,
        processes=available_processes(),
    )
    click.echo(swarm_json(found) if form == "json" else swarm_text(found))
    if found.states[COMPLETE] < found.phones:
        context.exit(1)


def _seconds(spread: str) -> float:
    given = _SPREAD.fullmatch(spread)
    if given is None or float(given[1]) > _LONGEST_S:
        raise click.BadParameter("expected a time like 40s or 2m", param_hint="--spread")
    return float(given[1]) * (60 if given[2] == "m" else 1)


def _macs(context: click.Context, name: str) -> list[str]:
    """The MACs in a file, a line each, or the phones of an environment."""
    from offhook.cli.options import read
    from offhook.settings import phones_of

    path = Path(name)
    if not path.is_file():
        _, fleet = read(context.obj, None, name)
        found = [phone.mac for phone in phones_of(fleet.inventory, fleet.environment)]
        if not found:
            raise click.BadParameter(f"{name} has no phone", param_hint="--macs")
        return found
    found = []
    for number, line in enumerate(_lines(path), start=1):
        text = line.partition("#")[0].strip()
        mac = parse_mac(text)
        if text and mac is None:
            raise click.BadParameter(f"line {number} of the file is no MAC address", param_hint="--macs")
        found += [mac] if mac else []
    if not found:
        raise click.BadParameter("the file holds no MAC address", param_hint="--macs")
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter("the file cannot be read as UTF-8 text", param_hint="--macs") from error


def _check_url(url: str) -> None:
    from offhook.phone.target import parse_target
    from offhook.problem import OffhookError

    try:
        parse_target(url)
    except OffhookError as error:
        raise click.BadParameter(error.message, param_hint="--from") from error


def _user_agent(model: str, mac: str) -> str:
    from offhook.phone.http import phone_user_agent

    if not _MODEL.fullmatch(model):
        raise click.BadParameter("expected a model like FIP14G", param_hint="--model")
    return phone_user_agent(model, mac)


def _first_line(path: Path) -> str:
    try:
        return path.read_text("utf-8").split("\n", 1)[0].removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter("the file cannot be read as UTF-8 text", param_hint="--password-file") from error


def _text(result: BootResult) -> str:
    from offhook.phone.trace import render_settings, render_trace

    settings = render_settings(result.settings)
    return render_trace(result) + (f"\n\n{settings}" if settings else "")


def _json(result: BootResult) -> str:
    from offhook.phone.trace import shown_settings

    answer = {
        "mac": result.mac,
        "url": result.url,
        "requests": [
            {
                "url": request.url,
                "result": request.result,
                "bytes": request.bytes,
                "kind": request.kind,
                "message": request.message,
            }
            for request in result.requests
        ],
        "settings": shown_settings(result.settings),
        "warnings": list(result.warnings),
        "complete": result.complete,
        "failed": result.failed,
    }
    return json.dumps(answer, ensure_ascii=False, indent=2)
