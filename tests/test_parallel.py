"""Several processes: the outcome never depends on how many, or on one of them dying."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from offhook.parallel import available_processes, map_in_processes, use_in_process


def same(value: int) -> int:
    return value


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
def test_the_order_is_that_of_the_items(processes: int, count: int) -> None:
    made = map_in_processes(lambda item: item * item, range(count), processes=processes, keep=same)
    assert made == [item * item for item in range(count)]


def test_more_items_than_a_pipe_holds() -> None:
    made = map_in_processes(same, range(70_000), processes=2, keep=same)
    assert made == list(range(70_000))


def test_results_come_back_packed_and_unpacked() -> None:
    made = map_in_processes(lambda item: (item, "x"), range(50), processes=2, keep=lambda data: str(data[0]))
    assert made == [str(number) for number in range(50)]


def test_what_a_dying_child_leaves_is_done_again() -> None:
    parent = os.getpid()

    def work(item: int) -> int:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    assert map_in_processes(work, range(20), processes=3, keep=same) == list(range(20))


def test_an_exception_in_a_child_is_raised_here() -> None:
    def work(item: int) -> int:
        if item == 13:
            raise ValueError("thirteen")
        return item

    with pytest.raises(ValueError, match="thirteen"):
        map_in_processes(work, range(20), processes=2, keep=same)


def test_nobody_works_on_where_this_process_is_interrupted() -> None:
    parent = os.getpid()
    started, starting = os.pipe()

    def work(_: int) -> int:
        if os.getpid() != parent:
            os.write(starting, b"x")
            signal.pause()
        os.read(started, 1)  # the other process has its item
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_in_processes(work, range(2), processes=2, keep=lambda item: item)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_there_is_at_least_one_process() -> None:
    assert available_processes() >= 1


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_items_are_used_in_order(processes: int, count: int) -> None:
    items = ("x" * 1000 + str(item) for item in range(count))
    assert use_in_process(len, items, processes=processes) == [1000 + len(str(item)) for item in range(count)]


def test_a_user_that_dies_is_an_error() -> None:
    parent = os.getpid()

    def use(item: int) -> int:
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    with pytest.raises(ChildProcessError):
        use_in_process(use, range(100_000), processes=2)


def test_a_maker_that_fails_leaves_no_process() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("two")

    with pytest.raises(ValueError, match="two"):
        use_in_process(same, items(), processes=2)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
