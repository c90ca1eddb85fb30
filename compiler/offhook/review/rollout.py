"""A campaign for people and programs: how far it is, and what became of each phone. Pure functions."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from click import style

from offhook.rollout.campaign.gate import counts
from offhook.rollout.campaign.progress import (
    ANSWERED,
    ENDED,
    FETCHED,
    GAVE_UP,
    OLD,
    PAUSED,
    QUEUED,
    REGISTERED,
    REVERTING,
    RUNNING,
    SENT,
    STOPPED,
    SWITCHED,
    SWITCHING,
    UNTOLD,
    VERIFIED,
    WRONG,
    PhoneState,
    Progress,
)
from offhook.rollout.campaign.steps import Action, Switch, Verify, Wait
from offhook.rollout.running.keeping import Campaign
from offhook.sip.outcome import next_step
from offhook.texts import count, one_line

STATES = (
    *(QUEUED, SWITCHING, SWITCHED, VERIFIED, SENT, ANSWERED),
    *(FETCHED, REGISTERED, GAVE_UP, UNTOLD, WRONG),
)
"""What may be said of a phone, in the order of reports."""

_COLUMNS = ("mac", "label", "site", "model", "wave", "configuration", "state", "status", "why", "hint")
_UNREACHED = (QUEUED, SWITCHING, SWITCHED, VERIFIED, SENT, UNTOLD)
WINDOW = "window"
"""What a campaign waits for that nobody works on, and machines may go on with; "" where that is a person's to say."""

_LEFT = {"": "nobody works on it", WINDOW: "it waits for a maintenance window"}
_NAMED = 10
_LABEL = 20
_CONDITIONS = {
    RUNNING: ("is under way", "cyan"),
    PAUSED: ("is paused", "yellow"),
    STOPPED: ("has stopped", "red"),
    REVERTING: ("is being reverted", "yellow"),
    ENDED: ("is done", "green"),
}


def status_text(
    campaign: Campaign, progress: Progress, *, why: str = "", worked_on: bool = False, waits: str = ""
) -> str:
    """Return how far a campaign is: in words, a line a wave, who failed and why, and what to do next.

    `worked_on` tells that a process works on it now; one that runs by its journal, and nobody works on, is left.
    `waits` is `WINDOW` where the last run ended only because a maintenance window is waited for.
    """
    is_back = progress.reverted
    is_left = progress.condition in (RUNNING, REVERTING) and not worked_on
    words, color = (
        ("is reverted", "yellow") if is_back and progress.condition == ENDED else _CONDITIONS[progress.condition]
    )
    if is_left:
        words, color, why = "is not done", "yellow", why or _LEFT[waits]
    reason = why or progress.why
    head = f"{campaign.environment}: the rollout of release {campaign.release} {words}"
    lines = [style(head, fg=color, bold=True) + (f": {one_line(reason)}" if reason else "")]
    lines += _waves(campaign, progress)
    lines += _failed(campaign, progress)
    if progress.condition in (STOPPED, PAUSED) or is_left:
        lines += ["", _who_has_what(campaign, progress)]
    return "\n".join([*lines, *_next(campaign, progress, is_left=is_left)])


def status_json(
    campaign: Campaign, progress: Progress, *, why: str = "", worked_on: bool = False, waits: str = ""
) -> str:
    """Return the same in the shape of schema/output/rollout.schema.json, with every phone."""
    body = {
        "environment": campaign.environment,
        "campaign": campaign.id,
        "release": campaign.release,
        "before": campaign.before,
        "commit": campaign.commit,
        "at": campaign.at,
        "by": campaign.by,
        "condition": progress.condition,
        "worked_on": worked_on,
        "waits": waits,
        "reverted": progress.reverted,
        "why": why or progress.why,
        "waves": [_wave_data(campaign, progress, number) for number in range(len(campaign.waves))],
        "phones": list(rows(campaign, progress)),
    }
    return json.dumps(body, indent=1, ensure_ascii=False)


def status_csv(
    campaign: Campaign, progress: Progress, *, why: str = "", worked_on: bool = False, waits: str = ""
) -> str:
    """Return a row a phone. What a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows(campaign, progress):
        writer.writerow([_cell(row[column]) for column in _COLUMNS])
    return out.getvalue().rstrip("\n")


def status_junit(
    campaign: Campaign, progress: Progress, *, why: str = "", worked_on: bool = False, waits: str = ""
) -> str:
    """Return JUnit XML: a test case a phone, which fails where it failed, and is skipped where it has no outcome."""
    from xml.etree import ElementTree

    found = list(rows(campaign, progress))
    failures = sum(row["state"] in (GAVE_UP, WRONG) for row in found)
    skipped = sum(row["state"] in _UNREACHED for row in found)
    about = {"name": "offhook deploy", "tests": len(found), "failures": failures, "skipped": skipped}
    suite = ElementTree.Element("testsuite", {word: str(value) for word, value in about.items()})
    for row in found:
        case = ElementTree.SubElement(
            suite, "testcase", name=row["mac"], classname=f"wave-{row['wave']}.{row['site'] or '-'}"
        )
        if row["state"] in _UNREACHED:
            ElementTree.SubElement(case, "skipped", message=row["why"] or row["state"])
        elif row["state"] in (GAVE_UP, WRONG):
            ElementTree.SubElement(case, "failure", type=row["state"], message=row["why"]).text = row["hint"]
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


FORMATS: Mapping[str, Callable[..., str]] = {
    "text": status_text,
    "json": status_json,
    "csv": status_csv,
    "junit": status_junit,
}


def metrics(campaign: Campaign, progress: Progress, *, worked_on: bool = False) -> str:
    """Return a text file for Prometheus' node_exporter (textfile collector): gauges of one campaign."""
    states = Counter(progress.of(mac).state for mac in campaign.targets)
    gauges: dict[str, tuple[str, dict[str, int]]] = {
        "phones": (
            "Phones of the last rollout, by how far they are.",
            {f',state="{state}"': states[state] for state in STATES},
        ),
        "failed": ("Phones that count against the budget of failures.", {"": len(progress.failed)}),
        "release": ("The release that is rolled out.", {"": campaign.release}),
        "condition": (
            "How the rollout stands: 1 for what holds.",
            {f',condition="{one}"': int(one == progress.condition) for one in _CONDITIONS},
        ),
        "worked_on": ("Whether a process works on it now: 1 or 0.", {"": int(worked_on)}),
    }
    lines = []
    for name, (meaning, values) in gauges.items():
        full = f"offhook_rollout_{name}"
        lines += [f"# HELP {full} {meaning}", f"# TYPE {full} gauge"]
        lines += [f'{full}{{environment="{campaign.environment}"{more}}} {value}' for more, value in values.items()]
    return "\n".join(lines) + "\n"


