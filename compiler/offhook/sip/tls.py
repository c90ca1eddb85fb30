"""TLS as SIP wants it (RFC 5922): who vouches for a server, and whether its certificate names the domain asked for."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offhook.problem import OffhookError
from offhook.sip.message import SipError, parse_uri


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return what servers are checked with: the authorities of a PEM file, or the system's.

    The name is checked by `names_domain` afterwards: SIP's rules are not those of the ssl module, which accepts
    wildcards. Raises OffhookError where the file cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise OffhookError(
            f"{ca_file}: no file of trusted authorities", hint="notify.ca_file: a PEM file with their certificates"
        ) from error
    context.check_hostname = False
    return context


def names_domain(certificate: Mapping[str, Any], domain: str) -> bool:
    """Tell whether a certificate, as `SSLSocket.getpeercert` shows it, is that of a SIP domain or numeric address.

    Identities are its URIs sip:DOMAIN; where there are none its DNS names; the common name only where it has no
    alternative names at all (RFC 5922 section 7.1). A wildcard names nothing (7.2). A numeric address must stand there
    as one.
    """
    names = [(str(kind), str(value)) for kind, value in certificate.get("subjectAltName", ())]
    address = _address(domain)
    if address is not None:
        return any(kind == "IP Address" and _address(value) == address for kind, value in names)
    identities = [host for kind, value in names if kind == "URI" and (host := _sip_domain(value))]
    identities = identities or [value for kind, value in names if kind == "DNS"]
    if not names:
        identities = [str(v) for rdn in certificate.get("subject", ()) for k, v in rdn if k == "commonName"]
    wanted = domain.rstrip(".").lower()
    return any(one.rstrip(".").lower() == wanted for one in identities)


def _sip_domain(value: str) -> str:
    try:
        uri = parse_uri(value)
    except SipError:
        return ""
    return "" if uri.user or uri.scheme != "sip" else uri.host


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
