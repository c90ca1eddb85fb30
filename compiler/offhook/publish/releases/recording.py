"""Writing a release down: first in the state, where a killed run leaves it, then in git, where an auditor reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from offhook.git.refs import identity
from offhook.git.repository import is_repository, open_git
from offhook.problem import OffhookError
from offhook.publish.plan.steps import PhonesMoved
from offhook.publish.releases.outcomes import add_outcomes
from offhook.publish.releases.records import fetch_releases, push_releases, read_releases, record
from offhook.publish.releases.release import Phones, Release, phones_data, phones_of, release_data, release_of
from offhook.publish.releases.told import Told, outcome_of, told_data
from offhook.publish.roots.root import State
from offhook.publish.state.head import Head, read_head, read_json, swap
from offhook.publish.state.hold import owner_name
from offhook.publish.state.manifest import Manifest, damaged


def released_by(root: Path) -> str:
    """Return who releases: git's identity, else the user and machine that run this."""
    person = None
    if is_repository(root):
        with suppress(OffhookError):
            person = identity(open_git(root))
    return f"{person.name} <{person.mail}>" if person is not None else owner_name()


def newest_recorded(root: Path, environment: str) -> int:
    """Return the number of the newest release that git knows, 0 for none: numbers go on where a state was lost."""
    if not is_repository(root):
        return 0
    with suppress(OffhookError):
        fetch_releases(root, environment)
    with suppress(OffhookError):
        return max((one.number for one in read_releases(root, environment)), default=0)
    return 0


def release_of_manifest(
    manifest: Manifest, path: str, where: str, moved: PhonesMoved, *, rollback_of: int | None = None, reason: str = ""
) -> Release:
    """Return the release that a manifest at `path` of the state stands for."""
    return Release(
        number=manifest.release,
        environment=manifest.environment,
        commit=manifest.commit,
        at=manifest.at,
        by=manifest.by,
        where=where,
        version=manifest.version,
        layout=manifest.layout,
        sealed=manifest.sealed,
        manifest=path.rpartition("-")[2].partition(".")[0],
        changed=len(moved.changed),
        added=len(moved.added),
        removed=len(moved.removed),
        rollback_of=rollback_of,
        reason=reason,
    )


def record_bytes(release: Release, moved: PhonesMoved, told: Iterable[Told] = ()) -> bytes:
    """Return a record as it waits in the state, with what its phones answered, where they were told of it."""
    phones = Phones(moved.changed, moved.added, moved.removed)
    body = {"release": release_data(release), "phones": phones_data(phones), "told": told_data(told)}
    return json.dumps(body, ensure_ascii=False).encode() + b"\n"


def record_waiting(root: Path, state: State, head: Head) -> str:
    """Put the records that wait in the state into git, and take those that got there out of the state.

    Returns a warning, "" where nothing went wrong: a release that is on the root is not undone by it.
    """
    if not head.records:
        return ""
    if not is_repository(root):
        return "this fleet is in no git repository: what is released is recorded nowhere"
    try:
        waiting = [(path, *_read(state, path)) for path in head.records]
    except OffhookError as error:
        return error.message
    waiting.sort(key=lambda row: row[1].number)
    _, newest, phones, _ = waiting[-1]
    found = record(root, newest, phones, waiting=[(release, its) for _, release, its, _ in waiting[:-1]])
    warning = f"{found.warning}; {found.hint}" if found.warning and found.hint else found.warning
    there = [row for row in waiting if row[1].number in found.numbers]
    try:
        _add_told([(release, told) for _, release, _, told in there if told], root)
    except OffhookError as error:
        there = [row for row in there if not row[3]]
        warning = warning or f"what phones answered waits in the state: {error.message}"
    _forget(state, [path for path, _, _, _ in there])
    return warning


def _add_told(waiting: Sequence[tuple[Release, tuple[Told, ...]]], root: Path) -> None:
    """Put what phones answered beside the records of their releases, where others see it."""
    for release, told in waiting:
        add_outcomes(root, release.environment, release.number, told, by=release.by)
    for environment in {release.environment for release, _ in waiting}:
        push_releases(root, environment)


def _forget(state: State, paths: Sequence[str]) -> None:
    """Take records out of the state. Where another run is sooner, it finds them in git, and takes them out."""
    if not paths:
        return
    before = read_head(state)
    left = tuple(path for path in before.head.records if path not in paths)
    if swap(state, before, replace(before.head, records=left)) is not None:
        state.delete(paths)


def _read(state: State, path: str) -> tuple[Release, Phones, tuple[Told, ...]]:
    body = read_json(state, path)
    where = f"{state.name}/{path}"
    if not isinstance(body, dict) or "release" not in body or "phones" not in body:
        raise damaged(where)
    release = release_of(body["release"], where)
    told = outcome_of(
        {
            "environment": release.environment,
            "number": release.number,
            "by": release.by,
            "told": body.get("told", []),
        },
        where,
    ).told
    return release, phones_of(body["phones"], where), told
