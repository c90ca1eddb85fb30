"""A report as one self-contained page to read, to print and to keep: no network, no script.

Comes in: evidence. Goes out: HTML. What users wrote is escaped by the template, and the page's own policy lets no style
run but its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from offhook.git.signatures import spoken
from offhook.publish.releases.evidence import Evidence
from offhook.publish.releases.told import REACHED
from offhook.review.page.assets import asset, policy, template
from offhook.review.report.words import Alike, alike, answer, author, headline, moment, remark, source, title
from offhook.texts import one_line, visible

_FEW = 24
"""So many phones are shown unfolded."""


def report_page(found: Sequence[Evidence]) -> str:
    """Return the page; releases are the oldest first."""
    style = asset("page.css") + asset("report.css")
    return template("report.html.j2").render(
        title=title(found), releases=[_release(one) for one in found], style=style, policy=policy(style), few=_FEW
    )


def _release(one: Evidence) -> dict[str, Any]:
    release = one.release
    return {
        "number": release.number,
        "published": moment(release.at),
        "by": one_line(release.by),
        "commit": release.commit,
        "before": (one.before.number, source(one.before)) if one.before is not None else None,
        "rollback_of": release.rollback_of,
        "reason": visible(release.reason),
        "where": visible(release.where),
        "version": visible(release.version),
        "sealed": release.sealed,
        "rules": [visible(line) for line in one.rules],
        "notes": [visible(line) for line in one.notes],
        "commits": [
            {
                "id": commit.id,
                "at": moment(commit.at),
                "author": author(commit),
                "subject": one_line(commit.subject),
                "review": commit.review,
                "signature": spoken(commit.signature),
                "state": commit.signature.state,
                "detail": visible(commit.signature.detail),
                "undone": commit.undone,
            }
            for commit in one.commits
        ],
        "phones": len(one.phones),
        "summary": _summary(one),
        "groups": [_group(group, one) for group in alike(one.phones)],
    }


def _summary(one: Evidence) -> list[tuple[str, int]]:
    """How many phones came, changed and went, and how many are known to know of it."""
    statuses = Counter(phone.status or "not changed" for phone in one.phones)
    told = sum(phone.told is not None and phone.told.state in REACHED for phone in one.phones)
    order = ("changed", "added", "removed", "not changed")
    return [(word, statuses[word]) for word in order if statuses[word]] + [("told", told)]


def _group(group: Alike, evidence: Evidence) -> dict[str, Any]:
    phone = group.example
    return {
        "headline": headline(group),
        "remark": remark(phone, evidence),
        "commits": phone.commits,
        "changes": [
            {
                "parameter": visible(change.parameter),
                "old": None if change.old is None else visible(change.old),
                "new": None if change.new is None else visible(change.new),
                "secret": change.secret,
                "commits": change.commits,
            }
            for change in phone.changes
        ],
        "phones": [
            (
                one.mac,
                visible(one.site),
                visible(one.model),
                moment(one.told.at) if one.told else "",
                answer(one.told),
                str(one.told.wave or "") if one.told else "",
            )
            for one in group.phones
        ],
    }
