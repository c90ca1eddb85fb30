"""Which pull request brought a commit, as far as commit messages name it.

GitHub's merge button writes "Merge pull request #12 from ...", its squash button "Title (#12)"; GitLab writes
"See merge request group/project!12" into the body; Bitbucket "Merged in BRANCH (pull request #12)", Azure "Merged PR
12: Title"; Gitea and mailing-list workflows use trailers, which stand in the last paragraph
(git-interpret-trailers(1)). A revert names what it reverts, not what brought it. A commit that came by a merge is
named by that merge, and by its own message only where that merge names none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from offhook.git.repository import Commit
from offhook.history.walk import History

_SUBJECTS = (
    re.compile(r"Merge pull request (#[0-9]{1,10})\b"),
    re.compile(r"Merged in .*\(pull request (#[0-9]{1,10})\)$"),
    re.compile(r"Merged PR ([0-9]{1,10}): "),
    re.compile(r".*\((#[0-9]{1,10})\)$"),
)
_MERGE_REQUEST = re.compile(r"^See merge request \S*?(![0-9]{1,10})$", re.MULTILINE)
_TRAILER = re.compile(r"[A-Za-z0-9-]+:\s.*|\s+\S.*")
_REVIEW = re.compile(
    r"^(?:Pull-Request|PR|PR-URL|Reviewed-on|Merge-Request):\s*(?:\S*/(?:pull|pulls|merge_requests)/)?([#!]?[0-9]{1,10})$",
    re.MULTILINE | re.IGNORECASE,
)


def review_of(commit: Commit) -> str | None:
    """Return the pull request that a commit's own message names: "#12", or "!12" on GitLab."""
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", commit.message.replace("\r\n", "\n").strip())]
    body = paragraphs[1:]
    found = next((match for one in _SUBJECTS if (match := one.match(commit.subject))), None)
    if found is None and body:
        found = _MERGE_REQUEST.search("\n".join(body))
    if found is None and body and all(map(_TRAILER.fullmatch, body[-1].split("\n"))):
        found = _REVIEW.search(body[-1])
    if found is None:
        return None
    return found[1] if found[1][0] in "#!" else f"#{found[1]}"


def reviews(
    history: History, start: str, commits: Iterable[str], *, within: Collection[str] | None = None
) -> dict[str, str]:
    """Return commit -> pull request for those of `commits` of which one is named, up to `start`.

    The first parents of `start` are the line that pull requests are merged into; what a merge of that line brought
    in is its, whatever the messages of these commits say: whoever writes them is who is reviewed. With `within`, the
    commits that `between` returned, none outside of it is looked at.
    """
    wanted = set(commits)
    found = {one: review for one in wanted if (review := review_of(history.commit(one))) is not None}
    line = [start] if within is None or start in within else []
    while line and (parents := history.commit(line[-1]).parents) and (within is None or parents[0] in within):
        line.append(parents[0])
    seen: set[str] = set()
    for merge in reversed(line):
        review = review_of(history.commit(merge))
        pending = [merge]
        while pending:
            commit = pending.pop()
            if commit in seen or (within is not None and commit not in within):
                continue
            seen.add(commit)
            if review is not None and commit in wanted:
                found[commit] = review
            pending.extend(history.commit(commit).parents)
    return found
