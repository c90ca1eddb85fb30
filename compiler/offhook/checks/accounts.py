"""Accounts: one extension once a SIP server, no more phones than allowed, no more slots than the model has."""

from __future__ import annotations

from collections.abc import Iterator

from offhook.checks.subject import Subject, dotted, shown
from offhook.checks.table import found
from offhook.flyingvoice.catalogue import models
from offhook.flyingvoice.dialects import WORDS
from offhook.model import Account, Phone, mark
from offhook.problem import Problem


def check(subject: Subject) -> Iterator[Problem]:
    """Yield duplicate-extension, no-sip-server, account-overuse and the slot problems."""
    yield from _extensions(subject)
    yield from _overuse(subject)
    yield from _slots(subject)
    yield from _transports(subject)


def _extensions(subject: Subject) -> Iterator[Problem]:
    first: dict[tuple[str, str], Account] = {}
    for account in subject.inventory.accounts.values():
        if not subject.is_placed(account.site):
            continue
        server = subject.resolver.registrars.of(account).server
        if server is None:
            yield found(
                "no-sip-server",
                mark(account, key=True),
                f'account "{account.id}" has no SIP server: neither it, nor its site, nor the fleet says one',
                path=account.id,
                hint="sip: {server: pbx.example.com}",
            )
            continue
        other = first.setdefault((server.lower(), account.extension), account)
        if other is not account:
            yield found(
                "duplicate-extension",
                mark(account, "extension"),
                f"extension {account.extension} on {server} is taken: {mark(other, 'extension')}",
                path=dotted(account.id, "extension"),
                hint="one phone more for the same account: list it there, and raise max_phones",
            )


def _overuse(subject: Subject) -> Iterator[Problem]:
    for identifier, phones in subject.users.items():
        account = subject.inventory.accounts.get(identifier)
        if account is None or len(phones) <= account.max_phones:
            continue
        different = list({phone.mac: phone for phone in phones}.values())
        for phone in different[account.max_phones :]:
            slot = phone.accounts.index(identifier)
            others = shown(one.mac for one in different if one is not phone)
            yield found(
                "account-overuse",
                mark(phone, "accounts", slot),
                f'account "{identifier}" is on {len(different)} phones, max_phones is {account.max_phones}: '
                f"also on {others}",
                path=dotted(phone.key, "accounts", slot),
                hint=f"a shared line: max_phones: {len(different)} in {account.file.path}",
            )


def _slots(subject: Subject) -> Iterator[Problem]:
    known = models()
    for phone in subject.inventory.phones.values():
        count = len(phone.accounts)
        model = known[phone.model]
        if count > model.accounts:
            if count > model.accounts_max:
                yield _many(phone, "too-many-accounts", model.accounts_max, f"a {model.name} has {model.accounts_max}")
            elif not model.accounts_certain:
                known_to = f"a {model.name} is known to have {model.accounts}, perhaps more"
                yield _many(phone, "unsure-accounts", model.accounts, known_to)


def _many(phone: Phone, identifier: str, limit: int, why: str) -> Problem:
    return found(
        identifier,
        mark(phone, "accounts", limit),
        f"{len(phone.accounts)} accounts, {why}",
        path=dotted(phone.key, "accounts", limit),
    )


def _transports(subject: Subject) -> Iterator[Problem]:
    """A transport that the phone's dialect has no parameter for would be ignored: calls in the clear."""
    for account in subject.inventory.accounts.values():
        transport = subject.resolver.registrars.of(account).transport
        if transport == "udp" or not subject.is_placed(account.site):
            continue
        for phone in subject.users.get(account.id, ()):
            if not subject.is_understood(phone):
                continue
            dialect = subject.resolver.bases.dialect(phone)
            if "transport" not in WORDS[dialect].account:
                slot = phone.accounts.index(account.id)
                yield found(
                    "word-not-in-dialect",
                    mark(phone, "accounts", slot),
                    f'account "{account.id}" wants {transport}, the {dialect} dialect has no word for a transport',
                    path=dotted(phone.key, "accounts", slot),
                    hint="dialect: static, where the firmware takes it; or the unconfirmed account.N.transport",
                )
                break
