"""Values that hold expressions, made for one phone; and the mistakes that only show then.

What an expression can see is gathered here: texts of the phone, its site, the fleet and its accounts.
Secrets are not among them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from offhook import expression
from offhook.flyingvoice.accounts import account_label
from offhook.flyingvoice.catalogue import canonical_value, check_value, find
from offhook.inventory import Inventory
from offhook.layers import Said
from offhook.model import Phone, Site, mark
from offhook.problem import Mark, Problem
from offhook.secrets.reference import PREFIX
from offhook.texts import text_fault


@dataclass(slots=True)
class Evaluation:
    """Evaluates the expressions of one inventory. `problems` gathers those without a usable value, one a place."""

    inventory: Inventory
    problems: dict[Mark, Problem] = field(default_factory=dict)
    _site_values: dict[tuple[str, str | None], str] = field(default_factory=dict)

    def text(self, text: str | None, origin: Said, phone: Phone, path: tuple[str, ...] = ()) -> str | None:
        """Return a text with its expression evaluated for one phone; None, and a problem, where it has no value.

        `path` leads from what `origin` said to the text. A text without an expression is returned as it is.
        """
        if text is None or not expression.is_expression(text):
            return text
        try:
            value = self._evaluate(text, phone)
            fault = text_fault(value)
        except expression.ExpressionError as error:
            self._problem("expression", origin, path, f"for {phone.mac}: {error}")
            return None
        if value.startswith(PREFIX):
            self._problem("misplaced-secret", origin, path, f"for {phone.mac}: the expression gives a secret's name")
            return None
        if fault is not None:
            self._problem("expression", origin, path, f"for {phone.mac}: the expression gives {fault}")
            return None
        return value

    def setting(self, parameter: str, origin: Said, phone: Phone) -> str | None:
        """Return a setting's value made for one phone; None, and a problem, where the catalogue refuses it."""
        value = self.text(origin.value, origin, phone)
        found = find(parameter)
        if value is None or found is None:
            return value
        fault = check_value(found.name, value)
        if fault is not None:
            self._problem("bad-setting", origin, (), f"for {phone.mac}: {parameter}: the expression gives {fault}")
            return None
        return canonical_value(found.name, value)

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what an expression can see, as nested mappings of texts."""
        inventory = self.inventory
        words: dict[str, str] = {}
        for identifier in phone.profiles:
            profile = inventory.profiles.get(identifier)
            words.update(profile.vars if profile else {})
        words.update(phone.vars)
        accounts = (inventory.accounts.get(one) for one in phone.accounts)
        label = None if phone.label and expression.is_expression(phone.label) else phone.label
        context: dict[str, Any] = {
            "phone": _texts(mac=phone.mac, model=phone.model, label=label) | {"vars": words},
            "fleet": {"vars": dict(inventory.fleet.vars)},
            "accounts": tuple(
                _texts(
                    id=account.id,
                    extension=account.extension,
                    display_name=account.display_name or account.extension,
                    label=account_label(account),
                )
                for account in accounts
                if account is not None
            ),
        }
        site = inventory.sites.get(phone.site) if phone.site else None
        if site is not None:
            context["site"] = _site_texts(site)
        return context

    def _evaluate(self, text: str, phone: Phone) -> str:
        """Evaluate; what depends on the site only is remembered."""
        parsed = expression.read_expression(text)
        if parsed.roots & {"phone", "accounts"}:
            return expression.evaluate(parsed, self.context(phone))
        key = (text, phone.site)
        value = self._site_values.get(key)
        if value is None:
            value = self._site_values[key] = expression.evaluate(parsed, self.context(phone))
        return value

    def _problem(self, identifier: str, origin: Said, path: tuple[str, ...], message: str) -> None:
        place = mark(origin.entity, *origin.path, *path)
        dotted = ".".join(str(part) for part in (origin.entity.key, *origin.path, *path) if part is not None)
        self.problems.setdefault(place, Problem(identifier, place, message, dotted))


def _site_texts(site: Site) -> dict[str, Any]:
    return _texts(id=site.id, description=site.description) | {"vars": dict(site.vars)}


def _texts(**values: str | None) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
