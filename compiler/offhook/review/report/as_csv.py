"""A report as CSV (RFC 4180, UTF-8): a row for each phone and parameter.

A spreadsheet takes a cell that begins with = + - @, a tab or a carriage return for a formula, whoever wrote it: such
cells get an apostrophe in front (OWASP, "CSV Injection").
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO

from offhook.git.signatures import spoken
from offhook.publish.releases.evidence import Altered, Evidence, Phone, Wrote
from offhook.review.report.words import author
from offhook.texts import visible

COLUMNS = (
    *("environment", "release", "published", "released_by", "mac", "site", "model", "status"),
    *("parameter", "old", "new", "secret", "commits", "changed_by", "reviews", "signatures"),
    *("told_at", "told", "sip_status", "why", "wave"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def report_csv(found: Sequence[Evidence]) -> str:
    """Return the rows under COLUMNS, by release, MAC and parameter; lines end with CR LF."""
    written = StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(COLUMNS)
    for one in found:
        writers = {commit.id: commit for commit in one.commits}
        writer.writerows([_harmless(cell) for cell in row] for row in _rows(one, writers))
    return written.getvalue()


def _rows(one: Evidence, writers: Mapping[str, Wrote]) -> Iterator[tuple[str, ...]]:
    release = one.release
    start = (release.environment, str(release.number), release.at, release.by)
    for phone in one.phones:
        about = (phone.mac, phone.site, phone.model, phone.status)
        end = _told(phone)
        for change in phone.changes or (None,):
            ids = phone.commits if change is None else change.commits
            yield (*start, *about, *_values(change), *_brought([writers[commit] for commit in ids]), *end)


def _values(change: Altered | None) -> tuple[str, str, str, str]:
    if change is None:
        return "", "", "", ""
    return change.parameter, change.old or "", change.new or "", change.secret


def _brought(commits: Sequence[Wrote]) -> tuple[str, str, str, str]:
    """Commits, authors, pull requests and signatures: as many of each, so that they can be told apart."""
    return (
        "; ".join(one.id for one in commits),
        "; ".join(map(author, commits)),
        "; ".join(one.review or "none" for one in commits),
        "; ".join(spoken(one.signature) for one in commits),
    )


def _told(phone: Phone) -> tuple[str, ...]:
    told = phone.told
    if told is None:
        return "", "", "", "", ""
    return told.at, told.state, str(told.status or ""), told.why, str(told.wave or "")


def _harmless(cell: str) -> str:
    text = visible(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text
