"""What verifying a root costs beside merely fetching its files, as ratios of runs on one server."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_ratios import scratch
from verify_root import CURL, OURS, SINGLY, Bench, race

__all__ = ["scratch"]


@pytest.mark.peer
def test_verifying_takes_little_more_than_fetching(scratch: Path) -> None:
    taken = race(Bench(scratch, 2_000), runs=2)
    boots = {what: min(one.boots_s for one in found) for what, found in taken.items()}
    # alone on two cores, 1.7 and 0.27 (docs/performance.md)
    assert boots[OURS] < 4 * boots[CURL], boots
    assert boots[OURS] < 0.7 * boots[SINGLY], boots
