"""What a publish may write, said in the state before it does; and what that tells whoever comes after a stopped one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from offhook.publish.plan.steps import Leftover, Steps
from offhook.publish.roots.root import State
from offhook.publish.state.head import Intent, as_json, read_json, write_once
from offhook.publish.state.manifest import Manifest, damaged
from offhook.publish.tree.opened import FileRow, Survey
from offhook.publish.tree.paths import is_referred_to, phone_of

_PLAN = "intents/intent"
NEW, OLD = "new", "old"
"""Where a wave's phones go."""


def write_intended(state: State, survey: Survey, steps: Steps, leftover: Leftover) -> str:
    """Write what a publish may write and delete, and what stopped ones may have; return the object's path."""
    files: dict[str, FileRow | None] = {path: survey.files[path] for path in steps.writes}
    files.update((path, None) for path in steps.deletes)
    inherited = {path: row for path, row in leftover.files.items() if path not in files}
    return write_once(state, _PLAN, as_json({"files": files, "inherited": inherited}))


def add_intended(state: State, intent: Intent, more: Mapping[str, FileRow]) -> str:
    """Write the same with more files that may be written; return the new object's path."""
    body = read_json(state, intent.plan)
    body["inherited"] |= {path: row for path, row in more.items() if path not in body["files"]}
    return write_once(state, _PLAN, as_json(body))


def read_leftover(state: State, intent: Intent | None, manifest: Manifest) -> Leftover:
    """Return what a stopped publish may have written, and which of it is sure to be there.

    Where its plan is gone nobody knows what it wrote: everything is unsure. Raises OffhookError where it is damaged.
    """
    if intent is None:
        return Leftover()
    body = read_json(state, intent.plan)
    if body is None:
        return Leftover({**{path: row for path, (row, _) in manifest.superseded.items()}, **manifest.files})
    try:
        files, inherited = _rows(body["files"]), _rows(body["inherited"])
        where = {
            mac: wave.done and wave.to == NEW for wave in intent.waves for mac in read_json(state, wave.phones) or ()
        }
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise damaged(f"{state.name}/{intent.plan}") from error
    # what the run before it may have written is no surer now
    sure = {path for path in files if (intent.uploaded and is_referred_to(path)) or where.get(phone_of(path))}
    if any(wave.to == OLD for wave in intent.waves):
        sure = set()
    return Leftover({**inherited, **files}, frozenset(sure))


def _rows(files: Mapping[str, Any]) -> dict[str, FileRow | None]:
    return {path: FileRow(str(row[0]), int(row[1])) if row else None for path, row in files.items()}
