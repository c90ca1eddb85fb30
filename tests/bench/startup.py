"""How long offhook takes to start, beside a Python that does nothing.

`python tests/bench/startup.py [--runs 20] [--fleet FOLDER]` prints medians over that many processes of each
command, run in turns: `offhook --version`, `--help`, and `check` of the fleet (the repository's example).
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from measure import measure

ROOT = Path(__file__).resolve().parents[2]
OFFHOOK = str(Path(sys.executable).with_name("offhook"))
BARE = "python -c pass"


def commands(fleet: Path) -> dict[str, list[str]]:
    """Return name -> command."""
    return {
        BARE: [sys.executable, "-c", "pass"],
        "offhook --version": [OFFHOOK, "--version"],
        "offhook --help": [OFFHOOK, "--help"],
        "offhook check": [OFFHOOK, "-C", str(fleet), "check"],
    }


def medians(named: Mapping[str, Sequence[str]], *, runs: int) -> dict[str, float]:
    """Return name -> median wall clock in seconds over `runs` processes, the commands taking turns.

    The first turn, which fills the disk cache and writes byte code, is not counted. Raises RuntimeError
    where a command fails.
    """
    taken: dict[str, list[float]] = {name: [] for name in named}
    for turn in range(runs + 1):
        for name, command in named.items():
            run = measure(command)
            if run.code:
                raise RuntimeError(f"{name}: {run.complaint}")
            if turn:
                taken[name].append(run.wall_s)
    return {name: statistics.median(times) for name, times in taken.items()}


def main(arguments: list[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="how long offhook takes to start")
    parser.add_argument("--runs", type=int, default=20, help="processes of each command")
    parser.add_argument("--fleet", type=Path, default=ROOT, help="holds inventory/, for check")
    chosen = parser.parse_args(arguments)
    found = medians(commands(chosen.fleet), runs=chosen.runs)
    print(f"{'command':<18}  {'ms':>6}  / {BARE}")
    for name, seconds in found.items():
        print(f"{name:<18}  {seconds * 1000:6.1f}  {seconds / found[BARE]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
