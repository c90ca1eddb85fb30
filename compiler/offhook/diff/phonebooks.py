"""Phonebooks that differ: files that phones fetch beside their settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from offhook.diff.change import ADDED, CHANGED, REMOVED, PhonebookChange
from offhook.flyingvoice.phonebook import contacts_of
from offhook.git.repository import Delta
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
    accounts = _account_ids(old, new, changed)
    for identifier in sorted(own | listed):
        before, after = old.inventory.phonebooks.get(identifier), new.inventory.phonebooks.get(identifier)
        if before is None or after is None:
            if before is not None or after is not None:
                status = REMOVED if after is None else ADDED
                yield PhonebookChange(identifier, status, _size(after, new), _size(before, old))
            continue
        was, now = _lines(before, old, after, accounts), _lines(after, new, before, accounts)
        if was != now or _order(before) != _order(after):
            yield PhonebookChange(identifier, CHANGED, (now - was).total(), (was - now).total())


def _size(book: Phonebook | None, view: View) -> int:
    return 0 if book is None else len(contacts_of(book, _accounts(book, view)))


def _lines(book: Phonebook, view: View, other: Phonebook, ids: list[str]) -> Counter[tuple[object, ...]]:
    """A phonebook's contacts; where both sides take the same accounts, of those only the ones in changed files."""
    is_same = (book.from_accounts, book.account_sites) == (other.from_accounts, other.account_sites)
    if is_same and book.from_accounts:
        # an id that stands twice is one account, whichever file changed
        found = (view.inventory.accounts.get(one) for one in ids)
        accounts: Iterable[Account] = [one for one in found if one is not None]
    else:
        accounts = _accounts(book, view)
    return Counter((one.name, *one.numbers.items()) for one in contacts_of(book, accounts))


def _order(book: Phonebook) -> list[tuple[object, ...]]:
    """A phonebook's own contacts as they stand in its file; those of accounts are sorted anyway."""
    return [(one.name, *one.numbers.items()) for one in book.contacts]


def _accounts(book: Phonebook, view: View) -> Iterable[Account]:
    return view.inventory.accounts.values() if book.from_accounts else ()


def _account_ids(old: View, new: View, changed: Iterable[Delta]) -> list[str]:
    """The ids of all accounts in files that differ, sorted."""
    places = [(view, one.path, blob) for one in changed for view, blob in ((old, one.old), (new, one.new))]
    found = {
        key
        for view, path, blob in places
        if blob is not None and kind_of(path) == "account"
        for key in view.facts((path, blob)).entities
    }
    return sorted(found)
