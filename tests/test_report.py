"""Problems in the formats of platforms, whole: SARIF, JUnit and GitHub's annotations, whatever a file is called."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import offhook
from offhook.problem import WARNING, Mark, Problem
from offhook.report import github, junit, sarif

PROBLEMS = [
    Problem("unknown-key", Mark("inventory/sites/a b#1 <ü>%.yaml", 3, 5), 'unknown key "x\ufffe"', hint="mend, it"),
    Problem("no-label", Mark("inventory/z.yaml", 1, 1), "a::b", severity=WARNING),
]


def test_sarif_is_what_its_schema_says() -> None:
    """This document is valid by OASIS's schema of SARIF 2.1.0; a path is a URI reference in it."""

    def result(rule: str, level: str, text: str, uri: str, line: int, column: int) -> dict[str, object]:
        region = {"startLine": line, "startColumn": column}
        location = {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}
        return {"ruleId": rule, "level": level, "message": {"text": text}, "locations": [location]}

    rules = [{"id": "no-label"}, {"id": "unknown-key"}]
    assert json.loads(sarif(PROBLEMS)) == {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "offhook", "version": offhook.__version__, "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "results": [
                    result(
                        "unknown-key",
                        "error",
                        'unknown key "x\ufffe"\nmend, it',
                        "inventory/sites/a%20b%231%20%3C%C3%BC%3E%25.yaml",
                        3,
                        5,
                    ),
                    result("no-label", "warning", "a::b", "inventory/z.yaml", 1, 1),
                ],
            }
        ],
    }


def test_junit_is_well_formed() -> None:
    suite = ElementTree.fromstring(junit(PROBLEMS))
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    first, second = suite
    assert first.attrib == {
        "name": 'inventory/sites/a b#1 <ü>%.yaml:3:5: unknown key "x\\ufffe"',
        "classname": "unknown-key",
    }
    assert first[0].get("message") == 'unknown key "x\\ufffe"'
    assert first[0].text == 'unknown key "x\\ufffe"\nmend, it'
    assert (second[0].tag, second[0].text) == ("system-out", "a::b")
    assert ElementTree.fromstring(junit([])).get("tests") == "1"


def test_an_annotation_is_one_line() -> None:
    assert github(PROBLEMS[::-1]).splitlines() == [  # errors first
        "::error file=inventory/sites/a b#1 <ü>%25.yaml,line=3,col=5,title=unknown-key"
        '::unknown key "x\ufffe"%0Amend, it',
        "::warning file=inventory/z.yaml,line=1,col=1,title=no-label::a::b",
    ]
