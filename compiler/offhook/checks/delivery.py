"""What a tree needs to know of its environment: an address for phonebooks, one to pin, a place for the state; and
waves that take somebody."""

from __future__ import annotations

from collections.abc import Iterator

from offhook.checks.subject import Subject, dotted
from offhook.checks.table import found
from offhook.flyingvoice.dialects import DIALECTS, PHONEBOOK_LIMIT
from offhook.model import Entity, mark
from offhook.problem import Problem


def check(subject: Subject) -> Iterator[Problem]:
    """Yield phonebook-url, too-many-phonebooks, pin-without-url, publish-without-state and empty-wave."""
    yield from _phonebooks(subject)
    fleet = subject.inventory.fleet
    for name, environment in fleet.environments.items():
        if environment.pin and environment.url is None:
            yield found(
                "pin-without-url",
                mark(fleet, "environments", name, "pin", key=True),
                f'environment "{name}" pins phones to an address and has none',
                path=dotted("environments", name, "pin"),
                hint="url: https://prov.example.com/",
            )
        if environment.publish is not None and environment.state is None and _is_remote(environment.publish):
            yield found(
                "publish-without-state",
                mark(fleet, "environments", name, "publish", key=True),
                f'environment "{name}" publishes to a server, and has no place for its manifest',
                path=dotted("environments", name, "publish"),
                hint="state: an address that phones cannot fetch from, such as s3://acme-state/phones",
            )
        waves = environment.rollout.get("waves", ())
        rest = next((at for at, wave in enumerate(waves) if "rest" in wave), len(waves))
        for at in range(rest + 1, len(waves)):
            yield found(
                "empty-wave",
                mark(fleet, "environments", name, "rollout", "waves", at),
                "no phone is left for this wave: the rest is in one before it",
                path=dotted("environments", name, "rollout", "waves", at),
                hint="rest comes last",
            )


def _is_remote(address: str) -> bool:
    """Tell whether an address is no folder: a folder has its state beside it."""
    return "://" in address and not address.startswith("file://")


def _phonebooks(subject: Subject) -> Iterator[Problem]:
    inventory = subject.inventory
    environment = subject.environment
    speakers: list[tuple[Entity, tuple[str, ...], frozenset[str]]] = []
    every = frozenset(shape.dialect for shape in subject.shapes)
    if inventory.fleet.phonebooks:
        speakers.append((inventory.fleet, inventory.fleet.phonebooks, every))
    for site in inventory.sites.values():
        if site.phonebooks:
            dialects = frozenset(shape.dialect for shape in subject.shapes if shape.site == site.id)
            speakers.append((site, site.phonebooks, dialects))
    for profile in inventory.profiles.values():
        if profile.phonebooks:
            dialects = frozenset(shape.dialect for shape in subject.shapes if profile.id in shape.profiles)
            speakers.append((profile, profile.phonebooks, dialects))
    for phone in inventory.phones.values():
        if phone.phonebooks:
            speakers.append((phone, phone.phonebooks, frozenset({subject.resolver.bases.dialect(phone)})))
    for entity, books, dialects in speakers:
        is_typo = environment is None and inventory.fleet.default_environment is not None
        if (environment is None or environment.url is None) and not is_typo:
            where = f'environment "{environment.name}" has no url' if environment else "no environment is chosen"
            yield found(
                "phonebook-url",
                mark(entity, "phonebooks", key=True),
                f"phones fetch phonebooks from the environment's address, and {where}",
                path=dotted(entity.key, "phonebooks"),
                hint="environments: {production: {url: https://prov.example.com/}}, and default_environment",
            )
        for dialect in DIALECTS:
            limit = PHONEBOOK_LIMIT[dialect]
            if dialect in dialects and len(books) > limit:
                has = "one phonebook URL" if limit == 1 else f"{limit} phonebook URLs"
                yield found(
                    "too-many-phonebooks",
                    mark(entity, "phonebooks", limit),
                    f"{len(books)} phonebooks: the {dialect} dialect has {has}",
                    path=dotted(entity.key, "phonebooks", limit),
                )
