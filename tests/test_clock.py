"""`offhook clock`: which offsets change, when, and the inventory with the new ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import inventories
from offhook.cli.run import run
from offhook.clock import due, rewritten
from offhook.compile import read_fleet

WEEK = timedelta(days=8)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fleet(folder: Path, sites: Any, **more: Any) -> Any:
    files = inventories.minimal()
    files["fleet.yaml"] |= more
    files["sites/all.yaml"] = {"berlin": {}} | sites if isinstance(sites, dict) else sites
    return read_fleet(inventories.write_inventory(folder, files)).inventory


@pytest.mark.parametrize(
    ("zone", "offset", "now", "new", "when"),
    [
        ("Europe/Berlin", "+1", "2026-03-20T00:00", None, None),
        ("Europe/Berlin", "+1", "2026-03-21T02:00", "+2", "2026-03-29T01:00"),
        ("Europe/Berlin", "+2", "2026-10-20T00:00", "+1", "2026-10-25T01:00"),
        ("Europe/Berlin", "+2", "2026-12-01T00:00", "+1", None),
        ("America/St_Johns", "-3:30", "2026-03-05T00:00", "-2:30", "2026-03-08T05:30"),
        ("Australia/Lord_Howe", "+11", "2026-04-01T00:00", "+10:30", "2026-04-04T15:00"),
        ("Pacific/Kiritimati", "+14", "2026-04-01T00:00", None, None),
        ("Pacific/Pago_Pago", "-11", "2026-04-01T00:00", None, None),
        ("Asia/Kolkata", "+5:30", "2026-04-01T00:00", None, None),
        ("Nowhere/Town", "+1", "2026-04-01T00:00", None, None),
    ],
)
def test_when_a_zone_changes(
    zone: str, offset: str, now: str, new: str | None, when: str | None, tmp_path: Path
) -> None:
    rows = due(fleet(tmp_path, {"berlin": {"time_zone": zone, "utc_offset": offset}}), at(now), WEEK)
    assert [(one.old, one.new, one.at) for one in rows] == (
        [] if new is None else [(offset, new, None if when is None else at(when))]
    )


def test_what_the_fleet_says_counts_and_what_nobody_says_does_not(tmp_path: Path) -> None:
    sites = {"berlin": {"time_zone": "Europe/Berlin"}, "lyon": {}}
    assert due(fleet(tmp_path / "a", sites), at("2026-07-01"), WEEK) == []
    (row,) = due(fleet(tmp_path / "b", sites, utc_offset="+1"), at("2026-07-01"), WEEK)
    assert (row.site, row.old, row.new, row.inserts) == ("berlin", "+1", "+2", True)


SITES = """\
# sites
berlin:
  utc_offset: +1   # in winter
  time_zone: Europe/Berlin
lyon: {time_zone: Europe/Paris, utc_offset: "+1"}   # one line
porto:
    time_zone: Europe/Lisbon  # by the fleet
rome: {time_zone: Europe/Rome}
"""

CHANGED = """\
# sites
berlin:
  utc_offset: +2   # in winter
  time_zone: Europe/Berlin
lyon: {time_zone: Europe/Paris, utc_offset: "+2"}   # one line
porto:
    time_zone: Europe/Lisbon  # by the fleet
    utc_offset: +1
rome: {time_zone: Europe/Rome}
"""


def test_the_file_keeps_all_else(tmp_path: Path) -> None:
    inventory = fleet(tmp_path, SITES, utc_offset="+0")
    text, left = rewritten(SITES, due(inventory, at("2026-03-25"), WEEK))
    assert text == CHANGED
    assert [one.site for one in left] == ["rome"]


def test_the_verb_writes_and_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = inventories.minimal() | {"sites/all.yaml": SITES.replace("rome", "#rome").replace("\n", "\r\n")}
    files["fleet.yaml"]["utc_offset"] = "+0"
    root = inventories.write_inventory(tmp_path, files)
    call = ["-C", str(root), "clock", "--at", "2026-03-25", "--exit-code"]
    assert run([*call, "--write"]) == 4
    assert capsys.readouterr().out.splitlines()[0] == (
        "inventory/sites/all.yaml:3: berlin  utc_offset +1 -> +2  Europe/Berlin, on 2026-03-29 at 01:00 UTC"
    )
    assert "utc_offset: +2   # in winter" in (root / "inventory/sites/all.yaml").read_text()
    assert run(call) == 0
    assert capsys.readouterr().out == "no site's offset changes within 8 days\n"


def test_what_cannot_be_written_is_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = inventories.minimal() | {"sites/all.yaml": SITES.replace("Europe/Rome", "Europe/Lisbon")}
    files["fleet.yaml"]["utc_offset"] = "+0"
    root = inventories.write_inventory(tmp_path, files)
    call = ["-C", str(root), "clock", "--at", "2026-03-25", "--write"]
    assert run(call) == 0
    told = capsys.readouterr()
    assert [line.split()[1] for line in told.out.splitlines() if line.endswith("; put it in by hand")] == ["rome"]
    assert len(told.out.splitlines()) == 4
    assert run([*call, "--format", "json"]) == 0
    sites = json.loads(capsys.readouterr().out)["sites"]
    assert [(one["site"], one["by_hand"]) for one in sites] == [("rome", True)]
