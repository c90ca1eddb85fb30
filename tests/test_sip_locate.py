"""Where SIP addresses lead (RFC 3263), with a real DNS server and with tables."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from offhook.problem import OffhookError
from offhook.sip.locate import TCP, TLS, Naptr, NoDnsAnswer, Srv, SystemResolver, Target, locate, weighted
from offhook.sip.message import parse_uri
from sip_peers import dnsmasq

RECORDS = (
    "--naptr-record=all.test,20,10,s,SIP+D2U,,_sip._udp.all.test",
    "--naptr-record=all.test,10,10,s,SIPS+D2T,,_sips._tcp.all.test",
    "--naptr-record=all.test,15,10,s,SIP+D2T,,_sip._tcp.all.test",
    "--naptr-record=all.test,5,10,s,SIP+D2S,,_sip._sctp.all.test",
    "--srv-host=_sips._tcp.all.test,one.test,5071,10,0",
    "--srv-host=_sip._tcp.all.test,one.test,5070,10,0",
    "--srv-host=_sip._udp.all.test,two.test,5080,20,0",
    "--srv-host=_sip._udp.all.test,one.test,5070,10,0",
    "--srv-host=_sip._udp.udp.test,two.test,5080,1,0",
    "--srv-host=_sip._tcp.udp.test,one.test,5070,1,0",
    "--srv-host=_sip._udp.none.test,.,0,0,0",
    "--host-record=one.test,192.0.2.1,2001:db8::1",
    "--host-record=two.test,192.0.2.2",
    "--host-record=none.test,192.0.2.9",
)


class Table:
    """A resolver that knows what a table says, and counts what it is asked."""

    def __init__(self, hosts: dict[str, list[str]], srv: dict[str, list[Srv]] | None = None) -> None:
        self.hosts, self.services, self.asked = hosts, srv or {}, []

    asked: list[str]

    async def naptr(self, name: str) -> list[Naptr]:
        self.asked.append(f"NAPTR {name}")
        return []

    async def srv(self, name: str) -> list[Srv]:
        self.asked.append(f"SRV {name}")
        return self.services.get(name, [])

    async def addresses(self, host: str) -> list[str]:
        self.asked.append(f"A {host}")
        return self.hosts.get(host, [])


def found(address: str, resolver: object) -> list[str]:
    """The servers of an address, as text."""
    return list(map(str, asyncio.run(locate(parse_uri(address), resolver, luck=random.Random(1)))))  # type: ignore[arg-type]


@pytest.mark.peer
@pytest.mark.parametrize(
    ("address", "servers"),
    [
        # NAPTR by order; SCTP is not spoken; then SRV by priority, each host's addresses
        (
            "sip:all.test",
            [
                "tls 192.0.2.1:5071",
                "tls [2001:db8::1]:5071",
                "tcp 192.0.2.1:5070",
                "tcp [2001:db8::1]:5070",
                "udp 192.0.2.1:5070",
                "udp [2001:db8::1]:5070",
                "udp 192.0.2.2:5080",
            ],
        ),
        ("sips:all.test", ["tls 192.0.2.1:5071", "tls [2001:db8::1]:5071"]),
        ("sip:all.test;transport=udp", ["udp 192.0.2.1:5070", "udp [2001:db8::1]:5070", "udp 192.0.2.2:5080"]),
        # without NAPTR every transport's SRV counts, UDP first
        ("sip:udp.test", ["udp 192.0.2.2:5080", "tcp 192.0.2.1:5070", "tcp [2001:db8::1]:5070"]),
        # a port, or no SRV: only addresses
        ("sip:two.test:5099", ["udp 192.0.2.2:5099"]),
        ("sip:two.test:5099;transport=tcp", ["tcp 192.0.2.2:5099"]),
        ("sip:two.test", ["udp 192.0.2.2:5060"]),
        ("sips:two.test", ["tls 192.0.2.2:5061"]),
        ("sip:elsewhere.test;maddr=two.test", ["udp 192.0.2.2:5060"]),
    ],
)
def test_names_are_found_as_the_rfc_says(address: str, servers: list[str]) -> None:
    with dnsmasq(*RECORDS) as server:
        assert found(address, SystemResolver([server])) == servers


@pytest.mark.parametrize(
    ("address", "servers"),
    [
        ("sip:192.0.2.1", ["udp 192.0.2.1:5060"]),
        ("sip:192.0.2.1:5070;transport=TCP", ["tcp 192.0.2.1:5070"]),
        ("sips:192.0.2.1", ["tls 192.0.2.1:5061"]),
        ("sip:[2001:db8::1]:5070", ["udp [2001:db8::1]:5070"]),
        ("sip:pbx.example.com;maddr=192.0.2.7;transport=tls", ["tls 192.0.2.7:5061"]),
    ],
)
def test_a_numeric_address_asks_nobody(address: str, servers: list[str]) -> None:
    table = Table({})
    assert found(address, table) == servers
    assert table.asked == []


def test_the_certificate_must_name_what_was_asked_for_not_what_dns_answers() -> None:
    table = Table({"host.evil": ["192.0.2.1"]}, {"_sips._tcp.pbx.example.com": [Srv(1, 1, 5061, "host.evil")]})
    targets = asyncio.run(locate(parse_uri("sips:pbx.example.com"), table))
    assert targets == [Target(TLS, "192.0.2.1", 5061, "pbx.example.com")]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("sip:nowhere.example", "nowhere.example has no address"),
        ("sip:pbx.example;transport=sctp", "SIP over 'sctp' is not spoken"),
        ("sips:pbx.example;transport=udp", "sips: is never carried over UDP"),
    ],
)
def test_what_leads_nowhere_is_told(address: str, message: str) -> None:
    with pytest.raises(OffhookError) as caught:
        found(address, Table({"pbx.example": ["192.0.2.1"]}))
    assert caught.value.message == message
    assert caught.value.hint


def test_a_dns_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offhook.sip.locate._LIFETIME_S", 0.2)
    with pytest.raises(OffhookError) as caught:
        found("sip:pbx.example", SystemResolver([("127.0.0.1", 9)]))
    assert caught.value.message == "no DNS server answers for the NAPTR records of pbx.example"


@pytest.mark.parametrize(
    ("silent", "servers"),
    [
        ({"NAPTR pbx.example"}, ["udp 192.0.2.1:5070"]),
        ({"SRV _sips._tcp.pbx.example", "SRV _sip._tcp.pbx.example"}, ["udp 192.0.2.1:5070"]),
        ({"SRV _sip._udp.pbx.example"}, ["udp 192.0.2.2:5060"]),
        ({"A host.example"}, ["udp 192.0.2.2:5060"]),
    ],
)
def test_records_that_nobody_answers_for_hide_no_others(silent: set[str], servers: list[str]) -> None:
    class Failing(Table):
        async def naptr(self, name: str) -> list[Naptr]:
            return self.known(await super().naptr(name))

        async def srv(self, name: str) -> list[Srv]:
            return self.known(await super().srv(name))

        async def addresses(self, host: str) -> list[str]:
            return self.known(await super().addresses(host))

        def known(self, rows: list[Any]) -> list[Any]:
            if self.asked[-1] in silent:
                raise NoDnsAnswer(self.asked[-1])
            return rows

    hosts = {"pbx.example": ["192.0.2.2"], "host.example": ["192.0.2.1"]}
    services = {"_sip._udp.pbx.example": [Srv(1, 1, 5070, "host.example")]}
    assert found("sip:pbx.example", Failing(hosts, services)) == servers
    with pytest.raises(NoDnsAnswer):
        found("sip:pbx.example", Failing({}, {} if "A host.example" not in silent else services))


def test_names_of_the_hosts_file_count() -> None:
    targets = asyncio.run(locate(parse_uri("sip:localhost:5070;transport=tcp"), SystemResolver()))
    assert Target(TCP, "127.0.0.1", 5070, "localhost") in targets


def test_weights_are_shares_and_priorities_come_first() -> None:
    records = [Srv(20, 100, 1, "last"), Srv(10, 75, 1, "often"), Srv(10, 25, 1, "seldom"), Srv(10, 0, 1, "hardly")]
    luck = random.Random(7)
    orders = [[one.host for one in weighted(records, luck)] for _ in range(4000)]
    assert all(sorted(order) == ["hardly", "last", "often", "seldom"] and order[-1] == "last" for order in orders)
    first = Counter(order[0] for order in orders)
    assert 2800 < first["often"] < 3120
    assert 850 < first["seldom"] < 1150
    assert 5 < first["hardly"] < 100
