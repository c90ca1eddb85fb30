"""Phones keep what they were told: what varies must be said to all, and what leaves must be said once more."""

from __future__ import annotations

import re
from collections.abc import Iterator

from offhook.checks.parameters import RETIRED, UNCHECKED, Holder, generated, holders, sayable
from offhook.checks.stood import stood
from offhook.checks.subject import Subject, dotted, shown
from offhook.checks.table import found
from offhook.converge import kept_values
from offhook.flyingvoice.catalogue import find, nearest
from offhook.flyingvoice.dialects import DIALECTS
from offhook.inventory import Inventory
from offhook.model import mark
from offhook.problem import Problem
from offhook.settings import Resolver

_INDEX = re.compile(r"\.[0-9]+(?=\.|$)")


def check(subject: Subject) -> Iterator[Problem]:
    """Yield no-fleet-value and retired-but-said; and, compared with a base, what left without being retired."""
    now = list(holders(subject))
    every = [holder for holder in now if holder.section != RETIRED]
    meant = _meant(every)
    yield from _fleet_values(subject, every, meant)
    yield from _fleet_words(subject)
    yield from _retired(subject, every)
    before = subject.before
    # where something could not be understood, nobody knows what left
    if before is not None and not (subject.inventory.broken or subject.inventory.suspect):
        left = _left(subject, now, before, meant)
        yield from left.values()
        yield from _removed(subject, before)
        yield from _kept(subject, before, meant.union(left))


def canonical(spelled: str) -> str:
    """Return the one name of a parameter in either spelling; an uncatalogued one is its own."""
    known = find(spelled)
    return known.name if known else spelled


def _meant(every: list[Holder]) -> frozenset[str]:
    """By canonical name: what misspelled parameters may stand for, which is as good as said until they are mended."""
    unknown = {spelled for holder in every for spelled in holder.settings if find(spelled) is None}
    return frozenset(canonical(near) for one in unknown for dialect in DIALECTS for near in nearest(one, dialect))


def _fleet_values(subject: Subject, every: list[Holder], meant: frozenset[str]) -> Iterator[Problem]:
    fleet, made = subject.inventory.fleet, generated(subject)
    said = meant.union(map(canonical, (*fleet.settings, *fleet.retired, *fleet.unchecked)))
    places: dict[str, list[tuple[Holder, tuple[str, ...]]]] = {}
    for holder in every[1:]:
        for path, _ in holder.rows() if holder.targets else ():
            name, known = canonical(path[-1]), find(path[-1])
            is_settable = known is not None and known.parameter.name not in made and sayable(holder, known)
            if name not in said and (path[-2] == UNCHECKED or is_settable):
                places.setdefault(name, []).append((holder, path))
    for where in places.values():
        holder, path = where[0]
        section, spelled = path[-2:]
        known = find(spelled)
        default = known.parameter.default if known else None
        more = f" (and in {len(where) - 1} more places)" if len(where) > 1 else ""
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
        if getattr(inventory.fleet, word) is not None:
            continue
        sites = [site for site in inventory.sites.values() if getattr(site, word)]
        profiles = [one for one in inventory.profiles.values() if word == "language" and one.language]
        phones = [one for one in inventory.phones.values() if word == "language" and one.language]
        told = {site.id for site in sites}
        languages = {one.id for one in profiles}
        is_missing = any(shape.site not in told and not languages & set(shape.profiles) for shape in subject.shapes)
        speakers = [*sites, *profiles, *phones]
        if speakers and is_missing:
            yield found(
                "no-fleet-value",
                mark(speakers[0], word, key=True),
                f"{word} is set here, and the fleet has no value for the phones that nothing tells",
                path=dotted(speakers[0].key, word),
                hint=f"in fleet.yaml: {word}: {'English' if word == 'language' else '+0'}",
            )


def _retired(subject: Subject, every: list[Holder]) -> Iterator[Problem]:
    retired = {canonical(name) for name in subject.inventory.fleet.retired}
    for holder in every if retired else ():
        for path, _ in holder.rows():
            if canonical(path[-1]) in retired:
                yield found(
                    "retired-but-said",
                    mark(holder.entity, *path, key=True),
                    f"{path[-1]} is retired in fleet.yaml, and set here",
                    path=dotted(holder.entity.key, *path),
                )


def _holders(inventory: Inventory) -> list[Holder]:
    subject = Subject(inventory, None, Resolver(inventory, None), None)
    subject.fill()
    return list(holders(subject))


def _left(subject: Subject, now: list[Holder], before: Inventory, meant: frozenset[str]) -> dict[str, Problem]:
    """By canonical name: parameters that something set at the base revision, and that nothing says now."""
    said = meant.union(canonical(path[-1]) for holder in now for path, _ in holder.rows())
    gone: dict[str, Problem] = {}
    for holder in _holders(before):
        for path, _ in holder.rows() if holder.section != RETIRED else ():
            spelled = path[-1]
            name, known = canonical(spelled), find(spelled)
            if name in said or name in gone or (known is None and path[-2] != UNCHECKED):
                continue
            value = (known.parameter.neutral or known.parameter.default) if known else None
            place, where = stood(subject, holder.entity, *path)
            gone[name] = found(
                "left-inventory",
                place,
                f"{spelled} was set {where} at the base revision and left the inventory: phones keep its last value",
                path=dotted(holder.entity.key, *path),
                hint=f"in fleet.yaml under retired: {spelled}: {value if value is not None else 'VALUE'}",
            )
    return gone


def _removed(subject: Subject, before: Inventory) -> Iterator[Problem]:
    for mac, phone in before.phones.items():
        if mac not in subject.inventory.phones and not phone.retired:
            place, where = stood(subject, phone)
            yield found(
                "removed-phone",
                place,
                f"phone {mac} stood {where} at the base revision: it keeps its accounts until it is told otherwise",
                path=mac,
                hint="keep the entry with retired: true for one release, then delete it",
            )


def _kept(subject: Subject, before: Inventory, left: frozenset[str]) -> Iterator[Problem]:
    """One warning a parameter, its slots together; what left or was retired before is said elsewhere."""
    retired = {canonical(name) for name in before.fleet.retired}
    keepers: dict[str, dict[str, None]] = {}
    for mac, names in kept_values(before, subject.inventory, subject.environment):
        for name in names if subject.is_whole(subject.inventory.phones[mac]) else ():
            if canonical(name) not in left | retired:
                keepers.setdefault(_INDEX.sub(".N", name), {})[mac] = None
    for name, macs in keepers.items():
        phone = subject.inventory.phones[next(iter(macs))]
        count = "1 phone keeps its" if len(macs) == 1 else f"{len(macs)} phones keep their"
        yield found(
            "kept-value",
            mark(phone, key=True),
            f"{count} old {name}, which nothing clears: {shown(macs)}",
            path=dotted(phone.key, name),
        )
