"""Where an environment is published to, and where its state lies: from fleet.yaml's words to open roots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from offhook.model import Environment
from offhook.problem import OffhookError
from offhook.publish.roots.address import Address, parse_address
from offhook.publish.roots.opening import Writers, open_root, open_state, writers
from offhook.publish.roots.root import About, Root, RootOptions, State
from offhook.publish.tree.paths import content_type

_STATE = "{}.offhook-state"
"""The state beside a folder /srv/tftp, where nothing else is said: /srv/tftp.offhook-state."""


@dataclass(frozen=True, slots=True)
class Place:
    """An environment's root and state, as addresses; `name` is the root's for people, without a password."""

    environment: Environment
    publish: str
    state: str
    options: RootOptions

    @property
    def name(self) -> str:
        """Return the root's address."""
        return parse_address(self.publish).name

    @property
    def root(self) -> str:
        """Return what tells this root from every other one."""
        return f"{self.name} at {self.options.endpoint}" if self.options.endpoint else self.name

    @property
    def identity(self) -> str:
        """Return what tells this state from every other one."""
        return f"{parse_address(self.state).name} at {self.options.endpoint}" if self.options.endpoint else self.state

    def open_root(self) -> Root:
        """Open the root. Each process and each thread of work opens its own."""
        return open_root(self.publish, options=self.options)

    def writers(self) -> Writers:
        """Return how many may write to the root at once."""
        return writers(self.publish)

    def open_state(self) -> State:
        """Open the state; a folder beside a folder root is made."""
        address = parse_address(self.state)
        if not address.scheme and self.environment.state is None:
            try:
                Path(address.path).mkdir(mode=0o700, exist_ok=True)
            except OSError as error:
                raise OffhookError(
                    f"{address.path}: {(error.strerror or 'refused').lower()}; manifest and locks are kept there",
                    hint=f"make that folder, or say environments.{self.environment.name}.state: another one",
                ) from error
        return open_state(self.state, options=self.options)

    def about(self, commit: str) -> Callable[[str], About]:
        """Return what tells what is said of an object, by its path."""
        cache = self.environment.cache_control
        return lambda path: About(content_type(path), cache, commit)


def place_of(root: Path, environment: Environment | None, name: str) -> Place:
    """Return where an environment goes; `root` is the fleet's. Raises OffhookError where fleet.yaml does not say it."""
    if environment is None:
        raise OffhookError(f'the fleet has no environment "{name}"', hint="offhook check tells what fleet.yaml says")
    where = f"environments.{environment.name}"
    if environment.publish is None:
        raise OffhookError(f"{where} has no publish: nobody says where the tree goes", hint="publish: /srv/tftp")
    publish = _absolute(root, environment.publish)
    address = parse_address(publish)
    if environment.state is not None:
        state = _absolute(root, environment.state)
    elif not address.scheme:
        folder = PurePosixPath(address.path)
        state = str(folder.with_name(_STATE.format(folder.name)))
    else:
        raise OffhookError(
            f"{where} has no state: the manifest of {address.scheme}:// roots is kept outside what phones can fetch",
            hint="state: s3://another-bucket/phones, or a folder",
        )
    if _is_below(parse_address(state), address):
        raise OffhookError(
            f"{where}.state lies where phones fetch: the manifest would be a directory of the fleet",
            hint="keep it beside the root, or in another bucket",
        )
    return Place(environment, publish, state, _options(root, environment.connection))


def _absolute(root: Path, address: str) -> str:
    """A folder is meant from the fleet's root."""
    parsed = parse_address(address)
    return address if parsed.scheme else str((root / parsed.path).absolute())


def _is_below(inner: Address, outer: Address) -> bool:
    if (inner.scheme, inner.host, inner.port) != (outer.scheme, outer.host, outer.port):
        return False
    if not inner.scheme:
        one, other = Path(inner.path).resolve(), Path(outer.path).resolve()
        return one == other or other in one.parents
    return f"{inner.path}/".startswith(f"{outer.path}/" if outer.path else "")


def _options(root: Path, connection: Mapping[str, Any]) -> RootOptions:
    def file(name: str) -> Path | None:
        return root / connection[name] if name in connection else None

    return RootOptions(
        endpoint=connection.get("endpoint", ""),
        region=connection.get("region", ""),
        addressing=connection.get("addressing", "auto"),
        ca_file=file("ca_file"),
        known_hosts=file("known_hosts"),
    )
