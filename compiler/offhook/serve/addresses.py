"""The addresses that a lab server is known by: what to type into a phone, and what plug and play hands out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from offhook.serve.desk import FTP, HTTP, HTTPS, PNP, TFTP, Policy
from offhook.serve.shelf import Shelf

REAL_PORTS: Mapping[str, int] = {HTTP: 80, HTTPS: 443, TFTP: 69, FTP: 21, PNP: 5060}
"""Those that an address need not say: RFC 9110, RFC 1350, RFC 959; and SIP's, where phones look (guide, PnP)."""

LAB_PORTS: Mapping[str, int] = {HTTP: 8080, HTTPS: 8443, TFTP: 6969, FTP: 2121, PNP: 5060}
"""Those that anybody may listen on."""

_PREFERRED = (HTTP, HTTPS, TFTP, FTP)


def address(protocol: str, host: str, port: int, path: str = "") -> str:
    """Return the URL of a file, or of the folder where `path` is ""."""
    shown = f"[{host}]" if ":" in host else host
    return f"{protocol}://{shown}{'' if port == REAL_PORTS[protocol] else f':{port}'}/{path}"


def best_protocol(ports: Mapping[str, int], policy: Policy, wanted: str) -> str:
    """Return by which protocol phones get everything: the wanted one where it is served, else the first; "" if none."""
    served = [one for one in _PREFERRED if one in ports and one in policy.own_by]
    return wanted if wanted in served else next(iter(served), "")


def url_of_phone(
    shelf: Callable[[], Shelf], ports: Mapping[str, int], protocol: str, mac: str, here: str, fixed: str = ""
) -> str:
    """Return the URL that a phone is handed: its own file's, where one file has all of it; else the folder's.

    The guide's capture hands out a file's URL, and the phone fetches that file and no boot file: that is right in the
    flat layout, whose `<mac>.cfg` is complete. `fixed` is said instead where somebody gave a URL.
    """
    if fixed:
        return fixed.replace("$(MA)", mac)
    own = f"{mac}.cfg"
    return address(protocol, here, ports[protocol], own if own in shelf().files else "")
