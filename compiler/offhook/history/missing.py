"""What to say of a phone or a parameter that is not there: why not, and what was perhaps meant."""

from __future__ import annotations

import difflib

from offhook.diff.compare import SideOfDiff
from offhook.flyingvoice.catalogue import find, nearest
from offhook.flyingvoice.dialects import WORDS
from offhook.model import Phone
from offhook.problem import OffhookError
from offhook.texts import visible


def no_phone(side: SideOfDiff, mac: str, revision: str, *, ever: bool = False) -> OffhookError:
    """Return the refusal for a phone that is not there at a revision, or not in the environment.

    `ever` where no commit up to the revision has it.
    """
    known = side.inventory.fleet.environments
    if not side.exists:
        return OffhookError("the fleet has no such environment", hint=f"known: {', '.join(known) or 'none'}")
    if mac in side.inventory.phones and side.environment is not None:
        others = ", ".join(name for name in known if name != side.environment.name)
        hint = f"--env NAME asks for another one: {others}" if others else f"offhook show {mac} tells what it is"
        return OffhookError(f'{mac} is no phone of the environment "{side.environment.name}"', hint=hint)
    near = difflib.get_close_matches(mac, side.inventory.phones, n=3)
    hint = f"near: {', '.join(near)}" if near else ""
    if ever:
        return OffhookError(f"no commit up to {revision} has a phone {mac}", hint=hint)
    return OffhookError(f"there is no phone {mac} at {revision}", hint=hint or f"offhook log {mac} tells when it left")


def not_told(side: SideOfDiff, phone: Phone, parameter: str) -> OffhookError:
    """Return the refusal for a parameter that a phone is not told, with those that it is told and that look alike."""
    words = WORDS[side.resolver.bases.dialect(phone)].word
    if parameter in words:
        hint = f"{parameter} is a word of the inventory: the phone is told {words[parameter]}"
        return OffhookError(f"{phone.mac} is not told {parameter}", hint=hint)
    told = side.resolver.resolve(phone).values
    near = difflib.get_close_matches(parameter, told, n=3)
    hint = f"near: {visible(', '.join(near))}" if near else f"offhook show {phone.mac} lists what it is told"
    return OffhookError(f"{phone.mac} is not told {parameter}", hint=hint)


def unknown_parameter(side: SideOfDiff, mac: str, parameter: str) -> OffhookError | None:
    """Return the refusal for a name that no phone can be told, as far as the catalogue knows; None for one it has."""
    if find(parameter) is not None:
        return None
    phone = side.phone(mac)
    if phone is not None:
        return not_told(side, phone, parameter)
    near = nearest(parameter, side.inventory.fleet.dialect)
    return OffhookError(f"{mac} was never told {parameter}", hint=f"near: {', '.join(near)}" if near else "")
