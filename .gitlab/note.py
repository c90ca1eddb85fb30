"""Posts a review as the one note of its merge request, or updates it, by GitLab's REST API; the standard library only.

Reads COMMENT (the file), OFFHOOK_TOKEN (a project access token with the scope api: a job's own token may not write
notes), and CI_API_V4_URL, CI_PROJECT_ID and CI_MERGE_REQUEST_IID as GitLab sets them. It runs in pipelines of the
project's own branches: a fork's pipeline runs in the fork, and has no token.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

MARKER = "<!-- offhook review -->"
_TIMEOUT_S = 30
_PAGE = 100
_TRIES = 4
_LONGEST_WAIT_S = 60
_LATER = frozenset((429, 500, 502, 503, 504))
"""Answers after which the same is asked again; what makes something new (POST) is asked once."""


def call(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Return the answer to a request about the merge request. Ends the script where GitLab refuses."""
    place = f"/projects/{os.environ['CI_PROJECT_ID']}/merge_requests/{os.environ['CI_MERGE_REQUEST_IID']}{path}"
    headers = {"PRIVATE-TOKEN": os.environ["OFFHOOK_TOKEN"], "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["CI_API_V4_URL"] + place, data, headers, method=method)
    what, tries = f"{method} {path.partition('?')[0]}", 1
    while True:
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if method == "POST" or tries == _TRIES or error.code not in _LATER:
                sys.exit(f"GitLab answers {error.code} to {what}")
            time.sleep(_wait(error.headers.get("Retry-After"), tries))
            tries += 1
        except (ValueError, RecursionError):
            sys.exit(f"GitLab's answer to {what} is not JSON")
        except (OSError, http.client.HTTPException) as error:
            sys.exit(f"GitLab cannot be reached: {error!r}")


def _wait(told: str | None, tries: int) -> float:
    """Return for how long to wait, in seconds: what Retry-After says (RFC 9110 10.2.3), or longer each time."""
    return min(int(told) if told and told.isdecimal() else 2**tries / 2, _LONGEST_WAIT_S)


def notes() -> list[dict[str, Any]]:
    """Return the notes of the merge request, over all pages."""
    found: list[dict[str, Any]] = []
    while True:
        rows = call("GET", f"/notes?per_page={_PAGE}&page={len(found) // _PAGE + 1}")
        if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
            sys.exit("GitLab's answer to GET /notes is not a list")
        found += rows
        if len(rows) < _PAGE:
            return found


def main() -> None:
    """Post or update the note; whoever else begins one with the marker may not have it changed by us, nor can we."""
    try:
        body = Path(os.environ["COMMENT"]).read_text("utf-8").strip()
    except FileNotFoundError:
        sys.exit("there is no comment: the review made none")
    own = os.environ.get("BOT", f"project_{os.environ['CI_PROJECT_ID']}_bot")
    known = [
        one
        for one in notes()
        if (one.get("body") or "").startswith(MARKER) and one["author"]["username"].startswith(own)
    ]
    if not known:
        call("POST", "/notes", {"body": body})
    elif known[0]["body"].strip() != body:
        call("PUT", f"/notes/{known[0]['id']}", {"body": body})


if __name__ == "__main__":
    main()
