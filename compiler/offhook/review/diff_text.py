"""A diff for a terminal: policy first, then groups of equal change, never longer than one likes to read."""

from __future__ import annotations

from collections.abc import Iterator

from click import style

from offhook.diff.change import ADDED, CHANGED, LIKELY, REMOVED, UNKNOWN, Diff, PhoneChange
from offhook.diff.groups import families, groups
from offhook.review.families import family_lines
from offhook.review.words import depends_on_a_secret, sites
from offhook.texts import count, listed, visible

MAX_FAMILIES = 40
MAX_RARE = 10
"""How many of these are the smallest kinds of change, where there are more."""

MAX_PHONES = 20


def diff_text(diff: Diff) -> str:
    """Return a diff as lines for people; "" where nothing differs."""
    return "\n".join(_lines(diff))


def summary(diff: Diff) -> str:
    """Return the closing line: "50 phones changed, 1 added; 3 likely to restart"."""
    if diff.fleet_is_unread:
        return "phones are not compared: inventory/fleet.yaml at the head cannot be read"
    changed = diff.of_status(CHANGED)
    parts = [f"{count(len(changed), 'phone')} changed"]
    parts += [f"{len(found):,} {word}" for word in (ADDED, REMOVED) if (found := diff.of_status(word))]
    parts += [f"{len(diff.unread):,} not known"] if diff.unread else []
    notes = []
    for word, words in ((LIKELY, "likely to restart"), (UNKNOWN, "with restart not known")):
        number = sum(phone.restart == word for phone in changed)
        notes += [f"{number:,} {words}"] if number else []
    perhaps = sum(depends_on_a_secret(phone) for phone in changed)
    risky = sum(phone.cutoff for phone in diff.phones) - perhaps
    notes += [style(f"{risky:,} may be cut off", fg="red")] if risky else []
    notes += [f"{perhaps:,} only if a secret is another one now"] if perhaps else []
    return "; ".join([", ".join(parts), *notes])


def _lines(diff: Diff) -> Iterator[str]:
    if diff.head_is_broken:
        yield style("the head has mistakes: what follows is incomplete", fg="red", bold=True)
        yield from (f"  {visible(warning)}" for warning in diff.warnings)
        yield ""
    if diff.policy:
        yield style("policy", fg="magenta", bold=True)
        for policy in diff.policy:
            place = visible(f"{policy.mark.file}:{policy.mark.line}")
            yield f"  {visible(policy.message)}  {style(place, dim=True)}"
        yield ""
    if diff.fleet_is_unread:
        yield "phones are not compared"
        return
    if diff.unread:
        names = listed(phone.mac for phone in diff.unread)
        yield style(f"? {count(len(diff.unread), 'phone')} in files that cannot be read: {names}", fg="yellow")
        yield ""
    for phone_status, sign, color in ((REMOVED, "-", "red"), (ADDED, "+", "green")):
        found = diff.of_status(phone_status)
        for phone in found[:MAX_PHONES]:
            yield style(f"{sign} {phone.mac}  {visible(phone.model)}{sites([phone])}", fg=color) + _about(phone)
        if len(found) > MAX_PHONES:
            yield style(f"{sign} and {count(len(found) - MAX_PHONES, 'phone')} more", fg=color)
        yield from [""] if found else []
    every = families(groups(diff.phones))
    is_long = len(every) > MAX_FAMILIES
    for family in [*every[: MAX_FAMILIES - MAX_RARE], *every[-MAX_RARE:]] if is_long else every:
        yield from family_lines(family)
        yield ""
    if is_long:
        yield f"... and {len(every) - MAX_FAMILIES:,} more kinds of change: --format json has them all"
        yield ""
    for book in diff.phonebooks:
        numbers = f"{count(book.added, 'contact')} added, {book.removed:,} removed"
        what = numbers if book.added or book.removed else "its contacts in another order"
        yield f"phonebook {visible(book.id)} {book.status}: {what if book.status == CHANGED else numbers}"
    if diff.common:
        yield f"the common file, for phones that are not listed, changes: {listed(diff.common)}"


def _about(phone: PhoneChange) -> str:
    if phone.status == REMOVED and phone.cutoff:
        return style("  was not retired first: it keeps all that it was told", fg="red")
    return ""
