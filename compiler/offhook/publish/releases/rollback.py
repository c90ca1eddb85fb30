"""Going back: a recorded release's tree, bit for bit, with today's secrets and by today's rules."""

from __future__ import annotations

from pathlib import Path

from offhook.compile import Fleet, read_fleet
from offhook.problem import OffhookError
from offhook.publish.plan.prepared import Prepared
from offhook.publish.releases.release import Release
from offhook.store import Store


def fleet_of(root: Path, release: Release, *, store: Store | None = None, processes: int = 1) -> Fleet:
    """Return the fleet at a release's commit. Raises OffhookError where the commit is not here, or was none."""
    if not release.commit:
        raise OffhookError(
            f"release {release.number} was made from a work tree: no commit has it", hint="go back to another release"
        )
    return read_fleet(root, release.commit, environment=release.environment, store=store, processes=processes)


def check_tree(prepared: Prepared, release: Release) -> None:
    """Raise OffhookError where the tree is not the one that was released."""
    if prepared.survey.sealed != release.sealed:
        raise OffhookError(
            f"this offhook makes another tree of release {release.number} than offhook {release.version} did",
            hint=f"go back with that one: pip install offhook=={release.version}",
        )
