"""Opens the pull request for branch offhook/clock, or updates its text; closes it where nothing is due any more.

CHANGES is the file that says what changes, DUE is 4 where something does, as `offhook clock --exit-code` ends.
"""

from __future__ import annotations

import os
from pathlib import Path

import github

BRANCH = "offhook/clock"
TITLE = "Clocks change: new UTC offsets"
WHY = "Phones are told a fixed UTC offset. Merge and deploy this on the day on which the clocks change."


LONGEST = 65_536
"""GitHub's limit for a pull request's text, in characters."""


def body_of(rows: str) -> str:
    """Return the pull request's text: as many of the rows as there is room for."""
    fence = "```"
    while fence in rows:
        fence += "`"
    head, tail, cut = f"{WHY}\n\n{fence}text\n", f"\n{fence}\n", "\n(and more)"
    room = LONGEST - len(head) - len(tail)
    if len(rows) > room:
        rows = rows[: room - len(cut)].rpartition("\n")[0] + cut
    return f"{head}{rows}{tail}"


def main() -> None:
    """Open, update or close the pull request."""
    owner = os.environ["GITHUB_REPOSITORY"].partition("/")[0]
    due, body = os.environ["DUE"] == "4", body_of(Path(os.environ["CHANGES"]).read_text("utf-8").rstrip())
    known = next(iter(github.listed("/pulls", state="open", head=f"{owner}:{BRANCH}")), None)
    if known is None and due:
        github.call("POST", "/pulls", {"title": TITLE, "body": body, "head": BRANCH, "base": os.environ["BASE"]})
    elif known is not None and not due:
        github.call("PATCH", f"/pulls/{known['number']}", {"state": "closed"})
    elif known is not None and known["body"] != body:
        github.call("PATCH", f"/pulls/{known['number']}", {"body": body})


if __name__ == "__main__":
    main()
