"""What an expression reads for one phone: the lines that say its variables.

Comes in: a Resolver, a phone and the text of an expression. Goes out: `Said`s in the order written. What a phone, a
site or an account is called stands in its entry; `evaluation.context` says what an expression can see.
"""

from __future__ import annotations

from typing import Any

from offhook.expression import looks_at
from offhook.flyingvoice.accounts import label_word
from offhook.layers import Path, Said
from offhook.model import Phone
from offhook.settings import Resolver


def read_by(resolver: Resolver, phone: Phone, text: str) -> list[Said]:
    """Return who says what an expression reads for a phone; what nobody says, or nobody can change, is left out."""
    found = (_said(resolver, phone, path) for path in looks_at(text))
    return list({(one.layer, one.path): one for one in found if one is not None}.values())


def _said(resolver: Resolver, phone: Phone, path: Path) -> Said | None:
    inventory = resolver.inventory
    root, *rest = path
    if root == "accounts":
        return _of_account(resolver, phone, tuple(rest))
    site = inventory.sites.get(phone.site or "")
    holders: list[tuple[str, Any]]
    if root == "fleet":
        holders = [("fleet", inventory.fleet)]
    elif root == "site":
        holders = [(f"sites/{site.id}", site)] if site is not None else []
    else:
        profiles = ((f"profiles/{one}", inventory.profiles.get(one)) for one in reversed(phone.profiles))
        holders = [(f"phones/{phone.mac}", phone), *((layer, one) for layer, one in profiles if one is not None)]
    for layer, entity in holders:
        value = entity.vars.get(str(rest[1])) if rest[:1] == ["vars"] and len(rest) > 1 else None
        if value is not None:
            return Said(value, layer, entity, tuple(rest[:2]))
    if rest[:1] in (["label"], ["model"], ["description"]) and holders:
        value = getattr(holders[0][1], str(rest[0]), None)
        return None if value is None else Said(value, *holders[0], (str(rest[0]),))
    return None


def _of_account(resolver: Resolver, phone: Phone, rest: Path) -> Said | None:
    if len(rest) < 2 or not isinstance(rest[0], int) or not 0 <= rest[0] < len(phone.accounts):
        return None
    account = resolver.inventory.accounts.get(phone.accounts[rest[0]])
    if account is None:
        return None
    word = {"label": label_word(account), "display_name": "display_name" if account.display_name else "extension"}
    name = word.get(str(rest[1]), str(rest[1]))
    value = getattr(account, name, None)
    return Said(value, f"accounts/{account.id}", account, (name,)) if value is not None and name != "id" else None
