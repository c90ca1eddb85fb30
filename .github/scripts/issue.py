"""Keeps one issue about an environment's drift: opens it, updates it, closes it when all is as published again.

STATUS is the file with what `offhook status` says, DRIFTED is 1 where there is drift, ENVIRONMENT which one.
"""

from __future__ import annotations

import os
from pathlib import Path

import github

LONGEST = 60_000


def body_of(environment: str, status: str) -> str:
    """Return the issue's text: the marker by which it is found again, and the status as it was printed."""
    fence = "```"
    while fence in status:
        fence += "`"
    cut = status if len(status) <= LONGEST else status[:LONGEST] + "\n(cut)"
    lines = [marker(environment), "What phones fetch is not what was published.", ""]
    return "\n".join([*lines, f"{fence}text", cut.rstrip(), fence, ""])


def marker(environment: str) -> str:
    """Return the first line of the issue."""
    return f"<!-- offhook drift {environment} -->"


def main() -> None:
    """Open, update or close the issue."""
    environment, drifted = os.environ["ENVIRONMENT"], os.environ["DRIFTED"] == "1"
    body = body_of(environment, Path(os.environ["STATUS"]).read_text("utf-8"))
    known = next(
        (
            one
            for one in github.listed("/issues", state="open", creator=os.environ.get("BOT", "github-actions[bot]"))
            if github.is_own(one) and (one["body"] or "").startswith(marker(environment))
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
