"""Many phones that start at once: what they ask, how it is counted, and what is said of it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import inventories
import peers
from offhook.cli.run import run
from offhook.phone import swarm as swarm_module
from offhook.phone.request import FetchOptions
from offhook.phone.swarm import delays, made_up, percentile, swarm
from offhook.phone.threads import in_threads
from offhook.problem import OffhookError
from scripted import http_server, page, tcp_server

MACS = [f"0021f20000{number:02x}" for number in range(1, 5)]
QUICK = FetchOptions(timeout_s=5)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    for mac in MACS:
        (folder / f"{mac}.boot").write_text(f'include:config "{mac}.cfg"\n')
        (folder / f"{mac}.cfg").write_text("a=1\n")
    return folder


@pytest.mark.peer
@pytest.mark.parametrize("processes", [1, 2])
def test_a_power_cut(root: Path, processes: int) -> None:
    with peers.nginx(root) as url:
        found = swarm(MACS, url, count=200, spread_s=0.3, seed=1, options=QUICK, processes=processes)
    size = sum(path.stat().st_size for path in root.glob(f"{MACS[0]}.*"))
    assert (found.phones, found.states) == (200, {"complete": 200, "incomplete": 0, "failed": 0})
    assert found.results == {"not found": 200, "ok": 400}
    assert (len(found.boots), len(found.requests), found.bytes) == (200, 600, 200 * size)
    assert sum(found.starts) == 600
    assert list(found.requests) == sorted(found.requests)
    assert max(found.slowest) == found.requests[-1] <= found.boots[-1] <= found.took_s


def test_each_request_has_a_connection_of_its_own() -> None:
    with http_server({}) as heard:
        found = swarm(MACS, f"http://127.0.0.1:{heard.port}/", count=4, spread_s=0, options=QUICK)
    assert found.states["incomplete"] == 4
    assert len(heard.messages) == 20
    assert all(b"\r\nConnection: close\r\n" in message for message in heard.messages)


def test_a_phone_starts_though_others_wait() -> None:
    """An open loop: a slow server does not make the swarm smaller."""
    meet = threading.Barrier(30, timeout=20)

    def talk(sock: socket.socket, stopping: threading.Event) -> None:
        sock.recv(65536)
        meet.wait()  # no answer before thirty phones have asked
        sock.sendall(page(status="404 Not Found"))

    with tcp_server(talk) as port:
        options = FetchOptions(timeout_s=30)
        found = swarm(MACS, f"http://127.0.0.1:{port}/", count=30, spread_s=0, options=options, processes=2)
    assert found.results == {"not found": 150}


def test_what_this_machine_cannot_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm_module, "_AT_ONCE", 1)

    def talk(sock: socket.socket, stopping: threading.Event) -> None:
        sock.recv(65536)
        stopping.wait(0.02)
        sock.sendall(page(status="404 Not Found"))

    with tcp_server(talk) as port:
        found = swarm(MACS, f"http://127.0.0.1:{port}/", count=4, spread_s=0, options=QUICK)
    assert found.late >= 3 * 5 * 0.02  # the last one after all requests of three others


def test_nobody_answers() -> None:
    found = swarm(MACS, f"http://127.0.0.1:{peers.free_port()}/", count=10, spread_s=0.01, options=QUICK, processes=2)
    assert (found.states["failed"], found.results, found.bytes) == (10, {"refused": 10}, 0)


def test_the_other_threads_stop_where_one_fails() -> None:
    numbers = iter(range(8))

    def work(stop: threading.Event) -> None:
        if next(numbers) == 3:
            raise OffhookError("this machine lacks something")
        assert stop.wait(20)

    with pytest.raises(OffhookError, match="lacks something"):
        in_threads(work, 8)


def test_an_interrupt_while_threads_begin_stops_those_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    submit = ThreadPoolExecutor.submit
    ended = []

    def interrupted(self: ThreadPoolExecutor, *arguments: Any) -> Any:
        if self._work_queue.qsize() or len(self._threads) > 2:
            raise KeyboardInterrupt
        return submit(self, *arguments)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        in_threads(lambda stop: ended.append(stop.wait(20)), 8)
    assert set(ended) == {True}


def test_a_swarm_can_be_interrupted(root: Path) -> None:
    command = [sys.executable, "-m", "offhook", "boot", "--swarm", "20", "--spread", "600s", "--from", root.as_uri()]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, start_new_session=True) as process:
        for _ in range(500):
            if len(list(Path(f"/proc/{process.pid}/task").iterdir())) > 5:
                break
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors.strip()) == (130, b"", b"interrupted")


def test_the_same_seed_gives_the_same_delays() -> None:
    assert delays(5, 40, 7) == delays(5, 40, 7) != delays(5, 40, 8)
    many = delays(10_000, 40, 1)
    assert min(many) >= 0
    assert max(many) <= 40
    assert 19 < sum(many) / len(many) < 21


def test_made_up_phones_are_the_vendors() -> None:
    assert made_up(2) == ["0021f2000001", "0021f2000002"]


@pytest.mark.parametrize(
    ("values", "share", "found"),
    [
        ([], 0.5, 0),
        ([3], 0.99, 3),
        ([1, 2], 0.5, 1),
        ([1, 2, 3], 0.5, 2),
        (list(range(1, 101)), 0.99, 99),
        ([1, 2], 1, 2),
    ],
)
def test_percentiles(values: list[float], share: float, found: float) -> None:
    assert percentile(values, share) == found


# the command line


def call(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    assert run(["-C", str(inventories.ROOT), "boot", *arguments]) == code
    said = capsys.readouterr()
    return said.out or said.err


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(call(capsys, *arguments, "--format", "json"))


def test_the_text(root: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "macs").write_text("# phones\n00:21:F2:00:00:01\n\n0021f2000002 # a desk\n")
    arguments = ("--swarm", "40", "--spread", "0.1s", "--seed", "5", "--macs", str(tmp_path / "macs"))
    said = call(capsys, *arguments, "--from", root.as_uri())
    lines = re.sub(r"[0-9.]+(?= ms| s |\n|$)", "N", said).splitlines()
    assert said.startswith("40 phones within 0.1 s (seed 5), all done after ")
    assert lines[1] == "  complete    N"
    assert "120 requests (40 not found, 80 ok)" in said
    assert said.count("#") >= 30
    assert len(lines) == 20


def test_the_phones_of_an_environment(capsys: pytest.CaptureFixture[str]) -> None:
    url = (inventories.ROOT / "site").as_uri()
    found = as_json(capsys, "--swarm", "9", "--spread", "0", "--macs", "production", "--from", url)
    assert found["boots"]["complete"] == 9
    assert found["requests"]["results"]["ok"] == 18
    # a phone that nobody listed finds the common files
    found = as_json(capsys, "--swarm", "3", "--spread", "0", "--from", url, "--model", "FIP14G")
    assert found["phones"] == 3


def test_the_model_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with http_server({}) as heard:
        url = f"http://127.0.0.1:{heard.port}/"
        call(capsys, "--swarm", "2", "--spread", "0", "--from", url, "--model", "FIP14G", code=1)
    agents = {re.findall(rb"User-Agent: (.*)\r\n", message)[0] for message in heard.messages}
    assert agents == {b"Flyingvoice FIP14G V0.6.24 00:21:F2:00:00:0%d" % number for number in (1, 2)}


WRONG = [
    ((), "one MAC is booted, or --swarm N phones"),
    ((MACS[0], "--swarm", "2"), "one MAC is booted, or --swarm N phones"),
    (("--swarm", "0"), "--swarm"),
    (("--swarm", "2", "--spread", "soon"), "expected a time like 40s or 2m"),
    (("--swarm", "2", "--spread", "100000m"), "expected a time like 40s or 2m"),
    (("--swarm", "2", "--memory", "x"), "--memory and --allow-other-hosts are for one phone"),
    (("--swarm", "2", "--model", "a b"), "expected a model like FIP14G"),
    ((MACS[0], "--seed", "2"), "--macs and --seed go with --swarm"),
    (("--swarm", "2", "--macs", "FILE"), "line 2 of the file is no MAC address"),
    (("--swarm", "2", "--macs", "EMPTY"), "the file holds no MAC address"),
    (("--swarm", "2", "--macs", "BYTES"), "the file cannot be read as UTF-8 text"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_usage(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, content in (("FILE", b"0021f2000001\nx\n"), ("EMPTY", b"# none\n"), ("BYTES", b"\xff")):
        (tmp_path / name).write_bytes(content)
    made = [str(tmp_path / one) if one.isupper() else one for one in arguments]
    assert message in call(capsys, *made, "--from", "file:///nowhere/", code=2)
