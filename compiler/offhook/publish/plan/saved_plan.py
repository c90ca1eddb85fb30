"""A plan as a file: what people review, and what --apply carries out and nothing else.

It names the commit, the release that the root was at, and digests of the tree, sealed and opened. It holds no secret.
Whoever can change the file between review and publish can change what is allowed: keep it as an artifact of CI.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offhook.problem import OffhookError
from offhook.publish.plan.limits import Allowance, parse_allowance
from offhook.publish.plan.prepared import Prepared

FORMAT = 1


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """What a plan is held to. `base` is the manifest that the root was at, `opened` "" where nothing was published."""

    environment: str
    root: str
    commit: str
    base: str
    sealed: str
    opened: str
    allowed: tuple[Allowance, ...]


def identity(prepared: Prepared, allowed: tuple[Allowance, ...]) -> SavedPlan:
    """Return what a plan that was prepared is held to."""
    rows = (f"{path} {row.digest}" for path, row in sorted(prepared.survey.files.items()))
    head = prepared.before.head
    return SavedPlan(
        prepared.place.environment.name,
        prepared.place.name,
        prepared.commit,
        head.manifest,
        prepared.survey.sealed,
        prepared.tree.key.of_text("tree", "\n".join(rows)) if head.key else "",
        allowed,
    )


def plan_identity(plan: SavedPlan) -> dict[str, Any]:
    """Return the part of a plan's JSON that it is held to."""
    return {
        "format": FORMAT,
        "environment": plan.environment,
        "root": plan.root,
        "commit": plan.commit,
        "base": plan.base,
        "sealed": plan.sealed,
        "opened": plan.opened,
        "allowed": [str(one) for one in plan.allowed],
    }


def read_plan(path: Path) -> SavedPlan:
    """Return the plan in a file. Raises OffhookError where it is none."""
    try:
        body = json.loads(path.read_bytes())
        if body["format"] != FORMAT:
            raise OffhookError(f"{path}: a plan of another offhook", hint="make it anew with --dry-run --plan")
        texts = {name: body[name] for name in ("environment", "root", "commit", "base", "sealed", "opened")}
        if not all(isinstance(text, str) for text in texts.values()):
            raise TypeError
        return SavedPlan(**texts, allowed=tuple(parse_allowance(str(one)) for one in body["allowed"]))
    except OSError as error:
        raise OffhookError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise OffhookError(
            f"{path} is no plan", hint="make one with offhook publish ENV --dry-run --plan FILE"
        ) from error


def check_environment(plan: SavedPlan, environment: str, commit: str) -> None:
    """Raise OffhookError where a plan is for another environment or another revision."""
    if plan.environment != environment:
        raise OffhookError(f"the plan is for {plan.environment}, not for {environment}")
    if plan.commit != commit:
        raise OffhookError(
            f"the plan is of {_short(plan.commit)}, and {_short(commit)} would be published: the revision has moved",
            hint="make a new plan, or name the commit with --rev",
        )


def check_plan(plan: SavedPlan, now: SavedPlan) -> None:
    """Raise OffhookError where what would be done is not what the plan says."""
    again = "make a new plan, and have it reviewed"
    if plan.root != now.root:
        raise OffhookError(f"the plan is for the root {plan.root}, and it is {now.root} now", hint=again)
    if plan.base != now.base:
        raise OffhookError("the root has moved since the plan was made: something else was published", hint=again)
    if plan.sealed != now.sealed:
        raise OffhookError("the tree is not the one that was planned: this is another offhook", hint=again)
    if plan.opened and plan.opened != now.opened:
        raise OffhookError("secrets have changed since the plan was made", hint=again)


def _short(commit: str) -> str:
    return f"commit {commit[:10]}" if commit else "a work tree"
