"""offhook's speed and memory beside what else one could do with the same files, as one table.

`python tests/bench/run.py [--sizes 1000,10000,100000] [--runs 3] [--kapitan] [--only NAME,...] [--json FILE]`

Everything runs on the same generated fleet in the same call, in turns (A B C, A B C, ...); the table shows
medians, and ratios to PyYAML's CSafeLoader merely reading the files. Look at the ratios: seconds are this
machine's. Memory is that of all processes of a command, sampled in a run of its own, which is not timed.

ext4 makes files several times slower for some minutes after many were deleted. So nothing is deleted before
the end, and whoever runs it again soon says --keep, or --folder with a folder on another file system.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import kapitan_fleet
import yaml
from fleet import write_fleet
from measure import Run, measure

HERE = Path(__file__).resolve().parent
OFFHOOK = str(Path(sys.executable).with_name("offhook"))
SAFE_LOADER = "CSafeLoader"
KAPITAN_SIZE = 1000


@dataclass(frozen=True, slots=True)
class Contender:
    """Something to measure: `command` is given the fleet's folder and a path that does not exist yet, to write to."""

    name: str
    command: Callable[[Path, Path], list[str]]
    most_phones: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Medians of one contender at one size; `failure` says why there are none."""

    phones: int
    name: str
    wall_s: float | None = None
    cpu_s: float | None = None
    peak_mb: float | None = None
    write_s: float | None = None
    ratio: float | None = None
    failure: str = ""


def script(name: str, *options: str) -> list[str]:
    """Return the command that runs one of the scripts beside this one."""
    return [sys.executable, str(HERE / f"{name}.py"), *options]


def cold(out: Path) -> list[str]:
    """Return the command with a cache of its own, which is not there yet: the first run on a new machine."""
    return ["env", f"OFFHOOK_CACHE={out}.cache", OFFHOOK]


def contenders(*, timings: bool) -> Iterator[Contender]:
    """Yield everything that every fleet is given to; `timings`: offhook can say what its steps took."""
    options = ["--timings"] if timings else []
    yield Contender(SAFE_LOADER, lambda fleet, out: script("csafeloader", str(fleet)))
    yield Contender("CSafeLoader (no gc)", lambda fleet, out: script("csafeloader", str(fleet), "--no-gc"))
    yield Contender("offhook check", lambda fleet, out: [*cold(out), "-C", str(fleet), "check"])
    yield Contender(
        "offhook compile",
        lambda fleet, out: [*cold(out), "-C", str(fleet), "compile", "--out", str(out), *options],
    )
    yield Contender("cp -r of the tree", lambda fleet, out: ["cp", "-r", str(fleet / "tree"), str(out)])
    for validator, most in (("jsonschema-rs", None), ("jsonschema", 10_000)):
        yield Contender(
            f"plain script ({validator})",
            lambda fleet, out, validator=validator: script(  # type: ignore[misc]
                "plain_script", str(fleet), str(out), "--validator", validator
            ),
            most,
        )


def benchmark(folder: Path, phones: int, chosen: Sequence[Contender], *, runs: int) -> Iterator[Row]:
    """Yield a row for each contender, on a new fleet in `folder`; nothing is deleted meanwhile.

    Every output is a new folder, and each run starts when the disk is done with the one before.
    """
    fleet = folder / f"fleet-{phones}"
    write_fleet(fleet, phones)
    make_tree(fleet)
    taken: dict[str, list[Run]] = {one.name: [] for one in chosen}
    for turn in range(runs + 1):
        for number, one in enumerate(chosen):
            if any(run.code for run in taken[one.name]):
                continue
            sync(folder)
            out = folder / f"out-{phones}-{turn}-{number}"
            progress(f"{phones} phones, {'memory' if turn == runs else f'run {turn + 1}'}: {one.name}")
            taken[one.name].append(measure(one.command(fleet, out), memory=turn == runs))
    progress("")
    base = taken.get(SAFE_LOADER)
    base_s = statistics.median(run.wall_s for run in base[:runs]) if base else None
    for one in chosen:
        yield summary(phones, one.name, taken[one.name], base_s)


def sync(folder: Path) -> None:
    """Wait until the folder's own file system, and no other, has written everything; Linux has a call for that."""
    call = getattr(ctypes.CDLL(None), "syncfs", None)
    if call is None:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY)
    call(descriptor)
    os.close(descriptor)


def make_tree(fleet: Path) -> None:
    """Make fleet/tree, which `cp -r` copies: offhook's own tree, or the plain script's where offhook cannot."""
    command = [OFFHOOK, "-C", str(fleet), "compile", "--out", str(fleet / "tree")]
    if not Path(OFFHOOK).exists() or measure(command).code:
        measure(script("plain_script", str(fleet), str(fleet / "tree"), "--validator", "jsonschema-rs"))


