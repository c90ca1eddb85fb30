"""Several processes: the outcome never depends on how many, or on one of them dying."""

from __future__ import annotations

import os
import signal

import pytest

from offhook.parallel import available_processes, map_in_processes


def same(value: int) -> int:
    return value


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
def test_the_order_is_that_of_the_items(processes: int, count: int) -> None:
    made = map_in_processes(lambda item: item * item, range(count), processes=processes, pack=same, unpack=same)
    assert made == [item * item for item in range(count)]


def test_more_items_than_a_pipe_holds() -> None:
    made = map_in_processes(same, range(70_000), processes=2, pack=same, unpack=same)
    assert made == list(range(70_000))


def test_results_come_back_packed_and_unpacked() -> None:
    made = map_in_processes(str, range(50), processes=2, pack=lambda text: (text,), unpack=lambda data: data[0])
    assert made == [str(number) for number in range(50)]


def test_what_a_dying_child_leaves_is_done_again() -> None:
    parent = os.getpid()

    def work(item: int) -> int:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    assert map_in_processes(work, range(20), processes=3, pack=same, unpack=same) == list(range(20))


def test_an_exception_in_a_child_is_raised_here() -> None:
    def work(item: int) -> int:
        if item == 13:
            raise ValueError("thirteen")
        return item

    with pytest.raises(ValueError, match="thirteen"):
        map_in_processes(work, range(20), processes=2, pack=same, unpack=same)


def test_there_is_at_least_one_process() -> None:
    assert available_processes() >= 1
