"""Opens the pull request for branch offhook/clock, or updates its text. CHANGES is the file that says what changes."""

from __future__ import annotations

import os
from pathlib import Path

import github

BRANCH = "offhook/clock"
TITLE = "Clocks change: new UTC offsets"
WHY = "Phones are told a fixed UTC offset. Merge and deploy this on the day on which the clocks change."


def main() -> None:
    """Open or update the pull request."""
    owner = os.environ["GITHUB_REPOSITORY"].partition("/")[0]
    rows = Path(os.environ["CHANGES"]).read_text("utf-8").rstrip()
    body = f"{WHY}\n\n```text\n{rows}\n```\n"
    known = next(iter(github.listed("/pulls", state="open", head=f"{owner}:{BRANCH}")), None)
    if known is None:
        github.call("POST", "/pulls", {"title": TITLE, "body": body, "head": BRANCH, "base": os.environ["BASE"]})
    elif known["body"] != body:
        github.call("PATCH", f"/pulls/{known['number']}", {"body": body})


if __name__ == "__main__":
    main()
