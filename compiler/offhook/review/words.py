"""What a change means, in the words that every format uses; and values as they may be shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from offhook.diff.change import LIKELY, UNKNOWN, Change, Outside, PhoneChange, shown_sides
from offhook.secrets.changes import PERHAPS
from offhook.secrets.hidden import hidden
from offhook.texts import count, listed, visible

_RESTART_WORDS = {LIKELY: "restart likely", UNKNOWN: "restart not known", "no": "no restart"}
_NOTHING = "nothing"
_ARROW = " -> "
_DOTS = "..."
_HEAD = 6
_BEFORE = 3


def span(seconds: float) -> str:
    """Return a time in words, in two units at most: 40 s, 26 min, 3 h 20 min, 2 d 4 h."""
    whole = max(0, round(seconds))
    for unit, size, lower, small in (("d", 86400, "h", 3600), ("h", 3600, "min", 60)):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {unit}" + (f" {rest} {lower}" if rest else "")
    return f"{round(whole / 60)} min" if whole >= 90 else f"{whole} s"


def moved(phone: PhoneChange, *, show: Callable[[str], str] = visible) -> list[str]:
    """Return what became of a phone as a whole: "model FIP14G to FIP15G". What users wrote passes through `show`."""
    sides = ((one.what, *(show(side) if side else "none" for side in (one.old, one.new))) for one in phone.moves)
    return [f"{what} {old} to {new}" for what, old, new in sides]


def sites(phones: Iterable[PhoneChange], *, show: Callable[[str], str] = visible) -> str:
    """Return where phones stand: " in berlin, lyon", "" where none has a site. Each name passes through `show`."""
    names = sorted({phone.site for phone in phones if phone.site})
    return f" in {listed(names, show=show)}" if names else ""


def restart(phone: PhoneChange) -> str:
    """Return whether a phone restarts, in words."""
    return _RESTART_WORDS[phone.restart]


def cutoff(phone: PhoneChange) -> str:
    """Return what may go wrong with a phone that may be cut off: the parameters that decide it."""
    risky = [change for change in phone.changes if change.cutoff]
    names = [change.parameter for change in risky]
    is_account = all(name.startswith("account.") for name in names)
    if depends_on_a_secret(phone):
        words = "loses its registration" if is_account else "becomes unreachable"
        return f"{words} only if the secret is another one now: {listed(names)}"
    return f"{'may lose its registration' if is_account else 'may become unreachable'}: {listed(names)}"


def depends_on_a_secret(phone: PhoneChange) -> bool:
    """Tell whether a phone is cut off only if a secret of which nobody can tell is another one now."""
    risky = [change for change in phone.changes if change.cutoff]
    return phone.cutoff and bool(risky) and all(change.secret == PERHAPS for change in risky)


def printed(parameter: str, value: str) -> str:
    """Return a parameter's value as a terminal may show it: no password, and nothing that rewrites the screen."""
    return visible(hidden(parameter, value))


def values(change: Change, width: int) -> str:
    """Return "+1 -> +2", or what is known of a secret; of long values that part in which they differ."""
    if change.secret and change.new is not None:
        return f"{printed(change.parameter, change.new.value)} {change.secret}"
    old, new = shown_sides(change)
    return from_to(old, new, width)


def from_to(old: str | None, new: str | None, width: int) -> str:
    """Return "old -> new" in about `width` columns: each side is cut alone, so that what differs is seen."""
    before, after = (_NOTHING if one is None else visible(one) for one in (old, new))
    room = width - len(_ARROW)
    if len(before) + len(after) > room:
        before, after = cut_alike(before, after, max(room // 2, room - min(len(before), len(after))))
    return f"{before}{_ARROW}{after}"


def cut_alike(before: str, after: str, width: int) -> tuple[str, str]:
    """Return two texts in at most `width` columns each, cut so that what differs is seen."""
    pairs = enumerate(zip(before, after, strict=False))
    start = next((at for at, (one, other) in pairs if one != other), min(len(before), len(after)))
    return cut(before, width, start), cut(after, width, start)


def is_outside(outside: Outside, *, show: Callable[[str], str] = visible) -> str:
    """Return what changes and may not: "2 phones, the common file change outside of sites/berlin"."""
    what = [
        *([count(len(outside.phones), "phone")] if outside.phones else []),
        *([count(outside.rules, "rule")] if outside.rules else []),
        *(["the common file"] if outside.common else []),
        *(f"phonebook {show(one)}" for one in outside.phonebooks),
    ]
    numbers = (len(outside.phones), outside.rules, int(outside.common), len(outside.phonebooks))
    verb = "changes" if sum(numbers) == 1 else "change"
    return f"{listed(what, limit=6, show=str)} {verb} outside of {listed(outside.scopes, limit=6, show=show)}"


def cut(text: str, width: int, start: int = 0) -> str:
    """Return a text in at most `width` columns (12 or more), cut so that what begins at `start` is seen."""
    if len(text) <= width:
        return text
    if start < width - 2 * len(_DOTS):
        return text[: width - len(_DOTS)] + _DOTS
    room = width - _HEAD - len(_DOTS)
    rest = text[max(start - _BEFORE, 0) :]
    if len(rest) <= room:
        return text[:_HEAD] + _DOTS + text[len(text) - room :]
    return text[:_HEAD] + _DOTS + rest[: room - len(_DOTS)] + _DOTS
