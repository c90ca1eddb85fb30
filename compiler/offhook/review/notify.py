"""What became of a NOTIFY to many phones, as text, JSON, CSV and JUnit; and what would be sent: pure functions."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from click import style

from offhook.rollout.calls import Calls, call_to, called
from offhook.rollout.notifying import Result
from offhook.sip.outcome import ANSWERED, NO_ACCOUNT, PASSED_ON
from offhook.texts import count, listed, one_line

_GOOD = (ANSWERED, PASSED_ON)
_COLUMNS = ("mac", "label", "site", "address", "result", "status", "detail", "retry_after", "sends", "also")
_ROWS = 20
_LABEL = 20


def has_failed(one: Result) -> bool:
    """Tell whether a phone that could be told was not. One without an account is nobody's failure."""
    return one.outcome.word not in (*_GOOD, NO_ACCOUNT)


def plan_text(calls: Calls, *, why: str) -> str:
    """Return what would be sent: a line a phone, who else hears it, and who cannot be told."""
    lines = [style(f"{count(calls.phones, 'phone')}: {why}", bold=True)]
    for one in calls.planned:
        for phone in one.phones:
            also = f"  heard by {listed(one.also)}, too" if one.also else ""
            reboot = style("  reboot", fg="yellow") if one.call.reboot else ""
            where = called(one.call) + (f", else {called(call_to(phone.fetched))}" if phone.other else "")
            lines.append(f"  {phone.mac}  {_short(phone.label):<{_LABEL}}  {one_line(where)}{reboot}{also}")
    for refused in calls.refused:
        what = style(f"not told: {refused.outcome.sentence}", fg="yellow")
        lines.append(f"  {refused.phone.mac}  {_short(refused.phone.label):<{_LABEL}}  {what}")
    return "\n".join(lines)


def plan_json(calls: Calls, *, why: str) -> str:
    """Return the same in the shape of schema/output/notify.schema.json, nothing sent."""
    rows = [
        {**_about(phone), "address": called(one.call), "result": "planned", "also": list(one.also)}
        for one in calls.planned
        for phone in one.phones
    ]
    rows += [
        {**_about(one.phone), "address": "", "result": one.outcome.word, "also": list(one.phone.also)}
        for one in calls.refused
    ]
    return _dumped(why, sorted(rows, key=lambda row: str(row["mac"])), whole=True)


def results_text(results: Sequence[Result], *, why: str, whole: bool) -> str:
    """Return how many ended how, then who was not reached and what to do: equal outcomes once."""
    lines = [style(f"{count(len(results), 'phone')}: {why}", bold=True)]
    words: dict[str, list[Result]] = {}
    for one in results:
        words.setdefault(one.outcome.word, []).append(one)
    width = max((len(word) for word in words), default=0)
    for word, found in sorted(words.items(), key=lambda row: (row[0] not in _GOOD, -len(row[1]), row[0])):
        shown = style(f"{word:<{width}}", fg=_color(found[0]))
        lines.append(f"  {shown}  {len(found):>7,}  {found[0].outcome.meaning.sentence}")
    for word, found in words.items():
        if word in _GOOD:
            continue
        lines += ["", style(f"{word}: {found[0].outcome.hint}", fg=_color(found[0]))]
        lines += [
            f"  {one.phone.mac}  {_short(one.phone.label):<{_LABEL}}  {one_line(one.outcome.sentence)}"
            for one in found[:_ROWS]
        ]
        if len(found) > _ROWS:
            lines.append(f"  ... and {len(found) - _ROWS:,} more; --format json has them all")
    if not whole:
        lines += ["", style("stopped before its end: cancelled ones were told, and may fetch", fg="yellow")]
    return "\n".join(lines)


def results_json(results: Sequence[Result], *, why: str, whole: bool) -> str:
    """Return the same in the shape of schema/output/notify.schema.json, with every phone."""
    return _dumped(why, [_row(one) for one in results], whole=whole)


def results_csv(results: Sequence[Result], *, why: str, whole: bool) -> str:
    """Return a row a phone. What a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for one in results:
        row = {**_row(one), "also": " ".join(one.also)}
        writer.writerow([_cell(row.get(column, "")) for column in _COLUMNS])
    return out.getvalue().rstrip("\n")


def results_junit(results: Sequence[Result], *, why: str, whole: bool) -> str:
    """Return JUnit XML: a test case a phone, which fails where it took no NOTIFY, and is skipped without account."""
    from xml.etree import ElementTree

    failures = sum(map(has_failed, results))
    skipped = sum(one.outcome.word == NO_ACCOUNT for one in results)
    about = {"name": "offhook notify", "tests": len(results), "failures": failures, "skipped": skipped}
    suite = ElementTree.Element("testsuite", {word: str(value) for word, value in about.items()})
    for one in results:
        case = ElementTree.SubElement(
            suite, "testcase", name=one.phone.mac, classname=f"notify.{one.phone.site or '-'}"
        )
        if one.outcome.word == NO_ACCOUNT:
            ElementTree.SubElement(case, "skipped", message=one.outcome.sentence)
        elif has_failed(one):
            # XML has no way to write some characters that a stranger's answer may hold
            sentence = one_line(one.outcome.sentence)
            failure = ElementTree.SubElement(case, "failure", type=one.outcome.word, message=sentence)
            failure.text = one.outcome.hint
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


FORMATS: Mapping[str, Callable[..., str]] = {
    "text": results_text,
    "json": results_json,
    "csv": results_csv,
    "junit": results_junit,
}


def _color(one: Result) -> str:
    return "red" if has_failed(one) else "green" if one.outcome.word in _GOOD else "yellow"


def _row(one: Result) -> dict[str, Any]:
    outcome = one.outcome
    return {
        **_about(one.phone),
        "address": one.address,
        "result": outcome.word,
        "status": outcome.status or None,
        "detail": outcome.detail,
        "retry_after": outcome.retry_after_s,
        "sends": outcome.sends,
        "also": list(one.also),
    }


def _about(phone: Any) -> dict[str, Any]:
    return {"mac": phone.mac, "label": phone.label, "site": phone.site}


def _dumped(why: str, rows: Sequence[Mapping[str, Any]], *, whole: bool) -> str:
    return json.dumps({"why": why, "whole": whole, "phones": list(rows)}, indent=1, ensure_ascii=False)


def _cell(value: Any) -> str:
    text = "" if value is None else one_line(str(value))
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def _short(label: str) -> str:
    shown = one_line(label)
    return shown if len(shown) <= _LABEL else f"{shown[: _LABEL - 1]}…"
