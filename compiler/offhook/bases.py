"""What phones of one dialect, model, site and list of profiles have in common, resolved once.

Comes in: an Inventory and an Environment. Goes out: a `Base` for a phone, by PRECEDENCE; `offhook.settings` puts over
it what is the phone's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from offhook import expression
from offhook.flyingvoice import accounts, keys
from offhook.flyingvoice.catalogue import Model, models
from offhook.inventory import Inventory
from offhook.layers import PHONEBOOKS, PRECEDENCE, Layer, Said, make_layer, takes
from offhook.model import Environment, KeyPlan, Phone


@dataclass(frozen=True, slots=True)
class Base:
    """What phones of one dialect, model, site and list of profiles have in common.

    `values` and `said` hold the winners, unused slots included; `shared` is what the shared files of the
    layered layout give together, and `files` are these files in order of precedence. Values with
    expressions wait in `expressions`, planned keys in `keys`.
    """

    dialect: str
    model: Model
    values: dict[str, str]
    said: dict[str, Said]
    expressions: dict[str, Said]
    keys: dict[int, tuple[KeyPlan, Said]]
    shared: dict[str, str]
    files: tuple[str, ...]


@dataclass(slots=True)
class Bases:
    """The shared layers of one inventory for one environment, and the bases of its phones."""

    inventory: Inventory
    environment: Environment | None
    _layers: dict[tuple[str, ...], Layer | None] = field(default_factory=dict)
    _bases: dict[tuple[Any, ...], Base] = field(default_factory=dict)

    def dialect(self, phone: Phone) -> str:
        """Return the dialect a phone takes: its own, else its site's, its model's, the fleet's."""
        if phone.dialect:
            return phone.dialect
        site = self.inventory.sites.get(phone.site) if phone.site else None
        if site is not None and site.dialect:
            return site.dialect
        layer = self.inventory.fleet.models.get(phone.model)
        return (layer.dialect if layer else None) or self.inventory.fleet.dialect

    def layer(self, dialect: str, kind: str, identifier: str = "") -> Layer | None:
        """Return a shared layer in one dialect, None where nobody says it."""
        key = (dialect, kind, identifier)
        if key not in self._layers:
            self._layers[key] = make_layer(self.inventory, self.environment, dialect, kind, identifier)
        return self._layers[key]

    def layers_in_use(self, phones: Iterable[Phone]) -> list[Layer]:
        """Return the shared layers of which some phone includes the file, each once."""
        bases = {id(base): base for base in map(self.of, phones)}
        used = {name for base in bases.values() for name in base.files}
        return [layer for layer in self._layers.values() if layer is not None and layer.file in used]

    def of(self, phone: Phone) -> Base:
        """Return what a phone shares with its like."""
        key = (self.dialect(phone), phone.model, phone.site, phone.profiles)
        found = self._bases.get(key)
        if found is None:
            found = self._bases[key] = self._make_base(*key)
        return found

    def chain(self, dialect: str, model: str, site: str | None, profiles: tuple[str, ...]) -> list[Layer]:
        """Return the shared layers of a phone, by PRECEDENCE."""
        wanted: Mapping[str, Iterable[str]] = {
            "fleet": ("",),
            "model": (model,),
            "site": (site,) if site else (),
            "profile": profiles,
            "phone": (),
        }
        found = (self.layer(dialect, kind, one) for kind in PRECEDENCE for one in wanted[kind])
        return [layer for layer in found if layer is not None]

    def _make_base(self, dialect: str, model_name: str, site: str | None, profiles: tuple[str, ...]) -> Base:
        model = models()[model_name]
        values = accounts.unused_slots(dialect, model.accounts) | keys.unused_keys(dialect, model.line_keys)
        said: dict[str, Said] = {}
        shared: dict[str, str] = {}
        files: list[str] = []
        for layer in self.chain(dialect, model_name, site, profiles):
            plain = layer.shared_values()
            if plain:
                shared.update(plain)
                files.append(layer.file)
            if any(one.path[0] == PHONEBOOKS for one in layer.said.values()):
                said = {name: one for name, one in said.items() if one.path[0] != PHONEBOOKS}
            said.update((name, one) for name, one in layer.said.items() if takes(model, name))
        expressions = {name: one for name, one in said.items() if expression.is_expression(one.value)}
        for name in expressions:
            del said[name]
        values.update((name, one.value) for name, one in said.items())
        return Base(dialect, model, values, said, expressions, self._profile_keys(profiles), shared, tuple(files))

    def _profile_keys(self, profiles: tuple[str, ...]) -> dict[int, tuple[KeyPlan, Said]]:
        plans: dict[int, tuple[KeyPlan, Said]] = {}
        for identifier in profiles:
            profile = self.inventory.profiles.get(identifier)
            if profile is not None:
                for number, plan in profile.keys.items():
                    origin = Said("", f"profiles/{identifier}", profile, ("keys", str(number)), True)
                    plans[number] = (plan, origin)
        return plans
