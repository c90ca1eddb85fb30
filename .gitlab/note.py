"""Posts a review as the one note of its merge request, or updates it, by GitLab's REST API; the standard library only.

Reads COMMENT (the file), OFFHOOK_TOKEN (a project access token with the scope api: a job's own token may not write
notes), and CI_API_V4_URL, CI_PROJECT_ID and CI_MERGE_REQUEST_IID as GitLab sets them. It runs in pipelines of the
project's own branches: a fork's pipeline runs in the fork, and has no token.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

MARKER = "<!-- offhook review -->"
_TIMEOUT_S = 30
_PAGE = 100


def call(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Return the answer to a request about the merge request. Ends the script where GitLab refuses."""
    place = f"/projects/{os.environ['CI_PROJECT_ID']}/merge_requests/{os.environ['CI_MERGE_REQUEST_IID']}{path}"
    headers = {"PRIVATE-TOKEN": os.environ["OFFHOOK_TOKEN"], "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["CI_API_V4_URL"] + place, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit(f"GitLab answers {error.code} to {method} {path.partition('?')[0]}")
    except OSError as error:
        sys.exit(f"GitLab cannot be reached: {error}")


def notes() -> list[dict[str, Any]]:
    """Return the notes of the merge request, over all pages."""
    found: list[dict[str, Any]] = []
    while True:
        rows = call("GET", f"/notes?per_page={_PAGE}&page={len(found) // _PAGE + 1}")
        found += rows
        if len(rows) < _PAGE:
            return found


def main() -> None:
    """Post or update the note; whoever else begins one with the marker may not have it changed by us, nor can we."""
    body = Path(os.environ["COMMENT"]).read_text("utf-8").strip()
    own = os.environ.get("BOT", f"project_{os.environ['CI_PROJECT_ID']}_bot")
    known = [one for one in notes() if one["body"].startswith(MARKER) and one["author"]["username"].startswith(own)]
    if not known:
        call("POST", "/notes", {"body": body})
    elif known[0]["body"] != body:
        call("PUT", f"/notes/{known[0]['id']}", {"body": body})


if __name__ == "__main__":
    main()
