"""What is handed out now: every file by its path, and whose own file it is. A new compilation makes a new shelf."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from offhook.mac import parse_mac


@dataclass(frozen=True, slots=True)
class Shelf:
    """A whole tree in memory; nothing but its paths can be asked for.

    `files` are by path, without a slash in front. `owners` has the MAC of each path that is one phone's own; every
    other file is common. `phones` are the MACs that are listed, each with what people call it ("Front desk", or "").
    `revision` says in a few words what was compiled.
    """

    files: Mapping[str, bytes] = field(repr=False)
    owners: Mapping[str, str] = field(repr=False)
    phones: Mapping[str, str] = field(repr=False)
    revision: str
    _own: Mapping[str, Sequence[str]] = field(repr=False, compare=False)
    _tags: dict[str, str] = field(repr=False, compare=False, default_factory=dict)

    def own_paths(self, mac: str) -> Sequence[str]:
        """Return the paths of a phone's own files, sorted."""
        return self._own.get(mac, ())

    def tag(self, path: str) -> str:
        """Return what two files have in common when they are the same: a digest, made once, when it is asked for."""
        found = self._tags.get(path)
        if found is None:
            found = self._tags[path] = hashlib.blake2b(self.files[path], digest_size=16).hexdigest()
        return found


def shelf_of(files: Iterable[tuple[str, bytes, str]], *, phones: Mapping[str, str], revision: str) -> Shelf:
    """Return a shelf of (path, content, owner) rows; the owner is "" for a file that several phones share."""
    rows = sorted(files)
    own: dict[str, list[str]] = {}
    for path, _, owner in rows:
        if owner:
            own.setdefault(owner, []).append(path)
    return Shelf(
        {path: data for path, data, _ in rows},
        {path: owner for path, _, owner in rows if owner},
        dict(phones),
        revision,
        own,
    )


def mac_in(name: str) -> str:
    """Return the MAC that a path or a User-Agent names, "" where it names none: `0021f2000001.cfg`, `a/00:21:...`."""
    for word in name.replace("/", " ").split():
        digits = parse_mac(word.partition(".")[0] if word.count(".") < 2 else word)
        if digits:
            return digits
    return ""
