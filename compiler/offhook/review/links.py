"""Links to a file and line on the platform where a pull request is read; nothing where none is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from posixpath import normpath
from urllib.parse import quote

from offhook.source import WORKTREE

_SCHEMES = ("https://", "http://")
"""A platform of a company's own may well have no certificate."""


@dataclass(frozen=True, slots=True)
class Links:
    """How a place in the repository is linked to: `{url}/{revision}/{path}#L{line}`; "" where there is no platform.

    `prefix` is the path from the repository's top to the fleet's root, with its slash, "" where they are the same.
    `platform` is github or gitlab.
    """

    url: str = ""
    prefix: str = ""
    platform: str = "github"

    def to(self, revision: str, file: str, line: int) -> str:
        """Return the address of a line at a revision, "" where nobody could open it."""
        if not self.url or revision == WORKTREE:
            return ""
        # files that are rules may stand above the fleet's folder: "../CODEOWNERS"
        return f"{self.url}/{quote(revision)}/{quote(normpath(self.prefix + file))}#L{line}"


def links_in(variables: Mapping[str, str], prefix: str = "") -> Links:
    """Return the links of the platform whose CI this is: GitHub's and GitLab's documented variables tell."""
    server, repository = variables.get("GITHUB_SERVER_URL", ""), variables.get("GITHUB_REPOSITORY", "")
    if server.startswith(_SCHEMES) and repository:
        return Links(f"{server}/{repository}/blob", prefix)
    project = variables.get("CI_PROJECT_URL", "")
    if project.startswith(_SCHEMES):
        return Links(f"{project}/-/blob", prefix, "gitlab")
    return Links(prefix=prefix)
