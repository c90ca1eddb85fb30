"""Settings: catalogued, sayable in the dialect, known to the model, in range, and not made by other words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from offhook import expression
from offhook.checks.subject import Subject, dotted
from offhook.checks.table import found
from offhook.flyingvoice.catalogue import Found, check_value, find, nearest, spell
from offhook.flyingvoice.dialects import DIALECTS, GUIDE, STATIC, WORDS
from offhook.layers import model_takes
from offhook.model import Entity, Fleet, Profile, Site, mark
from offhook.problem import Problem
from offhook.secrets.reference import has_password
from offhook.texts import text_fault

_WEB_PASSWORDS = ("static.security.user_password", "security.user_password")
RETIRED = "retired"
UNCHECKED = "settings_unchecked"
_FACTORY = ("", "admin", "admin:admin")


@dataclass(frozen=True, slots=True)
class Holder:
    """Settings somewhere in the inventory.

    `path` leads to what holds them, `section` is their key there (settings or retired). `targets` are the
    (dialect, model) of the phones that they reach, empty where that is not known.
    """

    entity: Entity
    path: tuple[str, ...]
    section: str
    settings: Mapping[str, str]
    unchecked: Mapping[str, str]
    targets: frozenset[tuple[str, Any]]

    def rows(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield (path inside the entity, value) of every setting; the last of the path is the parameter as spelled."""
        for section, mapping in ((self.section, self.settings), (UNCHECKED, self.unchecked)):
            for spelled, value in mapping.items():
                yield (*self.path, section, spelled), value


def check(subject: Subject) -> Iterator[Problem]:
    """Yield what is wrong with each setting, wherever it is said."""
    made = generated(subject)
    for holder in holders(subject):
        seen: dict[str, str] = {}
        for spelled, value in holder.settings.items():
            yield from _setting(holder, spelled, value, seen, made)
        for name, value in holder.unchecked.items():
            yield from _unchecked(holder, name, value, seen, made)


def holders(subject: Subject) -> Iterator[Holder]:
    """Yield every mapping of settings: the fleet's, retired ones, models, sites, profiles, phones that have some."""
    inventory, shapes = subject.inventory, subject.shapes
    fleet = inventory.fleet
    is_known = subject.has_every_phone()

    def reach(choose: Any) -> frozenset[tuple[str, Any]]:
        if not is_known:
            return frozenset()
        targets = frozenset((shape.dialect, shape.model) for shape in shapes if choose(shape))
        return targets or frozenset({(fleet.dialect, None)})

    everyone = reach(lambda shape: True)
    yield Holder(fleet, (), "settings", fleet.settings, fleet.unchecked, everyone)
    yield Holder(fleet, (), RETIRED, fleet.retired, {}, everyone)
    for layer in fleet.models.values():
        targets = reach(lambda shape, name=layer.name: shape.model.name == name)
        yield Holder(fleet, ("models", layer.spelled), "settings", layer.settings, layer.unchecked, targets)
    for site in inventory.sites.values():
        targets = reach(lambda shape, name=site.id: shape.site == name)
        yield Holder(site, (), "settings", site.settings, site.unchecked, targets)
    for profile in inventory.profiles.values():
        targets = reach(lambda shape, name=profile.id: name in shape.profiles)
        yield Holder(profile, (), "settings", profile.settings, profile.unchecked, targets)
    for phone in inventory.phones.values():
        if phone.settings or phone.unchecked:
            base = subject.resolver.bases.of(phone)
            known = subject.is_understood(phone)
            targets = frozenset({(base.dialect, base.model)}) if known else frozenset()
            yield Holder(phone, (), "settings", phone.settings, phone.unchecked, targets)


def generated(subject: Subject) -> Mapping[str, str]:
    """Return parameter template -> the word that makes it; phonebooks and pinned addresses only where they are used."""
    inventory = subject.inventory
    layers: list[Fleet | Site | Profile] = [inventory.fleet, *inventory.sites.values(), *inventory.profiles.values()]
    has_books = any(layer.phonebooks for layer in layers) or any(
        phone.phonebooks for phone in inventory.phones.values()
    )
    is_pinned = any(environment.pin for environment in inventory.fleet.environments.values())
    return _generated(has_books, is_pinned)


@cache
def _generated(has_books: bool, is_pinned: bool) -> Mapping[str, str]:
    rows: list[tuple[str, str]] = []
    for dialect in DIALECTS:
        words = WORDS[dialect]
        rows += [(name, "accounts") for name in words.account.values()]
        rows += [(name, "keys") for name in words.key.values()]
        rows += [(words.word[word], word) for word in ("language", "utc_offset")]
        rows += [(name, "phonebooks") for name in words.phonebook.values() if has_books]
        rows += [(words.word[word], "pin") for word in ("url", "username", "password") if is_pinned]
    made = {}
    for name, word in rows:
        known = find(name.replace("{n}", "1"))
        if known is not None:
            made[known.parameter.name] = word
    return made


