"""What a diff is made of: one parameter's change, one phone's changes, and the whole.

`Side` says a value and who says it; where it stands (file and line) is looked up when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from offhook.flyingvoice.panels import Panel
from offhook.layers import COMPILER, Said
from offhook.problem import Mark
from offhook.secrets.hidden import hidden

ADDED = "added"
REMOVED = "removed"
CHANGED = "changed"

LIKELY = "likely"
UNKNOWN = "unknown"
NO = "no"
RESTARTS = (LIKELY, UNKNOWN, NO)
"""Whether a phone restarts, the worst first."""


@dataclass(frozen=True, slots=True)
class Side:
    """A value at one of the two revisions, the layer that says it (`sites/berlin`), and where."""

    value: str
    layer: str
    said: Said = field(compare=False, repr=False)

    @property
    def follows(self) -> bool:
        """Tell whether nobody wrote the value: it follows from what was written."""
        return self.layer == COMPILER

    @property
    def mark(self) -> Mark:
        """Return where the value stands."""
        return self.said.mark()

    @property
    def file(self) -> str:
        """Return the path of the file that says the value."""
        return self.mark.file

    @property
    def line(self) -> int:
        """Return the line at which it does."""
        return self.mark.line


@dataclass(frozen=True, slots=True)
class Change:
    """One parameter of one phone: what it was and what it will be, None where nothing is said.

    Where `new` is None the phone keeps the old value: a missing line tells it nothing. `secret` is "changed" or "may
    have changed" where the name of a secret stayed and its sealed value did not. `restart` is likely, unknown or no;
    `cutoff` tells that the change may leave the phone unreachable or unregistered.
    """

    parameter: str
    old: Side | None
    new: Side | None
    secret: str
    restart: str
    cutoff: bool


class Move(NamedTuple):
    """What became of a phone as a whole: another `model`, or another `site` ("" for none)."""

    what: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class PhoneChange:
    """One phone that differs. `status` is added, removed or changed; changes are in the order of a cfg file.

    `model` and `site` are those of the head, of the base for a phone that is removed. `retires` tells that the phone
    is switched off by this change, `was_retired` that it was so before it was removed or changed, `is_unread` that it
    only looks removed: its file at the head could not be read. `moves` are a changed phone's model and site, where they
    were others.
    """

    mac: str
    status: str
    model: str
    site: str | None
    retires: bool
    was_retired: bool
    changes: tuple[Change, ...]
    is_unread: bool = False
    moves: tuple[Move, ...] = ()

    @property
    def restart(self) -> str:
        """Return whether the phone restarts: likely, unknown or no; a phone that is not there before or after: no."""
        said = {change.restart for change in self.changes} if self.status == CHANGED else set()
        return next((one for one in RESTARTS if one in said), NO)

    @property
    def cutoff(self) -> bool:
        """Tell whether the phone may become unreachable or unregistered without having been retired."""
        if self.status == REMOVED:
            return not (self.was_retired or self.is_unread)
        return self.status == CHANGED and any(change.cutoff for change in self.changes)


@dataclass(frozen=True, slots=True)
class Policy:
    """A change of the rules that publishing and reviewing follow.

    `mark` is at the head; where the rule `is_gone` there, at the base. `site` is whose rule it is, "" for everybody's.
    """

    mark: Mark
    message: str
    is_gone: bool = False
    site: str = ""


@dataclass(frozen=True, slots=True)
class PhonebookChange:
    """A phonebook that differs: how many contacts were added and removed. `status` is added, removed or changed.

    A changed one without either has its contacts in another order.
    """

    id: str
    status: str
    added: int
    removed: int


class Panels(NamedTuple):
    """One phone's line keys at the base and at the head; None where the phone is not there."""

    before: Panel | None
    after: Panel | None


class Outside(NamedTuple):
    """What changes outside of what may change (`scopes`, as they are spelled).

    Phones, sorted by MAC; how many rules; whether the common file does; and phonebooks by id, sorted.
    """

    scopes: tuple[str, ...]
    phones: tuple[PhoneChange, ...]
    rules: int
    common: bool
    phonebooks: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing does."""
        return not (self.phones or self.rules or self.common or self.phonebooks)


@dataclass(frozen=True, slots=True)
class Diff:
    """What differs between two revisions: ids of commits, or "worktree". Phones are sorted by MAC.

    `common` are the parameters that differ in the common file, for phones that are not in the inventory.
    `head_is_broken` tells that the head has mistakes: what could be understood of it was compared. `warnings` name
    them, the head's before the base's. `fleet_is_unread` tells that fleet.yaml, which every phone depends on, is among
    what could not be understood. `panels` are the line keys of as many phones as were asked for, by MAC. `outside` is
    what changes outside of what may change, None where all may.
    """

    base: str
    head: str
    environment: str | None
    policy: tuple[Policy, ...]
    phones: tuple[PhoneChange, ...]
    phonebooks: tuple[PhonebookChange, ...]
    common: tuple[str, ...]
    warnings: tuple[str, ...]
    head_is_broken: bool
    fleet_is_unread: bool = False
    panels: Mapping[str, Panels] = field(default_factory=dict, repr=False, compare=False)
    outside: Outside | None = None

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing differs."""
        return not (self.policy or self.phones or self.phonebooks or self.common)

    def of_status(self, status: str) -> tuple[PhoneChange, ...]:
        """Return the phones that are added, removed or changed; not those of which nobody can tell."""
        return tuple(phone for phone in self.phones if phone.status == status and not phone.is_unread)

    @property
    def unread(self) -> tuple[PhoneChange, ...]:
        """Return the phones that may be as they were: the file they stood in could not be read at the head."""
        return tuple(phone for phone in self.phones if phone.is_unread)


def shown_sides(change: Change) -> tuple[str | None, str | None]:
    """Return both values of a change without passwords, as JSON has them; None where nothing is said."""
    return _shown(change.parameter, change.old), _shown(change.parameter, change.new)


def _shown(parameter: str, side: Side | None) -> str | None:
    return None if side is None else hidden(parameter, side.value)
