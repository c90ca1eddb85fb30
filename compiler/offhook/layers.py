"""What each shared layer says, in the spelling of one dialect.

Comes in: an Inventory, an Environment, a dialect and the name of a layer. Goes out: a `Layer`: parameter ->
what is said and where. `PRECEDENCE` is the one rule of who wins; `offhook.settings` applies it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from offhook import expression
from offhook.flyingvoice.catalogue import Model, Parameter, canonical_value, find, spell
from offhook.flyingvoice.dialects import PHONEBOOK_LIMIT, WORDS
from offhook.inventory import Inventory
from offhook.model import Entity, Environment, mark
from offhook.problem import Mark

PRECEDENCE = ("fleet", "model", "site", "profile", "phone")
"""Later wins; profiles in the phone's own order."""

COMPILER = "compiler"
"""The layer of values that nobody wrote: unused account slots and line keys, switched off."""

PHONEBOOKS = "phonebooks"
_PERSONAL_INDEXES = frozenset({"account", "linekey", "programablekey"})

Path = tuple[str | int, ...]


class Said(NamedTuple):
    """A value as one layer says it. `path` leads to it inside `entity`; `personal` must not stand in a shared file."""

    value: str
    layer: str
    entity: Entity
    path: Path
    personal: bool = False

    def mark(self) -> Mark:
        """Return where the value stands; for one that nobody wrote, the phone's own entry."""
        return mark(self.entity, *self.path) if self.path else mark(self.entity, key=True)


class Row(NamedTuple):
    """One thing an entity says: the parameter as the phone spells it, the value, where, and whether it is personal."""

    parameter: str
    value: str
    path: Path
    personal: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """What one shared layer says in one dialect. `file` is its name in the layered tree, without .cfg."""

    name: str
    file: str
    said: Mapping[str, Said]

    def shared_values(self) -> dict[str, str]:
        """Return what may stand in a file that several phones fetch."""
        return {name: one.value for name, one in self.said.items() if not one.personal}


def make_layer(
    inventory: Inventory, environment: Environment | None, dialect: str, kind: str, identifier: str
) -> Layer | None:
    """Return a layer of PRECEDENCE other than the phone, None where the inventory has no such entity."""
    suffix = "" if dialect == inventory.fleet.dialect else f".{dialect}"

    def words(entity: Any) -> Iterator[Row]:
        return words_said(inventory, environment, dialect, entity)

    if kind == "fleet":
        fleet = inventory.fleet
        file = f"fleet{suffix}" if suffix else "y000000000000"
        rows = [*_settings(dialect, fleet.retired, "retired"), *words(fleet)]
        return Layer("fleet", file, said_by("fleet", fleet, rows))
    if kind == "model":
        model = inventory.fleet.models.get(identifier)
        if model is None:
            return None
        name = f"models/{identifier}"
        rows = [row._replace(path=("models", model.spelled, *row.path)) for row in words(model)]
        return Layer(name, f"{name.lower()}{suffix}", said_by(name, model, rows))
    entity = (inventory.sites if kind == "site" else inventory.profiles).get(identifier)
    if entity is None:
        return None
    name = f"{kind}s/{identifier}"
    return Layer(name, f"{name}{suffix}", said_by(name, entity, words(entity)))


def words_said(inventory: Inventory, environment: Environment | None, dialect: str, entity: Any) -> Iterator[Row]:
    """Yield everything an entity says: generated words first, then settings, then unchecked ones.

    Phonebooks are personal: a later layer's list replaces an earlier one as a whole, which lines in
    shared files could not say.
    """
    words = WORDS[dialect].word
    for word in ("language", "utc_offset"):
        value = getattr(entity, word, None)
        if value is not None:
            yield Row(words[word], value, (word,))
    yield from _phonebooks(inventory, environment, dialect, getattr(entity, PHONEBOOKS, None) or ())
    yield from _settings(dialect, entity.settings, "settings")
    for name, value in entity.unchecked.items():
        yield Row(name, value, ("settings_unchecked", name), is_personal_name(name, value))


def said_by(layer: str, entity: Entity, rows: Iterable[Row]) -> dict[str, Said]:
    """Return rows as parameter -> Said; a later row wins."""
    return {row.parameter: Said(row.value, layer, entity, row.path, row.personal) for row in rows}


def _settings(dialect: str, settings: Mapping[str, str], section: str) -> Iterator[Row]:
    """Catalogued settings that the dialect can say; checks name the others."""
    for spelled, value in settings.items():
        found = find(spelled)
        wire = spell(found.name, dialect) if found else None
        if found is None or wire is None:
            continue
        if expression.is_expression(value):
            yield Row(wire, value, (section, spelled), True)
        else:
            value = canonical_value(found.name, value)
            yield Row(wire, value, (section, spelled), is_personal(found.parameter))


def _phonebooks(
    inventory: Inventory, environment: Environment | None, dialect: str, books: tuple[str, ...]
) -> Iterator[Row]:
    url = environment.url if environment else None
    if url is None:
        return
    names = WORDS[dialect].phonebook
    for number, book in enumerate(books[: PHONEBOOK_LIMIT[dialect]], start=1):
        found = inventory.phonebooks.get(book)
        path = (PHONEBOOKS, number - 1)
        if "name" in names:
            title = found.title if found and found.title else book
            yield Row(names["name"].format(n=number), title, path, True)
        yield Row(names["url"].format(n=number), f"{url.rstrip('/')}/phonebooks/{book}.xml", path, True)


def is_personal(parameter: Parameter) -> bool:
    """Tell whether a parameter belongs into phones' own files whoever says it: a secret, a slot's, or one model's."""
    return (
        parameter.secret
        or bool(_PERSONAL_INDEXES & set(parameter.index))
        or parameter.models_only is not None
        or bool(parameter.models_except)
    )


def is_personal_name(name: str, value: str) -> bool:
    """Tell the same of a parameter that may be uncatalogued; an expression's value is always one phone's own."""
    found = find(name)
    return expression.is_expression(value) or (found is not None and is_personal(found.parameter))


def model_takes(model: Model, parameter: Parameter, indexes: tuple[int, ...]) -> bool:
    """Tell whether a model has a parameter, and the slot that its index names."""
    if parameter.models_only is not None and model.name not in parameter.models_only:
        return False
    if model.name in parameter.models_except:
        return False
    limits = {"account": model.accounts_max, "linekey": model.line_keys}
    return all(index <= limits.get(kind, index) for kind, index in zip(parameter.index, indexes, strict=True))


def takes(model: Model, wire: str) -> bool:
    """Tell whether a model has a parameter in either spelling; of an uncatalogued one nothing is known: yes."""
    found = find(wire)
    return found is None or model_takes(model, found.parameter, found.indexes)
