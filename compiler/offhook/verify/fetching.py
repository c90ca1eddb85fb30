"""How a virtual phone fetches in an environment's name: with its credentials, and with nobody else's."""

from __future__ import annotations

from dataclasses import replace

from offhook.compile import Fleet
from offhook.phone.request import FetchOptions
from offhook.phone.target import parse_target
from offhook.verify.expected import credentials


def with_credentials(options: FetchOptions, fleet: Fleet, url: str, *, trusted: bool) -> FetchOptions:
    """Let phones log in as the environment says: at its own url, or where whoever calls says that it is now.

    Raises OffhookError where the password cannot be opened.
    """
    environment = fleet.environment
    start = parse_target(url.replace("$(MA)", "0" * 12))
    if environment is None or start.username or start.scheme in ("file", "tftp"):
        return options
    if not trusted and (environment.url is None or parse_target(environment.url).origin != start.origin):
        return options
    username, password = credentials(fleet)
    return replace(options, username=username, password=password)
