"""Posts a review as the one comment of its pull request, or updates it: for a run that has the right to write.

COMMENT is the file that a run without rights has made. A fork's pull request may have changed that run, so the file is
a stranger's: it is read up to a limit, its markup is held against what offhook writes, and nothing of it is run. The
pull request is found by the commit and the branch of the run's own event (HEAD_SHA, HEAD_OWNER, HEAD_BRANCH), which
GitHub vouches for, never by anything in the file. A commit that is no pull request's head any more gets no comment.
Where one is the head of several, the file `base` beside the comment says which is meant: by the branch that it was
compared with. It chooses among those found, and can name no other.
"""

from __future__ import annotations

import html
import os
import re
import stat
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

_LINE = re.compile(
    r"|\*\*The .*|- [^\s#>`~=].*|\|.*|<details(?: open)?><summary>.*|</details>|<code>.*"
    r"|\[The whole diff\]\(.*|`offhook diff .*"
)
"""How a line begins after the title: no heading, no fence, nothing quoted."""

_NEVER = re.compile(r"!\[|\]:|```|~~~|[\\\x00-\x08\x0b-\x1f]")
"""An image, what a link refers to, a fence, an escape, a control character."""

_CODE = re.compile(r"<code>[^<`]*</code>")
_NUMBER = re.compile(r"#\d|\bGH-\d", re.I)
_UPWARDS = re.compile(r"/\.\.?(?:[/?#]|$)|%2e|\\", re.I)  # as a browser reads it (URL Standard, 4.4)
_TAG = re.compile(r"</?([A-Za-z][A-Za-z0-9]*)((?:\s[^<>]*)?)>")
_HREF = re.compile(r'href="([^"<>\s]*)"')
_LINK = re.compile(r"\]\(\s*<?([^)\s>]*)")
_ADDRESS = re.compile(r"(?:(?:https?|ftp)://|www\.)[^\s)<>\"']*", re.I)
_MENTION = re.compile("@(?!\0)")  # GitHub looks for names once entities are read


def body_of(path: Path, allowed: str) -> str:
    """Return the comment's text; `allowed` begins every link that may stand in it. What is strange is not shown."""
    text = text_of(path, 4 * LONGEST + 1)
    text = text.removeprefix(MARKER).strip()
    if not text or len(text) > LONGEST - len(MARKER) - 1 or is_strange(text, allowed):
        return STRANGE
    return f"{MARKER}\n{text}"


def text_of(path: Path, limit: int) -> str:
    """Return at most so many bytes of a stranger's file as text, "" for what is no file; no link is followed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        github.fail(f"{path.name} is not in the artifact: the review made none")
    except OSError:
        return ""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return ""
    with open(descriptor, "rb") as file:
        return file.read(limit).decode("utf-8", "replace")


def is_strange(text: str, allowed: str) -> bool:
    """Tell whether a text holds what offhook never writes: a mention, an image, foreign links, other markup."""

    def left(tag: re.Match[str]) -> str:
        name, more = tag[1].lower(), tag[2].strip()
        if name == "a":
            link = _HREF.fullmatch(more)
            return "" if not more or (link is not None and is_inside(link[1])) else "<"
        return "" if name in TAGS and more in ("", "open") else "<"

    def is_inside(address: str) -> bool:
        address = html.unescape(address)
        return address.startswith(allowed) and _UPWARDS.search(address) is None

    is_mention = _MENTION.search(html.unescape(text.replace(BREAK, "\0"))) is not None
    text = text.replace(BREAK, "")
    title, *lines = text.split("\n")
    outside = html.unescape(_CODE.sub("", text))
    links = [*_LINK.findall(text), *_ADDRESS.findall(outside)]
    return (
        "<" in _TAG.sub(left, text)
        or is_mention
        or _NEVER.search(text) is not None
        or _NUMBER.search(outside) is not None
        or not all(map(_LINE.fullmatch, lines if title.startswith("## ") else [title, *lines]))
        or not all(map(is_inside, links))
    )


def main() -> None:
    """Find the pull requests, and give each its comment."""
    sha, owner, branch = (os.environ[name] for name in ("HEAD_SHA", "HEAD_OWNER", "HEAD_BRANCH"))
    allowed = f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}/"
    path = Path(os.environ["COMMENT"])
    body, base = body_of(path, allowed), text_of(path.with_name("base"), LONGEST).strip()
    pulls = github.listed("/pulls", state="open", head=f"{owner}:{branch}")
    found = [one["number"] for one in pulls if one["head"]["sha"] == sha and one["base"]["ref"] == base]
    if not found:
        print(f"{sha[:10]} is the head of no open pull request into what it was compared with: nothing is posted")
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
