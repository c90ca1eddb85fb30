"""A verification as text, JSON and JUnit: pure functions. Equal differences are told once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from click import style

from offhook.phone.fetch import printable
from offhook.phone.swarm import percentile
from offhook.texts import count, listed
from offhook.verify.compare import EQUAL, NOT_ASKED, SLOW, Verdict
from offhook.verify.verification import Verification

_COLOURS = {EQUAL: "green", SLOW: "yellow", NOT_ASKED: "yellow"}
_PARAMETERS = 8
_GROUPS = 20
_NOTHING = "nothing"


def verify_text(found: Verification) -> str:
    """Return the counts, then the phones that do not get what they should, equal differences once; then warnings."""
    return "\n".join(_lines(found))


def verify_json(found: Verification) -> str:
    """Return the same in the shape of schema/output/verify.schema.json, with every phone."""
    body = {
        "target": found.target,
        "url": found.url,
        "against": found.against,
        "release": found.release or None,
        "commit": found.commit,
        "counts": dict(found.counts),
        "seconds": {"took": round(found.took_s, 3), **_boots(found)},
        "requests": sum(one.requests for one in found.verdicts),
        "bytes": sum(one.size for one in found.verdicts),
        "equal": [one.mac for one in found.verdicts if one.verdict == EQUAL],
        "phones": [_phone(one) for one in found.verdicts if one.verdict != EQUAL],
        "warnings": [{"id": one.id, "message": one.message, "hint": one.hint} for one in found.findings],
        "notes": list(found.notes),
    }
    return json.dumps(body, indent=1, ensure_ascii=False)


def verify_junit(found: Verification) -> str:
    """Return JUnit XML: a test case a phone, which fails where it does not get what it should; warnings as output."""
    from xml.etree import ElementTree

    failed = sum(one.verdict != EQUAL for one in found.verdicts)
    suite = ElementTree.Element(
        "testsuite",
        name=f"offhook verify {found.target}",
        tests=str(len(found.verdicts)),
        failures=str(failed),
        time=f"{found.took_s:.3f}",
    )
    for one in found.verdicts:
        case = ElementTree.SubElement(
            suite, "testcase", name=one.mac, classname=f"verify.{found.target}", time=f"{one.seconds:.3f}"
        )
        if one.verdict != EQUAL:
            failure = ElementTree.SubElement(case, "failure", type=one.verdict, message=one.verdict)
            failure.text = "\n".join(_details(one, folder=_folder(found), mac=""))
    if found.findings or found.notes:
        said = [f"{one.id}: {one.message} ({one.hint})" for one in found.findings]
        ElementTree.SubElement(suite, "system-out").text = "\n".join([*said, *found.notes])
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


FORMATS: Mapping[str, Callable[[Verification], str]] = {
    "text": verify_text,
    "json": verify_json,
    "junit": verify_junit,
}


def _phone(one: Verdict) -> Mapping[str, Any]:
    return {
        "mac": one.mac,
        "verdict": one.verdict,
        "seconds": round(one.seconds, 3),
        "parameters": [part._asdict() for part in one.parameters],
        "more": one.more,
        "files": [file._asdict() for file in one.files],
        "note": one.note,
    }


def _boots(found: Verification) -> Mapping[str, float]:
    times = sorted(one.seconds for one in found.verdicts if one.verdict != NOT_ASKED)
    return {
        "p50": round(percentile(times, 0.5), 4),
        "p99": round(percentile(times, 0.99), 4),
        "max": round(percentile(times, 1.0), 4),
    }


def _folder(found: Verification) -> str:
    return found.url.partition("?")[0].rpartition("/")[0] + "/"


def _lines(found: Verification) -> Iterator[str]:
    total = len(found.verdicts)
    yield f"{style(found.target, bold=True)}  {found.url}  {found.against}"
    yield ""
    for verdict, number in found.counts.items():
        if number or verdict == EQUAL:
            is_good = verdict == EQUAL and number == total
            yield f"{style(verdict.ljust(12), fg=_COLOURS.get(verdict, 'red') if number else None)}" + (
                f"all {count(number, 'phone')}" if is_good and number > 1 else count(number, "phone")
            )
    boots = _boots(found)
    rate = f", {total / found.took_s:,.0f} phones a second" if found.took_s > 1 else ""
    yield style(
        f"a boot took {boots['p50']:.3f} s (median), {boots['p99']:.3f} s (99 of 100), {boots['max']:.3f} s (longest)"
        f"{rate}",
        dim=True,
    )
    yield from _groups(found)
    if found.findings or found.notes:
        yield ""
    for one in found.findings:
        yield f"{style('warning:', fg='yellow')} {one.message}"
        yield style(f"  {one.hint}", dim=True)
    for note in found.notes:
        yield f"{style('note:', fg='yellow')} {note}"


def _groups(found: Verification) -> Iterator[str]:
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for one in found.verdicts:
        if one.verdict not in (EQUAL, NOT_ASKED):
            details = tuple(_details(one, folder=_folder(found), mac="MAC", limit=_PARAMETERS))
            groups.setdefault((one.verdict, details), []).append(one.mac)
    for number, ((verdict, details), macs) in enumerate(groups.items()):
        if number == _GROUPS:
            yield ""
            yield f"and {count(len(groups) - _GROUPS, 'more group')} like these: --format json has them all"
            return
        yield ""
        title = style(verdict, fg=_COLOURS.get(verdict, "red"), bold=True)
        yield f"{title}  {count(len(macs), 'phone')}: {listed(macs)}"
        yield from (f"  {line}" for line in details)


def _details(one: Verdict, *, folder: str, mac: str, limit: int | None = None) -> Iterator[str]:
    """The lines that say what is wrong; with `mac` its own MAC stands so, and equal lines of two phones are equal."""
    for file in one.files:
        name = printable(file.url.removeprefix(folder))
        name = name.replace(one.mac, mac) if mac else name
        message = file.message.replace(one.mac, mac) if mac else file.message
        yield f"{name}: {file.result}{f' ({message})' if message else ''}"
    for part in one.parameters[:limit]:
        yield f"{part.parameter}: expected {_said(part.expected)}, has {_said(part.found)}"
    left = one.more + len(one.parameters[limit:] if limit is not None else ())
    if left:
        yield f"and {count(left, 'more parameter')}"
    if one.verdict == SLOW and not one.files:
        yield "equal, but later than --slow allows"
    if one.note:
        yield one.note.replace(one.mac, mac) if mac else one.note


def _said(value: str | None) -> str:
    if value is None:
        return _NOTHING
    return value if value and value == value.strip() else f'"{value}"'
