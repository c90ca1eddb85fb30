"""Everything that is known before a publish writes anything: the tree, the plan, and what the limits say of it."""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from offhook.compile import Fleet
from offhook.diff import Diff, diff
from offhook.git.repository import open_git, resolve
from offhook.problem import OffhookError
from offhook.publish.places import Place, place_of
from offhook.publish.plan.gate import check_signature, commit_of
from offhook.publish.plan.intended import read_leftover
from offhook.publish.plan.limits import (
    CHANGED,
    REMOVED,
    Allowance,
    Rules,
    Touched,
    Verdict,
    allowances,
    check_scopes,
    judge,
    rules,
)
from offhook.publish.plan.steps import Leftover, PhonesMoved, Steps, phones_moved, plan_steps
from offhook.publish.plan.strangers import strangers
from offhook.publish.roots.root import State
from offhook.publish.state.head import Versioned, read_released
from offhook.publish.state.keyed import Key, make_key, new_key, read_key
from offhook.publish.state.manifest import Manifest
from offhook.publish.status import check_owner, drift
from offhook.publish.tree.needed_secrets import needed_secrets
from offhook.publish.tree.opened import OpenedTree, Survey, opened_tree
from offhook.publish.tree.opening import open_by, provider_of
from offhook.secrets.opening import Opened
from offhook.source import WORKTREE
from offhook.store import Store


@dataclass(frozen=True, slots=True)
class Prepared:
    """A publish that could begin. `rule` is the fleet whose limits hold from then on: `fleet`, but for a rollback.

    `diff` is None where the released commit is not known here, or is a work tree's.
    """

    root: Path
    fleet: Fleet
    rule: Fleet = field(repr=False)
    place: Place
    state: State = field(repr=False)
    before: Versioned
    manifest: Manifest = field(repr=False)
    leftover: Leftover = field(repr=False)
    tree: OpenedTree = field(repr=False)
    survey: Survey = field(repr=False)
    steps: Steps = field(repr=False)
    moved: PhonesMoved
    diff: Diff | None = field(repr=False)
    strangers: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    warnings: tuple[str, ...]

    @property
    def commit(self) -> str:
        """Return the commit to publish, "" for a work tree."""
        return commit_of(self.fleet)

    @property
    def exceeded(self) -> list[Verdict]:
        """Return the limits that forbid it."""
        return [verdict for verdict in self.verdicts if verdict.exceeded]

    @property
    def is_release(self) -> bool:
        """Tell whether the tree, the root or the environment's name differs from what was released."""
        same = self.manifest.files == self.survey.files and self.manifest.phones == self.survey.phones
        owner = (self.manifest.environment, self.manifest.root)
        return not same or owner != (self.place.environment.name, self.place.root)

    @property
    def is_nothing(self) -> bool:
        """Tell whether there is nothing to do at all: no file, no release, no stopped run to end."""
        return self.steps.is_nothing and not self.is_release and self.before.head.intent is None

    def close(self) -> None:
        """Let go of the state's connections."""
        self.state.close()


def prepare(
    root: Path,
    fleet: Fleet,
    *,
    allow: Sequence[Allowance] = (),
    reviewed: bool = False,
    settled: Fleet | None = None,
    repair: bool = False,
    adopt: bool = False,
    writing: bool = True,
    processes: int = 1,
    store: Store | None = None,
    today: datetime.date | None = None,
) -> Prepared:
    """Return what publishing a fleet, free of errors, would do to its environment.

    `reviewed` tells that people have seen this very plan, or a release that is gone back to: many phones may change.
    `settled` is the fleet whose environment, limits and secrets hold where they are not those of `fleet`: a rollback
    takes only phones' settings from the past. `repair` looks at the root itself, and counts what is not as it was
    published as not written. `adopt` takes a state over that another environment left. Raises OffhookError where the
    world refuses. Writes nothing, but the key of an environment that has none yet, where `writing`.
    """
    rule = settled or fleet
    place = place_of(root, rule.environment, rule.environment.name if rule.environment else "")
    state = place.open_state()
    try:
        before, manifest = read_released(state)
        if not adopt:
            check_owner(manifest, place, state)
        check_signature(root, fleet, manifest)
        there, leftover = _there(manifest, place, state, before)
        if repair and there.release:
            leftover = _with_drift(leftover, place)
        tree = opened_tree(fleet, _open_secrets(fleet, rule), _key(state, before, manifest, writing=writing))
        survey = tree.survey(processes=processes)
        steps = plan_steps(there, leftover, survey, int(time.time()))
        moved = phones_moved(manifest, survey)
        changes, warnings = _difference(root, fleet, manifest, store, processes)
        touched = Touched(manifest.phones, survey.phones, moved, _cutoff(moved, changes, manifest))
        check_scopes(allow, touched)
        present = _rules(rule)
        granted = [*allow, *allowances(present, today or datetime.datetime.now(datetime.UTC).date())]
        former = Rules(manifest.limits[CHANGED], manifest.limits[REMOVED], ()) if manifest.limits else None
        return Prepared(
            root,
            fleet,
            rule,
            place,
            state,
            before,
            manifest,
            leftover,
            tree,
            survey,
            steps,
            moved,
            changes,
            tuple(strangers(place.open_root, [path for path in steps.writes if path not in steps.ours])),
            tuple(judge(touched, former, present, granted, reviewed=reviewed)),
            (*warnings, *_moved(manifest, place)),
        )
    except BaseException:
        state.close()
        raise


