"""Whom a lab server admits: an environment's words -> the desk's policy."""

from __future__ import annotations

from ipaddress import ip_network
from urllib.parse import urlsplit

from offhook.compile import Fleet
from offhook.model import Environment
from offhook.problem import OffhookError
from offhook.serve.desk import FTP, HTTP, HTTPS, TFTP, Policy
from offhook.serve.lab import Credentials, Terms
from offhook.verify.expected import credentials


def terms_of(fleet: Fleet) -> Terms:
    """Return whom a fleet's environment admits, and by what password. Raises OffhookError where that stays shut."""
    environment = fleet.environment
    username, password = credentials(fleet)
    scheme = (environment.serve.get("authentication") if environment else None) or "digest"
    return Terms(
        policy_of(environment),
        Credentials(username, password, scheme) if username else None,
        urlsplit((environment.url if environment else None) or "").scheme,
    )


def policy_of(environment: Environment | None) -> Policy:
    """Return the policy of an environment, that of an open lab where there is none.

    TFTP can ask nobody for a password: where the fleet has one, phones' own files go out by it only if its phones
    fetch by TFTP. Raises OffhookError for a network that is none.
    """
    if environment is None:
        return Policy()
    url = urlsplit(environment.url or "")
    protected = environment.username is not None
    by_tftp = not protected or url.scheme == TFTP
    networks = []
    for text in environment.serve.get("networks", ()):
        try:
            networks.append(ip_network(text, strict=False))
        except ValueError as error:
            raise OffhookError(f'"{text}" is no network', hint="an address and a length: 10.20.0.0/24") from error
    return Policy(
        protected,
        frozenset({HTTP, HTTPS, FTP, *([TFTP] if by_tftp else [])}),
        tuple(networks),
        url.path.strip("/") + "/" if url.path.strip("/") else "",
    )
