"""What is published: the compiled tree with its secrets opened, in memory, under the names that phones find it by.

Flat: the tree as it is. Layered: every cfg file that a boot file includes has a piece of its digest in its name
(`sites/berlin.3f9a2c71.cfg`), as web builds name assets, so that a phone's boot file alone decides between its whole
old and its whole new configuration. Digests are keyed: nothing in a name tells of the secrets in the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from offhook.compile import Fleet
from offhook.flyingvoice.boot import COMMON, render_boot
from offhook.flyingvoice.cfg import in_order, render_cfg
from offhook.model import Phone
from offhook.parallel import map_in_processes
from offhook.publish.roots.root import Content
from offhook.publish.state.keyed import Key
from offhook.secrets.opened_text import OpenedBytes, OpenedText
from offhook.secrets.opening import Opened
from offhook.secrets.reference import PREFIX
from offhook.settings import Resolver, Settings, phones_of
from offhook.tree import LAYERED, files_of, included, own_path, own_values, shared_files

_PHONES_A_SHARE = 250
_FINGERPRINT = 8
"""Hex digits in a name: two contents of one layer meet once in four thousand million."""


class FileRow(NamedTuple):
    """What is known of a published file: its keyed digest, and its size in bytes."""

    digest: str
    size: int


class PhoneRow(NamedTuple):
    """What is known of a phone: the keyed digest of its effective settings, secrets opened, and its site ("": none)."""

    digest: str
    site: str


@dataclass(frozen=True, slots=True)
class Survey:
    """A tree by digests. `sealed` is the SHA-256 of the tree that compile makes; `shares` are the paths a share has."""

    sealed: str
    files: dict[str, FileRow]
    phones: dict[str, PhoneRow]
    shares: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class OpenedTree:
    """A tree that can be made as often as it is needed, share by share; nothing of it is kept."""

    fleet: Fleet
    secrets: Opened
    key: Key
    _resolver: Resolver = field(repr=False)
    _phones: Sequence[Phone] = field(repr=False)
    _names: Mapping[str, str] = field(repr=False)

    @property
    def shares(self) -> list[Callable[[], Iterator[Content]]]:
        """Return what makes the tree's files, the shared ones first, then those of phones by MAC."""
        return [self._shared, *(self._share(phones) for phones in self._batches())]

    def survey(self, *, processes: int = 1) -> Survey:
        """Return the digests of everything."""
        known = map_in_processes(self._survey_phones, self._batches(), processes=processes, keep=tuple)
        sealed = {content.path: _sha256(content.data) for content in self._sealed_shared()}
        files = {content.path: FileRow(self.key.of_file(content.data), len(content.data)) for content in self._shared()}
        shares = [tuple(files)]
        phones: dict[str, PhoneRow] = {}
        for batch, (rows, settings, digests) in zip(self._batches(), known, strict=True):
            files.update((path, FileRow(*row)) for path, row in rows.items())
            phones.update(
                (phone.mac, PhoneRow(digest, phone.site or "")) for phone, digest in zip(batch, settings, strict=True)
            )
            sealed.update(digests)
            shares.append(tuple(rows))
        return Survey(_sealed_digest(sealed), files, phones, tuple(shares))

    def _batches(self) -> list[Sequence[Phone]]:
        step = _PHONES_A_SHARE
        return [self._phones[start : start + step] for start in range(0, len(self._phones), step)]

    def _sealed_shared(self) -> Iterable[Content]:
        for file in shared_files(self._resolver, self._phones, layout=self.fleet.layout):
            yield Content(file.path, file.text.encode())

    def _shared(self) -> Iterator[Content]:
        for path, data in self._sealed_shared():
            if path in self._names:
                yield Content(self._names[path], data)
            if path not in self._names or path.startswith(COMMON):
                yield Content(path, data)

    def _share(self, phones: Sequence[Phone]) -> Callable[[], Iterator[Content]]:
        def make() -> Iterator[Content]:
            for phone in phones:
                settings = self._resolver.resolve(phone)
                yield from self._phone_files(settings, self._open(settings.values))

        return make

    def _phone_files(self, settings: Settings, opened: Mapping[str, str]) -> tuple[Content, Content]:
        """A phone's cfg file, then its boot file, which is never there before what it includes."""
        layout, mac = self.fleet.layout, settings.phone.mac
        path, values = own_path(mac, layout), own_values(settings, layout)
        shown = opened if values is settings.values else {name: opened[name] for name in values}
        data = OpenedBytes(render_cfg(shown).encode())
        if layout == LAYERED:
            path = fingerprinted(path, self.key.of_file(data))
        shared = [self._names.get(one, one) for one in included(settings, layout)]
        return Content(path, data), Content(f"{mac}.boot", render_boot([*shared, path]).encode())

    def _survey_phones(
        self, phones: Sequence[Phone]
    ) -> tuple[dict[str, tuple[str, int]], list[str], list[tuple[str, bytes]]]:
        """For some phones: the rows of their published files, the digests of their settings, those of sealed files."""
        rows: dict[str, tuple[str, int]] = {}
        digests: list[str] = []
        sealed: list[tuple[str, bytes]] = []
        for phone in phones:
            settings = self._resolver.resolve(phone)
            opened = self._open(settings.values)
            for content in self._phone_files(settings, opened):
                rows[content.path] = (self.key.of_file(content.data), len(content.data))
            digests.append(settings_digest(self.key, opened))
            sealed += [(path, _sha256(text.encode())) for path, text, _ in files_of(settings, layout=self.fleet.layout)]
        return rows, digests, sealed

    def _open(self, values: Mapping[str, str]) -> Mapping[str, str]:
        closed = [name for name, value in values.items() if value.startswith(PREFIX)]
        if not closed:
            return values
        return {**values, **{name: self.secrets.value(values[name][len(PREFIX) :]) for name in closed}}


def opened_tree(fleet: Fleet, secrets: Opened, key: Key) -> OpenedTree:
    """Return the tree of a fleet, for publishing. `secrets` has all that `needed_secrets` names."""
    resolver = fleet.resolver()
    phones = phones_of(fleet.inventory, fleet.environment)
    names = {}
    if fleet.layout == LAYERED:
        for file in shared_files(resolver, phones, layout=LAYERED):
            if file.path.endswith(".cfg"):
                names[file.path] = fingerprinted(file.path, key.of_file(file.text.encode()))
    return OpenedTree(fleet, secrets, key, resolver, phones, names)


def settings_digest(key: Key, values: Mapping[str, str]) -> str:
    """Return the digest of a phone's effective settings, secrets opened; the order of `values` does not matter."""
    names, chosen = _ordered(tuple(values))
    return key.of_text("settings", OpenedText("\n".join((names, *chosen(values)))))


def fingerprinted(path: str, digest: str) -> str:
    """Return the name of a file that boot files include: sites/berlin.3f9a2c71.cfg."""
    stem, dot, suffix = path.rpartition(".")
    return f"{stem}.{digest[:_FINGERPRINT]}{dot}{suffix}"


@lru_cache(maxsize=8192)
def _ordered(names: tuple[str, ...]) -> tuple[str, Callable[[Mapping[str, str]], tuple[str, ...]]]:
    """The names in order as one text, and what picks the values in that order."""
    ordered = in_order(names)
    if len(ordered) < 2:
        return "\n".join(ordered), lambda values: tuple(values[name] for name in ordered)
    return "\n".join(ordered), itemgetter(*ordered)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _sealed_digest(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path}\0".encode() + files[path])
    return digest.hexdigest()
