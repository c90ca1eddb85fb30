"""A change of every phone in its own way: the comment is valid and within its limit, the JSON exact, the page opens."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

import inventories
from markdown import is_only_text, read
from offhook.diff import Diff, diff
from offhook.review.comment import LIMITS, comment
from offhook.review.diff_json import diff_json
from offhook.review.links import Links
from offhook.review.page import PICTURED
from offhook.review.page.page import LIMIT, page
from offhook.store import Store
from test_comment import change, different
from test_diff import expected_rows, rebuilt

SIZES = [300, pytest.param(20_000, marks=pytest.mark.long)]


@pytest.fixture(scope="module", params=SIZES)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Diff:
    folder = tmp_path_factory.mktemp("size")
    change(folder, *different(request.param, "😀"))
    return diff(folder / "fleet", "HEAD~1", "HEAD", store=Store(None), pictured=PICTURED)


@pytest.mark.parametrize("platform", ["github", "gitlab"])
def test_the_comment_is_valid_and_within_its_limit(found: Diff, platform: str) -> None:
    links = Links("https://github.com/acme/phones/blob", platform=platform)
    text = comment(found, links, artifact="https://example.com/whole")
    assert len(text) <= len(text.encode("utf-16-le")) // 2 <= LIMITS[platform]
    said = read(text)
    is_only_text(said)
    assert f"and {len(found.phones) - 100:,} more kinds of change" in text
    assert f"| <code>berlin</code> | {len(found.phones):,} |" in text
    assert said.links[-1] == "https://example.com/whole"
    assert said.tags["details"] >= 10


def test_the_json_has_it_all(found: Diff) -> None:
    text = diff_json(found)
    assert rebuilt(text) == expected_rows(found)
    schema = json.loads((inventories.ROOT / "schema/output/diff.schema.json").read_text("utf-8"))
    jsonschema_rs.validator_for(schema).validate(json.loads(text))


def test_the_page_names_every_phone(found: Diff, tmp_path: Path) -> None:
    text = page(found, Links())
    assert len(text.encode()) <= LIMIT
    left = text.count('<details class="kind"')
    assert left == len(found.phones) or f"{len(found.phones) - left:,} more kinds of change" in text
