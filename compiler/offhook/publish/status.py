"""Drift: the root against its manifest (changed by hand, missing, stranger), and the manifest against a revision.

What is compared is what the files hold, by keyed digest; a quick look compares sizes only.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from offhook.problem import OffhookError
from offhook.publish.places import Place
from offhook.publish.plan.intended import read_leftover
from offhook.publish.roots.root import Root, State, Unlistable, is_own
from offhook.publish.state.head import Intent, read_released
from offhook.publish.state.keyed import Key, read_key
from offhook.publish.state.manifest import UNSURE, Manifest
from offhook.publish.tree.opened import FileRow
from offhook.secrets.opened_text import OpenedBytes

_AT_ONCE = 16
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Drift:
    """How a root differs from its manifest; paths are sorted.

    `changed` hold something else than was published, `missing` are not there, `strangers` are there and offhook did
    not write them, `strangers_known` is False where the root cannot be listed. `unsure` are what a publish under way,
    or a stopped one, may have written: `intent` is that publish. `stuck` says why a rollout that stands does not go on
    by itself, "" where it does, or where nobody asked.
    """

    manifest: Manifest
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    strangers: tuple[str, ...]
    strangers_known: bool
    unsure: int
    intent: Intent | None
    stuck: str = ""

    @property
    def is_drift(self) -> bool:
        """Tell whether somebody should look. A rollout may stand for days: it waits for its window, or for a person."""
        is_publish = self.intent is not None and not self.intent.campaign
        return bool(self.changed or self.missing or self.strangers or is_publish or self.stuck)


def drift(place: Place, *, quick: bool = False, progress: Callable[[int, int], None] = lambda done, of: None) -> Drift:
    """Return how an environment's root differs from what was published. Raises OffhookError where nothing was."""
    state = place.open_state()
    try:
        before, manifest = read_released(state)
        head = before.head
        check_owner(manifest, place, state)
        is_here = manifest.root == place.root or (head.intent is not None and head.intent.root == place.root)
        if not is_here:
            raise OffhookError(f"nothing was published to {place.name} yet", hint="offhook publish")
        leftover = read_leftover(state, head.intent, manifest)
        if manifest.root != place.root:
            manifest = replace(manifest, files={}, superseded={})
        key = read_key(state)
        if key is None:
            raise OffhookError(f"{state.name}: the key is gone", hint="restore it from a backup")
    finally:
        state.close()
    expected = {path: row for path, row in manifest.files.items() if path not in leftover.files}
    waiting = {path: row for path, (row, _) in manifest.superseded.items() if path not in leftover.files}
    root = place.open_root()
    try:
        sizes = _sizes(root)
        sure = {path: row for path, row in waiting.items() if row != UNSURE}
        differing = _differing(root, {**sure, **expected}, sizes, key, quick, progress)
    finally:
        root.close()
    known = expected.keys() | waiting.keys() | leftover.files.keys()
    return Drift(
        manifest,
        changed=tuple(sorted(path for path, is_there in differing if is_there)),
        missing=tuple(sorted(path for path, is_there in differing if not is_there and path in expected)),
        strangers=tuple(sorted(path for path in sizes or () if path not in known)),
        strangers_known=sizes is not None,
        unsure=len(leftover.files),
        intent=head.intent,
    )


def _hidden(content: bytes | None) -> OpenedBytes | None:
    return None if content is None else OpenedBytes(content)


def check_owner(manifest: Manifest, place: Place, state: State) -> None:
    """Raise OffhookError where a state is another environment's: its phones would be deleted from its root."""
    name = place.environment.name
    if manifest.release and manifest.environment != name:
        raise OffhookError(
            f"{state.name} is the state of {manifest.environment}, not of {name}",
            hint=f"give {name} a root and a state of its own; if {manifest.environment} was renamed,"
            f" publish {name} --adopt goes on",
        )


def _sizes(root: Root) -> dict[str, int] | None:
    """What is on the root, by path; None where it cannot be listed. Offhook's own temporary files are nothing."""
    try:
        return {one.path: one.size for one in root.list() if not is_own(one.path)}
    except Unlistable:
        return None


def _differing(
    root: Root,
    expected: dict[str, FileRow],
    sizes: dict[str, int] | None,
    key: Key,
    quick: bool,
    progress: Callable[[int, int], None],
) -> list[tuple[str, bool]]:
    """Return (path, whether it is there) of what is not as it was published."""
    rest: list[str] = []
    found: list[tuple[str, bool]] = []
    for path, row in expected.items():
        if sizes is not None and path not in sizes:
            found.append((path, False))
        elif sizes is not None and sizes[path] != row.size:
            found.append((path, True))
        elif not quick or sizes is None:
            rest.append(path)

    def look(path: str) -> tuple[str, bool] | None:
        content = _hidden(root.read(path))
        if content is None:
            return path, False
        return None if key.of_file(content) == expected[path].digest else (path, True)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for start in range(0, len(rest), _BATCH):
            batch = rest[start : start + _BATCH]
            found += [one for one in pool.map(look, batch) if one is not None]
            progress(start + len(batch), len(rest))
    return found
