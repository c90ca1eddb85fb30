"""Who: the phones whose settings a release changes, and the address by which each is told.

Comes in: the phones of two manifests (keyed digests of effective settings), and the inventories by which phones may be
registered: the released one, and those of releases before, because a phone that gets another account answers under its
old one until it has fetched. Goes out: MACs, sorted, and for each phone a `Target`. A change in a layer that a later
one overrides changes no digest, and wakes nobody; nor does a phonebook, unless that is asked for. An account that only
one phone has, or may still have, is its address. Where it has none, the account that the fewest others have is, and
these are named; they hear the NOTIFY, too, and a reboot is never asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from offhook import expression
from offhook.evaluation import Evaluation
from offhook.inventory import Inventory
from offhook.model import Account, Environment, Phone
from offhook.problem import OffhookError
from offhook.publish.tree.opened import FileRow, PhoneRow
from offhook.registrars import Registrars
from offhook.rollout.routes.table import REGISTRAR, heard_as
from offhook.settings import belongs_to, phones_of
from offhook.texts import text_fault

CONTACT = "contact"
"""The route that calls phones by their own addresses."""


@dataclass(frozen=True, slots=True)
class Target:
    """A phone and how it is told. `user` at `registrar` (host:port) is its account; "" where it has none.

    `account` is the id of that account. `other` is user@host:port of the one that it has once it has fetched, where
    that is another one. `also` are the other phones that hear it by either, sorted. `contact` is the phone's own SIP
    address, where that is called; `route` is how. `site` is "" for none.
    """

    mac: str
    model: str = ""
    site: str = ""
    label: str = ""
    account: str = ""
    user: str = ""
    registrar: str = ""
    also: tuple[str, ...] = ()
    other: str = ""
    contact: str = ""
    route: str = REGISTRAR

    @property
    def is_addressed(self) -> bool:
        """Tell whether a NOTIFY can reach it."""
        return bool(self.user) and (self.route != CONTACT or bool(self.contact))

    @property
    def address(self) -> str:
        """Return what two phones have in common that one NOTIFY reaches; "" where none does."""
        return self.contact or (heard_as(self.route, self.user, self.registrar) if self.user else "")

    @property
    def may_reboot(self) -> bool:
        """Tell whether it may be told to reboot: nobody else hears it."""
        return self.is_addressed and not self.also

    @property
    def fetched(self) -> Target:
        """Return the same phone by the account that it has once it has fetched."""
        user, _, registrar = self.other.rpartition("@")
        return replace(self, account="", user=user, registrar=registrar, other="") if self.other else self


@dataclass(frozen=True, slots=True)
class Wish:
    """Which phones a person asks for; what is empty does not choose. A phone must meet each word that is said."""

    macs: Collection[str] = ()
    sites: Collection[str] = ()
    profiles: Collection[str] = ()


def moved(before: Mapping[str, PhoneRow], after: Mapping[str, PhoneRow]) -> tuple[str, ...]:
    """Return the phones whose effective settings differ, and those that are new; not those that left."""
    return tuple(sorted(mac for mac, row in after.items() if mac not in before or before[mac].digest != row.digest))


def moved_since(releases: Iterable[Iterable[str]], after: Mapping[str, PhoneRow]) -> tuple[str, ...]:
    """Return the phones that any of some releases changed or added, and that are still there."""
    return tuple(sorted({mac for release in releases for mac in release if mac in after}))


def moved_books(before: Mapping[str, FileRow], after: Mapping[str, FileRow]) -> frozenset[str]:
    """Return the ids of phonebooks whose files differ: published as phonebooks/ID.xml."""
    books = {path for path in {*before, *after} if path.endswith(".xml") and before.get(path) != after.get(path)}
    return frozenset(path.rpartition("/")[2].removesuffix(".xml") for path in books)


def readers(inventory: Inventory, books: Collection[str], environment: Environment | None = None) -> tuple[str, ...]:
    """Return the phones that show one of some phonebooks: a later layer's list replaces an earlier one's."""
    found = (phone for phone in phones_of(inventory, environment) if not phone.retired)
    return tuple(sorted(phone.mac for phone in found if not set(books).isdisjoint(_books(inventory, phone))))


def wished(inventory: Inventory, macs: Iterable[str], wish: Wish) -> tuple[str, ...]:
    """Return those of some phones that a person asks for, sorted.

    Raises OffhookError where a MAC, a site or a profile is named that the inventory does not have.
    """
    for kind, names, known in (
        ("phone", wish.macs, inventory.phones),
        ("site", wish.sites, inventory.sites),
        ("profile", wish.profiles, inventory.profiles),
    ):
        unknown = sorted(name for name in names if name not in known)
        if unknown:
            raise OffhookError(
                f"there is no {kind} {unknown[0]}", hint=f"it must be a {kind} of the released inventory"
            )
    return tuple(sorted(mac for mac in macs if _meets(inventory.phones.get(mac), mac, wish)))


def contact_of(said: Mapping[str, Any]) -> str:
    """Return where `notify` says that phones are, an expression; "" for a route that needs none.

    Raises OffhookError where the route `contact` is asked for without.
    """
    if said.get("route") != CONTACT:
        return ""
    if not said.get("contact"):
        hint = 'set notify.contact: "sip:{{ phone.mac }}.phones.example.com", "sip:{{ phone.vars.address }}"'
        raise OffhookError("route: contact needs to know where phones are", hint=hint)
    return str(said["contact"])


def targets(
    inventory: Inventory,
    environment: Environment | None = None,
    *,
    former: Sequence[Inventory] = (),
    route: str = REGISTRAR,
    contact: str = "",
) -> dict[str, Target]:
    """Return MAC -> target for every phone of an environment; all phones of all these inventories may hear.

    `former` are inventories that phones may not have left yet. A phone is told by what it has in the first of them
    that gives it an account; and where the released one took that from it, by a new one next (`other`).
    `contact` is what `notify.contact` says: by the route `contact` a phone without a value for it has none.
    """
    contacts = _contacts(inventory, contact) if route == CONTACT else None
    addresses = _Addresses(_Registered(inventory), [_Registered(one) for one in former], route, contacts)
    return {phone.mac: addresses.target(phone) for phone in filter(belongs_to(environment), inventory.phones.values())}


@dataclass(frozen=True, slots=True)
class _Address:
    """An account's id, its user, and host:port of its registrar."""

    account: str
    user: str
    registrar: str


