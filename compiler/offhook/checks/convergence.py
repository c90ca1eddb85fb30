"""Phones keep what they were told: what varies must be said to all, and what leaves must be said once more."""

from __future__ import annotations

from collections.abc import Iterator

from offhook.checks.parameters import Holder, holders
from offhook.checks.subject import Subject, dotted, shown
from offhook.checks.table import found
from offhook.converge import kept_values
from offhook.flyingvoice.catalogue import find
from offhook.inventory import Inventory
from offhook.model import mark
from offhook.problem import Problem
from offhook.settings import Resolver


def check(subject: Subject) -> Iterator[Problem]:
    """Yield no-fleet-value and retired-but-said; and, compared with a base, what left without being retired."""
    every = list(holders(subject))
    yield from _fleet_values(subject, every)
    yield from _fleet_words(subject)
    yield from _retired(subject, every)
    if subject.before is not None:
        yield from _left(subject, subject.before)
        yield from _kept(subject, subject.before)


def canonical(spelled: str) -> str:
    """Return the one name of a parameter in either spelling; an uncatalogued one is its own."""
    known = find(spelled)
    return known.name if known else spelled


def _fleet_values(subject: Subject, every: list[Holder]) -> Iterator[Problem]:
    fleet = subject.inventory.fleet
    said = {canonical(name) for name in (*fleet.settings, *fleet.retired, *fleet.unchecked)}
    places: dict[str, list[tuple[Holder, str, str]]] = {}
    for holder in every[1:]:
        for section, mapping in (("settings", holder.settings), ("settings_unchecked", holder.unchecked)):
            for spelled in mapping:
                name = canonical(spelled)
                if name not in said and (section != "settings" or find(spelled) is not None):
                    places.setdefault(name, []).append((holder, section, spelled))
    if "fleet" in subject.inventory.broken:
        return
    for where in places.values():
        holder, section, spelled = where[0]
        known = find(spelled)
        default = known.parameter.default if known else None
        more = f" (and in {len(where) - 1} more places)" if len(where) > 1 else ""
        path = (*holder.path, section, spelled)
        yield found(
            "no-fleet-value",
            mark(holder.entity, *path, key=True),
            f"{spelled} is set here{more}, and the fleet has no value for the phones that must forget it",
            path=dotted(holder.entity.key, *path),
            hint=f"in fleet.yaml under {section}: {spelled}: {default if default is not None else 'VALUE'}",
        )


def _fleet_words(subject: Subject) -> Iterator[Problem]:
    """language and utc_offset: said to some phones, and never to others."""
    inventory = subject.inventory
    for word in ("language", "utc_offset"):
        if getattr(inventory.fleet, word) is not None or "fleet" in inventory.broken:
            continue
        sites = [site for site in inventory.sites.values() if getattr(site, word)]
        profiles = [one for one in inventory.profiles.values() if word == "language" and one.language]
        phones = [one for one in inventory.phones.values() if word == "language" and one.language]
        told = {site.id for site in sites}
        languages = {one.id for one in profiles}
        is_missing = any(shape.site not in told and not languages & set(shape.profiles) for shape in subject.shapes)
        speakers = [*sites, *profiles, *phones]
        if speakers and is_missing and not _is_suspect(inventory):
            yield found(
                "no-fleet-value",
                mark(speakers[0], word, key=True),
                f"{word} is set here, and the fleet has no value for the phones that nothing tells",
                path=dotted(speakers[0].key, word),
                hint=f"in fleet.yaml: {word}: {'English' if word == 'language' else '+0'}",
            )


def _is_suspect(inventory: Inventory) -> bool:
    return bool({"site", "profile"} & (inventory.broken | inventory.suspect.keys()))


def _retired(subject: Subject, every: list[Holder]) -> Iterator[Problem]:
    retired = {canonical(name): name for name in subject.inventory.fleet.retired}
    for holder in every if retired else ():
        for section, mapping in (("settings", holder.settings), ("settings_unchecked", holder.unchecked)):
            for spelled in mapping:
                if canonical(spelled) in retired:
                    path = (*holder.path, section, spelled)
                    yield found(
                        "retired-but-said",
                        mark(holder.entity, *path, key=True),
                        f"{spelled} is retired in fleet.yaml, and set here",
                        path=dotted(holder.entity.key, *path),
                    )


def _names(inventory: Inventory) -> Iterator[tuple[str, Holder, str, str]]:
    """(canonical name, holder, section, spelling) of every setting of an inventory."""
    subject = Subject(inventory, None, Resolver(inventory, None), None)
    subject.fill()
    for holder in holders(subject):
        for spelled in holder.settings:
            yield canonical(spelled), holder, "settings", spelled
        for spelled in holder.unchecked:
            yield canonical(spelled), holder, "settings_unchecked", spelled
    for spelled in inventory.fleet.retired:
        yield canonical(spelled), Holder(inventory.fleet, (), {}, {}, frozenset(), True), "retired", spelled


def _left(subject: Subject, before: Inventory) -> Iterator[Problem]:
    now = {name for name, *_ in _names(subject.inventory)}
    gone: set[str] = set()
    for name, holder, section, spelled in _names(before):
        if name in now or name in gone or (section == "settings" and find(spelled) is None):
            continue
        gone.add(name)
        known = find(spelled)
        neutral = (known.parameter.neutral or known.parameter.default) if known else None
        yield found(
            "left-inventory",
            mark(holder.entity, *holder.path, section, spelled, key=True),
            f"{spelled} was set here at the base revision and left the inventory: phones keep its last value",
            path=dotted(holder.entity.key, *holder.path, section, spelled),
            hint=f"in fleet.yaml under retired: {spelled}: {neutral if neutral is not None else 'VALUE'}",
        )
    for mac, phone in before.phones.items():
        is_known = mac in subject.inventory.phones or subject.inventory.is_known("phone", mac)
        if not is_known and not phone.retired:
            yield found(
                "removed-phone",
                mark(phone, key=True),
                f"phone {mac} stood here at the base revision: it keeps its accounts until it is told otherwise",
                path=mac,
                hint="keep the entry with retired: true for one release, then delete it",
            )


def _kept(subject: Subject, before: Inventory) -> Iterator[Problem]:
    """One warning a parameter: the phones that keep it are counted, the first is shown."""
    keepers: dict[str, list[str]] = {}
    for mac, names in kept_values(before, subject.inventory, subject.environment):
        for name in names:
            known = find(name)
            keepers.setdefault(known.parameter.name if known else name, []).append(mac)
    for name, macs in keepers.items():
        different = list(dict.fromkeys(macs))
        phone = subject.inventory.phones[different[0]]
        count = "1 phone keeps its" if len(different) == 1 else f"{len(different)} phones keep their"
        yield found(
            "kept-value",
            mark(phone, key=True),
            f"{count} old {name}, which nothing clears: {shown(different)}",
            path=dotted(phone.key, name),
        )
