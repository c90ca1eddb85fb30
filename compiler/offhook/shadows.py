"""Everybody who says something about one parameter of a phone: the winner, and those it overrides.

Comes in: a Resolver, a phone and a parameter. Goes out: `Said`s, the weakest first, the winner last. The same
PRECEDENCE that `offhook.settings` resolves by, told instead of applied.
"""

from __future__ import annotations

from collections.abc import Iterator

from offhook.bases import Base
from offhook.flyingvoice import keys
from offhook.flyingvoice.accounts import parameters, unused_slots
from offhook.layers import COMPILER, Said, said_by, takes, words_said
from offhook.model import Phone, Sip, Site
from offhook.settings import Resolver, pinned


def sayings(resolver: Resolver, phone: Phone, parameter: str) -> list[Said]:
    """Return who says a parameter of a phone, the weakest first; [] where the phone is not told it.

    Values are as they are written; that of the last one, the winner, is the one that the phone is told.
    """
    winner = resolver.trace(phone).get(parameter)
    if winner is None:
        return []
    return [*(one for one in _all(resolver, phone, parameter) if not _holds(one, winner)), winner]


def _holds(one: Said, winner: Said) -> bool:
    """Tell whether one is the winner itself, or the mapping that holds it."""
    return one.layer == winner.layer and winner.path[: len(one.path)] == one.path


def _all(resolver: Resolver, phone: Phone, parameter: str) -> Iterator[Said]:
    base = resolver.bases.of(phone)
    switched_off = unused_slots(base.dialect, base.model.accounts) | keys.unused_keys(
        base.dialect, base.model.line_keys
    )
    if parameter in switched_off:
        yield Said(switched_off[parameter], COMPILER, phone, ())
    for layer in resolver.bases.chain(base.dialect, phone.model, phone.site, phone.profiles):
        if parameter in layer.said and takes(base.model, parameter):
            yield layer.said[parameter]
    if resolver.environment is not None and resolver.environment.pin:
        said = pinned(resolver.environment, base.dialect)
        if parameter in said:
            yield said[parameter]
    if not phone.retired:
        yield from _of_accounts(resolver, phone, base, parameter)
        yield from _of_keys(resolver, phone, parameter)
    own = said_by(
        f"phones/{phone.mac}", phone, words_said(resolver.inventory, resolver.environment, base.dialect, phone)
    )
    if parameter in own and takes(base.model, parameter):
        yield own[parameter]


def _of_accounts(resolver: Resolver, phone: Phone, base: Base, parameter: str) -> Iterator[Said]:
    """The words under `sip:` of the fleet, the site and the account, for a slot's parameter."""
    inventory = resolver.inventory
    for slot, identifier in enumerate(phone.accounts, start=1):
        words = {name: word for word, name in parameters(base.dialect, slot).items()}
        account = inventory.accounts.get(identifier)
        if account is None or words.get(parameter) not in Sip._fields:
            continue
        word = words[parameter]
        site: Site | None = inventory.sites.get(account.site or "")
        for layer, entity in (
            ("fleet", inventory.fleet),
            (f"sites/{account.site}", site),
            (f"accounts/{identifier}", account),
        ):
            value = getattr(entity.sip, word) if entity is not None else None
            if entity is not None and value is not None:
                yield Said(str(value), layer, entity, ("sip", word))


def _of_keys(resolver: Resolver, phone: Phone, parameter: str) -> Iterator[Said]:
    """The profiles that plan the line key of a parameter, and the phone itself."""
    parts = parameter.split(".")
    if parts[0] != "linekey" or not parts[1].isdigit():
        return
    number = int(parts[1])
    names = keys.parameters(resolver.bases.dialect(phone), number)
    if parameter not in names:
        return
    profiles = ((f"profiles/{one}", resolver.inventory.profiles.get(one)) for one in phone.profiles)
    for layer, entity in (*profiles, (f"phones/{phone.mac}", phone)):
        plan = entity.keys.get(number) if entity is not None else None
        if entity is None or plan is None:
            continue
        made, said = resolver.planned(phone, plan, Said("", layer, entity, ("keys", str(number))))[
            names.index(parameter)
        ]
        if made is None:
            continue
        # what an account gives, the plan is still who asks for it
        path = said.path if said.layer == layer else ("keys", str(number), plan.word)
        written = keys.Key(plan.type, None, plan.value, plan.label, plan.pickup)[names.index(parameter)]
        yield Said(written or made, layer, entity, path)
