"""Plans, outcomes and drift of publishing, as text and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from click import style

from offhook.diff.change import Diff
from offhook.publish.carry.carrying import Outcome
from offhook.publish.places import Place
from offhook.publish.plan.limits import Verdict
from offhook.publish.plan.prepared import Prepared
from offhook.publish.plan.saved_plan import SavedPlan, plan_identity
from offhook.publish.status import Drift
from offhook.review.diff_json import diff_json
from offhook.review.diff_text import diff_text, summary
from offhook.texts import count, listed

_SHOWN = 20


def plan_text(prepared: Prepared) -> str:
    """Return what a publish would do: the phones first, then files, limits and warnings."""
    return "\n".join(_plan_lines(prepared))


def plan_json(
    prepared: Prepared,
    plan: SavedPlan,
    outcome: Outcome | None = None,
    *,
    forecast: Mapping[str, Any] | None = None,
) -> str:
    """Return the same in the shape of schema/output/publish.schema.json; it is also the file of a saved plan.

    `outcome` is what was done, None where nothing was. `forecast` says how a rollout will go.
    """
    steps, moved, diff = prepared.steps, prepared.moved, prepared.diff
    body: dict[str, Any] = {
        **plan_identity(plan),
        "before": prepared.manifest.release,
        "writes": list(steps.writes),
        "deletes": list(steps.deletes),
        "phones": {"added": list(moved.added), "removed": list(moved.removed), "changed": list(moved.changed)},
        "limits": [_verdict(one) for one in prepared.verdicts],
        "strangers": list(prepared.strangers),
        "keeps": _keeps(diff),
        "diff": json.loads(diff_json(diff)) if diff is not None else None,
        "warnings": [*prepared.warnings, *(outcome.warnings if outcome else ())],
        "done": None,
        "forecast": forecast,
    }
    if outcome is not None:
        body["done"] = {
            "release": outcome.release,
            "new": outcome.is_new,
            "written": outcome.written,
            "deleted": outcome.deleted,
        }
    return json.dumps(body, indent=1, ensure_ascii=False)


def done_text(prepared: Prepared, outcome: Outcome) -> str:
    """Return the line that a publish ends with."""
    name = prepared.place.name
    if not (outcome.is_new or outcome.written or outcome.deleted):
        return f"{name}: nothing to do, release {outcome.release} is there"
    moved = prepared.moved
    phones = f"{count(len(moved.changed), 'phone')} changed, {len(moved.added):,} added, {len(moved.removed):,} removed"
    files = f"{count(outcome.written, 'file')} written, {outcome.deleted:,} deleted"
    return f"{name}: release {outcome.release}, {files}; {phones}"


def drift_text(drift: Drift, place: Place, ahead: Diff | None) -> str:
    """Return how a root differs from what was published, and what the revision would change."""
    return "\n".join(_drift_lines(drift, place, ahead))


def drift_json(drift: Drift, place: Place, ahead: Diff | None) -> str:
    """Return the same in the shape of schema/output/status.schema.json."""
    body = {
        "root": place.name,
        "drift": drift.is_drift,
        "release": drift.manifest.release,
        "commit": drift.manifest.commit,
        "at": drift.manifest.at,
        "by": drift.manifest.by,
        "files": len(drift.manifest.files),
        "changed": list(drift.changed),
        "missing": list(drift.missing),
        "strangers": list(drift.strangers) if drift.strangers_known else None,
        "stopped": drift.intent.owner if drift.intent else None,
        "rollout": (drift.stuck or "stands") if drift.intent and drift.intent.campaign else None,
        "waiting": [phone.mac for phone in ahead.phones] if ahead is not None else None,
    }
    return json.dumps(body, indent=1, ensure_ascii=False)


def _plan_lines(prepared: Prepared) -> Iterator[str]:
    environment, commit = prepared.place.environment.name, prepared.commit
    former = prepared.manifest
    now = f"commit {commit[:10]}" if commit else "the work tree"
    before = f"release {former.release} of {former.at}" if former.release else "nothing was published there yet"
    yield f"{style(environment, bold=True)}  {prepared.place.name}  {now}; {before}"
    yield ""
    if prepared.diff is not None:
        text = diff_text(prepared.diff)
        if text:
            yield text
            yield summary(prepared.diff)
            yield ""
        known = {phone.mac for phone in prepared.diff.phones}
        rotated = [mac for mac in prepared.moved.changed if mac not in known]
        if rotated:
            yield f"{count(len(rotated), 'phone')} with nothing but other secrets: {listed(rotated)}"
            yield ""
    steps, moved = prepared.steps, prepared.moved
    rows = [
        ("phones", f"{len(moved.changed):,} changed, {len(moved.added):,} added, {len(moved.removed):,} removed"),
        ("files", _files(prepared)),
    ]
    rows += (
        [
            (
                "adopt",
                f"{count(len(prepared.strangers), 'file')} that offhook did not write: {listed(prepared.strangers)}",
            )
        ]
        if prepared.strangers
        else []
    )
    for word, text in rows:
        yield f"{word.ljust(8)}{text}"
    yield from _limit_lines(prepared.verdicts)
    for warning in prepared.warnings:
        yield f"{style('warning', fg='yellow')} {warning}"
    if steps.is_nothing and not prepared.is_release:
        yield style("nothing to do", fg="green")


def _files(prepared: Prepared) -> str:
    steps = prepared.steps
    parts = [f"{len(steps.writes):,} to write", f"{len(steps.deletes):,} to delete"]
    if steps.superseded:
        parts.append(f"{len(steps.superseded):,} that stay for an hour")
    return ", ".join(parts)


def _limit_lines(verdicts: Sequence[Verdict]) -> Iterator[str]:
    for number, verdict in enumerate(verdicts):
        word = "limits" if number == 0 else ""
        sign = style("exceeded", fg="red", bold=True) if verdict.exceeded else style("ok", fg="green")
        override = f"  ({' '.join(f'--allow {one}' for one in verdict.overrides)})" if verdict.overrides else ""
        yield f"{word.ljust(8)}{sign}  {verdict.message}{override}"


def _drift_lines(drift: Drift, place: Place, ahead: Diff | None) -> Iterator[str]:
    manifest = drift.manifest
    commit = f"commit {manifest.commit[:10]}" if manifest.commit else "a work tree"
    released = f"release {manifest.release} of {manifest.at} by {manifest.by}, {commit}"
    yield f"{place.name}: {released if manifest.release else 'nothing was published yet'}"
    for word, paths, colour in (
        ("changed by hand", drift.changed, "red"),
        ("missing", drift.missing, "red"),
        ("stranger", drift.strangers, "yellow"),
    ):
        for path in paths[:_SHOWN]:
            yield f"{style(word.ljust(16), fg=colour)}{path}"
        if len(paths) > _SHOWN:
            yield f"{' ' * 16}and {count(len(paths) - _SHOWN, 'more file')}"
    if drift.intent is not None:
        what, how = "publish", "is under way, or was stopped"
        if drift.intent.campaign:
            what, how = "rollout", drift.stuck or "stands"
        yield style(f"a {what} by {drift.intent.owner} {how}: {drift.unsure:,} files are not sure", fg="yellow")
        if drift.intent.campaign:
            yield f"offhook rollout status {place.environment.name} says how far it is"
    if not drift.strangers_known:
        yield "this root cannot be listed: strangers are not known"
    if not manifest.release:
        return
    if not drift.is_drift:
        yield style(f"the root holds what was published: {count(len(manifest.files), 'file')}", fg="green")
    if ahead is None:
        yield "what the revision would change is not known: the released commit is not in this clone"
    elif ahead.phones or ahead.phonebooks:
        yield f"not deployed yet: {summary(ahead)}"
    else:
        yield style("the revision is deployed", fg="green")


def _verdict(verdict: Verdict) -> Mapping[str, Any]:
    return {
        "limit": verdict.limit,
        "phones": verdict.phones,
        "allowed": verdict.allowed,
        "exceeded": verdict.exceeded,
        "message": verdict.message,
        "overrides": [str(one) for one in verdict.overrides],
    }


def _keeps(diff: Diff | None) -> Mapping[str, list[str]]:
    """What phones keep because nothing says it any more: MAC -> parameters."""
    if diff is None:
        return {}
    kept = {phone.mac: [one.parameter for one in phone.changes if one.new is None] for phone in diff.phones}
    return {mac: names for mac, names in kept.items() if names}
