"""What may be published: a commit, never a dirty work tree unless the environment says so; signed, where it must be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offhook.compile import Fleet, read_fleet
from offhook.git.repository import is_repository, open_git, read_commit, read_file, resolve, signature_of
from offhook.git.signatures import Trust, spoken, verify
from offhook.problem import OffhookError
from offhook.publish.state.manifest import Manifest
from offhook.source import WORKTREE, has_inventory, read_source
from offhook.store import Store


def choose_fleet(
    root: Path, environment: str, revision: str | None, *, store: Store | None = None, processes: int = 1
) -> Fleet:
    """Return the fleet to publish: at a revision, at HEAD, or the work tree where the environment allows it.

    Raises OffhookError where there is no such environment or revision.
    """
    if revision is None and not _has_head(root):
        fleet = read_fleet(root, environment=environment, store=store, processes=processes)
        if fleet.environment is not None and fleet.environment.worktree:
            return fleet
        raise OffhookError("there is no commit yet, and a commit is what is published", hint="git commit")
    fleet = read_fleet(root, revision or "HEAD", environment=environment, store=store, processes=processes)
    if revision is None and fleet.environment is not None and fleet.environment.worktree:
        there = read_source(root, None)
        if [(file.path, file.blob) for file in there.files] != [(file.path, file.blob) for file in fleet.source.files]:
            return read_fleet(root, environment=environment, store=store, processes=processes)
    return fleet


def commit_of(fleet: Fleet) -> str:
    """Return the commit that a fleet was read at, "" for a work tree."""
    return "" if fleet.source.revision == WORKTREE else fleet.source.revision


def check_signature(root: Path, fleet: Fleet, manifest: Manifest) -> None:
    """Raise OffhookError where a signature is required and the commit has no good one.

    Whose signatures count is what the last release said, not what this commit says: it could name its author's key.
    """
    former, present = manifest.signing, fleet.inventory.fleet.signing
    if not (former.get("require") or present.get("require")):
        return
    commit = commit_of(fleet)
    if not commit:
        raise OffhookError("a work tree is not signed, and signing is required", hint="commit it, with git commit -S")
    git = open_git(root)
    if _names_files(former):
        trust = _trust(root, former, manifest.commit)
        says = f"by the rules of release {manifest.release}"
    else:
        trust = _trust(root, present, commit)
        says = "by its own rules"
    signature, payload = signature_of(git, commit)
    found = verify(signature, payload, read_commit(git, commit).committed, trust)
    if found.state != "good":
        raise OffhookError(
            f"commit {commit[:10]} is {spoken(found)}, and a good signature is required ({says}): {found.detail}",
            hint="sign it with a key that the allowed signers or the keyring name: git commit --amend -S",
        )


def _trust(root: Path, signing: Mapping[str, Any], commit: str) -> Trust:
    git = open_git(root)
    try:
        known = resolve(git, commit) if commit else ""
    except OffhookError as error:
        raise OffhookError(
            f"the released commit {commit[:10]} is not in this clone: it says whose signatures count",
            hint="fetch it: git fetch --unshallow, or fetch-depth: 0 in actions/checkout",
        ) from error
    files = (signing.get(word) for word in ("allowed_signers", "keyring"))
    return Trust(*(read_file(git, known, path) if path and known else None for path in files))


def _names_files(signing: Mapping[str, Any]) -> bool:
    return "allowed_signers" in signing or "keyring" in signing


def _has_head(root: Path) -> bool:
    return is_repository(root) and has_inventory(root, "HEAD")
