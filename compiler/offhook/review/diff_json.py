"""A diff as JSON: groups of equal change, from which every phone's own changes can be made again exactly.

Passwords in the clear are hidden.
"""

from __future__ import annotations

import json
from typing import Any

from offhook.diff.change import ADDED, REMOVED, Change, Diff, Outside, shown_sides
from offhook.diff.groups import Group, groups, origins_of


def diff_json(diff: Diff) -> str:
    """Return a diff in the shape of schema/output/diff.schema.json."""
    retired = [phone.mac for phone in diff.phones if phone.retires]
    answer = {
        "base": diff.base,
        "head": diff.head,
        "environment": diff.environment,
        "policy": [{"file": one.mark.file, "line": one.mark.line, "message": one.message} for one in diff.policy],
        "added": [phone.mac for phone in diff.of_status(ADDED)],
        "removed": [phone.mac for phone in diff.of_status(REMOVED)],
        "unknown": [phone.mac for phone in diff.unread],
        "retired": retired,
        "cutoff": [phone.mac for phone in diff.phones if phone.cutoff],
        "groups": [_group(one) for one in groups(diff.phones)],
        "phonebooks": [
            {"id": one.id, "status": one.status, "added": one.added, "removed": one.removed} for one in diff.phonebooks
        ],
        "common": list(diff.common),
        "incomplete": diff.head_is_broken,
        "warnings": list(diff.warnings),
        "outside": None if diff.outside is None else _outside(diff.outside),
    }
    return json.dumps(answer, indent=1, ensure_ascii=False)


def _outside(outside: Outside) -> dict[str, Any]:
    return {
        "only": list(outside.scopes),
        "phones": [phone.mac for phone in outside.phones],
        "rules": outside.rules,
        "common": outside.common,
        "phonebooks": list(outside.phonebooks),
    }


def _group(group: Group) -> dict[str, Any]:
    example = group.example
    return {
        "macs": [phone.mac for phone in group.phones],
        "restart": example.restart,
        "cutoff": example.cutoff,
        "moves": [one._asdict() for one in example.moves],
        "changes": [_change(group, number) for number in range(len(example.changes))],
    }


def _change(group: Group, number: int) -> dict[str, Any]:
    """One change of a group; where its phones have it from different places, `each` lists them beside `macs`."""
    change = group.example.changes[number]
    every = [_origin(phone.changes[number]) for phone in group.phones]
    old, new = shown_sides(change)
    row: dict[str, Any] = {
        "parameter": change.parameter,
        "old": old,
        "new": new,
        **every[0],
        "restart": change.restart,
        "cutoff": change.cutoff,
    }
    if change.secret:
        row["secret"] = change.secret
    if any(one != every[0] for one in every):
        row["each"] = every
    return row


def _origin(change: Change) -> dict[str, Any]:
    """Who says the new value and where; and the same of the old one."""
    old, new = origins_of(change)
    row: dict[str, Any] = {}
    for prefix, origin in (("", new), ("old_", old)):
        layer, file, line = origin or (None, None, None)
        row |= {f"{prefix}layer": layer, f"{prefix}file": file, f"{prefix}line": line}
    return row
