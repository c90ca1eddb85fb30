"""Secrets: each name exists, and none travels in the clear without somebody having said so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from offhook.checks.parameters import holders
from offhook.checks.subject import Subject, dotted, nearest
from offhook.checks.table import found
from offhook.flyingvoice.dialects import STATIC
from offhook.model import Entity, Fleet, KeyPlan, Phone, Profile, Site, mark
from offhook.problem import Problem
from offhook.secrets.reference import PREFIX, has_password, secret_name, variable

_PLAIN = ("http", "tftp", "ftp")
_WEB_PASSWORD = "static.security.user_password"


def check(subject: Subject) -> Iterator[Problem]:
    """Yield unknown-secret, secret-variable, misplaced-secret, plain-secret-transport and default-web-password."""
    yield from _names(subject)
    yield from _texts(subject)
    yield from _transport(subject)
    yield from _web_password(subject)


def references(subject: Subject) -> Iterator[tuple[Entity, tuple[str, ...], str]]:
    """Yield (entity, path, value) of every place that refers to a secret."""
    for account in subject.inventory.accounts.values():
        yield account, ("password",), account.password
    for holder in holders(subject):
        for path, value in holder.rows():
            if value.startswith(PREFIX):
                yield holder.entity, path, value
    fleet = subject.inventory.fleet
    for name, environment in fleet.environments.items():
        if environment.password is not None:
            yield fleet, ("environments", name, "password"), environment.password


def _names(subject: Subject) -> Iterator[Problem]:
    inventory = subject.inventory
    chosen = (subject.environment.secrets if subject.environment else None) or inventory.fleet.secrets
    provider = chosen.get("provider", "sops")
    known = inventory.secret_names
    variables: dict[str, str] = {}
    for entity, path, value in references(subject):
        name = secret_name(value)
        if name is None:
            yield found(
                "unknown-secret",
                mark(entity, *path),
                "a secret's name is letters, digits, _, - and . in parts between slashes",
                path=dotted(entity.key, *path),
            )
        elif provider == "sops" and known.complete and name not in known.marks:
            yield found(
                "unknown-secret",
                mark(entity, *path),
                f'no file of inventory/secrets/ has "{name}"{nearest(name, known.marks)}',
                path=dotted(entity.key, *path),
                hint="sops edit inventory/secrets/FILE.yaml",
            )
        elif provider == "env":
            other = variables.setdefault(variable(name), name)
            if other != name:
                yield found(
                    "secret-variable",
                    mark(entity, *path),
                    f'"{name}" and "{other}" would both be the variable {variable(name)}',
                    path=dotted(entity.key, *path),
                )


def _texts(subject: Subject) -> Iterator[Problem]:
    """A reference in a text that a phone shows or sends would be opened there; a password in an address is shown."""
    inventory = subject.inventory
    for account in inventory.accounts.values():
        for word, text in (
            ("display_name", account.display_name),
            ("label", account.label),
            ("auth_name", account.auth_name),
        ):
            if text is not None and (text.startswith(PREFIX) or "@" in text):
                yield from _text(account, text, word)
    for profile in inventory.profiles.values():
        yield from _keys(profile, profile.keys)
    for phone in inventory.phones.values():
        if phone.label is not None:
            yield from _text(phone, phone.label, "label")
        if phone.keys:
            yield from _keys(phone, phone.keys)
    for book in inventory.phonebooks.values():
        yield from _text(book, book.title or "", "title")
        for index, contact in enumerate(book.contacts):
            yield from _text(book, contact.name, "contacts", index, "name")
            for kind, number in contact.numbers.items():
                yield from _text(book, number, "contacts", index, "numbers", kind)
    layers: list[Fleet | Site | Profile | Phone] = [inventory.fleet, *inventory.sites.values()]
    for layer in [*layers, *inventory.profiles.values(), *inventory.phones.values()]:
        if layer.language is not None:
            yield from _text(layer, layer.language, "language")


def _keys(entity: Entity, plans: Mapping[int, KeyPlan]) -> Iterator[Problem]:
    for number, (word, _, value, label, _, pickup) in plans.items():
        for option, text in ((word, value), ("label", label), ("pickup", pickup)):
            if text is not None and (text.startswith(PREFIX) or "@" in text):
                yield from _text(entity, text, "keys", str(number), option)


def _text(entity: Entity, text: str, *path: str | int) -> Iterator[Problem]:
    if text.startswith(PREFIX):
        yield found(
            "misplaced-secret",
            mark(entity, *path),
            "a secret stands here as a text: the phone would show or send it",
            path=dotted(entity.key, *path),
        )
    elif has_password(text):
        yield found(
            "clear-secret",
            mark(entity, *path),
            "an address with a password in it: every phone, log and reviewer would see it",
            path=dotted(entity.key, *path),
        )


def _transport(subject: Subject) -> Iterator[Problem]:
    fleet = subject.inventory.fleet
    if not subject.inventory.accounts:
        return
    for name, environment in fleet.environments.items():
        scheme = (environment.url or "").partition(":")[0].lower()
        if scheme in _PLAIN and "plain-secret-transport" not in environment.accept:
            yield found(
                "plain-secret-transport",
                mark(fleet, "environments", name, "url"),
                f"phones fetch their SIP passwords over {scheme}: everybody on the way can read them",
                path=dotted("environments", name, "url"),
                hint="https://, or accept: [plain-secret-transport] for a network that you trust",
            )


def _web_password(subject: Subject) -> Iterator[Problem]:
    """Only the static dialect documents a parameter for it."""
    count = sum(number for shape, number in subject.shapes.items() if shape.dialect == STATIC)
    if not count:
        return
    said = any(_WEB_PASSWORD in holder.settings or _WEB_PASSWORD in holder.unchecked for holder in holders(subject))
    if not said:
        yield found(
            "default-web-password",
            mark(subject.inventory.fleet),
            f"nothing sets {_WEB_PASSWORD}: the web page of {count} phones keeps admin/admin",
            path="settings",
            hint=f"settings: {{{_WEB_PASSWORD}: secret:web/admin}}",
        )
