"""Posts a review as the one comment of its pull request, or updates it: for a run that has the right to write.

COMMENT is the file that a run without rights has made. A fork's pull request may have changed that run, so the file is
a stranger's: it is read up to a limit, its markup is held against what offhook writes, and nothing of it is run. The
pull request is found by the commit and the branch of the run's own event (HEAD_SHA, HEAD_OWNER, HEAD_BRANCH), which
GitHub vouches for, never by anything in the file. A commit that is no pull request's head any more gets no comment.
"""

from __future__ import annotations

import html
import os
import re
from pathlib import Path

import github

MARKER = "<!-- offhook review -->"
STRANGE = f"{MARKER}\nWhat came of this pull request's review is not what offhook writes: see the run's artifact."

LONGEST = 65_536
"""GitHub's limit for a comment, in characters."""

TAGS = frozenset(("details", "summary", "code", "b", "br", "sub", "sup"))
"""With links to the repository the only markup that offhook writes."""

BREAK = "<!-- -->"
"""Stands where a word would else be a mention."""

_TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9]*)((?:\s[^<>]*)?)>")
_HREF = re.compile(r'href="([^"<>\s]*)"')
_LINK = re.compile(r"\]\(\s*<?([^)\s>]*)")
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s)<>\"']*", re.I)
_MENTION = re.compile("@(?!\0)")  # GitHub looks for names once entities are read
_REFERENCE = re.compile(r"^\s{0,3}\[[^\]]*\]:", re.M)


def body_of(path: Path, allowed: str) -> str:
    """Return the comment's text; `allowed` begins every link that may stand in it. What is strange is not shown."""
    with path.open("rb") as file:
        text = file.read(4 * LONGEST + 1).decode("utf-8", "replace")
    text = text.removeprefix(MARKER).strip()
    if not text or len(text) > LONGEST - len(MARKER) - 1 or is_strange(text, allowed):
        return STRANGE
    return f"{MARKER}\n{text}"


def is_strange(text: str, allowed: str) -> bool:
    """Tell whether a text holds what offhook never writes: a mention, an image, foreign links, other markup."""

    def left(tag: re.Match[str]) -> str:
        name, more = tag[1].lower(), tag[2].strip()
        if name == "a":
            link = _HREF.fullmatch(more)
            return "" if not more or (link is not None and link[1].startswith(allowed)) else "<"
        return "" if name in TAGS and more in ("", "open") else "<"

    is_mention = _MENTION.search(html.unescape(text.replace(BREAK, "\0"))) is not None
    text = text.replace(BREAK, "")
    links = [*_LINK.findall(text), *_ADDRESS.findall(text)]
    return (
        "<" in _TAG.sub(left, text)
        or is_mention
        or "![" in text
        or _REFERENCE.search(text) is not None
        or not all(one.startswith(allowed) for one in links)
    )


def main() -> None:
    """Find the pull requests, and give each its comment."""
    sha, owner, branch = (os.environ[name] for name in ("HEAD_SHA", "HEAD_OWNER", "HEAD_BRANCH"))
    allowed = f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}/"
    body = body_of(Path(os.environ["COMMENT"]), allowed)
    pulls = github.listed("/pulls", state="open", head=f"{owner}:{branch}")
    found = [one["number"] for one in pulls if one["head"]["sha"] == sha]
    if not found:
        print(f"{sha[:10]} is the head of no open pull request: nothing is posted")
    for number in found:
        comments = github.listed(f"/issues/{number}/comments")
        known = next((one for one in comments if github.is_own(one) and github.begins(one, MARKER)), None)
        if known is None:
            github.call("POST", f"/issues/{number}/comments", {"body": body})
            print(f"#{number}: posted")
        elif known["body"] != body:
            github.call("PATCH", f"/issues/comments/{known['id']}", {"body": body})
            print(f"#{number}: updated")
        else:
            print(f"#{number}: as it was")


if __name__ == "__main__":
    main()
