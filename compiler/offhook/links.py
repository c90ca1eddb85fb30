"""What an entity is called by, and what it refers to: the names along which a change spreads.

Comes in: one entity as plain data, as the schema left it. Goes out: names such as `account/alice`,
`watch/0101` (whom a BLF watches: an account's id or its extension), `sip/berlin` (what a site says under `sip:`) or
`secret/berlin/alice`. What a phone's
settings depend on is a set of such names; what a commit changes is one too. Where they do not meet, the
phone is as it was: `offhook.diff` and `offhook.history` rest on that.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterator, Mapping
from typing import Any

from offhook import expression
from offhook.flyingvoice.catalogue import find, find_model
from offhook.mac import parse_mac
from offhook.secrets.reference import PREFIX, has_password

WATCH_ANY = "watch/*"
"""Used by a key whose watched number an expression makes: any account may be meant."""

FLEET = "fleet"
"""What fleet.yaml says to every phone."""

DIRECTORY = "directory"
"""Changed where an account's line in a phonebook may change."""

_OF_NOBODY = frozenset({"description", "checks", "limits", "notify", "signing", "secrets"})
"""Parts of fleet.yaml that no phone's settings depend on."""

Body = Mapping[str, Any]


def name_of(kind: str, key: str) -> str:
    """Return the name of an entity: its kind and id, a phone's MAC in canonical form."""
    return f"{kind}/{(parse_mac(key) or key) if kind == 'phone' else key}"


def defined_by(kind: str, key: str, body: Body) -> Iterator[str]:
    """Yield the names under which an entity can be looked up."""
    yield name_of(kind, key)
    if kind == "account":
        yield f"watch/{key}"
        yield f"watch/{body['extension']}"


def is_same(old: Any, new: Any) -> bool:
    """Tell whether two plain values are the same, order included: of two spellings of a parameter the later wins."""
    return bool(old == new) and marshal.dumps(old, 2) == marshal.dumps(new, 2)


def changed_between(kind: str, key: str, old: Body | None, new: Body | None) -> Iterator[str]:
    """Yield the names that a change of one entity may touch; None where it is not there."""
    if is_same(old, new):
        return
    if kind == "fleet":
        yield from _changed_in_fleet(old or {}, new or {})
        return

    def differs(*words: str) -> bool:
        return old is None or new is None or not all(is_same(old.get(word), new.get(word)) for word in words)

    if kind == "phonebook":
        yield f"contacts/{key}"
        if differs("title"):
            yield name_of(kind, key)
        return
    yield name_of(kind, key)
    if kind == "site" and differs("sip"):
        yield f"sip/{key}"
        yield WATCH_ANY
    if kind == "account":
        for body in (old, new):
            yield from () if body is None else defined_by(kind, key, body)
        yield WATCH_ANY
        if differs("extension", "display_name", "site"):
            yield DIRECTORY


def _changed_in_fleet(old: Body, new: Body) -> Iterator[str]:
    """The parts of fleet.yaml are referred to one by one."""
    for part in old.keys() | new.keys():
        before, after = old.get(part), new.get(part)
        if is_same(before, after) or part in _OF_NOBODY:
            continue
        if part not in ("models", "environments"):
            yield FLEET
            continue
        before, after = before or {}, after or {}
        if part == "environments" and before.keys() != after.keys():
            yield FLEET  # which one is meant without --env may be another now
        is_reordered = [*before] != [*after]  # of two names for one model, the later wins
        for name in before.keys() | after.keys():
            if is_reordered or not is_same(before.get(name), after.get(name)):
                yield f"model/{_model(name)}" if part == "models" else f"environment/{name}"


def used_by(kind: str, body: Body) -> Iterator[str]:
    """Yield the names that an entity refers to, itself; not what those refer to."""
    get = body.get
    if kind == "account":
        if get("site"):
            yield f"sip/{body['site']}"
        yield from _secrets(body["password"])
        return
    if kind == "phone":
        if get("site"):
            yield f"site/{body['site']}"
        yield f"model/{_model(body['model'])}"
        for account in get("accounts", ()):
            yield f"account/{account}"
        for profile in get("profiles", ()):
            yield f"profile/{profile}"
    for book in get("phonebooks") or ():
        yield f"phonebook/{book}"
    for key in (get("keys") or {}).values():
        watched = key.get("blf")
        if watched is not None:
            yield WATCH_ANY if expression.is_expression(watched) else f"watch/{watched}"
    for _, value in _settings(kind, body):
        yield from _secrets(value)
    for layer in (get("models") or {}).values() if kind == "fleet" else ():
        yield from used_by("model", layer or {})
    for environment in (get("environments") or {}).values() if kind == "fleet" else ():
        yield from _secrets((environment or {}).get("password") or "")


def is_private(kind: str, body: Body) -> bool:
    """Tell whether an entity holds a password in the clear: a mistake, and nothing to be kept in a cache."""
    if kind == "fleet" and any(is_private("model", layer or {}) for layer in (body.get("models") or {}).values()):
        return True
    for name, value in _settings(kind, body):
        found = find(name)
        is_secret = found is not None and found.parameter.secret
        if (is_secret and not value.startswith(PREFIX)) or has_password(value):
            return True
    return False


def _settings(kind: str, body: Body) -> Iterator[tuple[str, str]]:
    """Every parameter that an entity sets, checked or not. Of the fleet's: not those of its models."""
    sections = ("settings", "settings_unchecked", "retired") if kind == "fleet" else ("settings", "settings_unchecked")
    for section in sections:
        yield from (body.get(section) or {}).items()


def _secrets(value: str) -> Iterator[str]:
    if value.startswith(PREFIX):
        yield f"secret/{value[len(PREFIX) :]}"


def _model(name: str) -> str:
    found = find_model(name)
    return found.name if found else name
