"""`offhook show MAC`: one phone's effective settings, and the layer that said each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from offhook.cli.codes import DONE, PROBLEMS
from offhook.cli.options import canonical_mac, env_option, read, rev_option, show_problems
from offhook.cli.run import Globals
from offhook.problem import OffhookError

if TYPE_CHECKING:
    from offhook.model import Phone
    from offhook.settings import Resolver


@click.command()
@click.argument("mac")
@rev_option()
@env_option()
@click.option("--format", "style", type=click.Choice(["text", "json", "svg"]), default="text")
@click.pass_obj
def show(settings: Globals, mac: str, rev: str | None, environment: str | None, style: str) -> int:
    """One phone's effective settings, the layer of each, and where it says so. Secrets stay sealed.

    --format svg is a picture of its line keys.
    """
    import difflib

    from offhook.flyingvoice.cfg import in_order
    from offhook.review.words import printed
    from offhook.secrets.hidden import hidden
    from offhook.texts import visible

    wanted = canonical_mac(mac)
    _, fleet = read(settings, rev, environment)
    show_problems(fleet.problems, quiet=True)
    phone = fleet.inventory.phones.get(wanted)
    if phone is None:
        near = difflib.get_close_matches(wanted, fleet.inventory.phones, n=3)
        raise OffhookError(f"the inventory has no phone {wanted}", hint=f"near: {', '.join(near)}" if near else "")
    if fleet.has_errors:
        return PROBLEMS
    resolver = fleet.resolver()
    if style == "svg":
        click.echo(_picture(resolver, phone))
        return DONE
    settings_by_name = resolver.explain(phone)
    rows = [settings_by_name[name] for name in in_order(settings_by_name)]
    dialect = resolver.bases.dialect(phone)
    if style == "json":
        answer = {
            "mac": phone.mac,
            "model": phone.model,
            "site": phone.site,
            "dialect": dialect,
            "settings": {
                row.parameter: {
                    "value": hidden(row.parameter, row.value),
                    "layer": row.layer,
                    "file": row.mark.file,
                    "line": row.mark.line,
                }
                for row in rows
            },
        }
        click.echo(json.dumps(answer, indent=1, ensure_ascii=False))
        return DONE
    place = visible(f" in {phone.site}") if phone.site else ""
    title = f"{phone.mac}  {phone.model}{place}, {dialect} dialect"
    click.echo(click.style(title + (", retired" if phone.retired else ""), bold=True))
    name_width = max((len(visible(row.parameter)) for row in rows), default=0)
    values = [printed(row.parameter, row.value) for row in rows]
    value_width = min(max(map(len, values), default=0), 40)
    layer_width = max((len(row.layer) for row in rows), default=0)
    for row, value in zip(rows, values, strict=True):
        origin = visible(f"{row.layer.ljust(layer_width)}  {row.mark.file}:{row.mark.line}")
        name = visible(row.parameter).ljust(name_width)
        click.echo(f"{name}  {value.ljust(value_width)}  {click.style(origin, dim=True)}")
    return DONE


def _picture(resolver: Resolver, phone: Phone) -> str:
    """A phone's line keys as an SVG file."""
    from offhook.flyingvoice.panels import panel_of
    from offhook.review.page.key_pictures import picture, standalone

    panel = panel_of(phone.model, resolver.bases.dialect(phone), resolver.resolve(phone).values)
    if not panel.last:
        raise OffhookError(f"{phone.mac} has no keys to draw: a {phone.model} has no line keys")
    place = f" in {phone.site}" if phone.site else ""
    return standalone(picture(panel, {}, title=f"{phone.mac}, {phone.model}{place}: line keys")).rstrip("\n")
