"""`offhook serve`: a lab server; phones configure themselves from it, and its log says which has what."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from offhook.cli.codes import DONE, PROBLEMS
from offhook.cli.options import cached, env_option, processes, rev_option, show_problems
from offhook.cli.run import Globals

if TYPE_CHECKING:
    from offhook.problem import Problem
    from offhook.serve.lab import Lab, Terms
    from offhook.serve.shelf import Shelf

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_USUAL = -1
_LOW = 1024
_SELF_SIGNED = "openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj /CN=lab -keyout key.pem -out cert.pem"


class _Port(click.ParamType[Any]):
    """A port; "on" for the usual one, "off" for none. 0 is any free one."""

    name = "port"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """Return the port, None for off, -1 for the usual one."""
        text = str(value).lower()
        if text in ("on", "off"):
            return _USUAL if text == "on" else None
        if not text.isascii() or not text.isdigit() or int(text) > 65535:
            self.fail(f'"{value}" is no port: 0 to 65535, on or off', param, ctx)
        return int(text)


def _port(protocol: str, default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    words = f"The port for {protocol.upper()}."
    return click.option(
        f"--{protocol}", type=_Port(), default=default, metavar="PORT|on|off", show_default=True, help=words
    )


@dataclass(frozen=True, slots=True)
class _Stock:
    """What is handed out: how it is made anew, or what is wrong with it; the folder that tells when to, None for never.

    `terms` is whom to admit, after the first time; `rests_on` is what that is made of, as it now stands.
    """

    make: Callable[[], Shelf | Sequence[Problem]]
    watched: Path | None
    terms: Callable[[], Terms]
    rests_on: Callable[[], object] = lambda: None


@click.command()
@env_option()
@rev_option()
@click.option("--from", "folder", type=_FOLDER, metavar="DIR", help="Serve a published folder, not the inventory.")
@click.option("--host", default="0.0.0.0", show_default=True, help="The address to listen on.")
@_port("http", "on")
@_port("https", "off")
@_port("tftp", "on")
@_port("ftp", "off")
@click.option(
    "--real-ports", is_flag=True, help="The usual ports are 80, 443, 69 and 21, not 8080, 8443, 6969 and 2121."
)
@click.option("--pnp/--no-pnp", default=None, help="Answer phones that look for a server by multicast (default: yes).")
@click.option("--pnp-all", is_flag=True, help="Answer phones that are not listed, too.")
@click.option("--pnp-url", default="", metavar="URL", help="What plug and play hands out; $(MA) is the MAC.")
@click.option("--certificate", type=_FILE, metavar="PEM", help="HTTPS: the certificate, with its chain.")
@click.option("--key", type=_FILE, metavar="PEM", help="HTTPS: its key, where that file has none.")
@click.option(
    "--user", default="", metavar="NAME", help="Who to become after binding (root: who called sudo, or nobody)."
)
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def serve(
    settings: Globals,
    /,
    environment: str | None,
    rev: str | None,
    folder: Path | None,
    host: str,
    real_ports: bool,
    pnp: bool | None,
    pnp_all: bool,
    pnp_url: str,
    certificate: Path | None,
    key: Path | None,
    user: str,
    style: str,
    **protocols: int | None,
) -> int:
    """Hand the compiled tree out to phones in a lab, and tell who has what.

    Phones on the same network that look for a server find it by themselves (plug and play). The tree is compiled anew
    when the inventory changes; while that has mistakes, phones get the last good one. Secrets are opened in memory.
    """
    from offhook.cli.serve_log import greeting, heard, say, tell
    from offhook.serve.desk import PNP
    from offhook.serve.lab import Lab
    from offhook.serve.listening import Listening, bind
    from offhook.serve.shelf import Shelf
    from offhook.serve.watching import stamp_of

    if folder is not None and rev is not None:
        raise click.UsageError("--from serves a folder as it is: it has no --rev")
    if (protocols["https"] is None) != (certificate is None):
        raise click.UsageError(f"--https and --certificate go together; for a lab: {_SELF_SIGNED}")
    ports = _ports(protocols, real_ports=real_ports, pnp=pnp is not False)
    user = user or _default_user(ports)
    bound = bind(Listening(host, ports, frozenset() if pnp else frozenset({PNP}), certificate, key))
    with closing(bound):
        # root's files in somebody's cache would be in their way
        stock = _stock(replace(settings, cached=settings.cached and not user), environment, rev, folder)
        known = stamp_of(stock.watched) if stock.watched else frozenset()
        made = stock.make()
        if not isinstance(made, Shelf):
            show_problems(made, quiet=settings.quiet)
            return PROBLEMS
        terms = replace(stock.terms(), url=pnp_url, for_all=pnp_all)
        notes = [*bound.left_out.values(), *_become(user, stock, bound.sockets)]
        with closing(Lab(bound, made, terms)) as lab, _renewing(lab, stock, known), heard(lab):
            say(greeting(lab, host, notes, style))
            tell(lab, style)
    return DONE


def _ports(protocols: Mapping[str, int | None], *, real_ports: bool, pnp: bool) -> dict[str, int]:
    """The port of every protocol that is on."""
    from offhook.serve.addresses import LAB_PORTS, REAL_PORTS
    from offhook.serve.desk import PNP

    usual = REAL_PORTS if real_ports else LAB_PORTS
    given = {name: protocols[name] for name in usual if name in protocols}
    ports = {name: usual[name] if port == _USUAL else port for name, port in given.items() if port is not None}
    if not ports:
        raise click.UsageError("nothing to hand files out by: every protocol is off")
    return {**ports, PNP: LAB_PORTS[PNP]} if pnp else ports


def _default_user(ports: Mapping[str, int]) -> str:
    """Who to become: only root may bind low ports, and needs to be root no longer once they are bound."""
    if os.geteuid() or not any(0 < port < _LOW for port in ports.values()):
        return ""
    return os.environ.get("SUDO_USER") or "nobody"


def _become(user: str, stock: _Stock, protocols: Iterable[str]) -> list[str]:
    """Become another user, once all that it may not be able to read is loaded; return what to say of it."""
    from offhook.serve.lab import load
    from offhook.serve.listening import drop_privileges

    load(protocols)
    if not user:
        return []
    drop_privileges(user)
    if stock.watched is None or os.access(stock.watched, os.R_OK | os.X_OK):
        return []
    return [f"changes will not be seen: the user {user} may not read {stock.watched}"]


def _stock(settings: Globals, environment: str | None, rev: str | None, folder: Path | None) -> _Stock:
    from offhook.compile import Fleet, read_fleet
    from offhook.publish.state.keyed import new_key
    from offhook.serve.lab import Terms
    from offhook.serve.policy import terms_of
    from offhook.serve.stock import compiled, published
    from offhook.source import INVENTORY, find_root

    fleets: list[Fleet] = []
    key = new_key()

    def read_anew() -> Fleet:
        # forks while other threads serve would be asking for trouble
        count = 1 if fleets else processes(root)
        return cached(
            settings, root, lambda store: read_fleet(root, rev, environment=environment, store=store, processes=count)
        )

    def compile_anew() -> Shelf | Sequence[Problem]:
        fleet = read_anew()
        if fleet.has_errors:
            return fleet.problems
        made = compiled(fleet, key)
        fleets[:] = [fleet]
        return made

    def terms_of_now() -> object:
        environment = fleets[0].environment if fleets else None
        return environment and (environment.url, environment.username, environment.password, environment.serve)

    def terms() -> Terms:
        return terms_of(fleets[0] if fleets else read_anew())

    if folder is not None and environment is None:
        return _Stock(lambda: published(folder), folder, Terms)
    root = find_root(settings.directory, rev)
    if folder is not None:
        return _Stock(lambda: published(folder), folder, terms)
    return _Stock(compile_anew, root / INVENTORY if rev is None else None, terms, terms_of_now)


@contextmanager
def _renewing(lab: Lab, stock: _Stock, known: frozenset[tuple[str, int, int, int]]) -> Iterator[None]:
    """Make the tree anew whenever its folder changes; the last good one is kept while that is not possible."""
    from offhook.problem import ERROR, OffhookError
    from offhook.serve.lab import Note
    from offhook.serve.shelf import Shelf
    from offhook.serve.watching import Watch, stamp_of

    if stock.watched is None:
        yield
        return
    watched, rested_on = stock.watched, [stock.rests_on()]

    def renew() -> None:
        try:
            made = stock.make()
        except OffhookError as error:
            lab.keep(error.message, hint=error.hint)
        except OSError as error:
            lab.keep(f"{error.filename or watched}: {(error.strerror or 'the system refuses').lower()}")
        except Exception as error:  # a bug ends the run, with its report
            lab.put(error)
        else:
            if isinstance(made, Shelf):
                lab.renew(made)
                if stock.rests_on() != rested_on[0]:
                    rested_on[0] = stock.rests_on()
                    lab.put(
                        Note("whom the environment admits has changed: that takes offhook serve to be started anew")
                    )
            else:
                errors = [one for one in made if one.severity == ERROR]
                lab.keep("the inventory has mistakes", problems=errors)

    with closing(Watch(lambda: stamp_of(watched), known, renew)):
        yield
