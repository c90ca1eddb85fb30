"""What the lab server hands out in a second beside nginx and tftpd-hpa, as ratios of runs side by side."""

from __future__ import annotations

from pathlib import Path

import pytest
from serve import EACH, KEPT, NGINX, OURS, TFTP, TFTPD, make, race
from test_ratios import scratch

__all__ = ["scratch"]


@pytest.mark.peer
def test_the_lab_server_is_quick_enough_for_a_power_cut(scratch: Path) -> None:
    make(scratch / "tree", 1000)
    rates = {what: max(found) for what, found in race(scratch / "tree", phones=1000, runs=3, requests=6000).items()}
    # the best of three: a busy machine loses packets; alone on two cores 28, 1 / 3.2 and 1 / 1.7 (docs/performance.md)
    assert rates[TFTP, OURS] > rates[TFTP, TFTPD], rates
    assert rates[KEPT, OURS] > rates[KEPT, NGINX] / 6, rates
    assert rates[EACH, OURS] > rates[EACH, NGINX] / 5, rates
