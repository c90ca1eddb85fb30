"""Waves: which phones are switched together, and in which order.

Comes in: the targets of a release and the rules of its environment. Goes out: waves that hold every target exactly
once; the same targets and the same seed give the same waves. The order within is by a digest of seed and MAC, so that
it is not always the same colleague whose phone is the first; but before all others come one phone of each model, the
most frequent model first, and of these, and of a model, phones that can answer.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from offhook.rollout.campaign.config import LABELS, MODELS, PHONES, REST, SHARE, SITES, WaveRule
from offhook.rollout.who import Target

LAST = WaveRule(REST)


@dataclass(frozen=True, slots=True)
class Wave:
    """Phones that are switched together: `number` counts from 1, `name` says how they were chosen."""

    number: int
    name: str
    macs: tuple[str, ...]


def waves(targets: Iterable[Target], rules: Sequence[WaveRule], *, seed: str = "") -> tuple[Wave, ...]:
    """Return the waves, without those that would be empty. `seed` is best the release's digest."""
    left = in_canary_order(targets, seed)
    total = len(left)
    found: list[Wave] = []
    for rule in (*rules, LAST):
        taken = _taken(left, rule, total)
        if taken:
            found.append(Wave(len(found) + 1, name_of(rule), tuple(one.mac for one in taken)))
            gone = {one.mac for one in taken}
            left = [one for one in left if one.mac not in gone]
    return tuple(found)


def in_canary_order(targets: Iterable[Target], seed: str = "") -> list[Target]:
    """Return targets in the order in which waves take them."""
    every = {one.mac: one for one in targets}.values()
    size = Counter(one.model for one in every)
    ordered = sorted(every, key=lambda one: (not one.is_addressed, _digest(seed, one.mac)))
    firsts: dict[str, Target] = {}
    for one in ordered:
        firsts.setdefault(one.model, one)
    canaries = sorted(firsts.values(), key=lambda one: (not one.is_addressed, -size[one.model], one.model))
    others = [one for one in ordered if firsts[one.model] is not one]
    return [*canaries, *others]


def name_of(rule: WaveRule) -> str:
    """Return what a wave is called: "1 phone", "10%", "sites berlin, lyon", "the rest"."""
    if rule.kind == PHONES:
        return "1 phone" if rule.amount == 1 else f"{rule.amount:,} phones"
    if rule.kind == SHARE:
        return f"{rule.amount}%"
    return "the rest" if rule.kind == REST else f"{rule.kind} {', '.join(rule.names)}"


def _taken(left: Sequence[Target], rule: WaveRule, total: int) -> Sequence[Target]:
    if rule.kind == PHONES:
        return left[: rule.amount]
    if rule.kind == SHARE:
        return left[: -(-total * rule.amount // 100)]
    if rule.kind == SITES:
        return [one for one in left if one.site in rule.names]
    if rule.kind == MODELS:
        return [one for one in left if one.model.upper() in {name.upper() for name in rule.names}]
    if rule.kind == LABELS:
        fits = re.compile("|".join(_pattern(name) for name in rule.names), re.DOTALL)
        return [one for one in left if fits.fullmatch(one.label)]
    return left


def _pattern(label: str) -> str:
    """The expression of a label in which * stands for any text."""
    return ".*".join(map(re.escape, label.split("*")))


def _digest(seed: str, mac: str) -> bytes:
    return hashlib.sha256(f"{seed}:{mac}".encode()).digest()
