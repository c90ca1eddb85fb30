"""Keeps one issue about an environment's drift: opens it, updates it, closes it when all is as published again.

STATUS is the file with what `offhook status --format json` says, ENVIRONMENT which one. What it says to people is
written to SHOWN, and printed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import github

LONGEST = 60_000

ROWS = (("changed", "changed by hand"), ("missing", "missing"), ("strangers", "stranger"))


def status_of(path: Path) -> dict[str, Any]:
    """Return what offhook says; ends the script where that is no answer."""
    try:
        status = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        status = None
    if not isinstance(status, dict) or not isinstance(status.get("drift"), bool):
        github.fail(f"{path.name} is not what offhook status says")
    return status


def lines_of(status: dict[str, Any]) -> Iterator[str]:
    """Give what differs, a line a file; nothing that changes from day to day where that does not."""
    release = f"release {status['release']} of {status['at']} by {status['by']}"
    yield f"{status['root']}: {release if status['release'] else 'nothing was published yet'}"
    for key, word in ROWS:
        yield from (f"{word:16}{path}" for path in status[key] or ())
    if status["stopped"]:
        how = status["rollout"] or "is under way, or was stopped"
        yield f"a {'rollout' if status['rollout'] else 'publish'} by {status['stopped']} {how}"
    if not status["drift"]:
        yield "no drift"


def body_of(environment: str, shown: str) -> str:
    """Return the issue's text: the marker by which it is found again, and what differs."""
    fence = "```"
    while fence in shown:
        fence += "`"
    cut = shown if len(shown) <= LONGEST else shown[:LONGEST] + "\n(cut)"
    lines = [marker(environment), "What phones fetch is not what was published.", ""]
    return "\n".join([*lines, f"{fence}text", cut, fence, ""])


def marker(environment: str) -> str:
    """Return the first line of the issue."""
    return f"<!-- offhook drift {environment} -->"


def main() -> None:
    """Open, update or close the issue."""
    environment, status = os.environ["ENVIRONMENT"], status_of(Path(os.environ["STATUS"]))
    shown = "\n".join(lines_of(status))
    Path(os.environ["SHOWN"]).write_text(f"{shown}\n", "utf-8")
    github.show(shown)
    drifted, body = status["drift"], body_of(environment, shown)
    known = next(
        (
            one
            for one in github.listed("/issues", state="open", creator=os.environ.get("BOT", "github-actions[bot]"))
            if github.is_own(one) and github.begins(one, marker(environment))
        ),
        None,
    )
    if drifted and known is None:
        github.call("POST", "/issues", {"title": f"Drift: {environment} is not as it was published", "body": body})
    elif drifted and known is not None and known["body"] != body:
        github.call("PATCH", f"/issues/{known['number']}", {"body": body})
    elif not drifted and known is not None:
        github.call("PATCH", f"/issues/{known['number']}", {"state": "closed", "state_reason": "completed"})


if __name__ == "__main__":
    main()
