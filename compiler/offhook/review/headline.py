"""A diff in one sentence, as one would say it to a colleague: "50 phones in berlin: time zone +1 to +2"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from offhook.diff.change import ADDED, CHANGED, REMOVED, Change, Diff, PhoneChange, shown_sides
from offhook.diff.groups import Group, families, groups, variants
from offhook.flyingvoice.keys import OFF_TYPE
from offhook.review.words import cut, cut_alike, moved, sites
from offhook.texts import count, listed, visible

Show = Callable[[str], str]

_MAX_NAMES = 3
_WIDEST_VALUE = 32
_SLOT = re.compile(r"(account|linekey|programablekey)\.([0-9]+)\.(.+)")
_SLOT_WORDS = {"account": "account", "linekey": "key", "programablekey": "programmable key"}
_ENOUGH_WORDS = 2
_KEY = re.compile(r"(linekey|programablekey)\.([0-9]+)\.")


def headline(diff: Diff, *, show: Show = visible) -> str:
    """Return the sentence, without a full stop; what users wrote in it passes through `show`."""
    if diff.fleet_is_unread:
        return "the file inventory/fleet.yaml cannot be read, so no phone is compared"
    said = "; ".join(part for part in _parts(diff, show) if part)
    if said:
        return said
    if diff.common:
        return "only phones that nobody listed change: the common file does"
    return "no phone changes" + (", but the rules do" if diff.policy else "")


def spoken(parameter: str) -> str:
    """Return a parameter in words: "time zone", "key 3 label", "account 1 sip server 2 address"."""
    slot = _SLOT.fullmatch(parameter)
    prefix, rest = (f"{_SLOT_WORDS[slot[1]]} {slot[2]} ", slot[3]) if slot else ("", parameter)
    *before, last = rest.split(".")
    words = last.split("_")
    # one word alone says little: "enable", "2 address"
    while before and sum(not word.isdecimal() for word in words) < _ENOUGH_WORDS:
        words = [*before.pop().split("_"), *words]
    return prefix + " ".join(words)


def topics(phone: PhoneChange) -> dict[str, list[int]]:
    """Return what a phone's changes are about, in words, and their numbers; a key with another type is one topic."""
    parameters = [change.parameter for change in phone.changes]
    found: dict[str, list[int]] = {}
    for number, parameter in enumerate(parameters):
        key = _KEY.match(parameter)
        is_whole = key is not None and f"{key[0]}type" in parameters
        topic = f"{_SLOT_WORDS[key[1]]} {key[2]}" if key and is_whole else spoken(parameter)
        found.setdefault(topic, []).append(number)
    return found


def _parts(diff: Diff, show: Show) -> Iterator[str]:
    changed = diff.of_status(CHANGED)
    yield _changed([phone for phone in changed if not phone.retires], show)
    for word, found in (
        ("retired", [phone for phone in changed if phone.retires]),
        ("added", diff.of_status(ADDED)),
        ("removed", diff.of_status(REMOVED)),
        ("not known", diff.unread),
    ):
        yield f"{count(len(found), 'phone')}{sites(found, show=show)} {word}" if found else ""
    yield _books(diff, show)


def _changed(phones: list[PhoneChange], show: Show) -> str:
    if not phones:
        return ""
    where = f"{count(len(phones), 'phone')}{sites(phones, show=show)}"
    kinds = families(groups(phones))
    if len(kinds) == 1:
        return f"{where}: {_family(kinds[0], show)}"
    moves = {move.what for kind in kinds for move in kind[0].example.moves}
    alike = sorted({*moves, *(topic for kind in kinds for topic in topics(kind[0].example))})
    if len(alike) <= _MAX_NAMES:
        return f"{where}: {listed(alike, limit=_MAX_NAMES)}"
    return f"{where}: {', '.join([*sorted(moves), f'{len(kinds):,} kinds of change'])}"


def _family(family: list[Group], show: Show) -> str:
    changes = family[0].example.changes
    about = topics(family[0].example)
    moves = moved(family[0].example, show=show)
    if len(about) > _MAX_NAMES:
        return ", ".join([*moves, f"{count(len(changes), 'setting')} ({listed(about)})"])
    each = (
        _key(family, topic, numbers) if len(numbers) > 1 else _one(family, numbers[0], changes[numbers[0]], show)
        for topic, numbers in about.items()
    )
    return ", ".join([*moves, *each])


def _key(family: list[Group], topic: str, numbers: list[int]) -> str:
    """What became of a key as a whole."""
    changes = [family[0].example.changes[number] for number in numbers]
    number, change = next(row for row in zip(numbers, changes, strict=True) if row[1].parameter.endswith(".type"))
    old, new = (OFF_TYPE if side is None else side.value for side in (change.old, change.new))
    if len(variants(family, number)) > 1 or OFF_TYPE not in (old, new):
        return f"{topic} changed"
    return f"{topic} {'added' if old == OFF_TYPE else 'removed'}"


def _one(family: list[Group], number: int, change: Change, show: Show) -> str:
    name = spoken(change.parameter)
    if change.new is None:
        return f"{name} is no longer said"
    if change.secret:
        return f"{name} {change.secret}"
    different = variants(family, number)
    if len(different) > 1:
        return f"{name} ({len(different):,} different values)"
    was, will = (None if one is None else visible(one) for one in shown_sides(change))
    if was is None:
        return f"{name} {show(cut(will or '', _WIDEST_VALUE))}"
    old, new = cut_alike(was, will or "", _WIDEST_VALUE)
    return f"{name} {show(old)} to {show(new)}"


def _books(diff: Diff, show: Show) -> str:
    if not diff.phonebooks:
        return ""
    named = listed((book.id for book in diff.phonebooks), show=show)
    if len(diff.phonebooks) > 1:
        return f"phonebooks {named} change"
    (book,) = diff.phonebooks
    return f"phonebook {named} {'changes' if book.status == CHANGED else f'is {book.status}'}"
