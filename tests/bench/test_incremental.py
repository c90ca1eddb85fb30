"""What the cache and the names are worth, as ratios of commands on the same repository in one run."""

from __future__ import annotations

import sys
from pathlib import Path

from fleet import write_fleet
from incremental import command, write_repository
from repository import write_history
from test_ratios import fastest, scratch

__all__ = ["scratch"]


def test_a_diff_costs_one_read_cold_and_next_to_nothing_warm(scratch: Path) -> None:
    root = scratch / "fleet"
    write_repository(root, 10_000)
    one, site = ("diff", "HEAD~2", "HEAD~1"), ("diff", "HEAD~1", "HEAD")
    cache = scratch / "cache"
    took = fastest(
        {
            "python": lambda out: [sys.executable, "-c", "import pygit2, click, sqlite3"],
            "check, cold": lambda out: command(out, root, "check", "--against", "HEAD"),
            "one phone, cold": lambda out: command(out, root, *one),
            "one phone, warm": lambda out: command(cache, root, *one),
            "one site, warm": lambda out: command(cache, root, *site),
        },
        scratch,
        turns=4,
    )
    # seen: 0.9, 1.8 times the imports alone, and 2.1; two reads of the inventory would be 1.7
    assert took["one phone, cold"] < 1.3 * took["check, cold"], took
    assert took["one phone, warm"] < 3 * took["python"], took
    assert took["one site, warm"] < 3.5 * took["python"], took


def test_compiling_again_costs_little(scratch: Path) -> None:
    root = scratch / "fleet"
    write_repository(root, 5_000)
    cache, site = scratch / "cache", scratch / "site"
    took = fastest(
        {
            "anew": lambda out: command(out.with_suffix(".cache"), root, "compile", "--out", str(out)),
            "again": lambda out: command(cache, root, "compile", "--out", str(site)),
        },
        scratch,
        turns=4,
    )
    # seen: 0.25; a third of the rest is the start of the process
    assert took["again"] < 0.5 * took["anew"], took


def test_a_walk_through_known_history_reads_no_file(scratch: Path) -> None:
    root = scratch / "fleet"
    write_fleet(root, 2_000)
    write_history(root, 400)
    cache = scratch / "cache"
    took = fastest(
        {
            "cold": lambda out: command(out, root, "log", "0021f2000101"),
            "warm": lambda out: command(cache, root, "log", "0021f2000101"),
        },
        scratch,
        turns=3,
    )
    # seen: 0.15
    assert took["warm"] < 0.5 * took["cold"], took
