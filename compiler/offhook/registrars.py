"""Where accounts register, and whom a key watches.

Comes in: an Inventory. Goes out: the `Registrar` of an account, the accounts that a BLF's number means, and the line
by which a phone can watch them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from offhook.flyingvoice import accounts
from offhook.inventory import Inventory
from offhook.layers import COMPILER, Said
from offhook.model import Account, Sip


@dataclass(slots=True)
class Registrars:
    """The registrars of one inventory's accounts, each worked out once."""

    inventory: Inventory
    _extensions: Mapping[str, list[Account]] | None = None
    _registrars: dict[tuple[str | None, Sip], accounts.Registrar] = field(default_factory=dict)

    def of(self, account: Account) -> accounts.Registrar:
        """Return where an account registers, after inheritance."""
        key = (account.site, account.sip)
        found = self._registrars.get(key)
        if found is None:
            site = self.inventory.sites.get(account.site) if account.site else None
            found = accounts.registrar(account.sip, site.sip if site else None, self.inventory.fleet.sip)
            self._registrars[key] = found
        return found

    def word_said(self, account: Account, word: str, value: str) -> Said:
        """Return who says a word of an account: itself, or for a word under sip: its site or the fleet."""
        section, _, inner = word.rpartition(".")
        if section != "sip":
            return Said(value, f"accounts/{account.id}", account, (word,))
        layer = self.of(account).said_by.get(inner)
        if layer is None:
            return Said(value, COMPILER, account, ())
        site = self.inventory.sites.get(account.site or "")
        if layer == 1 and site is not None:
            return Said(value, f"sites/{site.id}", site, (section, inner))
        if layer == 2:
            return Said(value, "fleet", self.inventory.fleet, (section, inner))
        return Said(value, f"accounts/{account.id}", account, (section, inner))

    def watched(self, name: str) -> list[Account]:
        """Return whom a BLF watches: the account of that id, else those of that extension (one a SIP server)."""
        account = self.inventory.accounts.get(name)
        if account is not None:
            return [account]
        if self._extensions is None:
            self._extensions = self.inventory.extensions()
        return self._extensions.get(name, [])

    def blf_line(self, watched: list[Account], used: Mapping[int, Account]) -> int | None:
        """Return the first account slot in use on a watched account's SIP server, None where there is none."""
        servers = [self.of(account).server for account in watched]
        for slot, account in used.items():
            if self.of(account).server in servers:
                return slot
        return None
