"""What carrying a tree to S3 costs beside the AWS CLI, as ratios of processes to the same server in one run."""

from __future__ import annotations

from pathlib import Path

import pytest
from publish_s3 import AWS, CHANGED, FIRST, OURS, Bench, race
from test_ratios import IS_ALONE, scratch

import peers
from places import ACCESS_KEY, SECRET_KEY, environment

__all__ = ["scratch"]


@pytest.mark.peer
def test_carrying_a_tree_is_quicker_than_syncing_it(scratch: Path) -> None:
    (scratch / "server").mkdir()
    with environment(), peers.seaweedfs(scratch / "server", ACCESS_KEY, SECRET_KEY) as endpoint:
        bench = Bench(scratch / "fleet", scratch / "tree", endpoint)
        chosen = [one for one in bench.contenders() if one.name in (OURS, AWS)]
        if len(chosen) < 2:
            peers.missing("the AWS CLI is not installed")
        runs = race(bench, chosen, phones=3_000, first_runs=1, runs=2)
    # a first publish waits for SeaweedFS to settle eight writes at once, 1 to 6 s whatever the size: compare its work
    work = {what: min(run.cpu_s for run in found) for what, found in runs.items()}
    took = {what: min(run.wall_s if IS_ALONE else run.cpu_s for run in found) for what, found in runs.items()}
    assert work[FIRST, OURS] < work[FIRST, AWS] / 2, work  # 3.5 times
    assert took[CHANGED, OURS] < took[CHANGED, AWS], took
