"""Verifying a root that nginx serves, beside merely fetching the same files, as one table.

`python tests/bench/verify_root.py [--phones 10000] [--runs 3] [--folder DIR]`

nginx (one process, no access log), curl and offhook share the machine's cores. Two curls with connections that they
keep fetch what the phones fetch, half of it each, and look at nothing; one virtual phone after another, a connection a
request, is what `offhook boot` would do. Times are whole processes, medians: look at the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from fleet import write_fleet
from measure import measure

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

import peers  # noqa: E402

OURS, CURL, SINGLY = "offhook verify", "two curls", "one phone after another"
OFFHOOK = str(Path(sys.executable).with_name("offhook"))
_GIT = ("git", "-c", "user.name=Bench", "-c", "user.email=bench@example.com", "-c", "gc.auto=0")
_PASSWORD = re.compile(r"secret:(\S+)")
_SINGLY = """\
import sys
from offhook.phone.boot import boot
for mac in open(sys.argv[1]).read().split():
    boot(mac, sys.argv[2])
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of a run: the process, and for offhook the boots in it."""

    wall_s: float
    boots_s: float


@dataclass(frozen=True, slots=True)
class Bench:
    """A fleet in a repository, published to a folder beside it."""

    folder: Path
    phones: int

    @property
    def root(self) -> Path:
        """Return the folder that is served."""
        return self.folder / "root"

    @property
    def macs(self) -> list[str]:
        """Return the MACs of the fleet."""
        return sorted(path.stem for path in self.root.glob("*.boot") if not path.name.startswith("y"))

    def make(self) -> None:
        """Write the fleet and publish it."""
        fleet = self.folder / "fleet"
        write_fleet(fleet, self.phones)
        path = fleet / "inventory/fleet.yaml"
        row = f"  bench: {{url: 'https://prov.example.com/9f2c/', publish: '{self.root}'}}"
        path.write_text(path.read_text().replace("environments:\n", f"environments:\n{row}\n"))
        for name in {name for file in fleet.rglob("accounts/*.yaml") for name in _PASSWORD.findall(file.read_text())}:
            os.environ["OFFHOOK_SECRET_" + re.sub("[^A-Za-z0-9]", "_", name).upper()] = f"password-of-{name}"
        self.root.mkdir()
        subprocess.run([*_GIT, "init", "-q", "-b", "main", str(fleet)], check=True)
        subprocess.run([*_GIT, "-C", str(fleet), "add", "inventory"], check=True)
        subprocess.run([*_GIT, "-C", str(fleet), "commit", "-q", "-m", "bench"], check=True)
        subprocess.run([OFFHOOK, "-q", "-C", str(fleet), "publish", "bench"], check=True, stdout=subprocess.DEVNULL)

    def verify(self, url: str) -> Taken:
        """Run `offhook verify`; every phone must be equal."""
        command = [OFFHOOK, "-q", "-C", str(self.folder / "fleet"), "verify", "bench", "--via", url, "--format", "json"]
        done = measure(command)
        if done.code:
            raise RuntimeError(f"{OURS}: {done.complaint}")
        return Taken(done.wall_s, json.loads(done.stdout)["seconds"]["took"])

    def curl(self, url: str) -> Taken:
        """Fetch what phones fetch by two processes of curl at once."""
        names = [name for mac in self.macs for name in (mac, f"{mac}.boot", f"{mac}.cfg")]
        processes = []
        start = time.perf_counter()
        for half in range(2):
            config = self.folder / f"curl-{half}"
            config.write_text("".join(f'url="{url}{name}"\noutput="/dev/null"\n' for name in names[half::2]))
            processes.append(subprocess.Popen([peers.program("curl"), "-s", "-K", str(config)]))
        for process in processes:
            process.wait()
        wall = time.perf_counter() - start
        return Taken(wall, wall)

    def singly(self, url: str) -> Taken:
        """Boot one virtual phone after another, a tenth of them; return what all would take."""
        listed = self.folder / "macs"
        chosen = self.macs[:: max(1, self.phones // 1000)]
        listed.write_text("\n".join(chosen))
        done = measure([sys.executable, "-c", _SINGLY, str(listed), url])
        return Taken(done.wall_s * self.phones / len(chosen), done.wall_s * self.phones / len(chosen))


def race(bench: Bench, runs: int) -> dict[str, list[Taken]]:
    """Return the runs of each, in turns, against one nginx."""
    bench.make()
    taken: dict[str, list[Taken]] = {OURS: [], CURL: [], SINGLY: []}
    with peers.nginx(bench.root) as url:
        for _ in range(runs):
            taken[OURS].append(bench.verify(url))
            taken[CURL].append(bench.curl(url))
            taken[SINGLY].append(bench.singly(url))
    return taken


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Verifying beside merely fetching.")
    parser.add_argument("--phones", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        taken = race(Bench(Path(name), given.phones), given.runs)
    for what, found in taken.items():
        wall = statistics.median(one.wall_s for one in found)
        boots = statistics.median(one.boots_s for one in found)
        print(f"{what:<24} {wall:7.2f} s, boots {boots:6.2f} s, {given.phones / boots:7,.0f} phones a second")


if __name__ == "__main__":
    main()
