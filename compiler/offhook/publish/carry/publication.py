"""Carrying a tree to a root, step by step, so that no phone ever sees half of it.

upload: what phones' files refer to. switch: phones' own files, one write a phone and boot file last. finish: what is
not wanted any more is deleted, and the manifest is put in its place. Between any two steps, and in the middle of each,
the run may be killed: each phone has its whole old or its whole new configuration, and the intent tells the next run
what may have been written. A rollout calls `switch` wave by wave; `switch_back` undoes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace

from offhook.problem import OffhookError
from offhook.publish.carry.transfer import send
from offhook.publish.places import Place
from offhook.publish.plan.intended import NEW, OLD, add_intended
from offhook.publish.plan.steps import Steps
from offhook.publish.roots.held import HeldRoot
from offhook.publish.roots.root import Root, State, is_temporary
from offhook.publish.state.head import Intent, Wave, as_json, named, nameless, write_manifest, write_once
from offhook.publish.state.hold import Hold
from offhook.publish.state.manifest import Manifest
from offhook.publish.tree.opened import FileRow, OpenedTree, Survey
from offhook.publish.tree.paths import is_common, is_referred_to, phone_of

Progress = Callable[[str, int, int], None]
"""Is told the step ("upload", "switch", "delete"), how many files are done, of how many."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A publish under way: this run has the hold."""

    place: Place
    state: State
    hold: Hold
    tree: OpenedTree
    survey: Survey
    steps: Steps
    progress: Progress
    processes: int = 1
    returned: dict[str, FileRow] = field(default_factory=dict)
    """What phones that were switched back are told of, and the new tree does not have."""

    def tidy(self) -> None:
        """Delete what a stopped run left, as far as the world allows it."""
        with suppress(OffhookError):
            left = nameless(self.state, self.hold.head)
            self.hold.check()
            self.state.delete(left)
        # where such a run was only paused, it cannot rename any more what it had begun to write
        with suppress(OffhookError), closing(self._open_root()) as root:
            root.delete([one.path for one in root.list() if is_temporary(one.path)])

    def upload(self) -> None:
        """Put everything in its place that phones' own files refer to."""
        self._send("upload", self.tree, self.survey, self.steps.referred)
        self.hold.change(lambda head: replace(head, intent=replace(_of(head.intent), uploaded=True)))

    def switch(self, macs: Collection[str] | None = None) -> None:
        """Switch these phones to the new tree; None: all that are left, and the common files."""
        chosen = [path for path in self.steps.switches if _concerns(path, macs)]
        with self._wave(NEW, macs):
            self._send("switch", self.tree, self.survey, chosen)

    def switch_back(self, macs: Collection[str], former: OpenedTree, known: Survey) -> None:
        """Switch these phones back to the tree before, opened with today's secrets and surveyed as `known`.

        A phone that was not there before has no files any more.
        """
        there = [path for path in known.files if phone_of(path) in macs]
        gone = [path for path in self.survey.files if phone_of(path) in macs and path not in known.files]
        # what both trees have stays as the new one has it: other phones are there. Today's secrets may have given what
        # boot files include another name
        back = [path for path in known.files if is_referred_to(path) and path not in self.survey.files]
        self._intend({path: known.files[path] for path in (*back, *there)})
        self.returned.update((path, known.files[path]) for path in back)
        with self._wave(OLD, macs):
            self._send("upload", former, known, back)
            self._send("switch", former, known, there)
            self._delete(sorted(gone))

    def finish(self, manifest: Manifest, record: Callable[[str], bytes] | None = None) -> str:
        """Delete what is not wanted, put the manifest in its place, and return its path.

        `record` makes a release's record, given that path: it waits in the state until git has it.
        """
        self._delete(self.steps.deletes)
        now = int(time.time())
        returned = {path: (row, now) for path, row in self.returned.items() if path not in self.steps.deletes}
        superseded = {**returned, **self.steps.superseded}
        path = write_manifest(self.state, replace(manifest, superseded=superseded))
        records = (write_once(self.state, f"records/{manifest.release}", record(path)),) if record else ()
        former = self.hold.head
        head = self.hold.change(
            lambda head: replace(head, manifest=path, intent=None, records=(*head.records, *records))
        )
        # the hold is gone: another run may be writing its plan, so that only what is known by name is deleted
        with suppress(OffhookError):
            self.state.delete(sorted(named(former) - named(head)))
        return path

    def _send(self, step: str, tree: OpenedTree, survey: Survey, paths: Iterable[str]) -> None:
        """Write some files: for each group in turn, as a boot file must not be there before its cfg file."""
        pace = self.place.writers()
        for group in _groups(paths):
            wanted = frozenset(group)
            self.hold.check()
            shares = [make for make, has in zip(tree.shares, survey.shares, strict=True) if not wanted.isdisjoint(has)]
            about = self.place.about(tree.fleet.source.revision)

            def watch(done: int, of: int) -> None:
                self.hold.check()
                self.progress(step, done, of)

            send(
                shares,
                wanted,
                self._open_root,
                about=about,
                processes=min(self.processes, pace.processes),
                threads=pace.threads,
                progress=watch,
            )

    def _intend(self, more: Mapping[str, FileRow]) -> None:
        """Say that these may be written, too."""
        plan = add_intended(self.state, _of(self.hold.head.intent), more)
        self.hold.change(lambda head: replace(head, intent=replace(_of(head.intent), plan=plan)))

    def _open_root(self) -> Root:
        return HeldRoot(self.place.open_root(), self.hold.check)

    def _delete(self, paths: Collection[str]) -> None:
        """Delete files: boot files first, so that none is there without what it includes."""
        if not paths:
            return
        root = self._open_root()
        try:
            for group in ([path for path in paths if path.endswith(".boot")], [*paths]):
                for start in range(0, len(group), 1_000):
                    root.delete(group[start : start + 1_000])
                    self.progress("delete", min(start + 1_000, len(group)), len(group))
        finally:
            root.close()

    def _wave(self, to: str, macs: Collection[str] | None) -> _WaveOf:
        return _WaveOf(self.state, self.hold, to, sorted(macs) if macs is not None else None)


@dataclass(slots=True)
class _WaveOf:
    """Says in the head which phones are about to be switched, and, after the block, that they were."""

    state: State
    hold: Hold
    to: str
    macs: list[str] | None
    phones: str = ""

    def __enter__(self) -> None:
        if self.macs is not None:
            self.phones = write_once(self.state, "waves/wave", as_json(self.macs))
            self._say(done=False)

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        if self.macs is not None and kind is None:
            self._say(done=True)

    def _say(self, *, done: bool) -> None:
        wave = Wave(self.phones, self.to, done)

        def add(waves: tuple[Wave, ...]) -> tuple[Wave, ...]:
            return (*(one for one in waves if one.phones != wave.phones), wave)

        self.hold.change(
            lambda head: replace(head, intent=replace(_of(head.intent), waves=add(_of(head.intent).waves)))
        )


def _groups(paths: Iterable[str]) -> Iterator[list[str]]:
    """Files that may be written at once: cfg files and phonebooks, then phones' boot files, then the common ones."""
    ordered = list(paths)
    for rank in range(4):
        group = [path for path in ordered if _rank(path) == rank]
        if group:
            yield group


def _rank(path: str) -> int:
    return 2 * is_common(path) + path.endswith(".boot")


def _concerns(path: str, macs: Collection[str] | None) -> bool:
    return macs is None or phone_of(path) in macs


def _of(intent: Intent | None) -> Intent:
    assert intent is not None
    return intent
