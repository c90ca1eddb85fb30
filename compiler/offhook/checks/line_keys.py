"""Line keys: on the model, of a known type, and watching somebody else's phone through an account that can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from offhook import expression
from offhook.checks.subject import Subject, dotted, nearest
from offhook.checks.table import found
from offhook.flyingvoice.catalogue import key_word_of_type, key_words, models
from offhook.inventory import Inventory
from offhook.model import Account, Entity, KeyPlan, Phone, Profile, mark
from offhook.problem import Mark, Problem

_Planned = tuple[Entity, int, KeyPlan]


def check(subject: Subject) -> Iterator[Problem]:
    """Yield the problems of line keys; those of a profile once a place, for the first phone that has it."""
    yield from _numbers(subject)
    inventory = subject.inventory
    plain = frozenset(name for name, word in key_words().items() if word.documented)
    entities: list[Profile | Phone] = [*inventory.profiles.values(), *inventory.phones.values()]
    for entity in entities:
        for number, plan in entity.keys.items():
            if plan.word not in plain:
                yield from _type(entity, number, plan)
    effective: dict[tuple[str, ...], dict[int, _Planned]] = {(): {}}
    said: set[tuple[str, Mark]] = set()
    for phone in inventory.phones.values():
        profiles = effective.get(phone.profiles)
        if profiles is None:
            profiles = effective[phone.profiles] = _profile_plans(inventory, phone.profiles)
        plans: list[_Planned] = [(phone, number, plan) for number, plan in phone.keys.items() if _is_linked(plan)]
        if profiles:
            last = models()[phone.model].line_keys
            plans += [one for number, one in profiles.items() if number not in phone.keys and number <= last]
        if plans and not phone.retired:
            for problem in _links(subject, phone, plans):
                if (problem.id, problem.mark) not in said:
                    said.add((problem.id, problem.mark))
                    yield problem


def _profile_plans(inventory: Inventory, names: tuple[str, ...]) -> dict[int, _Planned]:
    """The keys of profiles that depend on a phone's accounts; a later profile's key replaces an earlier one's."""
    plans: dict[int, _Planned] = {}
    for name in names:
        profile = inventory.profiles.get(name)
        if profile is not None:
            plans.update((number, (profile, number, plan)) for number, plan in profile.keys.items())
    return {number: one for number, one in plans.items() if _is_linked(one[2])}


def _is_linked(plan: KeyPlan) -> bool:
    """Tell whether a key depends on the phone's accounts."""
    return plan.word in ("blf", "line") or plan.line is not None


def _numbers(subject: Subject) -> Iterator[Problem]:
    known = models()
    for phone in subject.inventory.phones.values():
        if not phone.keys:
            continue
        last = known[phone.model].line_keys
        for number in phone.keys:
            if number > last:
                message = (
                    f"a {phone.model} has no line key {number}: its last is {last}"
                    if last
                    else f"a {phone.model} has no line keys"
                )
                yield found(
                    "too-many-keys" if last else "no-line-keys",
                    mark(phone, "keys", str(number), key=True),
                    message,
                    path=dotted(phone.key, "keys", number),
                )
    for profile in subject.inventory.profiles.values():
        counts: dict[tuple[int, str, int], int] = {}
        for shape, count in subject.shapes.items():
            if profile.id in shape.profiles:
                for number in profile.keys:
                    if number > shape.model.line_keys:
                        key = (number, shape.model.name, shape.model.line_keys)
                        counts[key] = counts.get(key, 0) + count
        for (number, model, last), count in counts.items():
            yield found(
                "dropped-key",
                mark(profile, "keys", str(number), key=True),
                f"dropped on {count} {model}: the last line key is {last}",
                path=dotted(profile.key, "keys", number),
            )


def _type(entity: Entity, number: int, plan: KeyPlan) -> Iterator[Problem]:
    """Words that the guide does not list, and bare type numbers."""
    place = mark(entity, "keys", str(number), plan.word)
    path = dotted(entity.key, "keys", number, plan.word)
    if plan.word != "type":
        message = f"{plan.word} (type {plan.type}) is not in the guide's list of line key types"
        yield found("undocumented-key", place, message, path=path)
        return
    known = key_word_of_type(int(plan.type))
    if known is None:
        message = f"nobody catalogued line key type {plan.type}: it is sent as it is"
        yield found("undocumented-key", place, message, path=path)
    elif not known.documented:
        message = f"line key type {plan.type} ({known.word}) is not in the guide's list"
        yield found("undocumented-key", place, message, path=path)


def _links(subject: Subject, phone: Phone, plans: Sequence[_Planned]) -> Iterator[Problem]:
    used: Mapping[int, Account] | None = None
    for entity, number, plan in plans:
        wanted = plan.line or (1 if plan.word == "line" else 0)
        if wanted > len(phone.accounts):
            yield _at(
                entity,
                number,
                "line",
                "line-without-account",
                f"line {wanted} of {phone.mac} has no account: the phone has {len(phone.accounts)}",
            )
        elif plan.word == "blf" and plan.value is not None and not expression.is_expression(plan.value):
            used = subject.accounts_of(phone) if used is None else used
            yield from _blf(subject, phone, entity, number, plan, used)


def _blf(
    subject: Subject, phone: Phone, entity: Entity, number: int, plan: KeyPlan, used: Mapping[int, Account]
) -> Iterator[Problem]:
    inventory, name = subject.inventory, plan.value or ""
    registrars = subject.resolver.registrars
    watched = registrars.watched(name)
    own = {account.id for account in used.values()}
    if watched and all(account.id in own for account in watched):
        yield _at(entity, number, "blf", "blf-self", f'{phone.mac} would watch itself: "{name}" is its own account')
    elif not watched:
        # a number may be that of an account that could not be understood
        if not ("account" in inventory.broken or inventory.suspect.get("account")):
            message = f'nobody has "{name}": neither an account nor an extension{nearest(name, inventory.accounts)}'
            yield _at(entity, number, "blf", "blf-unknown", message)
    elif (
        plan.line is None
        and len(used) == len(phone.accounts)
        and subject.resolver.registrars.blf_line(watched, used) is None
    ):
        server = subject.resolver.registrars.of(watched[0]).server
        yield _at(
            entity,
            number,
            "blf",
            "blf-no-account",
            f'{phone.mac} has no account on {server or "a SIP server"}, where "{name}" is to be watched',
            hint="say which account subscribes: {blf: " + name + ", line: 1}",
        )


def _at(entity: Entity, number: int, word: str, identifier: str, message: str, **more: Any) -> Problem:
    return found(
        identifier,
        mark(entity, "keys", str(number), word),
        message,
        path=dotted(entity.key, "keys", number, word),
        **more,
    )
