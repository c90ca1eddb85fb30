"""Line keys: on the model, of a known type, and watching somebody else's phone through an account that can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from offhook import expression
from offhook.checks.subject import Subject, dotted, nearest
from offhook.checks.table import found
from offhook.flyingvoice.catalogue import key_word_of_type, key_words, models
from offhook.model import Account, Entity, KeyPlan, Phone, mark
from offhook.problem import Problem

_Planned = tuple[Entity, int, KeyPlan]


def check(subject: Subject) -> Iterator[Problem]:
    """Yield the problems of line keys, those of profiles for each phone they are on (said once a place)."""
    yield from _numbers(subject)
    plain = frozenset(name for name, word in key_words().items() if word.documented)
    extensions = {account.extension for account in subject.inventory.accounts.values()}
    linked: dict[str, list[_Planned]] = {}
    for profile in subject.inventory.profiles.values():
        for number, plan in profile.keys.items():
            if plan.word not in plain:
                yield from _type(profile, number, plan)
            if _is_linked(plan):
                linked.setdefault(profile.id, []).append((profile, number, plan))
    for phone in subject.inventory.phones.values():
        plans: list[_Planned] = []
        for number, plan in phone.keys.items():
            if plan.word not in plain:
                yield from _type(phone, number, plan)
            if _is_linked(plan):
                plans.append((phone, number, plan))
        for name in phone.profiles:
            plans += [one for one in linked.get(name, ()) if one[1] not in phone.keys]
        if plans and not phone.retired:
            yield from _links(subject, phone, plans, extensions)


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
                few = f"its last is {last}" if last else "it has none"
                yield found(
                    "too-many-keys" if last else "no-line-keys",
                    mark(phone, "keys", str(number), key=True),
                    f"a {phone.model} has no line key {number}: {few}",
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


def _links(
    subject: Subject,
    phone: Phone,
    plans: list[_Planned],
    extensions: set[str],
) -> Iterator[Problem]:
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
            continue
        if plan.word == "blf" and plan.value is not None and not expression.is_expression(plan.value):
            used = subject.accounts_of(phone) if used is None else used
            yield from _blf(subject, phone, entity, number, plan, used, extensions)


def _blf(
    subject: Subject,
    phone: Phone,
    entity: Entity,
    number: int,
    plan: KeyPlan,
    used: Mapping[int, Account],
    extensions: set[str],
) -> Iterator[Problem]:
    accounts = subject.inventory.accounts
    name = plan.value or ""
    watched = accounts.get(name)
    own = {account.id for account in used.values()} | {account.extension for account in used.values()}
    if name in own or (watched is not None and watched.id in own):
        yield _at(entity, number, "blf", "blf-self", f'{phone.mac} would watch itself: "{name}" is its own account')
        return
    if watched is None:
        if name not in extensions and not subject.inventory.is_known("account", name):
            yield _at(
                entity,
                number,
                "blf",
                "blf-unknown",
                f'nobody has "{name}": neither an account nor an extension{nearest(name, accounts)}',
            )
        return
    has_unknown = len(used) < len(phone.accounts)
    if plan.line is None and not has_unknown and subject.resolver.blf_line(watched, used) is None:
        server = subject.resolver.registrar(watched).server
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
