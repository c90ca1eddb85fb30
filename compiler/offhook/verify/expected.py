"""What phones should get: by the release that is published, or by a fleet that is compiled for it.

A release is known by the manifest in its environment's state: a keyed digest of each phone's settings and of each
file. That proves phones equal without compiling anything. What a phone should have instead of what it got is known
only from a fleet: the released commit, compiled anew, with its secrets opened where they can be.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

from offhook.compile import Fleet
from offhook.model import Phone
from offhook.problem import OffhookError
from offhook.publish.places import Place
from offhook.publish.state.head import Intent, read_head, read_released
from offhook.publish.state.keyed import Key, read_key
from offhook.publish.state.manifest import Manifest
from offhook.publish.status import check_owner
from offhook.publish.tree.needed_secrets import needed_secrets
from offhook.publish.tree.opened import settings_digest
from offhook.publish.tree.opening import open_by
from offhook.secrets.opened_text import OpenedBytes, OpenedText
from offhook.secrets.opening import Opened, SecretsError
from offhook.secrets.reference import PREFIX
from offhook.settings import Resolver, phones_of
from offhook.tree import shared_files

_TELLING = 4
"""Characters from which on a secret is looked for in what is shown: a shorter one stands in any text."""


class Expected(Protocol):
    """What a phone is held against."""

    def is_equal(self, mac: str, settings: Mapping[str, str]) -> bool:
        """Tell whether a phone has all that it should have, and nothing else."""

    def is_file(self, path: str, content: bytes) -> bool:
        """Tell whether a file that several phones fetch is as it should be; True where nobody knows."""


@dataclass(frozen=True, slots=True)
class Released:
    """A release, by digest. `serial` is the state's when it was read, `intent` the publish that was under way."""

    manifest: Manifest = field(repr=False)
    key: Key
    serial: int
    intent: Intent | None

    def is_equal(self, mac: str, settings: Mapping[str, str]) -> bool:
        """Tell whether a phone has what was released for it."""
        row = self.manifest.phones.get(mac)
        return row is not None and settings_digest(self.key, settings) == row.digest

    def is_file(self, path: str, content: bytes) -> bool:
        """Tell whether a file is the released one."""
        row = self.manifest.files.get(path)
        return row is None or row.digest == self.key.of_file(OpenedBytes(content))


def read_release(place: Place) -> Released:
    """Return the release that is published to an environment. Raises OffhookError where nothing is."""
    with closing(place.open_state()) as state:
        before, manifest = read_released(state)
        check_owner(manifest, place, state)
        if not manifest.release or manifest.root != place.root:
            raise OffhookError(
                f"nothing was published to {place.name} yet", hint="offhook publish, or verify --rev HEAD"
            )
        key = read_key(state)
        if key is None:
            raise OffhookError(f"{state.name}: the key is gone", hint="restore it from a backup")
        return Released(manifest, key, before.head.serial, before.head.intent)


def has_moved(place: Place, released: Released) -> bool:
    """Tell whether somebody published since a release was read, or is at it."""
    with closing(place.open_state()) as state:
        head = read_head(state).head
    return head.serial != released.serial or head.intent is not None


@dataclass(frozen=True, slots=True)
class Compiled:
    """A fleet's own answer. `secrets` are those that could be opened; `released` is what it is compiled for, if known.

    `closed` are the names of secrets that could not be opened.
    """

    fleet: Fleet = field(repr=False)
    secrets: Opened = field(repr=False)
    closed: frozenset[str]
    released: Released | None
    _resolver: Resolver = field(repr=False)
    _phones: Mapping[str, Phone] = field(repr=False)
    _files: Mapping[str, bytes] = field(repr=False)
    _hashes: Mapping[int, set[int]] = field(repr=False)

    @property
    def macs(self) -> list[str]:
        """Return the phones of the environment, sorted."""
        return list(self._phones)

    def values(self, mac: str) -> tuple[dict[str, str], frozenset[str]]:
        """Return a phone's settings with secrets opened, and the parameters whose value nobody knows.

        Those are sealed in the settings. Where the settings are not what was released, secrets may have been others
        then: the value of none is known.
        """
        phone = self._phones.get(mac)
        if phone is None:
            return {}, frozenset()
        sealed = self._resolver.resolve(phone).values
        names = {name: value[len(PREFIX) :] for name, value in sealed.items() if value.startswith(PREFIX)}
        opened: dict[str, str] = {
            name: self.secrets.value(secret) for name, secret in names.items() if secret not in self.closed
        }
        unknown = frozenset(names.keys() - opened.keys())
        made = {**sealed, **opened}
        if self.released is not None and (unknown or not self.released.is_equal(mac, made)):
            return sealed, frozenset(names)
        return made, unknown

    def is_as_released(self, mac: str) -> bool:
        """Tell whether what is compiled is what was released; True where no release is known."""
        return self.released is None or self.released.is_equal(mac, self.values(mac)[0])

    def is_equal(self, mac: str, settings: Mapping[str, str]) -> bool:
        """Tell whether a phone has what was released, or where that is not known, what is compiled."""
        if self.released is not None:
            return self.released.is_equal(mac, settings)
        values, unknown = self.values(mac)
        return values.keys() == settings.keys() and all(
            settings[name] == value for name, value in values.items() if name not in unknown
        )

    def is_file(self, path: str, content: bytes) -> bool:
        """Tell whether a file is the released one, or where no release is known, the compiled one."""
        if self.released is not None:
            return self.released.is_file(path, content)
        return self._files.get(path, content) == content

    def holds_secret(self, text: str) -> bool:
        """Tell whether an opened secret of four characters or more stands in a text, which must then not be shown."""
        return any(
            hash(text[start : start + length]) in hashes
            for length, hashes in self._hashes.items()
            for start in range(len(text) - length + 1)
        )


def compiled(fleet: Fleet, released: Released | None = None) -> Compiled:
    """Return what a fleet's phones should get, and open the secrets that can be opened."""
    secrets, closed = _opened(fleet)
    resolver = fleet.resolver()
    phones = phones_of(fleet.inventory, fleet.environment)
    files = {file.path: file.text.encode() for file in shared_files(resolver, phones, layout=fleet.layout)}
    hashes: dict[int, set[int]] = {}
    for value in map(secrets.value, secrets.names):
        if len(value) >= _TELLING:
            hashes.setdefault(len(value), set()).add(hash(value))
    return Compiled(fleet, secrets, closed, released, resolver, {phone.mac: phone for phone in phones}, files, hashes)


def credentials(fleet: Fleet) -> tuple[str, str]:
    """Return what phones log in with when they fetch, ("", "") where the environment says no user name.

    Raises OffhookError where the password cannot be opened.
    """
    environment = fleet.environment
    if environment is None or not environment.username:
        return "", ""
    if not environment.password:
        return environment.username, ""
    name = environment.password[len(PREFIX) :]
    return environment.username, OpenedText(open_by(fleet, [name]).value(name))


def _opened(fleet: Fleet) -> tuple[Opened, frozenset[str]]:
    """Every secret that can be opened, and the names of the others."""
    names = set(needed_secrets(fleet))
    try:
        return open_by(fleet, names), frozenset()
    except SecretsError as error:
        faulty = {name for fault in error.faults for name in fault.names}
    except OffhookError:
        faulty = names
    try:
        return open_by(fleet, names - faulty), frozenset(faulty & names)
    except OffhookError:
        return open_by(fleet, ()), frozenset(names)
