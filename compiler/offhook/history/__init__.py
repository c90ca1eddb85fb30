"""Since when a phone is as it is: the commits that changed it, and for each setting the one that last did.

Comes in: a fleet's root, a MAC and a revision. Goes out: `Entry`s (`log`), `Blame`s (`blame`) and `Reason`s (`why`).
Everything is read from git objects; nothing is checked out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

from offhook.cache import with_store
from offhook.expression import is_expression
from offhook.flyingvoice.catalogue import find, spell
from offhook.flyingvoice.cfg import in_order
from offhook.git.repository import Commit, resolve
from offhook.history.blame import origins
from offhook.history.log import Changed, Entry, entries
from offhook.history.missing import no_phone, not_told, unknown_parameter
from offhook.history.reviews import reviews
from offhook.history.since import said_since, written
from offhook.history.trust import judge, trust_at
from offhook.history.walk import History, open_history
from offhook.layers import COMPILER, Said
from offhook.problem import Mark, OffhookError
from offhook.reading import read_by
from offhook.shadows import sayings
from offhook.store import Store

__all__ = ["Blame", "Changed", "Entry", "Reason", "Why", "blame", "log", "nothing_found", "why"]

R = TypeVar("R")
Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Blame:
    """One effective setting, who says it at the revision asked about, and the commit that gave it this value.

    `about.boundary` tells that a shallow clone ends there: the value may be older.
    """

    parameter: str
    value: str
    commit: str
    about: Commit
    layer: str
    said: Said
    review: str | None = None

    @property
    def file(self) -> str:
        """Return the path of the file that says the value."""
        return self.said.mark().file

    @property
    def line(self) -> int:
        """Return the line at which it does."""
        return self.said.mark().line


@dataclass(frozen=True, slots=True)
class Reason:
    """One who says something about a parameter, where, and since which commit. `wins` for the one the phone follows.

    `value` is as it is written; for the winner, as the phone is told it.
    """

    value: str
    layer: str
    mark: Mark
    about: Commit
    wins: bool
    review: str | None = None


@dataclass(frozen=True, slots=True)
class Why:
    """Why a parameter has its value: the winner first, then what it overrides, the strongest first.

    `since` is the commit that gave this phone this value: another one than the winner's where the phone came to the
    layer later, or where an expression reads something that changed. `review` is the pull request that brought it.
    `reads` says where what the winner's expression reads is said.
    """

    parameter: str
    value: str
    since: Commit
    reasons: tuple[Reason, ...]
    review: str | None = None
    reads: tuple[Reason, ...] = ()


def log(
    root: Path,
    mac: str,
    parameter: str | None = None,
    revision: str = "HEAD",
    *,
    environment: str | None = None,
    limit: int | None = None,
    store: Store | None = None,
    warn: Warn = lambda _: None,
) -> list[Entry]:
    """Return the commits up to `revision` that changed a phone, or one parameter of it; the newest `limit` first.

    `mac` is canonical, `parameter` as the phone is told it. Raises OffhookError where there is no such revision.
    """

    def use(history: History, start: str) -> list[Entry]:
        found = list(islice(entries(history, start, parameter), limit))
        brought = reviews(history, start, (one.commit for one in found))
        trust = trust_at(history, start)
        return [
            replace(one, review=brought.get(one.commit), signature=judge(history, one.commit, trust)) for one in found
        ]

    return _with_history(root, mac, revision, environment, store, warn, use)


def nothing_found(
    root: Path,
    mac: str,
    parameter: str | None = None,
    revision: str = "HEAD",
    *,
    environment: str | None = None,
    store: Store | None = None,
    warn: Warn = lambda _: None,
) -> OffhookError | None:
    """Return what is wrong with a question to which `log` has no entry: nobody has that phone, or that parameter.

    None where the phone and the parameter are there, and no commit changed the parameter.
    """

    def use(history: History, start: str) -> OffhookError | None:
        side = history.side(start)
        if parameter is not None and (side.phone(mac) is not None or next(entries(history, start, None), None)):
            return unknown_parameter(side, mac, parameter)
        return no_phone(side, mac, revision, ever=True)

    return _with_history(root, mac, revision, environment, store, warn, use)


def blame(
    root: Path,
    mac: str,
    revision: str = "HEAD",
    *,
    environment: str | None = None,
    store: Store | None = None,
    warn: Warn = lambda _: None,
) -> dict[str, Blame]:
    """Return parameter -> Blame for every effective setting of a phone at `revision`, in the order of a cfg file.

    Raises OffhookError where the phone is not there, or not in the environment.
    """

    def use(history: History, start: str) -> dict[str, Blame]:
        said = history.trace(start)
        if history.state(start).values is None:
            raise no_phone(history.side(start), mac, revision)
        found = origins(history, start, said)
        brought = reviews(history, start, set(found.values()))

        def one(name: str) -> Blame:
            commit, who = found[name], said[name]
            return Blame(name, who.value, commit, history.commit(commit), who.layer, who, brought.get(commit))

        return {name: one(name) for name in in_order(said)}

    return _with_history(root, mac, revision, environment, store, warn, use)


def why(
    root: Path,
    mac: str,
    parameter: str,
    revision: str = "HEAD",
    *,
    environment: str | None = None,
    store: Store | None = None,
    warn: Warn = lambda _: None,
) -> Why:
    """Return who says a parameter of a phone at `revision`, and since when.

    `parameter` is in either dialect's spelling. Raises OffhookError where there is no such phone, or it is not told
    the parameter.
    """

    def use(history: History, start: str) -> Why:
        side = history.side(start)
        phone = side.phone(mac)
        if phone is None:
            raise no_phone(side, mac, revision)
        dialect = side.resolver.bases.dialect(phone)
        found = find(parameter)
        wire = (spell(found.name, dialect) if found else None) or parameter
        said = sayings(side.resolver, phone, wire)
        if not said:
            raise not_told(side, phone, parameter)
        since = history.commit(origins(history, start, [wire])[wire])
        commits = [since if one.layer == COMPILER else said_since(history, start, one) for one in said]
        text = written(history, start, said[-1]) or ""
        read = read_by(side.resolver, phone, text) if is_expression(text) else []
        read_since = [said_since(history, start, one) for one in read]
        brought = reviews(history, start, {one.id for one in (since, *commits, *read_since)})

        def reason(one: Said, about: Commit) -> Reason:
            return Reason(one.value, one.layer, one.mark(), about, one is said[-1], brought.get(about.id))

        reasons = map(reason, reversed(said), reversed(commits))
        reads = map(reason, read, read_since)
        return Why(wire, said[-1].value, since, tuple(reasons), brought.get(since.id), tuple(reads))

    return _with_history(root, mac, revision, environment, store, warn, use)


def _with_history(
    root: Path,
    mac: str,
    revision: str,
    environment: str | None,
    store: Store | None,
    warn: Warn,
    use: Callable[[History, str], R],
) -> R:
    def run(store: Store) -> R:
        history = open_history(root, mac, environment, store)
        start = resolve(history.git, revision)
        history.prepare(start)
        try:
            return use(history, start)
        finally:
            history.keep()

    return run(store) if store is not None else with_store(root, run, warn=warn)
