"""The head of an environment's state: the one object that is compared and swapped.

It names the manifest that holds, and the intent of the publish that is under way or was stopped. All else in the
state is written once under a name of its own. A publish begins by putting its intent here and ends by putting its
manifest here; of two that try, one is refused.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from offhook.problem import OffhookError
from offhook.publish.roots.root import State, is_own
from offhook.publish.state.manifest import NOTHING_PUBLISHED, Manifest, damaged, manifest_bytes, parse_manifest

HEAD = "head.json"
FORMAT = 1
_FOLDERS = ("manifests/", "intents/", "waves/", "records/")


@dataclass(frozen=True, slots=True)
class Wave:
    """Some phones that a publish switched, or began to: the object that lists them, and where they went.

    `to` is "new" or "old"; `done` is False while nobody knows which of them are there.
    """

    phones: str
    to: str
    done: bool


@dataclass(frozen=True, slots=True)
class Intent:
    """A publish under way, or one that was stopped.

    `plan` is the object that lists what it may write and delete; `at` the last sign of life, in seconds since the
    epoch by the owner's clock; `process` knows the owner's process for others on its machine. `uploaded` tells that
    all that phones' files refer to is in its place. `root` knows the root that it writes to. `campaign` knows the
    rollout that it is part of, "" where everybody is switched at once.
    """

    id: str
    owner: str
    process: str
    at: int
    plan: str
    commit: str
    sealed: str
    root: str = ""
    uploaded: bool = False
    waves: tuple[Wave, ...] = ()
    campaign: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """What the head says. `serial` grows with every change: a content is never there twice.

    `compares` is the place of which a former run found that it compares and swaps: another place is tried anew.
    `key` is a check of the key that digests are made with. `records` are releases that git does not have yet.
    """

    serial: int = 0
    compares: str = ""
    key: str = ""
    manifest: str = ""
    intent: Intent | None = None
    records: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Versioned:
    """A head as it was read: its version for `swap`, None where nothing was there."""

    head: Head
    version: str | None


def read_head(state: State) -> Versioned:
    """Return the head; where nothing was ever published, an empty one. Raises OffhookError where it is damaged."""
    found = state.read_version(HEAD)
    if found is None:
        return Versioned(Head(), None)
    place = f"{state.name}/{HEAD}"
    try:
        body = json.loads(found[0])
        if body["format"] != FORMAT:
            raise OffhookError(f"{place} is of a format that this offhook does not know", hint="a newer one wrote it")
        head = Head(
            serial=int(body["serial"]),
            compares=str(body["compares"]),
            key=str(body["key"]),
            manifest=_object(body["manifest"]) if body["manifest"] else "",
            intent=_intent(body["intent"]) if body["intent"] else None,
            records=tuple(_object(one) for one in body["records"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(place) from error
    return Versioned(head, found[1])


def swap(state: State, before: Versioned, head: Head) -> Versioned | None:
    """Put a head in the place of the one that was read; None where somebody was sooner."""
    head = replace(head, serial=before.head.serial + 1)
    content = _bytes(head)
    if not state.write_version(HEAD, content, before.version):
        return None
    written = state.read_version(HEAD)
    if written is None or written[0] != content:
        return None
    return Versioned(head, written[1])


def read_manifest(state: State, head: Head) -> Manifest:
    """Return the manifest that holds. Raises OffhookError where it is gone or damaged."""
    if not head.manifest:
        return NOTHING_PUBLISHED
    place = f"{state.name}/{head.manifest}"
    content = state.read(head.manifest)
    if content is None:
        raise OffhookError(f"{place} is gone, and the head names it", hint="restore the state from a backup")
    return parse_manifest(content, place)


def write_manifest(state: State, manifest: Manifest) -> str:
    """Write a manifest under a name of its own, and return it."""
    return write_once(state, f"manifests/{manifest.release}", manifest_bytes(manifest))


def write_once(state: State, name: str, content: bytes) -> str:
    """Write an object that is never changed; return its path: the name and something of its own."""
    path = f"{name}-{secrets.token_hex(8)}.json"
    state.write(path, content)
    return path


def as_json(value: Any) -> bytes:
    """Return plain data as an object of the state holds it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def read_json(state: State, path: str) -> Any:
    """Return what an object of the state holds, None where it is gone. Raises OffhookError where it is damaged."""
    content = state.read(path)
    if content is None:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise damaged(f"{state.name}/{path}") from error


def read_released(state: State) -> tuple[Versioned, Manifest]:
    """Return the head, and the manifest that it names. Raises OffhookError where one of them is gone or damaged."""
    while True:
        before = read_head(state)
        try:
            return before, read_manifest(state, before.head)
        except OffhookError:
            # a publish that ended meanwhile took the manifest away
            if read_head(state).version == before.version:
                raise


def named(head: Head) -> frozenset[str]:
    """Return the objects that a head names; when no head does any more, none ever will again."""
    plans = () if head.intent is None else (head.intent.plan, *(wave.phones for wave in head.intent.waves))
    return frozenset(filter(None, (head.manifest, *head.records, *plans)))


def nameless(state: State, head: Head) -> list[str]:
    """Return the objects of the state that the head does not name: of stopped runs, and of those that came too late.

    Only for whoever has the hold: what a run that may still take it has just written is not named yet, either. Nor are
    temporary files among it: another run may be writing them.
    """
    known = named(head)
    found = (one.path for one in state.list())
    return [path for path in found if path.startswith(_FOLDERS) and path not in known and not is_own(path)]


def _bytes(head: Head) -> bytes:
    intent = head.intent
    body: dict[str, Any] = {
        "format": FORMAT,
        "serial": head.serial,
        "compares": head.compares,
        "key": head.key,
        "manifest": head.manifest,
        "records": list(head.records),
        "intent": None,
    }
    if intent is not None:
        body["intent"] = {
            "id": intent.id,
            "owner": intent.owner,
            "process": intent.process,
            "at": intent.at,
            "plan": intent.plan,
            "commit": intent.commit,
            "sealed": intent.sealed,
            "root": intent.root,
            "uploaded": intent.uploaded,
            "campaign": intent.campaign,
            "waves": [{"phones": wave.phones, "to": wave.to, "done": wave.done} for wave in intent.waves],
        }
    return json.dumps(body, indent=1, ensure_ascii=False).encode() + b"\n"


def _intent(body: Mapping[str, Any]) -> Intent:
    texts = {name: str(body[name]) for name in ("id", "owner", "process", "commit", "sealed", "root")}
    waves = tuple(Wave(_object(one["phones"]), str(one["to"]), bool(one["done"])) for one in body["waves"])
    texts["campaign"] = str(body.get("campaign", ""))  # that of a former offhook has none
    return Intent(**texts, at=int(body["at"]), plan=_object(body["plan"]), uploaded=bool(body["uploaded"]), waves=waves)


def _object(path: Any) -> str:
    """A path of an object in the state, and of nothing else there."""
    if not isinstance(path, str) or not path.startswith(_FOLDERS) or ".." in path:
        raise ValueError
    return path
