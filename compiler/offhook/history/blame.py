"""For each effective setting of a phone, the commit that last changed that value.

Not the commit that last touched a line: a value that came by another site, a renamed profile, an expression or
the compiler itself is followed as well. At a merge a value is followed to the first parent that has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush

from offhook.history.walk import History, is_same


def origins(history: History, start: str, parameters: Iterable[str]) -> dict[str, str]:
    """Return parameter -> commit that gave it the value it has at `start`.

    A commit at which a shallow clone ends is the answer for what is older.
    """
    answers: dict[str, str] = {}
    pending: dict[str, set[str]] = {start: set(parameters)}
    queue = [(-history.commit(start).when, start)]
    while queue:
        commit = heappop(queue)[1]
        left = pending.pop(commit, set())
        if not left:
            continue
        state = history.state(commit)
        for parent in history.commit(commit).parents:
            other = history.parent_state(commit, parent)
            passed = set(left) if other is state else {name for name in left if is_same(other, state, name)}
            if passed:
                pending.setdefault(parent, set()).update(passed)
                heappush(queue, (-history.commit(parent).when, parent))
                left -= passed
        answers.update(dict.fromkeys(left, commit))
    return answers
