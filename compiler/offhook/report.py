"""Problems as text, GitHub annotations, JSON, SARIF and JUnit: pure functions from problems to text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from offhook import __version__
from offhook.problem import ERROR, Problem
from offhook.texts import visible


def text(problems: Sequence[Problem]) -> str:
    """Return one line a problem, its hint indented below: `file:line:column: message [id]`."""
    from click import style

    lines = []
    for problem in problems:
        color = "red" if problem.severity == ERROR else "yellow"
        severity = "" if problem.severity == ERROR else f"{style(problem.severity, fg=color)}: "
        lines.append(
            f"{style(str(problem.mark), bold=True)}: {severity}{problem.message} {style(f'[{problem.id}]', fg=color)}"
        )
        if problem.hint:
            lines.append(style(f"  {problem.hint}", dim=True))
    return "\n".join(lines)


def summary(problems: Sequence[Problem], phones: int) -> str:
    """Return the closing line: "12 phones, 2 errors, 1 warning"."""
    errors = sum(problem.severity == ERROR for problem in problems)
    parts = [_count(phones, "phone"), _count(errors, "error"), _count(len(problems) - errors, "warning")]
    return ", ".join(parts)


def placed(problems: Iterable[Problem], prefix: str) -> list[Problem]:
    """Return problems with their files as seen from the repository's top; `prefix` leads to the fleet, "fleet/"."""
    if not prefix:
        return list(problems)
    return [replace(one, mark=replace(one.mark, file=prefix + one.mark.file)) for one in problems]


def github(problems: Sequence[Problem]) -> str:
    """Return GitHub workflow commands, which annotate the changed files of a pull request.

    Errors come first: of one step GitHub shows ten errors and ten warnings, and the first few of a whole run.
    """
    return "\n".join(
        f"::{'error' if problem.severity == ERROR else 'warning'} "
        f"file={_property(problem.mark.file)},line={problem.mark.line},col={problem.mark.column},"
        f"title={_property(problem.id)}::{_data(_with_hint(problem))}"
        for problem in sorted(problems, key=lambda one: one.severity != ERROR)
    )


def as_json(problems: Sequence[Problem]) -> str:
    """Return `{"problems": [...]}`; the shape is in schema/output/check.schema.json."""
    rows = [
        {
            "id": problem.id,
            "severity": problem.severity,
            "file": problem.mark.file,
            "line": problem.mark.line,
            "column": problem.mark.column,
            "path": problem.path,
            "message": problem.message,
            "hint": problem.hint,
        }
        for problem in problems
    ]
    return json.dumps({"problems": rows}, indent=1, ensure_ascii=False)


def sarif(problems: Sequence[Problem]) -> str:
    """Return SARIF 2.1.0, which code scanning services read; paths are URIs there (3.4.3)."""
    from urllib.parse import quote

    results: list[dict[str, Any]] = [
        {
            "ruleId": problem.id,
            "level": "error" if problem.severity == ERROR else "warning",
            "message": {"text": _with_hint(problem)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": quote(problem.mark.file)},
                        "region": {"startLine": problem.mark.line, "startColumn": problem.mark.column},
                    }
                }
            ],
        }
        for problem in problems
    ]
    rules = [{"id": identifier} for identifier in sorted({problem.id for problem in problems})]
    driver = {"name": "offhook", "version": __version__, "rules": rules}
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }
    return json.dumps(document, indent=1, ensure_ascii=False)


def junit(problems: Sequence[Problem]) -> str:
    """Return JUnit XML: a test case a problem; errors are failures, warnings are said in system-out."""
    from xml.etree import ElementTree

    errors = [problem for problem in problems if problem.severity == ERROR]
    suite = ElementTree.Element(
        "testsuite", name="offhook check", tests=str(max(len(problems), 1)), failures=str(len(errors))
    )
    if not problems:
        ElementTree.SubElement(suite, "testcase", name="inventory", classname="offhook")
    for problem in problems:
        # platforms tell cases apart by their names, and take one of those that share one
        name = f"{problem.mark}: {visible(problem.message)}"
        case = ElementTree.SubElement(suite, "testcase", name=name, classname=problem.id)
        tag = "failure" if problem.severity == ERROR else "system-out"
        inner = ElementTree.SubElement(case, tag)
        # what does not print may not even stand in XML
        inner.text = "\n".join(map(visible, _with_hint(problem).split("\n")))
        if tag == "failure":
            inner.set("message", visible(problem.message))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


FORMATS: dict[str, Callable[[Sequence[Problem]], str]] = {
    "text": text,
    "github": github,
    "json": as_json,
    "sarif": sarif,
    "junit": junit,
}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _with_hint(problem: Problem) -> str:
    return f"{problem.message}\n{problem.hint}" if problem.hint else problem.message


def _data(value: str) -> str:
    """Escaping of a workflow command's message."""
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    """Escaping of a workflow command's property."""
    return _data(value).replace(":", "%3A").replace(",", "%2C")
