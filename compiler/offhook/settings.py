"""The middle of the compiler: for one phone, every parameter's value and who said it.

Comes in: an Inventory and an Environment. Goes out: `Settings` of a phone, in the spelling that its
firmware takes, secrets still sealed. `Resolver` applies PRECEDENCE: what several phones share is resolved
once, and a phone adds what is its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from offhook import expression
from offhook.flyingvoice import accounts, keys
from offhook.flyingvoice.catalogue import Model, canonical_value, check_value, find, models
from offhook.flyingvoice.dialects import WORDS
from offhook.inventory import Inventory
from offhook.layers import (
    COMPILER,
    PHONEBOOKS,
    PRECEDENCE,
    Layer,
    Said,
    make_layer,
    said_by,
    takes,
    words_said,
)
from offhook.model import Account, Environment, Phone, Site, mark
from offhook.problem import Mark, Problem
from offhook.texts import text_fault


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective setting of a phone: the value sent to it, the layer that won, and where that layer says so."""

    parameter: str
    value: str
    layer: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Base:
    """What phones of one dialect, model, site and list of profiles have in common.

    `values` and `said` hold the winners, unused slots included; `shared` is what the shared files of the
    layered layout give together, and `files` are these files in order of precedence.
    """

    dialect: str
    model: Model
    values: dict[str, str]
    said: dict[str, Said]
    expressions: dict[str, Said]
    keys: dict[int, tuple[keys.KeyPlan, Said]]
    shared: dict[str, str]
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """A phone's effective settings: wire parameter -> value, secrets sealed; `said` explains what is not in `base`."""

    phone: Phone
    base: Base
    values: dict[str, str]
    said: dict[str, Said]

    def own_values(self) -> dict[str, str]:
        """Return what the phone's own file must say in the layered layout: all that the shared files do not give."""
        shared = self.base.shared
        return {name: value for name, value in self.values.items() if shared.get(name) != value}


def setting(settings: Settings, parameter: str) -> Setting:
    """Return one effective setting with its provenance. Raises KeyError where the phone has no such parameter."""
    value = settings.values[parameter]
    said = settings.said.get(parameter) or settings.base.said.get(parameter)
    if said is None:
        return Setting(parameter, value, COMPILER, mark(settings.phone, key=True))
    return Setting(parameter, value, said.layer, mark(said.entity, *said.path))


def phones_of(inventory: Inventory, environment: Environment | None) -> list[Phone]:
    """Return the phones that belong to an environment, sorted by MAC; all of them where it does not choose."""
    chosen = environment.phones if environment else {}
    sites, names, macs = (frozenset(chosen.get(word, ())) for word in ("sites", "models", "macs"))
    if not chosen:
        return list(inventory.phones.values())
    return [
        phone for phone in inventory.phones.values() if phone.site in sites or phone.model in names or phone.mac in macs
    ]


