"""What the other scripts need of GitHub's REST API; the standard library only, for any runner's Python.

GITHUB_API_URL, GITHUB_REPOSITORY and GITHUB_TOKEN are as GitHub Actions sets them, or a step hands them over.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any, NoReturn

_TIMEOUT_S = 30
_PAGE = 100
_MOST_PAGES = 50
_TRIES = 4
_LONGEST_WAIT_S = 60
_LATER = frozenset((429, 500, 502, 503, 504))
"""Answers after which the same is asked again; what makes something new (POST) is asked once."""


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
    what = f"{method} {path.partition('?')[0]}"
    tries = 1
    while True:
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if method == "POST" or tries == _TRIES or error.code not in _LATER:
                fail(f"GitHub answers {error.code} to {what}")
            time.sleep(_wait(error.headers.get("Retry-After"), tries))
            tries += 1
        except (ValueError, RecursionError):
            fail(f"GitHub's answer to {what} is not JSON")
        except (OSError, http.client.HTTPException) as error:
            fail(f"GitHub cannot be reached: {error!r}")


def _wait(told: str | None, tries: int) -> float:
    """Return for how long to wait, in seconds: what Retry-After says (RFC 9110 10.2.3), or longer each time."""
    return min(int(told) if told and told.isdecimal() else 2**tries / 2, _LONGEST_WAIT_S)


def listed(path: str, **query: str) -> Iterator[dict[str, Any]]:
    """Give what a list holds, over all of its pages."""
    for page in range(1, _MOST_PAGES + 1):
        words = urllib.parse.urlencode({**query, "per_page": _PAGE, "page": page})
        rows = call("GET", f"{path}?{words}")
        if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
            fail(f"GitHub's answer to GET {path} is not a list")
        yield from rows
        if len(rows) < _PAGE:
            return


def fail(message: str) -> NoReturn:
    """End the script with an error that the run shows."""
    sys.exit(f"::error::{message}" if os.environ.get("GITHUB_ACTIONS") else message)


def show(text: str) -> None:
    """Print others' words, so that GitHub takes no line of them for a command."""
    token = secrets.token_hex(16)
    guard = (f"::stop-commands::{token}", f"::{token}::") if os.environ.get("GITHUB_ACTIONS") else ()
    print(*guard[:1], text, *guard[1:], sep="\n")


def begins(row: dict[str, Any], marker: str) -> bool:
    """Tell whether an issue's or a comment's text begins with a marker; GitHub gives null for an empty one."""
    return (row.get("body") or "").startswith(marker)


def is_own(row: dict[str, Any]) -> bool:
    """Tell whether an issue or a comment was written by the workflows of this repository."""
    return (row.get("user") or {}).get("login") == os.environ.get("BOT", "github-actions[bot]")
