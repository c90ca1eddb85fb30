"""Phonebooks that differ: files that phones fetch beside their settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from offhook.diff.change import ADDED, CHANGED, REMOVED, PhonebookChange
from offhook.flyingvoice.phonebook import contacts_of
from offhook.git.repository import Delta
from offhook.inventory import build
from offhook.links import DIRECTORY
from offhook.model import Account, Phonebook
from offhook.source import kind_of
from offhook.view import View


def phonebook_changes(
    old: View, new: View, names: frozenset[str], changed: Iterable[Delta]
) -> Iterator[PhonebookChange]:
    """Yield the phonebooks whose contacts differ, by id. `names` and `changed` are what differs between the views."""
    own = {name.partition("/")[2] for name in names if name.startswith("contacts/")}
    listed = set(new.inventory.phonebooks) if DIRECTORY in names else set()
    deltas = list(changed)
    for identifier in sorted(own | listed):
        before, after = old.inventory.phonebooks.get(identifier), new.inventory.phonebooks.get(identifier)
        if before is None or after is None:
            if before is not None or after is not None:
                status = REMOVED if after is None else ADDED
                yield PhonebookChange(identifier, status, _size(after, new), _size(before, old))
            continue
        was, now = _lines(before, old, after, deltas), _lines(after, new, before, deltas)
        if was != now:
            yield PhonebookChange(identifier, CHANGED, (now - was).total(), (was - now).total())


def _size(book: Phonebook | None, view: View) -> int:
    return 0 if book is None else len(contacts_of(book, _accounts(book, view)))


def _lines(book: Phonebook, view: View, other: Phonebook, deltas: list[Delta]) -> Counter[tuple[object, ...]]:
    """A phonebook's contacts; where both sides take the same accounts, of those only the ones in changed files."""
    is_same = (book.from_accounts, book.account_sites) == (other.from_accounts, other.account_sites)
    accounts = _changed_accounts(view, deltas) if is_same and book.from_accounts else _accounts(book, view)
    return Counter((one.name, *sorted(one.numbers.items())) for one in contacts_of(book, accounts))


def _accounts(book: Phonebook, view: View) -> Iterable[Account]:
    return view.inventory.accounts.values() if book.from_accounts else ()


def _changed_accounts(view: View, deltas: list[Delta]) -> list[Account]:
    found: list[Account] = []
    for delta in deltas:
        blob = view.snapshot.blob_of(delta.path)
        if kind_of(delta.path) != "account" or blob is None:
            continue
        file = view.snapshot.file(delta.path, blob)
        for key, body in view.facts((delta.path, blob)).entities.items():
            account = build(file, key, body)
            assert isinstance(account, Account)
            found.append(account)
    return found