def _setting(
    holder: Holder, spelled: str, value: str, seen: dict[str, str], made: Mapping[str, str]
) -> Iterator[Problem]:
    known = find(spelled)
    if known is None:
        near = nearest(spelled, min((dialect for dialect, _ in holder.targets), default=GUIDE))
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        hint += "settings_unchecked sends a parameter that nobody catalogued"
        yield _at(holder, "unknown-parameter", spelled, f'no parameter "{spelled}" is catalogued', hint=hint)
        return
    word = made.get(known.parameter.name)
    if word is not None:
        message = f"{spelled} is made by the inventory's own words: say it under {word}"
        yield _at(holder, "generated-setting", spelled, message)
        return
    other = seen.setdefault(known.name, spelled)
    if other != spelled:
        yield _at(holder, "duplicate-setting", spelled, f"{spelled} and {other} are one parameter")
    guessed = known.parameter.candidate & {dialect for dialect, _ in holder.targets}
    if guessed:
        message = f"no document of the vendor confirms {spelled} in the {' and '.join(sorted(guessed))} dialect"
        yield _at(holder, "unconfirmed-parameter", spelled, message, hint="try it on one phone first")
    yield from _targets(holder, spelled, known)
    yield from _value(holder, spelled, value, known)


def sayable(holder: Holder, known: Found) -> bool:
    """Tell whether some phone that a holder reaches can be told a parameter; of unknown phones nothing is known."""
    return not holder.targets or any(spell(known.name, dialect) is not None for dialect, _ in holder.targets)


def _targets(holder: Holder, spelled: str, known: Found) -> Iterator[Problem]:
    """A shared layer may say what only some of its phones take; what none of them takes is a mistake."""
    if not sayable(holder, known):
        dialects = " and ".join(sorted({dialect for dialect, _ in holder.targets}))
        message = f"{spelled} has no spelling in the {dialects} dialect"
        other = STATIC if known.parameter.static else GUIDE
        yield _at(holder, "wrong-dialect", spelled, message, hint=f"only the {other} dialect has it")
        return
    models = [model for dialect, model in holder.targets if model and spell(known.name, dialect) is not None]
    if models and not any(model_takes(model, known.parameter, known.indexes) for model in models):
        names = ", ".join(sorted({model.name for model in models}))
        yield _at(holder, "wrong-model", spelled, f"{spelled} is no parameter of a {names}")


def _value(holder: Holder, spelled: str, value: str, known: Found) -> Iterator[Problem]:
    if known.parameter.secret:
        yield from _secret_value(holder, spelled, value)
    elif value.startswith("secret:"):
        message = f"{spelled} is no secret parameter: the phone would show or send it"
        yield _at(holder, "misplaced-secret", spelled, message, key=False)
    elif expression.is_expression(value):
        try:
            expression.read_expression(value)
        except expression.ExpressionError as error:
            yield _at(holder, "expression", spelled, str(error), key=False)
    else:
        fault = check_value(known.name, value)
        if fault is not None:
            yield _at(holder, "bad-setting", spelled, f"{spelled}: {fault}", key=False)
        elif has_password(value):
            yield _credentials(holder, spelled)


def _secret_value(holder: Holder, spelled: str, value: str) -> Iterator[Problem]:
    if value.startswith("secret:"):
        return
    if spelled in _WEB_PASSWORDS and value in _FACTORY:
        message = f"{spelled} is the factory password, or none"
        yield _at(holder, "default-web-password", spelled, message, key=False)
        return
    yield _at(
        holder,
        "clear-secret",
        spelled,
        f"{spelled} is a secret in the clear",
        key=False,
        hint="put it into inventory/secrets/ with sops, and write secret:NAME here",
    )


def _unchecked(
    holder: Holder, name: str, value: str, seen: Mapping[str, str], made: Mapping[str, str]
) -> Iterator[Problem]:
    known = find(name)
    if known is not None and known.name in seen:
        message = f"{name} stands under settings too, as {seen[known.name]}"
        yield _at(holder, "duplicate-setting", name, message, section=UNCHECKED)
    if known is not None and known.parameter.name in made:
        word = made[known.parameter.name]
        message = f"{name} is made by the inventory's own words: say it under {word}"
        yield _at(holder, "generated-setting", name, message, section=UNCHECKED)
    elif known is not None and known.parameter.secret:
        if not value.startswith("secret:"):
            message = f"{name} is a secret in the clear"
            yield _at(holder, "clear-secret", name, message, section=UNCHECKED, key=False)
    elif value.startswith("secret:"):
        message = f"{name} is not catalogued as a secret: the phone might show it"
        yield _at(holder, "misplaced-secret", name, message, section=UNCHECKED, key=False)
    elif expression.is_expression(value):
        try:
            expression.read_expression(value)
        except expression.ExpressionError as error:
            yield _at(holder, "expression", name, str(error), section=UNCHECKED, key=False)
    else:
        fault = text_fault(value)
        if fault is not None:
            yield _at(holder, "bad-setting", name, f"{name}: {fault}", section=UNCHECKED, key=False)
        elif has_password(value):
            yield _credentials(holder, name, section=UNCHECKED)


def _credentials(holder: Holder, name: str, *, section: str = "") -> Problem:
    message = f"{name} has a password in its address: every phone, log and reviewer would see it"
    return _at(holder, "clear-secret", name, message, section=section, key=False)


def _at(
    holder: Holder,
    identifier: str,
    spelled: str,
    message: str,
    *,
    hint: str = "",
    key: bool = True,
    section: str = "",
) -> Problem:
    path = (*holder.path, section or holder.section, spelled)
    return found(
        identifier, mark(holder.entity, *path, key=key), message, path=dotted(holder.entity.key, *path), hint=hint
    )
