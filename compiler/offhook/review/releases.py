"""The releases of an environment as a table and as JSON: `releases`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from click import style

from offhook.git.signatures import spoken
from offhook.publish.releases.audit import Audit, Audited
from offhook.publish.releases.release import Release, release_data
from offhook.texts import one_line

_HEADINGS = ("release", "when (UTC)", "by", "commit", "subject", "signed", "phones", "")
_WIDEST = 44
_ID = 10


def releases_text(audit: Audit) -> str:
    """Return a line for each release, the newest first, under headings; "" where there is none."""
    if not audit.releases:
        return ""
    rows = [tuple(map(_shortened, _row(one))) for one in audit.releases]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    lines = [style(_line(_HEADINGS, widths), bold=True)]
    for row, one in zip(rows, audit.releases, strict=True):
        is_plain = one.is_pushed is not False
        lines.append(_line(row, widths) if is_plain else style(_line(row, widths), fg="yellow"))
    return "\n".join(lines)


def releases_json(audit: Audit) -> str:
    """Return the same, and all that a record holds, in the shape of schema/output/releases.schema.json."""
    releases = [
        {
            **release_data(one.release),
            "record": one.record,
            "subject": one.subject,
            "signature": _signature(one),
            "pushed": one.is_pushed,
        }
        for one in audit.releases
    ]
    answer = {"environment": audit.environment, "complete": audit.is_complete, "releases": releases}
    return json.dumps(answer, indent=1, ensure_ascii=False)


def _row(one: Audited) -> Sequence[str]:
    release = one.release
    return (
        str(release.number),
        release.at[:16].replace("T", " "),
        release.by.partition("<")[0].strip() or release.by,
        release.commit[:_ID] or "work tree",
        _subject(one),
        spoken(one.signature) if one.signature is not None else "",
        _phones(release),
        _remarks(one),
    )


def _subject(one: Audited) -> str:
    if one.subject is not None:
        return one_line(one.subject)
    return "(not in this clone)" if one.release.commit else ""


def _phones(release: Release) -> str:
    counts = (("changed", release.changed), ("added", release.added), ("removed", release.removed))
    return ", ".join(f"{count:,} {what}" for what, count in counts if count) or "none"


def _remarks(one: Audited) -> str:
    release = one.release
    rollback = f"rollback of {release.rollback_of}" if release.rollback_of is not None else ""
    return "; ".join(text for text in (rollback, release.reason, _unpushed(one)) if text)


def _unpushed(one: Audited) -> str:
    return "not pushed yet" if one.is_pushed is False else ""


def _shortened(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (
        text.rjust(width) if at == 0 else text.ljust(width)
        for at, (text, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def _signature(one: Audited) -> dict[str, Any] | None:
    found = one.signature
    if found is None:
        return None
    return {"state": found.state, "kind": found.kind, "signer": found.signer, "detail": found.detail}
