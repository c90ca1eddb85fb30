"""A diff for a terminal: policy first, then groups of equal change, never longer than one likes to read."""

from __future__ import annotations

from collections.abc import Iterator

from click import style

from offhook.diff.change import ADDED, CHANGED, LIKELY, REMOVED, UNKNOWN, Change, Diff, PhoneChange
from offhook.diff.groups import Group, families, groups
from offhook.review.words import count, cutoff, listed, restart, sites, values

MAX_FAMILIES = 40
MAX_CHANGES = 30
MAX_PHONES = 20
_WIDEST_VALUE = 60


def diff_text(diff: Diff) -> str:
    """Return a diff as lines for people; "" where nothing differs."""
    return "\n".join(_lines(diff))


def summary(diff: Diff) -> str:
    """Return the closing line: "50 phones changed, 1 added; 3 likely to restart"."""
    changed = diff.of_status(CHANGED)
    parts = [f"{count(len(changed), 'phone')} changed"]
    parts += [f"{len(found):,} {word}" for word in (ADDED, REMOVED) if (found := diff.of_status(word))]
    notes = []
    for word, words in ((LIKELY, "likely to restart"), (UNKNOWN, "with restart not known")):
        number = sum(phone.restart == word for phone in changed)
        notes += [f"{number:,} {words}"] if number else []
    risky = sum(phone.cutoff for phone in diff.phones)
    notes += [style(f"{risky:,} may be cut off", fg="red")] if risky else []
    return "; ".join([", ".join(parts), *notes])


def _lines(diff: Diff) -> Iterator[str]:
    if diff.policy:
        yield style("policy", fg="magenta", bold=True)
        for policy in diff.policy:
            yield f"  {policy.message}  {style(f'{policy.mark.file}:{policy.mark.line}', dim=True)}"
        yield ""
    for phone_status, sign, color in ((REMOVED, "-", "red"), (ADDED, "+", "green")):
        found = diff.of_status(phone_status)
        for phone in found[:MAX_PHONES]:
            yield style(f"{sign} {phone.mac}  {phone.model}{sites([phone])}", fg=color) + _about(phone)
        if len(found) > MAX_PHONES:
            yield style(f"{sign} and {count(len(found) - MAX_PHONES, 'phone')} more", fg=color)
        yield from [""] if found else []
    every = families(groups(diff.phones))
    for family in every[:MAX_FAMILIES]:
        yield from _family(family)
        yield ""
    if len(every) > MAX_FAMILIES:
        yield f"... and {len(every) - MAX_FAMILIES:,} more kinds of change: --format json has them all"
        yield ""
    for book in diff.phonebooks:
        numbers = f"{count(book.added, 'contact')} added, {book.removed:,} removed"
        yield f"phonebook {book.id} {book.status}: {numbers}"


def _about(phone: PhoneChange) -> str:
    if phone.status == REMOVED and phone.cutoff:
        return style("  was not retired first: it keeps all that it was told", fg="red")
    return ""


def _family(family: list[Group]) -> Iterator[str]:
    phones = [phone for group in family for phone in group.phones]
    example = family[0].example
    is_own = len(family) > 1
    head = f"{count(len(phones), 'phone')}{sites(phones)}{', retired now' if example.retires else ''}"
    macs = "" if len(phones) == 1 else f"e.g. {example.mac}" if is_own else listed(phone.mac for phone in phones)
    yield f"{style(head if len(phones) > 1 else f'{example.mac}{sites(phones)}', bold=True)}  {macs}".rstrip()
    if is_own:
        yield style("  each with values of its own; those of the example are", dim=True)
    shown = [change for change in example.changes if change.new is not None][:MAX_CHANGES]
    width = max((len(change.parameter) for change in shown), default=0)
    texts = [_short(values(change)) for change in shown]
    value_width = max(map(len, texts), default=0)
    for change, text in zip(shown, texts, strict=True):
        yield f"  {change.parameter.ljust(width)}  {text.ljust(value_width)}  {style(_place(change), dim=True)}"
    more = sum(change.new is not None for change in example.changes) - len(shown)
    if more:
        yield f"  and {count(more, 'parameter')} more"
    kept = [change.parameter for change in example.changes if change.new is None]
    if kept:
        yield style(f"  keeps {listed(kept)}: nothing says it any more", fg="yellow")
    if example.cutoff:
        yield style(f"  {cutoff(example)}", fg="red")
    yield style(f"  {restart(example)}", dim=True)


def _place(change: Change) -> str:
    side = change.new
    return "" if side is None else f"{side.layer}  {side.file}:{side.line}"


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST_VALUE else text[: _WIDEST_VALUE - 3] + "..."
