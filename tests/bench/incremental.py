"""How long the verbs that git makes possible take, cold and warm, on fleets with a history.

`python tests/bench/incremental.py [--sizes 10000,100000] [--runs 9] [--commits 5000] [--folder DIR]`

For each size a fleet with 50 phones a site in a repository of three commits: the fleet, an edit of one phone, an
edit of one site. Cold is with a cache that is not there yet. `log` is asked of a history of --commits commits of
10,000 phones. Medians of --runs processes, and beside them the Python that does nothing: read the differences, not
the milliseconds.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from fleet import write_fleet
from measure import measure
from repository import write_history

OFFHOOK = str(Path(sys.executable).with_name("offhook"))
LOG_PHONES = 10_000
_MAC = "0021f2000101"
_GIT = ("git", "-c", "user.name=Bench", "-c", "user.email=bench@example.com", "-c", "gc.auto=0")


def write_repository(folder: Path, phones: int) -> None:
    """Write a fleet of 50 phones a site, and commit it, an edit of one phone, and an edit of one site."""
    write_fleet(folder, phones, phones_per_site=50)
    subprocess.run([*_GIT, "init", "-q", "-b", "main"], cwd=folder, check=True)
    _commit(folder)
    phone = sorted((folder / "inventory/phones").iterdir())[-1]
    phone.write_text(phone.read_text(encoding="utf-8").replace("label: Taxi", "label: Cab", 1), encoding="utf-8")
    _commit(folder)
    site = folder / "inventory/sites/all.yaml"
    site.write_text(site.read_text(encoding="utf-8").replace("utc_offset: +1", "utc_offset: +2", 1), encoding="utf-8")
    _commit(folder)


def _commit(folder: Path) -> None:
    subprocess.run([*_GIT, "add", "-A"], cwd=folder, check=True)
    subprocess.run([*_GIT, "commit", "-q", "-m", "change"], cwd=folder, check=True)


def command(cache: Path, root: Path, *verb: str) -> list[str]:
    """Return a call of offhook with a cache of its own."""
    return ["env", f"OFFHOOK_CACHE={cache}", OFFHOOK, "-C", str(root), *verb]


def seconds(call: Sequence[str], *, runs: int) -> float:
    """Return the median wall clock of a command. Raises RuntimeError where it fails."""
    taken = []
    for _ in range(runs):
        run = measure(call)
        if run.code:
            raise RuntimeError(run.complaint)
        taken.append(run.wall_s)
    return statistics.median(taken)


def rows(folder: Path, phones: int, *, runs: int) -> Iterator[tuple[str, float]]:
    """Yield (what, seconds) for a fleet of one size."""
    root, cache, few = folder / f"fleet-{phones}", folder / f"cache-{phones}", max(1, runs // 4)
    write_repository(root, phones)
    yield "check, cold", seconds(command(folder / f"check-{phones}", root, "check"), runs=1)
    one, site = ("diff", "HEAD~2", "HEAD~1"), ("diff", "HEAD~1", "HEAD")
    yield "diff of one phone, cold", seconds(command(cache, root, *one), runs=1)
    yield "diff of one phone, warm", seconds(command(cache, root, *one), runs=runs)
    measure(command(cache, root, *site))
    yield "diff of a site of 50 phones, warm", seconds(command(cache, root, *site), runs=runs)
    measure(command(cache, root, "diff", "HEAD~1"))
    yield "the same with the work tree, warm", seconds(command(cache, root, "diff", "HEAD~1"), runs=runs)
    compile_ = command(cache, root, "compile", "--out", str(folder / f"site-{phones}"))
    yield "compile, inventory known", seconds(compile_, runs=1)
    yield "compile, nothing changed", seconds(compile_, runs=few)


def log_rows(folder: Path, commits: int, *, runs: int) -> Iterator[tuple[str, float]]:
    """Yield (what, seconds) for a long history."""
    root, cache = folder / "log", folder / "cache-log"
    write_fleet(root, LOG_PHONES)
    write_history(root, commits)
    call = command(cache, root, "log", _MAC)
    yield f"log over {commits} commits, cold", seconds(call, runs=1)
    yield f"log over {commits} commits, warm", seconds(call, runs=runs)
    yield "blame, warm", seconds(command(cache, root, "blame", _MAC), runs=runs)


def main(arguments: list[str]) -> int:
    """Measure what the command line asks for, and print it as a table."""
    parser = argparse.ArgumentParser(description="measure diff, log, blame and repeated compiles")
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--commits", type=int, default=5000)
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder, removed)")
    chosen = parser.parse_args(arguments)
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="offhook-bench-"))
    try:
        bare = seconds([sys.executable, "-c", "pass"], runs=chosen.runs)
        print(f"{'python -c pass':40} {bare:8.3f} s")
        for phones in map(int, chosen.sizes.split(",")):
            print(f"\n{phones} phones")
            for name, taken in rows(folder, phones, runs=chosen.runs):
                print(f"{name:40} {taken:8.3f} s", flush=True)
        print(f"\n{LOG_PHONES} phones, {chosen.commits} commits")
        for name, taken in log_rows(folder, chosen.commits, runs=chosen.runs):
            print(f"{name:40} {taken:8.3f} s", flush=True)
    finally:
        if chosen.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
