"""Every DHCP server that can be configured: a name -> what writes its configuration. A new one is a file and a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from offhook.dhcp.dnsmasq import dnsmasq
from offhook.dhcp.isc import isc
from offhook.dhcp.kea import kea
from offhook.dhcp.offer import Offer

SERVERS: Mapping[str, Callable[[Offer], str]] = {"dnsmasq": dnsmasq, "kea": kea, "isc": isc}
