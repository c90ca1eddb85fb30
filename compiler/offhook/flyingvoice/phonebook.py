"""The phonebook file: contacts as XML.

The root name is that of the public Flyingvoice templates' remote phonebook (DirectoryEntry with Name and
one or more Telephone elements): medium confidence, no vendor document shows the format. The guide asks for
XML ("Obtaining Template Files", resource file).
"""

from __future__ import annotations

from collections.abc import Iterable

from offhook.flyingvoice.templates.render import template
from offhook.model import Account, Contact, Phonebook


def contacts_of(book: Phonebook, accounts: Iterable[Account]) -> list[Contact]:
    """Return a phonebook's contacts: its own in the order written, then the fleet's accounts by name and extension.

    Of accounts only the name and the extension are taken. `from_accounts` with sites takes those sites' accounts.
    """
    found = list(book.contacts)
    if book.from_accounts:
        sites = frozenset(book.account_sites)
        chosen = [account for account in accounts if not sites or account.site in sites]
        chosen.sort(key=lambda account: ((account.display_name or "").casefold(), account.extension, account.id))
        found += [
            Contact(account.display_name or account.extension, {"office": account.extension}) for account in chosen
        ]
    return found


def render_phonebook(contacts: Iterable[Contact]) -> str:
    """Return the text of a phonebook's XML file."""
    return template("phonebook.xml.j2").render(contacts=contacts)
