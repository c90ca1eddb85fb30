"""The routes by the name that fleet.yaml gives them in `notify.route`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeAlias

from offhook.model import Environment, Fleet
from offhook.problem import OffhookError
from offhook.rollout.routes import asterisk, contact, freeswitch, registrar
from offhook.rollout.routes.call import Sender
from offhook.sip.credentials import Credentials

REGISTRAR = "registrar"
OpenRoute: TypeAlias = AbstractAsyncContextManager[Sender]
_Opener: TypeAlias = Callable[[Mapping[str, Any], Path, str], OpenRoute]


def _registrar(said: Mapping[str, Any], root: Path, password: str) -> OpenRoute:
    return registrar.opened(
        registrar.Settings(said.get("via", ""), _credentials(said, password), _file(said, root, "ca_file"))
    )


def _contact(said: Mapping[str, Any], root: Path, password: str) -> OpenRoute:
    return contact.opened(
        contact.Settings(said.get("via", ""), _credentials(said, password), _file(said, root, "ca_file"))
    )


def _asterisk(said: Mapping[str, Any], root: Path, password: str) -> OpenRoute:
    who = _credentials(said, password)
    if who is None:
        raise OffhookError("route: asterisk needs a manager user", hint="set notify.username and notify.password")
    return asterisk.opened(asterisk.Settings(_host(said), who, int(said.get("port", asterisk.PORT))))


def _freeswitch(said: Mapping[str, Any], root: Path, password: str) -> OpenRoute:
    if not password:
        raise OffhookError("route: freeswitch needs the event socket's password", hint="set notify.password")
    port, profile = int(said.get("port", freeswitch.PORT)), said.get("profile", "internal")
    return freeswitch.opened(freeswitch.Settings(_host(said), password, port, profile))


ROUTES: Mapping[str, _Opener] = {
    REGISTRAR: _registrar,
    "contact": _contact,
    "asterisk": _asterisk,
    "freeswitch": _freeswitch,
}


def notify_of(fleet: Fleet, environment: Environment) -> Mapping[str, Any]:
    """Return how an environment's phones are told: its own `notify`, or as a whole the fleet's."""
    return environment.notify or fleet.notify


def open_route(said: Mapping[str, Any], *, root: Path, password: str = "") -> OpenRoute:
    """Return the route that `notify` of fleet.yaml asks for, to be entered with `async with`.

    `root` is the fleet's folder, from which `ca_file` is meant; `password` is the opened value of `notify.password`.
    Raises OffhookError, at once or on entering, where the route lacks a setting or nobody opens at the other end.
    """
    return ROUTES[said.get("route", REGISTRAR)](said, root, password)


def heard_as(route: str, user: str, registrar: str) -> str:
    """Return what two accounts have in common that one NOTIFY reaches: the part of their address that a route uses.

    `registrar` is host:port. Asterisk knows only the user, FreeSWITCH user@host; a host's case does not count.
    """
    if route == "asterisk":
        return user
    return f"{user}@{registrar.rpartition(':')[0] if route == 'freeswitch' else registrar}".lower()


def _credentials(said: Mapping[str, Any], password: str) -> Credentials | None:
    username = said.get("username", "")
    return Credentials(username, password, said.get("realm", "")) if username and password else None


def _host(said: Mapping[str, Any]) -> str:
    if not said.get("host"):
        raise OffhookError(f"route: {said['route']} needs to know where the PBX is", hint="set notify.host")
    return str(said["host"])


def _file(said: Mapping[str, Any], root: Path, name: str) -> Path | None:
    return root / said[name] if name in said else None
