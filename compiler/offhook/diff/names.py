"""Which names differ between two revisions, and which phones that may touch.

Comes in: two Views. Goes out: names (see `offhook.links`), and the MACs of phones that depend on one of them.
A phone that is not among them is the same at both: everything that its settings are made of is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from offhook.git.repository import Delta, Git, compare_trees
from offhook.links import FLEET, changed_between, defined_by, name_of, used_by
from offhook.secrets.names import SecretFile
from offhook.source import INVENTORY, WORKTREE, Snapshot, kind_of
from offhook.view import View


def deltas(old: Snapshot, new: Snapshot, git: Git | None) -> list[Delta]:
    """Return the files of the inventory that differ between two snapshots, sorted by path; others are left out."""
    if git is not None and WORKTREE not in (old.revision, new.revision):
        found = compare_trees(git, old.tree, new.tree, INVENTORY)
    else:
        before, after = dict(old.entries()), dict(new.entries())
        paths = before.keys() | after.keys()
        found = sorted(Delta(path, before.get(path), after.get(path)) for path in paths)
    return [one for one in found if one.old != one.new and kind_of(one.path) is not None]


def changed_names(old: View, new: View, changed: Iterable[Delta]) -> frozenset[str]:
    """Return every name that differs between two views, given their deltas."""
    names: set[str] = set()
    for path, before, after in changed:
        kind = kind_of(path) or ""
        facts = [view.facts((path, blob)) if blob else None for view, blob in ((old, before), (new, after))]
        if kind == "secret":
            names.update(_changed_secrets(*(one.secrets() if one else None for one in facts)))
            continue
        before_by_key, after_by_key = (one.entities if one else {} for one in facts)
        # the first of two with one extension, or with one MAC, is the one that counts
        is_reordered = _common(before_by_key, after_by_key) != _common(after_by_key, before_by_key)
        for key in before_by_key.keys() | after_by_key.keys():
            was, will = before_by_key.get(key), after_by_key.get(key)
            names.update(changed_between(kind, key, was, None if is_reordered and was is not None else will))
    return frozenset(names.union(*(_hidden(view, names) for view in (old, new))))


def _common(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The keys of both, in the order of the first."""
    return [key for key in one if key in other]


def _hidden(view: View, names: set[str]) -> set[str]:
    """The other names of accounts that stand twice: where the first one comes or goes, the second one goes or comes."""
    found: set[str] = set()
    for name in names:
        kind, _, key = name.partition("/")
        for place in view.places(f"={name}") if kind == "account" else ():
            body = view.facts(place).entities.get(key)
            found.update(() if body is None else defined_by(kind, key, body))
    return found


def concerns_all(view: View, names: frozenset[str], environment: str | None) -> bool:
    """Tell whether a name among `names` is one that every phone of an environment depends on."""
    common = {FLEET, f"environment/{environment}", *_used_by_fleet(view)}
    return not common.isdisjoint(names)


def dependent_phones(view: View, names: frozenset[str]) -> set[str]:
    """Return the MACs of the phones of a view that depend on one of `names`, other than by `concerns_all`.

    A phone whose own entry is among the names is there too, in the view or not.
    """
    macs = {name.removeprefix("phone/") for name in names if name.startswith("phone/")}
    seen = set(names)
    level = set(names)
    while level:
        places = {place for name in level for place in view.places(name)}
        further: set[str] = set()
        for place in places:
            kind = kind_of(place[0]) or ""
            if kind in ("secret", "fleet"):
                continue
            for key, body in view.facts(place).entities.items():
                if level.isdisjoint(used_by(kind, body)):
                    continue
                if kind == "phone":
                    macs.add(name_of(kind, key).removeprefix("phone/"))
                else:
                    further.update(defined_by(kind, key, body))
        level = further - seen
        seen |= level
    return macs


def dependencies(view: View, mac: str, environment: str | None) -> frozenset[str]:
    """Return every name that the settings of a phone depend on, also those that nothing defines."""
    level = {FLEET, f"environment/{environment}", f"phone/{mac}", *_used_by_fleet(view)}
    names: set[str] = set()
    while level:
        names |= level
        level = {used for name in level for used in _used(view, name)} - names
    return frozenset(names)


def _used_by_fleet(view: View) -> Iterator[str]:
    place = view.fleet_place()
    if place is not None:
        yield from used_by("fleet", view.facts(place).entities.get("fleet", {}))


def _used(view: View, name: str) -> Iterator[str]:
    """What the entities under a name use. What is only asked for its `sip:` words uses nothing."""
    for place in view.places(f"={name}"):
        kind = kind_of(place[0]) or ""
        for key, body in view.facts(place).entities.items() if kind != "secret" else ():
            if name in defined_by(kind, key, body):
                yield from used_by(kind, body)


def _changed_secrets(old: SecretFile | None, new: SecretFile | None) -> Iterator[str]:
    before, after = (one.rows if one else {} for one in (old, new))
    for name in before.keys() | after.keys():
        if before.get(name, (0, 0, ""))[2] != after.get(name, (0, 0, ""))[2]:
            yield f"secret/{name}"
