"""Usernames and passwords for servers: from two environment variables, or else from the netrc file.

The netrc file is the one that curl and git read: `$NETRC`, or `~/.netrc`. Nothing here is ever shown.
"""

from __future__ import annotations

import netrc
import os
from dataclasses import dataclass, field
from pathlib import Path

from offhook.problem import OffhookError
from offhook.publish.roots.address import Address
from offhook.publish.roots.root import RootOptions


@dataclass(frozen=True, slots=True)
class Credentials:
    """A username and a password; either may be empty."""

    username: str
    password: str = field(repr=False)


def find_credentials(address: Address, options: RootOptions) -> Credentials:
    """Return the credentials for a server; a username in the address must be the one that netrc has.

    Raises OffhookError where the netrc file cannot be read.
    """
    username = address.username or os.environ.get(options.username_variable, "")
    password = os.environ.get(options.password_variable, "")
    if password:
        return Credentials(username, password)
    found = _from_netrc(address.host)
    if found and username in ("", found.username):
        return found
    return Credentials(username, "")


def credentials_hint(options: RootOptions) -> str:
    """Return where credentials are looked for, as a next step."""
    return f"set {options.username_variable} and {options.password_variable}, or name the host in ~/.netrc"


def _from_netrc(host: str) -> Credentials | None:
    named = os.environ.get("NETRC")
    path = Path(named) if named else Path("~/.netrc").expanduser()
    try:
        # named outright, the file's mode is the owner's affair
        entry = netrc.netrc(str(path)).authenticators(host)
    except FileNotFoundError:
        return None
    except netrc.NetrcParseError as error:
        # without the cause: its text quotes the file
        raise OffhookError(f"{path} is no netrc file: line {error.lineno}", hint="man 5 netrc") from None
    except (OSError, UnicodeDecodeError):
        raise OffhookError(f"{path} cannot be read", hint="is it yours, and text?") from None
    return Credentials(entry[0] or "", entry[2] or "") if entry else None
