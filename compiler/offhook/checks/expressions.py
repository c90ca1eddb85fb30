"""Expressions: evaluated for every phone that has one, so that a name without a value shows before phones boot."""

from __future__ import annotations

from collections.abc import Iterator

from offhook.checks.subject import Subject
from offhook.expression import is_expression
from offhook.layers import Said
from offhook.model import Phone
from offhook.problem import Problem


def check(subject: Subject) -> Iterator[Problem]:
    """Yield what resolving finds: expressions that are not allowed, have no value, or give what a phone cannot take."""
    resolver = subject.resolver
    for phone in subject.inventory.phones.values():
        if _has_expression(subject, phone):
            resolver.resolve(phone)
        if phone.label is not None and is_expression(phone.label):
            resolver.evaluation.text(phone.label, Said("", "", phone, ("label",)), phone)
    yield from resolver.evaluation.problems.values()


def _has_expression(subject: Subject, phone: Phone) -> bool:
    base = subject.resolver.base(phone)
    if base.expressions or any(
        text is not None and is_expression(text)
        for plan, _ in base.keys.values()
        for text in (plan.value, plan.label, plan.pickup)
    ):
        return True
    if any(is_expression(value) for value in (*phone.settings.values(), *phone.unchecked.values())):
        return True
    return any(
        text is not None and is_expression(text)
        for plan in phone.keys.values()
        for text in (plan.value, plan.label, plan.pickup)
    )
