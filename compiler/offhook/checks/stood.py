"""Where to show what left the inventory: at the line of today's file where it stood at the base revision."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from offhook.checks.subject import Subject
from offhook.model import Entity, mark
from offhook.problem import Mark
from offhook.source import InventoryFile


def stood(subject: Subject, entity: Entity, *path: str) -> tuple[Mark, str]:
    """Return a place in today's files for a key of an entity of the base revision, and how a message names it.

    That is the line which took its place, or the one that follows the gap, or the file's last: "here". A file that is
    gone has no lines: its keys are shown at the top of fleet.yaml, "at inventory/phones/lyon.yaml:10".
    """
    then = mark(entity, *path, key=True)
    file = subject.files.get(then.file)
    if file is None:
        return Mark(subject.inventory.fleet.file.path, 1, 1), f"at {then.file}:{then.line}"
    lines = _lines_now(entity.file, file)
    return Mark(then.file, lines[min(then.line, len(lines)) - 1], 1), "here"


@lru_cache(maxsize=8)
def _lines_now(before: InventoryFile, now: InventoryFile) -> list[int]:
    """For each line of a file at the base revision, the number (from 1) of the line that is nearest to it now.

    Lines that stand once in both hold the two files together; what is between two of them keeps its distance from the
    first and does not pass the second. A whole diff would be more exact and take minutes for 100,000 lines.
    """
    old, new = before.content.splitlines(), now.content.splitlines()
    where, counts = {line: number for number, line in enumerate(new)}, (Counter(old), Counter(new))
    kept = [where[line] if all(count[line] == 1 for count in counts) else None for line in old]
    end = max(len(new) - 1, 0)
    ends = [end := end if place is None else place for place in reversed(kept)][::-1]
    shift = 0
    lines = []
    for number, place in enumerate(kept):
        shift = shift if place is None else place - number
        lines.append(min(number + shift, ends[number]) + 1)
    return lines
