"""Which phones a release changes, and by which address each is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import inventories
from offhook.inventory import Inventory
from offhook.problem import OffhookError
from offhook.publish.tree.opened import FileRow, PhoneRow
from offhook.rollout.calls import call_to, called, calls_for, next_calls
from offhook.rollout.routes.table import heard_as
from offhook.rollout.who import (
    Target,
    Wish,
    contact_of,
    moved,
    moved_books,
    moved_since,
    readers,
    targets,
    wished,
)
from offhook.sip.outcome import NO_ADDRESS, SHARED

A, B, C, D, E = (f"0021f200000{number}" for number in range(1, 6))


def inventory(folder: Path, phones: dict[str, Any], **more: Any) -> Inventory:
    """A fleet of these phones; alice and bob register at one server, zoe at another one with the same extension."""
    files = inventories.minimal(**more)
    files["phones/all.yaml"] = {mac: {"model": "FIP14G", **body} for mac, body in phones.items()}
    for account in files["accounts/all.yaml"].values():
        account["max_phones"] = "9"
    files["accounts/all.yaml"]["zoe"] = {
        "extension": "0101",
        "password": "secret:lyon/zoe",
        "max_phones": "3",
        "sip": {"server": "pbx.lyon.example.com", "port": "5070"},
    }
    return inventories.read(inventories.write_inventory(folder, files)).inventory


def test_only_phones_whose_settings_differ_move() -> None:
    before = {A: PhoneRow("1", "berlin"), B: PhoneRow("2", ""), C: PhoneRow("3", "")}
    after = {A: PhoneRow("1", "lyon"), B: PhoneRow("9", ""), D: PhoneRow("4", "")}
    assert moved(before, after) == (B, D)
    assert moved_since([(A, C), (D, A)], after) == (A, D)


def test_an_account_of_its_own_is_the_address(tmp_path: Path) -> None:
    phones = {A: {"accounts": ["alice", "bob"], "site": "berlin", "label": "Desk"}, B: {"accounts": ["alice"]}}
    found = targets(inventory(tmp_path, phones))
    assert found == {
        A: Target(A, "FIP14G", "berlin", "Desk", "bob", "0102", "pbx.example.com:5060"),
        B: Target(B, "FIP14G", "", "", "alice", "0101", "pbx.example.com:5060", (A,)),
    }
    assert [found[mac].may_reboot for mac in (A, B)] == [True, False]


def test_one_extension_at_two_servers_is_two_addresses(tmp_path: Path) -> None:
    found = targets(inventory(tmp_path, {A: {"accounts": ["alice"]}, B: {"accounts": ["zoe"]}}))
    assert [found[mac].address for mac in (A, B)] == ["0101@pbx.example.com:5060", "0101@pbx.lyon.example.com:5070"]
    assert [found[mac].also for mac in (A, B)] == [(), ()]


def test_where_none_is_its_own_the_fewest_hear_it(tmp_path: Path) -> None:
    phones = {
        A: {"accounts": ["alice", "bob"]},
        B: {"accounts": ["alice"]},
        C: {"accounts": ["alice"]},
        D: {"accounts": ["bob"]},
    }
    found = targets(inventory(tmp_path, phones))
    assert (found[A].account, found[A].also) == ("bob", (D,))
    assert (found[B].account, found[B].also) == ("alice", (A, C))


def test_phones_without_an_account_and_retired_ones_have_no_address(tmp_path: Path) -> None:
    found = targets(
        inventory(tmp_path, {A: {}, B: {"accounts": ["alice"], "retired": "true"}, C: {"accounts": ["alice"]}})
    )
    assert [found[mac].is_addressed for mac in (A, B, C)] == [False, False, True]
    assert [found[mac].may_reboot for mac in (A, B, C)] == [False, False, True]
    assert found[C].also == ()


def test_until_it_has_fetched_a_phone_has_what_it_had(tmp_path: Path) -> None:
    before = inventory(tmp_path / "before", {A: {"accounts": ["alice"]}, B: {"accounts": ["zoe"]}, C: {}})
    now = inventory(tmp_path / "now", {A: {"accounts": ["bob"]}, B: {"accounts": ["zoe"]}, C: {"accounts": ["alice"]}})
    found = targets(now, former=[before])
    assert (found[A].user, found[A].also, found[A].other) == ("0101", (C,), "0102@pbx.example.com:5060")
    assert (found[B].user, found[B].also, found[B].other) == ("0101", (), "")
    assert (found[C].user, found[C].also, found[C].other) == ("0101", (A,), "")


def test_an_account_that_it_keeps_is_the_surer_address(tmp_path: Path) -> None:
    before = inventory(tmp_path / "before", {A: {"accounts": ["alice", "bob"]}})
    now = inventory(tmp_path / "now", {A: {"accounts": ["zoe", "bob"]}})
    found = targets(now, former=[before])[A]
    assert (found.account, found.also, found.other) == ("bob", (), "")


def test_the_first_inventory_that_knows_a_phone_says_what_it_has(tmp_path: Path) -> None:
    bodies: list[dict[str, Any]] = [{B: {}}, {A: {"accounts": ["zoe"]}}, {A: {"accounts": ["alice"]}}]
    former = [inventory(tmp_path / str(number), body) for number, body in enumerate(bodies)]
    found = targets(inventory(tmp_path / "now", {A: {"accounts": ["bob"]}}), former=former)[A]
    assert (found.account, found.other) == ("zoe", "0102@pbx.example.com:5060")


def test_a_phone_that_was_retired_or_lost_its_account_still_hears(tmp_path: Path) -> None:
    before = inventory(tmp_path / "before", {A: {"accounts": ["alice"]}, B: {"accounts": ["bob"]}})
    phones = {
        A: {"accounts": ["alice"], "retired": "true"},
        B: {},
        C: {"accounts": ["alice"]},
        D: {"accounts": ["bob"]},
    }
    found = targets(inventory(tmp_path / "now", phones), former=[before])
    assert (found[C].also, found[D].also) == ((A,), (B,))
    assert (found[B].user, found[B].other) == ("0102", "")


def test_no_reboot_is_asked_for_where_who_has_the_account_is_in_doubt(tmp_path: Path) -> None:
    before = inventory(tmp_path / "before", {A: {"accounts": ["alice"]}, B: {"accounts": ["bob"]}})
    now = inventory(tmp_path / "now", {A: {"accounts": ["bob"]}, B: {"accounts": ["alice"]}})
    found = targets(now, former=[before])
    assert [one.outcome.word for one in calls_for([found[A]], reboot=True).refused] == [SHARED]
    calls = calls_for(found.values(), reboot=True)
    assert [(one.call.user, one.call.reboot, one.also) for one in calls.planned] == [
        ("0101", True, ()),
        ("0102", True, ()),
    ]
    again = next_calls(calls, [calls.planned[0].call])
    assert [(one.call.mac, one.call.user, one.call.reboot, one.also) for one in again] == [(A, "0102", True, ())]


def test_phones_that_share_their_next_account_are_called_there_once(tmp_path: Path) -> None:
    before = inventory(tmp_path / "before", {A: {"accounts": ["alice"]}, B: {"accounts": ["bob"]}})
    now = inventory(tmp_path / "now", {mac: {"accounts": ["zoe"]} for mac in (A, B, C)})
    found = targets(now, former=[before])
    calls = calls_for([found[A], found[B]])
    again = next_calls(calls, [one.call for one in calls.planned])
    assert [(one.call.user, one.call.domain, [phone.mac for phone in one.phones], one.also) for one in again] == [
        ("0101", "pbx.lyon.example.com:5070", [A, B], (C,))
    ]


@pytest.mark.parametrize(
    ("route", "address"),
    [
        ("registrar", "0101@pbx.example.com:5060"),
        ("contact", "0101@pbx.example.com:5060"),
        ("asterisk", "0101"),
        ("freeswitch", "0101@pbx.example.com"),
    ],
)
def test_an_address_is_what_the_route_knows_of_it(route: str, address: str) -> None:
    assert heard_as(route, "0101", "PBX.example.com:5060") == address
    assert heard_as("freeswitch", "1", "[2001:db8::1]:5060") == "1@[2001:db8::1]"


def test_one_extension_at_two_servers_is_one_address_to_asterisk(tmp_path: Path) -> None:
    found = targets(inventory(tmp_path, {A: {"accounts": ["alice"]}, B: {"accounts": ["zoe"]}}), route="asterisk")
    assert [found[mac].also for mac in (A, B)] == [(B,), (A,)]
    assert len(calls_for(found.values()).planned) == 1


def test_a_numeric_ipv6_registrar_stands_in_brackets(tmp_path: Path) -> None:
    more = {"fleet.yaml": inventories.minimal()["fleet.yaml"] | {"sip": {"server": "2001:db8::1"}}}
    found = targets(inventory(tmp_path, {A: {"accounts": ["alice"]}}, **more))[A]
    assert found.registrar == "[2001:db8::1]:5060"
    assert call_to(found).address == "sip:0101@[2001:db8::1]"


def test_where_the_phones_themselves_are_called_their_accounts_do_not_count(tmp_path: Path) -> None:
    phones = {
        A: {"accounts": ["alice"], "vars": {"at": "192.0.2.1"}},
        B: {"accounts": ["alice"], "vars": {"at": "192.0.2.2:5062"}},
        C: {"accounts": ["bob"]},
        D: {"accounts": ["bob"]},
    }
    found = inventory(tmp_path, phones)
    contact = contact_of({"route": "contact", "contact": "sip:{{ accounts[0].extension }}@{{ phone.vars.at }}"})
    chosen = targets(found, former=[found], route="contact", contact=contact)
    assert [chosen[mac].also for mac in (A, B, C, D)] == [()] * 4
    calls = calls_for(chosen.values(), reboot=True)
    assert [called(one.call) for one in calls.planned] == ["sip:0101@192.0.2.1", "sip:0101@192.0.2.2:5062"]
    assert [(one.phone.mac, one.outcome.word) for one in calls.refused] == [(C, NO_ADDRESS), (D, NO_ADDRESS)]
    with pytest.raises(OffhookError, match="needs to know where phones are"):
        contact_of({"route": "contact"})


def test_one_contact_for_all_is_heard_by_all(tmp_path: Path) -> None:
    found = inventory(tmp_path, {A: {"accounts": ["alice"]}, B: {"accounts": ["bob"]}})
    assert targets(found, route="contact", contact="sip:192.0.2.1")[A].also == (B,)


def test_phones_of_other_environments_are_no_targets_and_hear(tmp_path: Path) -> None:
    files = inventories.minimal()
    fleet = files["fleet.yaml"] | {"environments": {"lab": {"phones": {"macs": [A]}}}}
    found = inventory(tmp_path, {A: {"accounts": ["alice"]}, B: {"accounts": ["alice"]}}, **{"fleet.yaml": fleet})
    chosen = targets(found, found.fleet.environments["lab"])
    assert list(chosen) == [A]
    assert chosen[A].also == (B,)


def test_phonebooks_wake_nobody_unless_told(tmp_path: Path) -> None:
    books = {name: {"contacts": [{"name": "Taxi", "numbers": {"office": "1"}}]} for name in ("company", "lab")}
    more: dict[str, Any] = {"phonebooks/all.yaml": books, "profiles/all.yaml": {"quiet": {"phonebooks": []}}}
    more["fleet.yaml"] = inventories.minimal()["fleet.yaml"] | {"environments": {"lab": {"url": "http://lab/"}}}
    more["sites/all.yaml"] = {"berlin": {"phonebooks": ["company"]}, "lyon": {"phonebooks": ["lab"]}}
    phones = {
        A: {"site": "berlin"},
        B: {"site": "lyon"},
        C: {"site": "berlin", "profiles": ["quiet"]},
        D: {"site": "lyon", "phonebooks": ["company"]},
        E: {"site": "berlin", "retired": "true"},
    }
    before = {
        "phonebooks/company.xml": FileRow("1", 1),
        "phonebooks/lab.xml": FileRow("1", 1),
        f"{A}.cfg": FileRow("1", 1),
    }
    after = before | {"phonebooks/company.xml": FileRow("2", 1), f"{A}.cfg": FileRow("2", 1)}
    assert moved_books(before, after) == {"company"}
    assert readers(inventory(tmp_path, phones, **more), {"company"}) == (A, D)


def test_a_person_chooses(tmp_path: Path) -> None:
    more = {"profiles/all.yaml": {"desk": {}, "night": {}}, "sites/all.yaml": {"berlin": {}, "lyon": {}}}
    phones = {A: {"site": "berlin", "profiles": ["desk"]}, B: {"site": "berlin"}, C: {"profiles": ["night", "desk"]}}
    found = inventory(tmp_path, phones, **more)
    wishes = [Wish(), Wish(macs=[B]), Wish(sites=["berlin"]), Wish(profiles=["desk"]), Wish([B, C], ["berlin"], [])]
    assert [wished(found, (C, B, A), wish) for wish in wishes] == [(A, B, C), (B,), (A, B), (A, C), (B,)]
    assert wished(found, (A,), Wish(macs=[B])) == ()
    for wish, word in ((Wish(macs=[D]), "phone"), (Wish(sites=["rome"]), "site"), (Wish(profiles=["x"]), "profile")):
        with pytest.raises(OffhookError, match=f"there is no {word}"):
            wished(found, (A,), wish)