@dataclass(slots=True)
class Resolver:
    """Resolves phones of one inventory for one environment, and remembers what they share.

    Mistakes that only show when a value is made (an expression without a value, a result that a phone cannot
    take) are gathered in `problems`, once each; the value is then left out.
    """

    inventory: Inventory
    environment: Environment | None
    problems: dict[tuple[Mark, str], Problem] = field(default_factory=dict)
    _layers: dict[tuple[str, ...], Layer] = field(default_factory=dict)
    _bases: dict[tuple[Any, ...], Base] = field(default_factory=dict)
    _registrars: dict[str, accounts.Registrar] = field(default_factory=dict)
    _site_values: dict[tuple[str, str | None], str | None] = field(default_factory=dict)
    _pins: dict[str, dict[str, Said]] = field(default_factory=dict)

    def dialect(self, phone: Phone) -> str:
        """Return the dialect a phone takes: its own, else its site's, its model's, the fleet's."""
        inventory = self.inventory
        if phone.dialect:
            return phone.dialect
        site = inventory.sites.get(phone.site) if phone.site else None
        if site is not None and site.dialect:
            return site.dialect
        layer = inventory.fleet.models.get(phone.model)
        return (layer.dialect if layer else None) or inventory.fleet.dialect

    def registrar(self, account: Account) -> accounts.Registrar:
        """Return where an account registers, after inheritance."""
        found = self._registrars.get(account.id)
        if found is None:
            site = self.inventory.sites.get(account.site) if account.site else None
            found = accounts.account_registrar(account, site, self.inventory.fleet)
            self._registrars[account.id] = found
        return found

    def base(self, phone: Phone) -> Base:
        """Return what a phone shares with its like."""
        key = (self.dialect(phone), phone.model, phone.site, phone.profiles)
        found = self._bases.get(key)
        if found is None:
            found = self._bases[key] = self._make_base(*key)
        return found

    def layer(self, dialect: str, kind: str, identifier: str = "") -> Layer | None:
        """Return a shared layer in one dialect, None where nobody says it."""
        key = (dialect, kind, identifier)
        found = self._layers.get(key)
        if found is None:
            made = make_layer(self.inventory, self.environment, dialect, kind, identifier)
            if made is None:
                return None
            found = self._layers[key] = made
        return found

    def layers_of(self, phone: Phone) -> list[Layer]:
        """Return the shared layers of a phone, by PRECEDENCE."""
        return self._chain(self.dialect(phone), phone.model, phone.site, phone.profiles)

    def resolve(self, phone: Phone) -> Settings:
        """Return the effective settings of one phone."""
        base = self.base(phone)
        values = base.values.copy()
        said: dict[str, Said] = {}
        if base.expressions:
            self._put_all(base.expressions.items(), phone, values, said)
        if self.environment is not None and self.environment.pin:
            self._put_all(self._pin(base.dialect).items(), phone, values, said)
        if not phone.retired:
            used = self._accounts(phone, base, values, said)
            if base.model.line_keys:
                self._keys(phone, base, used, values, said)
        if phone.phonebooks is not None:
            for name in [name for name, one in base.said.items() if one.path[0] == PHONEBOOKS]:
                del values[name]
        if phone.settings or phone.unchecked or phone.language or phone.phonebooks:
            self._put_all(self._phone_layer(phone, base), phone, values, said)
        return Settings(phone, base, values, said)

    # -- what phones share

    def _chain(self, dialect: str, model: str, site: str | None, profiles: tuple[str, ...]) -> list[Layer]:
        wanted = {
            "fleet": [""],
            "model": [model],
            "site": [site] if site else [],
            "profile": profiles,
            "phone": [],
        }
        found = (self.layer(dialect, kind, one) for kind in PRECEDENCE for one in wanted[kind])
        return [layer for layer in found if layer is not None]

    def _make_base(self, dialect: str, model_name: str, site: str | None, profiles: tuple[str, ...]) -> Base:
        model = models()[model_name]
        values = accounts.unused_slots(dialect, model.accounts) | keys.unused_keys(dialect, model.line_keys)
        said: dict[str, Said] = {}
        shared: dict[str, str] = {}
        files: list[str] = []
        chain = self._chain(dialect, model_name, site, profiles)
        for layer in chain:
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

    def _profile_keys(self, profiles: tuple[str, ...]) -> dict[int, tuple[keys.KeyPlan, Said]]:
        plans: dict[int, tuple[keys.KeyPlan, Said]] = {}
        for identifier in profiles:
            profile = self.inventory.profiles.get(identifier)
            for number, body in profile.keys.items() if profile else ():
                said = Said("", f"profiles/{identifier}", profile, ("keys", str(number)), True)  # type: ignore[arg-type]
                plans[number] = (keys.plan_key(body), said)
        return plans

    def _pin(self, dialect: str) -> dict[str, Said]:
        """The provisioning address and credentials, where the environment says `pin: true`."""
        found = self._pins.get(dialect)
        if found is None:
            environment = self.environment
            assert environment is not None
            layer = f"environments/{environment.name}"
            rows = {word: getattr(environment, word) for word in ("url", "username", "password")}
            found = self._pins[dialect] = {
                WORDS[dialect].word[word]: Said(
                    value, layer, environment, ("environments", environment.name, word), True
                )
                for word, value in rows.items()
                if value is not None
            }
        return found

    # -- what is a phone's own

    def _accounts(self, phone: Phone, base: Base, values: dict[str, str], said: dict[str, Said]) -> dict[int, Account]:
        used: dict[int, Account] = {}
        for slot, identifier in enumerate(phone.accounts, start=1):
            account = self.inventory.accounts.get(identifier)
            if account is None or slot > base.model.accounts_max:
                continue
            used[slot] = account
            layer = f"accounts/{identifier}"
            for name, value, word in accounts.used_slot(base.dialect, slot, account, self.registrar(account)):
                values[name] = value
                if word:
                    said[name] = Said(value, layer, account, (word,))
                else:
                    said[name] = Said(value, f"phones/{phone.mac}", phone, ("accounts", slot - 1))
        return used

    def _keys(
        self,
        phone: Phone,
        base: Base,
        used: dict[int, Account],
        values: dict[str, str],
        said: dict[str, Said],
    ) -> None:
        layer = f"phones/{phone.mac}"
        plans = base.keys.copy() if base.keys else {}
        for number, body in phone.keys.items():
            plans[number] = (keys.plan_key(body), Said("", layer, phone, ("keys", str(number))))
        lines = {plan.line or 1 for plan, _ in plans.values() if plan.word == "line"}
        waiting = [slot for slot in used if slot not in lines]
        number = 0
        for slot in waiting:
            number = next((n for n in range(number + 1, base.model.line_keys + 1) if n not in plans), 0)
            if not number:
                break
            key = keys.Key("15", line=str(slot), label=accounts.account_label(used[slot]))
            origin = Said("", layer, phone, ("accounts", slot - 1))
            for name, value in keys.key_parameters(base.dialect, number, key):
                values[name] = value
                said[name] = origin
        for number, (plan, origin) in plans.items():
            if number > base.model.line_keys:
                continue
            made = self._key(plan, origin, phone, used)
            for name, value in keys.key_parameters(base.dialect, number, made):
                values[name] = value
                said[name] = origin

    def _key(self, plan: keys.KeyPlan, origin: Said, phone: Phone, used: dict[int, Account]) -> keys.Key:
        """What a planned key is on this phone: expressions evaluated, the watched account looked up, a line chosen."""
        if plan.word == "none":
            return keys.Key(keys.OFF_TYPE)
        value = self._text(plan.value, origin, phone, (plan.word,))
        label = self._text(plan.label, origin, phone, ("label",))
        pickup = self._text(plan.pickup, origin, phone, ("pickup",))
        line = plan.line
        if plan.word == "blf" and value is not None:
            watched = self.inventory.accounts.get(value)
            if watched is not None:
                value = watched.extension
                label = label or accounts.account_label(watched)
                line = line or blf_line(self, watched, used)
        elif plan.word == "line":
            value = None
            slot = used.get(line or 1)
            label = label or (accounts.account_label(slot) if slot else None)
        if label is None:
            label = value if value is not None else keys.default_label(plan)
        return keys.Key(plan.type, str(line or 1), value, label, pickup)

    def _phone_layer(self, phone: Phone, base: Base) -> Iterator[tuple[str, Said]]:
        rows = words_said(self.inventory, self.environment, base.dialect, phone)
        for name, one in said_by(f"phones/{phone.mac}", phone, rows).items():
            if takes(base.model, name):
                yield name, one

    # -- values with expressions

    def _put_all(self, rows: Any, phone: Phone, values: dict[str, str], said: dict[str, Said]) -> None:
        """Set every (name, Said) of `rows`, its expression evaluated and its result held to the catalogue."""
        for name, one in rows:
            value = one.value
            if expression.is_expression(value):
                made = self._text(value, one, phone, ())
                fault = None if made is None else check_value_of(name, made)
                if fault is not None:
                    self._problem("bad-setting", one, (), f"{name}: the expression gives {fault}")
                if made is None or fault is not None:
                    continue
                value = canonical_value_of(name, made)
            values[name] = value
            said[name] = one

    def _text(self, text: str | None, origin: Said, phone: Phone, path: tuple[str, ...]) -> str | None:
        """A text with its expression evaluated for one phone; None, and a problem, where it has no value."""
        if text is None or not expression.is_expression(text):
            return text
        try:
            parsed = expression.read_expression(text)
            shared = not parsed.roots & {"phone", "accounts"}
            key = (text, phone.site)
            if shared and key in self._site_values:
                value = self._site_values[key]
            else:
                value = expression.evaluate(parsed, self.context(phone))
                if shared:
                    self._site_values[key] = value
            fault = text_fault(value) if value is not None else None
        except expression.ExpressionError as error:
            self._problem("expression", origin, path, f"{error}")
            return None
        if fault:
            self._problem("expression", origin, path, f"for {phone.mac} the expression gives {fault}")
            return None
        return value

    def _problem(self, identifier: str, origin: Said, path: tuple[str, ...], message: str) -> None:
        place = mark(origin.entity, *origin.path, *path)
        dotted = ".".join(str(part) for part in (origin.entity.key, *origin.path, *path) if part is not None)
        self.problems.setdefault((place, message), Problem(identifier, place, message, dotted))

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what an expression can see: texts of the phone, its site, the fleet and its accounts; no secrets."""
        inventory = self.inventory
        words: dict[str, str] = {}
        for identifier in phone.profiles:
            profile = inventory.profiles.get(identifier)
            words.update(profile.vars if profile else {})
        words.update(phone.vars)
        found = inventory.sites.get(phone.site) if phone.site else None
        context: dict[str, Any] = {
            "phone": _texts(mac=phone.mac, model=phone.model, label=self._plain_label(phone)) | {"vars": words},
            "fleet": {"vars": dict(inventory.fleet.vars)},
            "accounts": tuple(
                _texts(
                    id=account.id,
                    extension=account.extension,
                    display_name=account.display_name or account.extension,
                    label=accounts.account_label(account),
                )
                for account in (inventory.accounts.get(one) for one in phone.accounts)
                if account is not None
            ),
        }
        if found is not None:
            context["site"] = _site_texts(found)
        return context

    @staticmethod
    def _plain_label(phone: Phone) -> str | None:
        return None if phone.label and expression.is_expression(phone.label) else phone.label


def blf_line(resolver: Resolver, watched: Account, used: Mapping[int, Account]) -> int | None:
    """Return the phone's first account slot on the watched account's SIP server, None where it has none."""
    server = resolver.registrar(watched).server
    return next((slot for slot, one in used.items() if resolver.registrar(one).server == server), None)


def phone_label(resolver: Resolver, phone: Phone) -> str | None:
    """Return a phone's label, its expression evaluated."""
    return resolver._text(phone.label, Said("", "phone", phone, ()), phone, ("label",))


def check_value_of(wire: str, value: str) -> str | None:
    """Return what is wrong with a value for a parameter in either spelling, None where nothing is."""
    found = find(wire)
    return check_value(found.name, value) if found else text_fault(value)


def canonical_value_of(wire: str, value: str) -> str:
    """Return a value as it is sent to the phone."""
    found = find(wire)
    return canonical_value(found.name, value) if found else value


def _site_texts(site: Site) -> dict[str, Any]:
    return _texts(id=site.id, description=site.description) | {"vars": dict(site.vars)}


def _texts(**values: str | None) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
