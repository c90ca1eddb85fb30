"""A commit as people read it: who, when and why, whatever encoding or clock wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit. `when` is the author's time in seconds since 1970, `offset` minutes east of UTC; `committed` is the
    committer's time.

    `boundary` tells that a shallow clone ends here: the parents exist, and are not in this repository.
    """

    id: str
    parents: tuple[str, ...]
    author: str
    email: str
    when: int
    offset: int
    committed: int
    message: str
    boundary: bool

    @property
    def date(self) -> str:
        """Return the author's time as 2026-11-23 10:21 +0100. A time that cannot be is 1970, as git shows it."""
        try:
            moment = datetime.fromtimestamp(self.when, timezone(timedelta(minutes=self.offset)))
        except (ValueError, OverflowError, OSError):
            moment = datetime.fromtimestamp(0, UTC)
        return moment.strftime("%Y-%m-%d %H:%M %z")

    @property
    def subject(self) -> str:
        """Return the first line of the message."""
        return self.message.strip().partition("\n")[0].strip()


def commit_of(found: Any, *, is_shallow: bool) -> Commit:
    """Return libgit2's commit as plain data; `is_shallow` tells whether its repository is a shallow clone."""
    parents = tuple(str(one) for one in found.parent_ids)
    # libgit2 shows a shallow clone as if history ended there; the commit itself still names its parents
    boundary = not parents and is_shallow and b"\nparent " in found.read_raw().partition(b"\n\n")[0]
    author = found.author
    encoding = found.message_encoding
    return Commit(
        str(found.id),
        parents,
        _decoded(author.raw_name, encoding),
        _decoded(author.raw_email, encoding),
        author.time,
        author.offset,
        found.commit_time,
        _decoded(found.raw_message, encoding),
        boundary,
    )


def _decoded(raw: bytes, encoding: str | None) -> str:
    """A commit's text: in the encoding that it names, UTF-8 otherwise ("Discussion", git-commit(1)).

    What is not in that encoding is replaced, as are halves of surrogate pairs: history is shown whatever it holds.
    """
    try:
        text = raw.decode(encoding or "utf-8")
    except (LookupError, ValueError):
        text = raw.decode("utf-8", "replace")
    return text.encode("utf-8", "replace").decode("utf-8")
