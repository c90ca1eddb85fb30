"""What is wrong with the head of a diff, as far as the diff comes across it; `offhook check` finds the rest.

Comes in: the two sides, and what differs. Goes out: lines that name the mistakes, and the phones of which nothing can
be said because their file could not be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from offhook.diff.compare import SideOfDiff
from offhook.git.repository import Delta
from offhook.mac import parse_mac
from offhook.model import Phone
from offhook.problem import Mark
from offhook.source import FLEET_FILE, INVENTORY, kind_of
from offhook.view import View

_HINT = "offhook check names them"


def fleet_is_unread(view: View) -> bool:
    """Tell whether fleet.yaml is there and could not be understood."""
    place = view.fleet_place()
    return place is not None and "fleet" not in view.facts(place).entities


def file_mistakes(view: View, words: str) -> Iterator[str]:
    """Yield a line where files of a view have mistakes that can be seen in the file alone."""
    files = [path for path, _ in view.files_with_errors()]
    if files:
        more = f" and {len(files) - 1} more files" if len(files) > 1 else ""
        yield f"{files[0]}{more} {words}: entries with mistakes are left out; {_HINT}"
    if fleet_is_unread(view):
        yield f"{INVENTORY}/{FLEET_FILE} {words} cannot be read: every phone depends on it, and no policy is compared"


def head_mistakes(after: SideOfDiff, macs: Iterable[str], changed: Iterable[Delta]) -> Iterator[str]:
    """Yield a line for each kind of mistake that only shows between files: in what differs, not in the whole head."""
    view = after.view
    dangling = [row for mac in macs if (phone := after.phone(mac)) is not None for row in _dangling(after, phone)]
    if dangling:
        yield _line("refers to something unknown", sorted(set(dangling)))
    broken = sorted(after.resolver.evaluation.problems)
    if broken:
        yield _line("an expression has no usable value", [_place(mark) for mark in broken])
    clear = [one.path for one in changed if _is_private(view, one)]
    if clear:
        yield _line("a secret in the clear", clear)


def unread_phones(old: View, before: SideOfDiff, new: View, macs: Iterable[str]) -> frozenset[str]:
    """Return those of `macs`, phones that are not found at the head, that may stand in what could not be read there."""
    if fleet_is_unread(new):
        return frozenset(macs)
    places = [place for place in new.files_with_errors() if kind_of(place[0]) == "phone"]
    wrong = {parse_mac(key) for place in places for key in new.facts(place).wrong}
    broken = {path for path, blob in places if new.facts((path, blob)).broken}
    is_new = any(old.snapshot.blob_of(path) is None for path in broken)
    return frozenset(mac for mac in macs if is_new or mac in wrong or before.inventory.phones[mac].file.path in broken)


def _dangling(side: SideOfDiff, phone: Phone) -> Iterator[str]:
    inventory = side.inventory
    sites = (phone.site,) if phone.site else ()
    for kind, names, known in (
        ("account", phone.accounts, inventory.accounts),
        ("profile", phone.profiles, inventory.profiles),
        ("site", sites, inventory.sites),
    ):
        yield from (f"{phone.mac}: {kind} {name}" for name in names if name not in known)


def _is_private(view: View, delta: Delta) -> bool:
    if delta.new is None or kind_of(delta.path) == "secret":
        return False
    return view.facts((delta.path, delta.new)).private


def _line(words: str, where: list[str]) -> str:
    more = f" and {len(where) - 1} more" if len(where) > 1 else ""
    return f"{words} at the head: {where[0]}{more}; {_HINT}"


def _place(mark: Mark) -> str:
    return f"{mark.file}:{mark.line}"
