"""What the other scripts need of GitHub's REST API; the standard library only, for any runner's Python.

GITHUB_API_URL, GITHUB_REPOSITORY and GITHUB_TOKEN are as GitHub Actions sets them, or a step hands them over.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any, NoReturn

_TIMEOUT_S = 30
_PAGE = 100
_MOST_PAGES = 50


def call(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Return the answer to a request; `path` begins after the repository. Ends the script where GitHub refuses."""
    url = f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}{path}"
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
        "User-Agent": "offhook",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        fail(f"GitHub answers {error.code} to {method} {path.partition('?')[0]}")
    except OSError as error:
        fail(f"GitHub cannot be reached: {error}")


def listed(path: str, **query: str) -> Iterator[dict[str, Any]]:
    """Give what a list holds, over all of its pages."""
    for page in range(1, _MOST_PAGES + 1):
        words = urllib.parse.urlencode({**query, "per_page": _PAGE, "page": page})
        rows = call("GET", f"{path}?{words}")
        yield from rows
        if len(rows) < _PAGE:
            return


def fail(message: str) -> NoReturn:
    """End the script with an error that the run shows."""
    sys.exit(f"::error::{message}" if os.environ.get("GITHUB_ACTIONS") else message)


def is_own(row: dict[str, Any]) -> bool:
    """Tell whether an issue or a comment was written by the workflows of this repository."""
    return (row.get("user") or {}).get("login") == os.environ.get("BOT", "github-actions[bot]")
