"""The middle of the compiler: for one phone, every parameter's value and who said it.

Comes in: an Inventory and an Environment. Goes out: `Settings` of a phone, in the spelling that its
firmware takes, secrets still sealed. `Resolver` applies PRECEDENCE: what several phones share is resolved
once, and a phone adds what is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from offhook import expression
from offhook.bases import Base, Bases
from offhook.evaluation import Evaluation
from offhook.flyingvoice import accounts, keys
from offhook.flyingvoice.catalogue import find_model
from offhook.flyingvoice.dialects import WORDS
from offhook.inventory import Inventory
from offhook.layers import COMPILER, PHONEBOOKS, Said, said_by, takes, words_said
from offhook.mac import parse_mac
from offhook.model import Account, Environment, KeyPlan, Phone
from offhook.problem import Mark
from offhook.registrars import Registrars

_PERSONAL_PARTS = ("account.", "linekey.")
_LABEL = keys.Key._fields.index("label")


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective setting of a phone: the value sent to it, the layer that won, and where that layer says so."""

    parameter: str
    value: str
    layer: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Settings:
    """A phone's effective settings: parameter as the phone spells it -> value, secrets sealed."""

    phone: Phone
    base: Base
    values: dict[str, str]

    def own_values(self) -> dict[str, str]:
        """Return what the phone's own file must say in the layered layout: all that the shared files do not give."""
        shared = self.base.shared
        return {name: value for name, value in self.values.items() if shared.get(name) != value}


def phones_of(inventory: Inventory, environment: Environment | None) -> list[Phone]:
    """Return the phones that belong to an environment, sorted by MAC; all of them where it does not choose."""
    return list(filter(belongs_to(environment), inventory.phones.values()))


def belongs_to(environment: Environment | None) -> Callable[[Phone], bool]:
    """Return what tells whether a phone belongs to an environment: every phone does where it does not choose."""
    chosen = environment.phones if environment else {}
    if not chosen:
        return lambda phone: True
    sites = frozenset(chosen.get("sites", ()))
    macs = {parse_mac(mac) for mac in chosen.get("macs", ())}
    names = {model.name for model in map(find_model, chosen.get("models", ())) if model}
    return lambda phone: phone.site in sites or phone.model in names or phone.mac in macs


