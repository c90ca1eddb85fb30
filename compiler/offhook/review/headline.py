"""A diff in one sentence, as one would say it to a colleague: "50 phones in berlin: time zone +1 to +2"."""

from __future__ import annotations

import re

from offhook.diff.change import ADDED, CHANGED, REMOVED, Change, Diff, PhoneChange
from offhook.diff.groups import Group, families, groups, variants
from offhook.review.words import count, cut, listed, shown_sides, sites
from offhook.texts import visible

_MAX_NAMES = 3
_WIDEST_VALUE = 32
_SLOT = re.compile(r"(account|linekey|programablekey)\.([0-9]+)\.(.+)")
_SLOT_WORDS = {"account": "account", "linekey": "key", "programablekey": "programmable key"}
_VAGUE = frozenset({"enable", "mode", "type", "value", "url", "name", "address", "port", "host"})


def headline(diff: Diff) -> str:
    """Return the sentence, without a full stop and without markup; what users wrote is in it as they wrote it."""
    if diff.fleet_is_unread:
        return "inventory/fleet.yaml cannot be read, so no phone is compared"
    parts = [_changed(diff.of_status(CHANGED))]
    for status, word in ((ADDED, "added"), (REMOVED, "removed")):
        found = diff.of_status(status)
        parts.append(f"{count(len(found), 'phone')}{sites(found)} {word}" if found else "")
    parts.append(f"{count(len(diff.unread), 'phone')} not known" if diff.unread else "")
    parts.append(_books(diff))
    said = [part for part in parts if part]
    if not said:
        return "no phone changes" + (", but the rules do" if diff.policy else "")
    return "; ".join(said)


def spoken(parameter: str) -> str:
    """Return a parameter in words: "time zone", "key 3 label", "account 1 display name"."""
    slot = _SLOT.fullmatch(parameter)
    prefix, rest = (f"{_SLOT_WORDS[slot[1]]} {slot[2]} ", slot[3]) if slot else ("", parameter)
    words = rest.split(".")
    kept = words[-2:] if words[-1] in _VAGUE and len(words) > 1 else words[-1:]
    return prefix + " ".join(kept).replace("_", " ")


def _changed(phones: tuple[PhoneChange, ...]) -> str:
    if not phones:
        return ""
    where = f"{count(len(phones), 'phone')}{sites(phones)}"
    kinds = families(groups(phones))
    retired = sum(phone.retires for phone in phones)
    if retired == len(phones):
        return f"{where} retired"
    if len(kinds) > 1:
        alike = sorted({spoken(change.parameter) for phone in phones for change in phone.changes})
        what = f"{listed(alike, limit=_MAX_NAMES)}" if len(alike) <= _MAX_NAMES else f"{len(kinds):,} kinds of change"
        return f"{where}: {what}"
    return f"{where}: {_family(kinds[0])}"


def _family(family: list[Group]) -> str:
    changes = family[0].example.changes
    if len(changes) > _MAX_NAMES:
        return f"{count(len(changes), 'setting')} ({listed(spoken(one.parameter) for one in changes)})"
    return ", ".join(_one(family, number, change) for number, change in enumerate(changes))


def _one(family: list[Group], number: int, change: Change) -> str:
    name = spoken(change.parameter)
    if change.new is None:
        return f"{name} is no longer said"
    if change.secret:
        return f"{name} {change.secret}"
    different = variants(family, number)
    if len(different) > 1:
        return f"{name} ({len(different):,} different values)"
    old, new = (None if one is None else cut(visible(one), _WIDEST_VALUE) for one in shown_sides(change))
    return f"{name} {new}" if old is None else f"{name} {old} to {new}"


def _books(diff: Diff) -> str:
    if not diff.phonebooks:
        return ""
    named = listed(book.id for book in diff.phonebooks)
    return f"phonebook{'' if len(diff.phonebooks) == 1 else 's'} {named}"
