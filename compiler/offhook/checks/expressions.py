"""Expressions: evaluated for every phone that has one, so that a name without a value shows before phones boot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from offhook.checks.subject import Subject
from offhook.expression import is_expression
from offhook.layers import Said
from offhook.model import KeyPlan, Phone
from offhook.problem import Problem


def check(subject: Subject) -> Iterator[Problem]:
    """Yield what resolving finds: expressions that are not allowed, have no value, or give what a phone cannot take."""
    resolver = subject.resolver
    shared: dict[int, bool] = {}
    for phone in subject.inventory.phones.values():
        if not subject.is_whole(phone):
            continue
        base = resolver.bases.of(phone)
        if id(base) not in shared:
            shared[id(base)] = bool(base.expressions) or _any_key(plan for plan, _ in base.keys.values())
        if shared[id(base)] or _has_expression(phone):
            resolver.resolve(phone)
        if phone.label is not None and is_expression(phone.label):
            resolver.evaluation.text(phone.label, Said("", "", phone, ("label",)), phone)
    yield from resolver.evaluation.problems.values()


def _has_expression(phone: Phone) -> bool:
    if phone.keys and _any_key(phone.keys.values()):
        return True
    if not (phone.settings or phone.unchecked):
        return False
    return any(is_expression(value) for value in (*phone.settings.values(), *phone.unchecked.values()))


def _any_key(plans: Iterable[KeyPlan]) -> bool:
    """Tell whether some key's texts hold an expression; a brace is looked for first, because there are many keys."""
    for _, _, value, label, _, pickup in plans:
        for text in (value, label, pickup):
            if text is not None and "{" in text and is_expression(text):
                return True
    return False