@dataclass(slots=True)
class Resolver:
    """Resolves phones of one inventory for one environment, and remembers what they share.

    Mistakes that only show when a value is made are gathered in `evaluation.problems`; such a value is left out.
    """

    inventory: Inventory
    environment: Environment | None
    evaluation: Evaluation = field(init=False)
    bases: Bases = field(init=False)
    registrars: Registrars = field(init=False)

    def __post_init__(self) -> None:
        self.evaluation = Evaluation(self.inventory)
        self.bases = Bases(self.inventory, self.environment)
        self.registrars = Registrars(self.inventory)

    def resolve(self, phone: Phone) -> Settings:
        """Return the effective settings of one phone."""
        base = self.bases.of(phone)
        values = base.values.copy()
        self._fill(phone, base, values, None)
        return Settings(phone, base, values)

    def explain(self, phone: Phone) -> dict[str, Setting]:
        """Return the effective settings of one phone with the layer and place that said each."""
        return {name: Setting(name, one.value, one.layer, one.mark()) for name, one in self.trace(phone).items()}

    def trace(self, phone: Phone) -> dict[str, Said]:
        """Return the effective settings of one phone with who said each; the values are those sent to the phone."""
        base = self.bases.of(phone)
        values, said = base.values.copy(), base.said.copy()
        self._fill(phone, base, values, said)
        made = Said("", COMPILER, phone, ())
        return {name: said.get(name, made)._replace(value=value) for name, value in values.items()}

    def who_says(self, phone: Phone, names: Iterable[str]) -> dict[str, Said]:
        """Return some of a phone's effective settings with who said each; names that it is not told are left out."""
        base = self.bases.of(phone)
        wanted = list(names)
        if self._has_own(phone) or not all(self._is_shared(base, name) for name in wanted):
            every = self.trace(phone)
            return {name: every[name] for name in wanted if name in every}
        return {name: base.said[name] for name in wanted}

    def planned(self, phone: Phone, plan: KeyPlan, origin: Said) -> list[tuple[str | None, Said]]:
        """Return what a planned key would be on a phone, and who says it: the fields of `keys.Key` in order.

        `origin` is the entity that plans it, with the path of the key.
        """
        used = self._used(phone, self.bases.of(phone))
        made, said = self._key(plan, origin, phone, used), self._key_said(plan, origin, used)
        return list(zip(made, said, strict=True))

    def _has_own(self, phone: Phone) -> bool:
        """Tell whether more than accounts and keys may be put over a phone's base."""
        is_pinned = self.environment is not None and self.environment.pin
        return bool(is_pinned or phone.settings or phone.unchecked or phone.language or phone.phonebooks is not None)

    def _is_shared(self, base: Base, name: str) -> bool:
        return name in base.said and name not in base.expressions and not name.startswith(_PERSONAL_PARTS)

    def _fill(self, phone: Phone, base: Base, values: dict[str, str], said: dict[str, Said] | None) -> None:
        """Put a phone's own values over its base's; `said` explains them where it is wanted."""
        if base.expressions:
            self._put(base.expressions, phone, values, said)
        if self.environment is not None and self.environment.pin:
            self._put(pinned(self.environment, base.dialect), phone, values, said)
        if phone.retired:
            # slots that a model is not sure to have are switched off where the phone was told to use them
            values.update(accounts.unused_slots(base.dialect, len(phone.accounts)))
        else:
            used = self._put_accounts(phone, base, values, said)
            if base.model.line_keys:
                self._put_keys(phone, base, used, values, said)
        if phone.phonebooks is not None:
            for name in [name for name, one in base.said.items() if one.path[0] == PHONEBOOKS]:
                del values[name]
        if phone.settings or phone.unchecked or phone.language or phone.phonebooks:
            rows = words_said(self.inventory, self.environment, base.dialect, phone)
            own = said_by(f"phones/{phone.mac}", phone, rows)
            self._put({name: one for name, one in own.items() if takes(base.model, name)}, phone, values, said)

    def _put(
        self, rows: Mapping[str, Said], phone: Phone, values: dict[str, str], said: dict[str, Said] | None
    ) -> None:
        for name, one in rows.items():
            value: str | None = one.value
            if expression.is_expression(one.value):
                value = self.evaluation.setting(name, one, phone)
            if value is not None:
                values[name] = value
                if said is not None:
                    said[name] = one

    def _put_accounts(
        self, phone: Phone, base: Base, values: dict[str, str], said: dict[str, Said] | None
    ) -> dict[int, Account]:
        """Say the accounts of a phone's slots; return those in use by slot."""
        used = self._used(phone, base)
        for slot, account in used.items():
            for name, value, word in accounts.used_slot(base.dialect, slot, account, self.registrars.of(account)):
                values[name] = value
                if said is not None:
                    said[name] = (
                        self.registrars.word_said(account, word, value)
                        if word
                        else Said(value, f"phones/{phone.mac}", phone, ("accounts", slot - 1))
                    )
        return used

    def _used(self, phone: Phone, base: Base) -> dict[int, Account]:
        """A phone's accounts by slot, those left out that the model has no slot for."""
        found = ((slot, self.inventory.accounts.get(one)) for slot, one in enumerate(phone.accounts, start=1))
        return {slot: one for slot, one in found if one is not None and slot <= base.model.accounts_max}

    def _put_keys(
        self,
        phone: Phone,
        base: Base,
        used: Mapping[int, Account],
        values: dict[str, str],
        said: dict[str, Said] | None,
    ) -> None:
        """Say the keys that profiles and the phone plan; the first free ones become the accounts' lines."""
        own = f"phones/{phone.mac}"
        plans: dict[int, tuple[KeyPlan, Said | None]] = {**base.keys}
        for number, plan in phone.keys.items():
            plans[number] = (plan, None)
        last = base.model.line_keys
        lines = {plan.line or 1 for plan, _ in plans.values() if plan.word == "line"}
        free = (number for number in range(1, last + 1) if number not in plans)
        for slot, number in zip([slot for slot in used if slot not in lines], free, strict=False):
            label = accounts.account_label(used[slot])
            line = keys.Key(keys.LINE_TYPE, line=str(slot), label=label)
            made = keys.key_parameters(base.dialect, number, line)
            values.update(made)
            if said is not None:
                said.update(dict.fromkeys(made, Said("", own, phone, ("accounts", slot - 1))))
                said[keys.parameters(base.dialect, number)[_LABEL]] = _label_said(used[slot])
        for number, (plan, profile_said) in plans.items():
            if number > last:
                continue
            origin = profile_said or Said("", own, phone, ("keys", str(number)))
            made = keys.key_parameters(base.dialect, number, self._key(plan, origin, phone, used))
            values.update(made)
            if said is not None:
                origins = self._key_said(plan, origin, used)
                said.update(zip(keys.parameters(base.dialect, number), origins, strict=True))

    def _key(self, plan: KeyPlan, origin: Said, phone: Phone, used: Mapping[int, Account]) -> keys.Key:
        """What a planned key is on this phone: expressions evaluated, the watched account looked up, a line chosen."""
        word, kind, value, label, line, pickup = plan
        if word == "none":
            return keys.Key(keys.OFF_TYPE)
        text = self.evaluation.text
        if value is not None and "{" in value:
            value = text(value, origin, phone, (word,))
        if label is not None and "{" in label:
            label = text(label, origin, phone, ("label",))
        if pickup is not None and "{" in pickup:
            pickup = text(pickup, origin, phone, ("pickup",))
        if word == "blf" and value is not None:
            watched = self.registrars.watched(value)
            if watched:
                value = watched[0].extension
                label = label or accounts.account_label(watched[0])
                line = line or self.registrars.blf_line(watched, used)
        elif word == "line":
            slot = used.get(line or 1)
            label = label or (accounts.account_label(slot) if slot else None)
        if label is None:
            label = value if value is not None else keys.default_label(plan)
        return keys.Key(kind, str(line or 1), value, label, pickup)

    def _key_said(self, plan: KeyPlan, origin: Said, used: Mapping[int, Account]) -> tuple[Said, ...]:
        """Who says each parameter of a planned key, in the order of `keys.Key`: its own words, or an account's."""

        def own(word: str) -> Said:
            return origin._replace(path=(*origin.path, word))

        value, label = own(plan.word if plan.word != "type" else "value"), own("label")
        account: Account | None = None
        if plan.word == "blf" and plan.value is not None and not expression.is_expression(plan.value):
            account = next(iter(self.registrars.watched(plan.value)), None)
            if account is not None and account.id == plan.value:
                value = Said("", f"accounts/{account.id}", account, ("extension",))
        elif plan.word == "line":
            account = used.get(plan.line or 1)
        if plan.label is None:
            label = _label_said(account) if account is not None else value
        return own(plan.word), own("line"), value, label, own("pickup")


def _label_said(account: Account) -> Said:
    return Said("", f"accounts/{account.id}", account, (accounts.label_word(account),))


def pinned(environment: Environment, dialect: str) -> dict[str, Said]:
    """Return the provisioning address and credentials, where the environment says `pin: true`."""
    layer = f"environments/{environment.name}"
    rows = {"url": environment.url, "username": environment.username, "password": environment.password}
    return {
        WORDS[dialect].word[word]: Said(value, layer, environment, ("environments", environment.name, word), True)
        for word, value in rows.items()
        if value is not None
    }
