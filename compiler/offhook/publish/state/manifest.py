"""The manifest: what was published, by keyed digest. One manifest a release; it is written once, and never changed.

It lies in the environment's state, outside what phones can fetch: on a public root it would be a directory of the
fleet. It is read as something that others could have written: what is not of its shape is refused in one line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from offhook.problem import OffhookError
from offhook.publish.tree.opened import FileRow, PhoneRow

FORMAT = 1

UNSURE = FileRow("", 0)
"""The row of a superseded file that a stopped run may have written, or not: no content has this digest."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one release put on a root.

    `root` knows the root: files that were published to another one are not there. `commit` is "" for a work tree.
    `sealed` is the SHA-256 of the tree that compile makes of it. `superseded` are files that no phone is told of any
    more, and that stay for a while: path -> (row, seconds since the epoch). `limits` and `signing` are the rules that
    the release was published by: the next one obeys them, too.
    """

    release: int = 0
    environment: str = ""
    root: str = ""
    commit: str = ""
    at: str = ""
    by: str = ""
    version: str = ""
    layout: str = "flat"
    sealed: str = ""
    files: Mapping[str, FileRow] = field(default_factory=dict)
    phones: Mapping[str, PhoneRow] = field(default_factory=dict)
    superseded: Mapping[str, tuple[FileRow, int]] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    signing: Mapping[str, Any] = field(default_factory=dict)


NOTHING_PUBLISHED = Manifest()
"""What stands for a manifest before the first release: its number is 0."""


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return a manifest as JSON, one line a file and a phone."""
    head = {
        "format": FORMAT,
        "release": manifest.release,
        "environment": manifest.environment,
        "root": manifest.root,
        "commit": manifest.commit,
        "at": manifest.at,
        "by": manifest.by,
        "version": manifest.version,
        "layout": manifest.layout,
        "sealed": manifest.sealed,
        "limits": dict(manifest.limits),
        "signing": dict(manifest.signing),
        "files": {path: list(row) for path, row in manifest.files.items()},
        "phones": {mac: list(row) for mac, row in manifest.phones.items()},
        "superseded": {path: [*row, since] for path, (row, since) in manifest.superseded.items()},
    }
    return json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def parse_manifest(content: bytes, place: str) -> Manifest:
    """Return the manifest; `place` is where it stands, for the refusal. Raises OffhookError."""
    try:
        body = json.loads(content)
        known = body["format"]
        if known != FORMAT:
            raise OffhookError(
                f"{place} is of format {known!a}, and this offhook knows {FORMAT}", hint="a newer offhook wrote it"
            )
        return Manifest(
            release=_number(body["release"]),
            files={path: _file(row[0], row[1]) for path, row in body["files"].items()},
            phones={_text(mac): PhoneRow(_text(row[0]), _text(row[1])) for mac, row in body["phones"].items()},
            superseded={path: (_file(row[0], row[1]), _number(row[2])) for path, row in body["superseded"].items()},
            limits=_mapping(body["limits"]),
            signing=_mapping(body["signing"]),
            **{
                name: _text(body[name])
                for name in ("environment", "root", "commit", "at", "by", "version", "layout", "sealed")
            },
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(place) from error


def damaged(place: str) -> OffhookError:
    """Return the refusal of what offhook did not write, or did not write so."""
    return OffhookError(f"{place} is damaged: it is not what offhook wrote", hint="restore the state from a backup")


def _file(digest: Any, size: Any) -> FileRow:
    return FileRow(_text(digest), _number(size))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value
