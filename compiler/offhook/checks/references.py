"""Names that must lead somewhere: sites, profiles, accounts, phonebooks, models, environments, checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from offhook.checks.subject import Subject, dotted, nearest
from offhook.checks.table import ACCEPTABLE, CHECKS, FIXED, found
from offhook.mac import parse_mac
from offhook.model import Entity, Environment, Fleet, Profile, Site, mark
from offhook.problem import Problem


def check(subject: Subject) -> Iterator[Problem]:
    """Yield unknown-reference for every name that nothing has; and what fleet.yaml names twice or in vain."""
    yield from _phones(subject)
    yield from _others(subject)
    yield from _fleet(subject)


def _phones(subject: Subject) -> Iterator[Problem]:
    inventory = subject.inventory
    sites, profiles, accounts = inventory.sites, inventory.profiles, inventory.accounts
    for phone in inventory.phones.values():
        if phone.site is not None and phone.site not in sites:
            yield from _unknown(subject, "site", phone.site, sites, phone, "site")
        for index, name in enumerate(phone.profiles):
            if name not in profiles:
                yield from _unknown(subject, "profile", name, profiles, phone, "profiles", index)
        for index, name in enumerate(phone.accounts):
            if name not in accounts:
                yield from _unknown(subject, "account", name, accounts, phone, "accounts", index)
        if phone.phonebooks:
            yield from _phonebooks(subject, phone, phone.phonebooks)


def _others(subject: Subject) -> Iterator[Problem]:
    inventory = subject.inventory
    sites = inventory.sites
    for account in inventory.accounts.values():
        if account.site is not None and account.site not in sites:
            yield from _unknown(subject, "site", account.site, sites, account, "site")
    for book in inventory.phonebooks.values():
        for index, name in enumerate(book.account_sites):
            if name not in sites:
                yield from _unknown(subject, "site", name, sites, book, "from_accounts", "sites", index)
    layers: list[Fleet | Site | Profile] = [inventory.fleet, *inventory.sites.values(), *inventory.profiles.values()]
    for entity in layers:
        yield from _phonebooks(subject, entity, entity.phonebooks or ())


def _fleet(subject: Subject) -> Iterator[Problem]:
    inventory = subject.inventory
    fleet = inventory.fleet
    first: dict[str, str] = {}
    for layer in fleet.model_layers:
        other = first.setdefault(layer.name, layer.spelled)
        if other != layer.spelled:
            yield found(
                "duplicate-id",
                mark(fleet, "models", layer.spelled, key=True),
                f"{layer.spelled} and {other} are one model",
                path=dotted("models", layer.spelled),
            )
    wanted = fleet.default_environment
    if wanted is not None and wanted not in fleet.environments:
        yield from _unknown(subject, "environment", wanted, fleet.environments, fleet, "default_environment")
    for identifier in fleet.checks:
        if identifier not in CHECKS:
            yield _missing("check", identifier, CHECKS, fleet, "checks", identifier, key=True)
        elif identifier in FIXED:
            yield found(
                "fixed-check",
                mark(fleet, "checks", identifier, key=True),
                f"{identifier} stays an error: what it finds is missing from the tree, or a secret lost",
                path=dotted("checks", identifier),
            )
    for name, environment in fleet.environments.items():
        yield from _waves(subject, name, environment)
        chosen = environment.phones
        for index, site in enumerate(chosen.get("sites", ())):
            if site not in inventory.sites:
                yield from _unknown(
                    subject, "site", site, inventory.sites, fleet, "environments", name, "phones", "sites", index
                )
        for index, mac in enumerate(chosen.get("macs", ())):
            if (parse_mac(mac) or mac) not in inventory.phones:
                yield from _unknown(
                    subject, "phone", mac, inventory.phones, fleet, "environments", name, "phones", "macs", index
                )
        for identifier in sorted(environment.accept - ACCEPTABLE):
            yield _missing("check to accept", identifier, ACCEPTABLE, fleet, "environments", name, "accept")


def _waves(subject: Subject, name: str, environment: Environment) -> Iterator[Problem]:
    """A wave that no site gives phones to would be passed over in silence."""
    sites = subject.inventory.sites
    for number, wave in enumerate(environment.rollout.get("waves", ())):
        for index, site in enumerate(wave.get("sites", ())):
            if site not in sites:
                path = ("environments", name, "rollout", "waves", number, "sites", index)
                yield from _unknown(subject, "site", site, sites, subject.inventory.fleet, *path)


def _phonebooks(subject: Subject, entity: Entity, books: tuple[str, ...]) -> Iterator[Problem]:
    known = subject.inventory.phonebooks
    for index, name in enumerate(books):
        if name not in known:
            yield from _unknown(subject, "phonebook", name, known, entity, "phonebooks", index)


def _unknown(
    subject: Subject, kind: str, name: str, known: Iterable[str], entity: Entity, *path: str | int
) -> Iterator[Problem]:
    if not subject.inventory.is_known(kind, name):
        yield _missing(kind, name, known, entity, *path)


def _missing(
    kind: str, name: str, known: Iterable[str], entity: Entity, *path: str | int, key: bool = False
) -> Problem:
    return found(
        "unknown-reference",
        mark(entity, *path, key=key),
        f'there is no {kind} "{name}"{nearest(name, known)}',
        path=dotted(entity.key, *path),
    )