def rows(campaign: Campaign, progress: Progress) -> Iterator[dict[str, Any]]:
    """Give each phone as plain data, by wave and MAC."""
    for wave in campaign.waves:
        for mac in sorted(wave.macs):
            target, one = campaign.targets[mac], progress.of(mac)
            yield {
                "mac": mac,
                "label": target.label,
                "site": target.site,
                "model": target.model,
                "wave": wave.number,
                "configuration": _configuration(one),
                "state": one.state,
                "status": one.status or None,
                "why": one_line(one.why),
                "hint": _hint(one),
            }


def action_line(action: Action) -> str:
    """Return what is done next, on a line; "" for what is not worth one."""
    if isinstance(action, Switch):
        return f"switching {count(len(action.macs), 'phone')}{' back' if action.to == OLD else ''}"
    if isinstance(action, Verify):
        return f"looking at what {count(len(action.macs), 'phone')} would fetch"
    if isinstance(action, Wait) and action.until is not None:
        return one_line(action.why)
    return ""


def _configuration(one: PhoneState) -> str:
    """Which of the two a phone would fetch; "unsure" where its switch was begun, and nobody saw how it ended."""
    if one.to and not one.switched:
        return "unsure"
    return "old" if one.to in ("", OLD) else "new"


def _who_has_what(campaign: Campaign, progress: Progress) -> str:
    has = Counter(_configuration(progress.of(mac)) for mac in campaign.targets)
    sure = f"{count(has['new'], 'phone')} {'has' if has['new'] == 1 else 'have'} the new configuration, {has['old']:,} "
    sure += "the old one"
    return f"{sure}, {has['unsure']:,} were being switched and may have either" if has["unsure"] else sure


def _hint(one: PhoneState) -> str:
    """What to do about a phone that failed, "" for others."""
    if not one.has_failed:
        return ""
    if one.state == WRONG:
        return "mend what the server hands out: resume looks at it again, revert takes it back"
    return next_step(one.why.partition(":")[0], one.status)


def _waves(campaign: Campaign, progress: Progress) -> list[str]:
    width = max((len(one_line(wave.name)) for wave in campaign.waves), default=0)
    lines = []
    for wave in campaign.waves:
        states = Counter(progress.of(mac).state for mac in wave.macs)
        told = ", ".join(f"{states[state]:,} {state}" for state in STATES if states[state])
        mark = style("passed", fg="green") if wave.number in progress.passed else "      "
        lines.append(f"  {wave.number}  {one_line(wave.name):<{width}}  {len(wave.macs):>7,}  {mark}  {told}")
    return lines


def _failed(campaign: Campaign, progress: Progress) -> Iterator[str]:
    """Who failed, equal reasons together."""
    found: dict[str, list[str]] = {}
    for mac in sorted(campaign.targets):
        one = progress.of(mac)
        if one.has_failed:
            found.setdefault(one_line(one.why), []).append(mac)
    for why, macs in sorted(found.items(), key=lambda row: (-len(row[1]), row[0])):
        yield ""
        yield style(f"{count(len(macs), 'phone')}: {why}", fg="red")
        hint = _hint(progress.of(macs[0]))
        if hint:
            yield f"  {hint}"
        for mac in macs[:_NAMED]:
            target = campaign.targets[mac]
            yield f"  {mac}  {_short(target.label):<{_LABEL}}  {target.site}".rstrip()
        if len(macs) > _NAMED:
            yield f"  ... and {len(macs) - _NAMED:,} more; --format json has them all"


def _next(campaign: Campaign, progress: Progress, *, is_left: bool) -> list[str]:
    name = campaign.environment
    on, back = [f"go on:    offhook rollout resume {name}"], [f"go back:  offhook rollout revert {name}"]
    back = back if campaign.before else []  # before its first release there is nothing
    if progress.condition == STOPPED:
        return ["", *back, *on]
    if progress.condition == REVERTING:
        return ["", *back] if is_left else []
    return ["", *on, *back] if progress.condition == PAUSED or is_left else []


def _wave_data(campaign: Campaign, progress: Progress, index: int) -> dict[str, Any]:
    wave = campaign.waves[index]
    counted = counts(wave.macs, progress)
    return {
        "number": wave.number,
        "name": wave.name,
        "phones": counted.phones,
        "notified": counted.notified,
        "answered": counted.answered,
        "fetched": counted.fetched,
        "registered": counted.registered,
        "failed": counted.failed,
        "passed": wave.number in progress.passed,
    }


def _cell(value: Any) -> str:
    text = "" if value is None else one_line(str(value))
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def _short(label: str) -> str:
    shown = one_line(label)
    return shown if len(shown) <= _LABEL else f"{shown[: _LABEL - 1]}…"
