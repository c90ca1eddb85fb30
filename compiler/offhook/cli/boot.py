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

_FILE = click.Path(dir_okay=False, path_type=Path)
_EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9()._-]{0,31}")


@click.command("boot")
@click.argument("mac")
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
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def boot(
    context: click.Context,
    /,
    mac: str,
    url: str,
    memory: Path | None,
    user: str,
    password_file: Path | None,
    ca: Path | None,
    allow_other_hosts: bool,
    timeout: float,
    model: str | None,
    form: str,
) -> None:
    """Boot a virtual phone from a provisioning root.

    It asks for the files that a phone asks for, in the same order, over file, tftp, ftp, http or https,
    and shows what the phone would then have. Passwords are shown as asterisks. The exit code is 1 when
    the server could not be asked or a file was missing.
    """
    from offhook.phone.boot import FetchOptions
    from offhook.phone.boot import boot as boot_phone
    from offhook.phone.memory import read_memory, write_memory

    digits = parse_mac(mac)
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
