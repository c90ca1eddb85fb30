"""Trying whether a compare-and-swap can be believed.

Many servers take `If-Match` and `If-None-Match`, answer 200, and overwrite all the same; some compare, but not while
two write at once. So each state location is tried with probe objects before it is trusted.
"""

from __future__ import annotations

from offhook.problem import OffhookError
from offhook.publish.roots.root import State, own_path

_RACERS = 8


class NoSwap(OffhookError):
    """The server says itself that it has no compare-and-swap."""


def can_swap(state: State, *, rounds: int = 2) -> bool:
    """Return whether writes compare: one after the other, and when eight come at once, `rounds` times.

    A server that compares and then writes may be lucky once: what is not known to lock is tried more often. Probe
    objects are deleted.

    Raises NoSwap where the server says that it cannot, other OffhookErrors where nothing can be written at all.
    """
    first, second = own_path("", "probe"), own_path("", "probe")
    try:
        return _compares(state, first) and _one_wins(state, second, rounds)
    finally:
        state.delete([first, second])


def look_and_write(state: State, path: str, *, content: bytes, version: str | None) -> bool:
    """Write where the version is still this one, as far as a look just before can tell."""
    found = state.read_version(path)
    if (found[1] if found else None) != version:
        return False
    state.write(path, content)
    return True


def _compares(state: State, path: str) -> bool:
    if not state.write_version(path, b"1", None) or state.write_version(path, b"2", None):
        return False
    found = state.read_version(path)
    if found is None or found[0] != b"1" or not state.write_version(path, b"3", found[1]):
        return False
    return not state.write_version(path, b"4", found[1])


def _one_wins(state: State, path: str, rounds: int) -> bool:
    """Let eight write at once, where nothing is and then over what is there: one may win each time."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_RACERS) as pool:
        version = None
        for _ in range(rounds):
            contents = [b"racer %d %s" % (number, (version or "").encode()) for number in range(_RACERS)]
            won = list(pool.map(lambda content, at=version: state.write_version(path, content, at), contents))
            found = state.read_version(path)
            if won.count(True) != 1 or found is None or found[0] != contents[won.index(True)]:
                return False
            version = found[1]
    return True