def limits_said(fleet: Fleet) -> dict[str, Any]:
    """Return the limits that hold for the next release, as a manifest keeps them."""
    rule = _rules(fleet)
    return {CHANGED: rule.changed, REMOVED: rule.removed}


def _there(manifest: Manifest, place: Place, state: State, before: Versioned) -> tuple[Manifest, Leftover]:
    """What is on this root: nothing that was published, or begun, to another one."""
    intent = before.head.intent
    is_here = intent is not None and intent.root == place.root
    leftover = read_leftover(state, intent, manifest) if is_here else Leftover()
    if not manifest.release or manifest.root == place.root:
        return manifest, leftover
    return replace(manifest, files={}, superseded={}), leftover


def _moved(manifest: Manifest, place: Place) -> list[str]:
    if not manifest.release or manifest.root == place.root:
        return []
    return [f"the root was {manifest.root}: what was published there stays, and nobody tends it any more"]


def _with_drift(leftover: Leftover, place: Place) -> Leftover:
    """What is not on the root as it was published is as unsure as what a stopped run may have written."""
    found = drift(place)
    paths = {*found.changed, *found.missing}
    rows = {path: found.manifest.files.get(path) for path in paths}
    return Leftover({**rows, **leftover.files}, leftover.sure)


def _rules(fleet: Fleet) -> Rules:
    return rules(fleet.inventory.fleet.limits, fleet.environment.limits if fleet.environment else {})


def _open_secrets(fleet: Fleet, rule: Fleet) -> Opened:
    """The secrets that a fleet's phones need, by today's provider and from today's files.

    A name that today's files do not have any more is opened from those of the fleet's own revision.
    """
    places = needed_secrets(fleet)
    known = rule.inventory.secret_names.marks
    if fleet is rule or provider_of(rule).get("provider", "sops") != "sops":
        return open_by(rule, places, places=places)
    gone = [name for name in places if name not in known]
    found = open_by(rule, [name for name in places if name in known], places=places)
    return found.joined(open_by(rule, gone, source=fleet.source, places=places))


def _key(state: State, before: Versioned, manifest: Manifest, *, writing: bool) -> Key:
    """The environment's key; where nothing was published yet, a new one."""
    key = read_key(state)
    if key is None:
        if manifest.release:
            raise OffhookError(f"{state.name}: the key is gone, and a manifest was made with it", hint="restore it")
        return make_key(state) if writing else new_key()
    if manifest.release and before.head.key and key.of_text("key", "") != before.head.key:
        raise OffhookError(f"{state.name}: the key is not the one that the manifest was made with", hint="restore it")
    return key


def _difference(
    root: Path, fleet: Fleet, manifest: Manifest, store: Store | None, processes: int
) -> tuple[Diff | None, list[str]]:
    """What differs from the released commit, and why that may not be known."""
    if not manifest.release:
        return None, []
    if not manifest.commit:
        return None, ["the last release was of a work tree: restarts and cut-off changes cannot be told"]
    try:
        resolve(open_git(root), manifest.commit)
    except OffhookError:
        return None, [
            f"the released commit {manifest.commit[:10]} is not in this clone: restarts and cut-off changes cannot be"
            " told (git fetch --unshallow, or fetch-depth: 0 in actions/checkout)"
        ]
    revision = None if fleet.source.revision == WORKTREE else fleet.source.revision
    name = fleet.environment.name if fleet.environment else None
    return diff(root, manifest.commit, revision, environment=name, store=store, processes=processes), []


def _cutoff(moved: PhonesMoved, changes: Diff | None, manifest: Manifest) -> frozenset[str]:
    """Phones that may be cut off, without those that are retired by name; where nobody can tell, all that move."""
    if changes is not None:
        return frozenset(phone.mac for phone in changes.phones if phone.cutoff and not phone.retires)
    return frozenset((*moved.changed, *moved.removed)) if manifest.commit else frozenset()