@dataclass(slots=True)
class _Registered:
    """As what phones are registered by one inventory."""

    inventory: Inventory
    registrars: Registrars = field(init=False)

    def __post_init__(self) -> None:
        self.registrars = Registrars(self.inventory)

    def of(self, mac: str) -> list[_Address]:
        """In the order of the phone's slots."""
        phone = self.inventory.phones.get(mac)
        if phone is None or phone.retired:
            return []
        found = (self.inventory.accounts.get(name) for name in phone.accounts)
        return [_Address(one.id, one.extension, server) for one in found if one and (server := self._server(one))]

    def _server(self, account: Account) -> str:
        registrar = self.registrars.of(account)
        if not registrar.server:
            return ""
        is_bare_ipv6 = ":" in registrar.server and not registrar.server.startswith("[")
        return f"[{registrar.server}]:{registrar.port}" if is_bare_ipv6 else f"{registrar.server}:{registrar.port}"


@dataclass(slots=True)
class _Addresses:
    """Which phones hear what: "0101@pbx.example.com:5060" -> MACs; by the route `contact`, their contacts."""

    now: _Registered
    former: Sequence[_Registered]
    route: str
    contacts: Mapping[str, str] | None
    hearing: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for release in (self.now, *self.former):
            for mac in release.inventory.phones:
                for address in release.of(mac):
                    self.hearing.setdefault(self._heard(mac, address), set()).add(mac)

    def target(self, phone: Phone) -> Target:
        """The first of the accounts that the fewest phones have; of these one that it keeps."""
        found = Target(
            phone.mac,
            phone.model,
            phone.site or "",
            phone.label or "",
            route=self.route,
            contact=self._contact(phone.mac),
        )
        now = self.now.of(phone.mac)
        before = next((addresses for one in self.former if (addresses := one.of(phone.mac))), now)
        if not before:
            return found

        def hearers(address: _Address) -> set[str]:
            return self.hearing[self._heard(phone.mac, address)]

        kept = {self._heard(phone.mac, one) for one in now}
        first = min(before, key=lambda one: (len(hearers(one)), self._heard(phone.mac, one) not in kept))
        macs, other = hearers(first), ""
        if now and self._heard(phone.mac, first) not in kept:
            next_one = min(now, key=lambda one: len(hearers(one)))
            macs, other = macs | hearers(next_one), f"{next_one.user}@{next_one.registrar}"
        return replace(
            found,
            account=first.account,
            user=first.user,
            registrar=first.registrar,
            also=tuple(sorted(macs - {phone.mac})),
            other=other,
        )

    def _heard(self, mac: str, address: _Address) -> str:
        if self.contacts is not None:
            return self.contacts.get(mac, mac)  # a phone of which nobody knows where it is shares that with nobody
        return heard_as(self.route, address.user, address.registrar)

    def _contact(self, mac: str) -> str:
        return self.contacts.get(mac, "") if self.contacts is not None else ""


def _contacts(inventory: Inventory, contact: str) -> dict[str, str]:
    """MAC -> the phone's own SIP address; none where the expression has no value for it."""
    evaluation, found = Evaluation(inventory), {}
    for phone in inventory.phones.values():
        try:
            parsed = expression.read_expression(contact)
            value = expression.evaluate(parsed, evaluation.context(phone))
        except expression.ExpressionError:
            continue
        if text_fault(value) is None:
            found[phone.mac] = value
    return found


def _meets(phone: Phone | None, mac: str, wish: Wish) -> bool:
    site, profiles = (phone.site, phone.profiles) if phone else (None, ())
    return (
        (not wish.macs or mac in wish.macs)
        and (not wish.sites or site in wish.sites)
        and (not wish.profiles or not set(wish.profiles).isdisjoint(profiles))
    )


def _books(inventory: Inventory, phone: Phone) -> tuple[str, ...]:
    """The phonebooks that a phone shows, by the order of precedence: phone, profiles from the last, site, fleet."""
    profiles = (inventory.profiles.get(name) for name in reversed(phone.profiles))
    site = inventory.sites.get(phone.site) if phone.site else None
    for one in (phone, *profiles, site, inventory.fleet):
        if one is not None and one.phonebooks is not None:
            return one.phonebooks
    return ()
