"""A report as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from offhook.publish.releases.evidence import Altered, Evidence, Phone, Wrote


def report_json(found: Sequence[Evidence]) -> str:
    """Return a report, whose releases are the oldest first, in the shape of schema/output/report.schema.json."""
    answer = {"environment": found[0].release.environment, "releases": [_release(one) for one in found]}
    return json.dumps(answer, indent=1, ensure_ascii=False)


def _release(one: Evidence) -> dict[str, Any]:
    release = one.release
    return {
        "number": release.number,
        "at": release.at,
        "by": release.by,
        "commit": release.commit,
        "where": release.where,
        "version": release.version,
        "sealed": release.sealed,
        "reason": release.reason,
        "rollback_of": release.rollback_of,
        "before": one.before.number if one.before is not None else None,
        "commits": [_commit(commit) for commit in one.commits],
        "rules": list(one.rules),
        "notes": list(one.notes),
        "phones": [_phone(phone) for phone in one.phones],
    }


def _commit(one: Wrote) -> dict[str, Any]:
    signature = one.signature
    return {
        "commit": one.id,
        "author": one.author,
        "email": one.email,
        "at": one.at,
        "subject": one.subject,
        "review": one.review,
        "signature": {
            "state": signature.state,
            "kind": signature.kind,
            "signer": signature.signer,
            "detail": signature.detail,
        },
        "undone": one.undone,
    }


def _phone(one: Phone) -> dict[str, Any]:
    return {
        "mac": one.mac,
        "status": one.status or None,
        "model": one.model,
        "site": one.site,
        "carried": one.is_carried,
        "commits": list(one.commits),
        "changes": [_change(change) for change in one.changes],
        "told": {name: value for name, value in asdict(one.told).items() if name != "mac"} if one.told else None,
    }


def _change(one: Altered) -> dict[str, Any]:
    row = {"parameter": one.parameter, "old": one.old, "new": one.new, "commits": list(one.commits)}
    return row | ({"secret": one.secret} if one.secret else {})
