"""A git repository around a generated fleet, with as many commits as wanted; made by `git fast-import`.

`python tests/bench/repository.py FOLDER COMMITS` turns FOLDER/inventory (see fleet.py) into a repository of COMMITS
commits: most change one setting of one phone, some a site, few the fleet. The work tree ends at the last one.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_SPEED_DIAL = re.compile(rb'speed-dial: "[^"]*"')
_OFFSET = re.compile(rb"utc_offset: [^\n]*")
_AUTHOR = b"Bench <bench@example.com>"
_START = 1_700_000_000


def write_history(folder: Path, commits: int, *, seed: int = 1) -> None:
    """Make a repository in `folder` whose first commit has the inventory as it stands, and whose others edit it."""
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    git = subprocess.Popen(["git", "fast-import", "--quiet"], cwd=folder, stdin=subprocess.PIPE)
    assert git.stdin is not None
    with git.stdin as pipe:
        for part in _stream(folder, commits, random.Random(seed)):
            pipe.write(part)
    if git.wait() != 0:
        raise RuntimeError("git fast-import failed")
    subprocess.run(["git", "reset", "-q", "--hard"], cwd=folder, check=True)


def _stream(folder: Path, commits: int, randomness: random.Random) -> Iterator[bytes]:
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted((folder / "inventory").rglob("*.yaml"))
    }
    yield from _commit(0, b"the fleet", files)
    phones = [path for path in files if "/phones/" in path]
    for number in range(1, commits):
        luck = randomness.random()
        if luck < 0.95:
            path = randomness.choice(phones)
            text = files[path]
            places = list(_SPEED_DIAL.finditer(text))
            place = randomness.choice(places)
            text = text[: place.start()] + b'speed-dial: "+49%d"' % number + text[place.end() :]
        elif luck < 0.99:
            path = "inventory/sites/all.yaml"
            places = list(_OFFSET.finditer(files[path]))
            place = randomness.choice(places)
            offset = b"utc_offset: +%d" % (number % 12 + 1)
            text = files[path][: place.start()] + offset + files[path][place.end() :]
        else:
            path = "inventory/fleet.yaml"
            text = re.sub(rb"time_format: \d", b"time_format: %d" % (number % 2), files[path])
        files[path] = text
        yield from _commit(number, b"change %d" % number, {path: text})


def _commit(number: int, message: bytes, files: dict[str, bytes]) -> Iterator[bytes]:
    when = _START + number * 60
    yield b"commit refs/heads/main\nmark :%d\ncommitter %s %d +0000\n" % (number + 1, _AUTHOR, when)
    yield b"data %d\n%s\n" % (len(message), message)
    if number:
        yield b"from :%d\n" % number
    for path, text in files.items():
        yield b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(text), text)


def main(arguments: list[str]) -> int:
    """Write the history that the command line asks for."""
    parser = argparse.ArgumentParser(description="write a git history for the benchmarks")
    parser.add_argument("folder", type=Path, help="the folder that holds inventory/")
    parser.add_argument("commits", type=int)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    write_history(chosen.folder, chosen.commits, seed=chosen.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