def summary(phones: int, name: str, runs: Sequence[Run], base_s: float | None) -> Row:
    """Return the row of a contender's runs, the last of which was for its memory."""
    failed = next((run for run in runs if run.code), None)
    if failed is not None:
        return Row(phones, name, failure=failed.complaint)
    *timed, sampled = runs
    wall = statistics.median(run.wall_s for run in timed)
    writes = [write for write in map(write_time, timed) if write is not None]
    return Row(
        phones,
        name,
        wall,
        statistics.median(run.cpu_s for run in timed),
        sampled.peak_bytes / 1e6 if sampled.peak_bytes else None,
        statistics.median(writes) if writes else None,
        wall / base_s if base_s else None,
    )


def write_time(run: Run) -> float | None:
    """Return the seconds spent on writing files, from the JSON lines that `offhook compile --timings` prints."""
    found = [json.loads(line) for line in run.stderr.splitlines() if line.startswith("{") and line.endswith("}")]
    writes = [float(one["write"]) for one in found if "write" in one]
    return sum(writes) if writes else None


def kapitan_rows(folder: Path, *, runs: int) -> list[Row]:
    """Return Kapitan beside CSafeLoader and offhook at 1,000 phones, or the reason why there is none."""
    home = folder / "kapitan"
    progress("installing Kapitan")
    name = f"kapitan {kapitan_fleet.VERSION}"
    reason = kapitan_fleet.install(home)
    if reason:
        progress("")
        return [Row(KAPITAN_SIZE, name, failure=reason)]
    write_fleet(home / "fleet", KAPITAN_SIZE)
    kapitan_fleet.write_kapitan(home / "fleet", home)
    offhook = [one for one in contenders(timings=False) if one.name in (SAFE_LOADER, "offhook compile")]
    kapitan = Contender(name, lambda fleet, out: kapitan_fleet.command(home, out))
    rows = benchmark(home, KAPITAN_SIZE, [*offhook, kapitan], runs=runs)
    return [row for row in rows if row.name == name]


def has_timings() -> bool:
    """Tell whether this offhook has `compile --timings`."""
    return Path(OFFHOOK).exists() and "--timings" in measure([OFFHOOK, "compile", "--help"]).stdout


def table(rows: Sequence[Row]) -> str:
    """Return the rows as aligned text."""
    heads = ("phones", "what", "wall s", "CPU s", "peak MB", "write s", f"/ {SAFE_LOADER}")
    lines = [
        (f"{row.phones:,}", row.name, f"failed: {row.failure}", "", "", "", "")
        if row.failure
        else (
            f"{row.phones:,}",
            row.name,
            shown(row.wall_s),
            shown(row.cpu_s),
            shown(row.peak_mb, 0),
            shown(row.write_s),
            shown(row.ratio),
        )
        for row in rows
    ]
    whole = [line for line in lines if not line[2].startswith("failed")]
    widths = [max(len(line[column]) for line in [heads, *(whole or lines)]) for column in range(len(heads))]
    widths[1] = max(len(line[1]) for line in [heads, *lines])
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 1 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in [heads, *lines]
    )


def shown(value: float | None, digits: int = 2) -> str:
    """Return a number for the table, a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def progress(text: str) -> None:
    """Show what is running on standard error, where that is a terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def machine() -> dict[str, str | int]:
    """Return what the figures depend on."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "pyyaml": yaml.__version__,
    }


def main(arguments: list[str]) -> int:
    """Print the table that the command line asks for."""
    parser = argparse.ArgumentParser(description="offhook beside the alternatives, on the same files")
    parser.add_argument("--sizes", default="1000,10000,100000", help="phones, with commas")
    parser.add_argument("--runs", type=int, default=3, help="timed runs of each")
    parser.add_argument("--kapitan", action="store_true", help=f"Kapitan too, at {KAPITAN_SIZE} phones")
    parser.add_argument("--only", help="contenders by the beginning of their names, with commas")
    parser.add_argument("--json", type=Path, help="the figures, to a file")
    parser.add_argument("--folder", type=Path, help="where to make a temporary folder, on the disk to measure")
    parser.add_argument("--keep", action="store_true", help="leave the temporary folder")
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="offhook-bench-", dir=chosen.folder))
    try:
        rows = measure_all(folder, chosen)
    finally:
        progress("")
        if not chosen.keep:
            shutil.rmtree(folder)
    print(", ".join(f"{name} {value}" for name, value in machine().items()), end="\n\n")
    print(table(rows))
    if chosen.json:
        figures = {"machine": machine(), "rows": [asdict(row) for row in rows]}
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


def measure_all(folder: Path, chosen: argparse.Namespace) -> list[Row]:
    """Return every row that the command line asks for."""
    names = tuple((chosen.only or "").split(","))
    found = contenders(timings=has_timings())
    every = [one for one in found if one.name == SAFE_LOADER or one.name.startswith(names)]
    rows: list[Row] = []
    for phones in map(int, chosen.sizes.split(",")):
        fitting = [one for one in every if one.most_phones is None or phones <= one.most_phones]
        rows += benchmark(folder, phones, fitting, runs=chosen.runs)
    if chosen.kapitan:
        rows += kapitan_rows(folder, runs=chosen.runs)
    return rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
