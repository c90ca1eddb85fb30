"""The yardstick: PyYAML's CSafeLoader merely reads every file of an inventory, one after the other.

`python tests/bench/csafeloader.py FOLDER` keeps nothing of what it read; `--no-gc` switches the cyclic
garbage collector off meanwhile, which is the cheapest way to make it faster; `--keep` keeps every document,
as a program that has a use for them must.
"""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path

import yaml


def main(arguments: list[str]) -> int:
    """Read every YAML file of the folder that the command line names."""
    parser = argparse.ArgumentParser(description="read every YAML file with CSafeLoader")
    parser.add_argument("folder", type=Path, help="holds inventory/")
    parser.add_argument("--no-gc", action="store_true", help="without the garbage collector")
    parser.add_argument("--keep", action="store_true", help="keep the documents to the end")
    chosen = parser.parse_args(arguments)
    if chosen.no_gc:
        gc.disable()
    kept = []
    for file in sorted((chosen.folder / "inventory").rglob("*.yaml")):
        with file.open("rb") as stream:
            document = yaml.load(stream, Loader=yaml.CSafeLoader)
        if chosen.keep:
            kept.append(document)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
