"""Policy changes: what a pull request does to the rules by which it is itself judged and published.

They come first in every report, also where no phone changes: publish targets, limits, severities of checks,
environments, notify routes, signing rules, where secrets come from, when a site may be changed and its subnets, and the
files that name who may review or sign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from posixpath import normpath
from typing import Any

from offhook.diff.change import Policy
from offhook.diff.mistakes import fleet_is_unread
from offhook.inventory import no_fleet
from offhook.model import Entity, mark
from offhook.problem import Mark
from offhook.secrets.hidden import hidden
from offhook.view import View

PARTS = ("environments", "default_environment", "limits", "checks", "notify", "signing", "secrets")
"""Parts of fleet.yaml that say how a tree is judged and published."""

SITE_PARTS = ("maintenance", "time_zone", "subnets")
"""Parts of a site that say when its phones may be changed, and whose requests are its phones'."""

_SOPS = "who can open new secrets"
_OWNERS = ("CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
"""Where GitHub, GitLab and Gitea look, below the repository's top folder."""

_SOPS_FOLDERS = ("inventory", "inventory/secrets")

_DEFAULT = "nothing"
_HARMLESS = ("checks", "limits")

ReadFile = Callable[[str], bytes | None]
"""A file of one revision by its path from the fleet's root, None where there is none."""


def policy_changes(
    old: View,
    new: View,
    read_old: ReadFile,
    read_new: ReadFile,
    *,
    names: Iterable[str],
    folders: Sequence[str] = (".",),
) -> Iterator[Policy]:
    """Yield every policy change between two views: fleet.yaml's in its order, then those of sites and of other files.

    `names` differ between the views. `folders` are those from the repository's top to the fleet's, seen from the
    fleet's: "..", ".".
    """
    (before, entity_before), (after, entity_after) = _fleet(old), _fleet(new)
    # of a fleet.yaml that cannot be read nobody knows the policy: it is not gone
    for part in () if fleet_is_unread(old) or fleet_is_unread(new) else PARTS:
        for path, was, now in leaves((part,), before.get(part), after.get(part)):
            place = mark(entity_after, *path) if now is not None else mark(entity_before, *path)
            yield Policy(place, _words(".".join(path), was, now), is_gone=now is None)
    for name in sorted(names):
        kind, _, site = name.partition("/")
        if kind == "site":
            yield from _site_changes(old, new, site)
    for file, words in {**files(folders), **_signers(before), **_signers(after)}.items():
        content_before, content_after = read_old(file), read_new(file)
        if content_before != content_after:
            verb = "is new" if content_before is None else "is gone" if content_after is None else "changed"
            yield Policy(Mark(file, 1, 1), f"{file} {verb}: {words}", is_gone=content_after is None)


def _site_changes(old: View, new: View, site: str) -> Iterator[Policy]:
    """What changes of a site that is there before and after; its zone is a rule only where it tells a window's time."""
    before, after = old.body("site", site), new.body("site", site)
    if before is None or after is None:
        return
    for part in SITE_PARTS:
        if part == "time_zone" and not ("maintenance" in before and "maintenance" in after):
            continue
        for path, was, now in leaves((part,), before.get(part), after.get(part)):
            place = mark((old if now is None else new).inventory.sites[site], *path)
            words = _words(".".join(("sites", site, *path)), was, now)
            yield Policy(place, words, is_gone=now is None, site=site)


def _words(name: str, was: str | None, now: str | None) -> str:
    return f"{name} {_DEFAULT if was is None else was} -> {_DEFAULT if now is None else now}"


def files(folders: Sequence[str]) -> dict[str, str]:
    """Return the files outside the inventory that are policy, by path from the fleet's folder, and what they decide.

    sops takes the first `.sops.yaml` from where it stands upwards; who must review, the repository's top folder says,
    or the fleet's, where that is published as a repository of its own.
    """
    sops = [normpath(f"{folder}/.sops.yaml") for folder in (*folders, *_SOPS_FOLDERS)]
    tops = dict.fromkeys((folders[0], "."))
    owners = [normpath(f"{folder}/{name}") for folder in tops for name in _OWNERS]
    return dict.fromkeys(sops, _SOPS) | dict.fromkeys(owners, "who must review")


def _fleet(view: View) -> tuple[Mapping[str, Any], Entity]:
    place = view.fleet_place()
    body = view.facts(place).entities.get("fleet") if place else None
    if place is None or body is None:
        return {}, no_fleet()
    return body, view.entity(place, "fleet")


def _signers(fleet: Mapping[str, Any]) -> dict[str, str]:
    signing = fleet.get("signing") or {}
    return {signing[word]: "whose signatures count" for word in ("allowed_signers", "keyring") if word in signing}


def leaves(path: tuple[str, ...], old: Any, new: Any) -> Iterator[tuple[tuple[str, ...], str | None, str | None]]:
    """Yield the texts that differ between two plain values, with their paths; lists are one text.

    None is what is not there; what is there and empty is something else.
    """
    if old == new and type(old) is type(new):
        return
    if (old or new) and all(one is None or isinstance(one, dict) for one in (old, new)):
        before, after = old or {}, new or {}
        for key in [*before, *(key for key in after if key not in before)]:
            yield from leaves((*path, key), before.get(key), after.get(key))
        return
    yield path, _text(path, old), _text(path, new)


def _text(path: tuple[str, ...], value: Any) -> str | None:
    """A value in one line; of what stands in an inventory in spite of the rules, no password."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(str(_text(path, one)) for one in value) + "]"
    if isinstance(value, dict):
        inner = (f"{key}: {_text((*path, key), one)}" for key, one in value.items())
        return "{" + ", ".join(inner) + "}"
    # the ids of checks speak of secrets: what stands under them is a severity
    return hidden(path[-1] if path[0] not in _HARMLESS else "", str(value))
