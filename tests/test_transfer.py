"""Carrying contents to a root: all arrive whole, from several processes, through faults, or one refusal ends it."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

import peers
from offhook.problem import OffhookError
from offhook.publish.carry.transfer import send
from offhook.publish.roots.opening import open_root, writers
from offhook.publish.roots.root import NOTHING, About, Content, Passing, Root, RootOptions
from places import ACCESS_KEY, BUCKET, SECRET_KEY, environment, s3_client

ABOUT = About("text/plain", "no-cache", "abc")
REFUSED = OffhookError("no room", hint="make some")


def contents(count: int, *, seed: int = 1) -> dict[str, bytes]:
    randomness = random.Random(seed)
    return {f"{number:06}.cfg": randomness.randbytes(randomness.randrange(100, 3000)) for number in range(count)}


def shares(found: Mapping[str, bytes], *, size: int) -> list[Callable[[], Iterator[Content]]]:
    paths = list(found)
    return [
        lambda part=paths[start : start + size]: (Content(path, found[path]) for path in part)
        for start in range(0, len(paths), size)
    ]


@dataclass(slots=True)
class Memory:
    """A root in a folder of files for all processes: each write adds a byte to a file of the path's name."""

    folder: Path
    refuse: Callable[[str], OffhookError | None] = lambda _: None
    pause_s: float = 0.0
    most: int = 0
    now: int = 0
    lock: Any = field(default_factory=threading.Lock)
    closed: bool = False

    def write(self, path: str, content: bytes, about: About = NOTHING) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.pause_s)
        try:
            if refusal := self.refuse(path):
                raise refusal
            with (self.folder / path).open("ab") as file:
                file.write(b"x")
        finally:
            with self.lock:
                self.now -= 1

    def close(self) -> None:
        self.closed = True

    @property
    def writes(self) -> dict[str, int]:
        return {file.name: file.stat().st_size for file in self.folder.iterdir()}


def carry(
    parts: Sequence[Callable[[], Iterator[Content]]],
    wanted: Any,
    opening: Callable[[], Any],
    *,
    processes: int = 1,
    threads: int = 4,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    return send(parts, wanted, opening, about=lambda _: ABOUT, processes=processes, threads=threads, progress=progress)


@pytest.mark.parametrize(("processes", "threads"), [(1, 1), (1, 8), (2, 1), (3, 8)])
def test_everything_wanted_is_written_once(tmp_path: Path, processes: int, threads: int) -> None:
    found = contents(1000)
    wanted = [path for path in found if not path.endswith("7.cfg")]
    told: list[tuple[int, int]] = []
    root = Memory(tmp_path)
    written = carry(
        shares(found, size=50),
        wanted,
        lambda: root,
        processes=processes,
        threads=threads,
        progress=lambda done, total: told.append((done, total)),
    )
    assert sorted(written) == wanted
    assert root.writes == dict.fromkeys(wanted, 1)
    assert told[-1] == (900, 900)
    assert all(total == 900 for _, total in told)
    assert root.closed
    assert root.most <= threads


def test_nothing_wanted_opens_nothing() -> None:
    assert carry(shares(contents(5), size=2), [], lambda: pytest.fail("opened")) == []
    assert carry([], ["a.cfg"], lambda: pytest.fail("opened")) == []


def test_each_process_opens_a_root_of_its_own_and_two_objects_need_one(tmp_path: Path) -> None:
    def opening() -> Memory:
        (tmp_path / f"opened-{os.getpid()}").touch()
        return Memory(tmp_path)

    parts = shares(found := contents(1000), size=10)
    carry(parts, list(found)[:2], opening, processes=2)
    assert [file.name for file in tmp_path.glob("opened-*")] == [f"opened-{os.getpid()}"]
    carry(parts, found, opening, processes=2)
    assert len(list(tmp_path.glob("opened-*"))) == 2


def test_few_contents_are_held_at_once(tmp_path: Path) -> None:
    made = 0
    ahead: list[int] = []

    def share() -> Iterator[Content]:
        nonlocal made
        for made in range(1, 501):
            ahead.append(made - len(root.writes))
            yield Content(f"{made}.cfg", b"1")

    root = Memory(tmp_path, pause_s=0.001)
    carry([share], {f"{number}.cfg" for number in range(1, 501)}, lambda: root, threads=4)
    assert made == 500
    assert max(ahead) <= 3 * 4 + 1


def test_a_killed_child_s_share_is_sent_again(tmp_path: Path) -> None:
    found, parent = contents(600), os.getpid()

    def killed_in_a_child(part: Callable[[], Iterator[Content]]) -> Callable[[], Iterator[Content]]:
        def share() -> Iterator[Content]:
            for number, content in enumerate(part()):
                if number == 30 and os.getpid() != parent:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield content

        return share

    parts = [killed_in_a_child(part) for part in shares(found, size=100)]
    root = Memory(tmp_path, pause_s=0.001)
    assert sorted(carry(parts, found, lambda: root, processes=2)) == list(found)
    assert sorted(root.writes) == list(found)
    assert max(root.writes.values()) == 2


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("threads", [1, 8])
def test_the_first_refusal_ends_it(tmp_path: Path, processes: int, threads: int) -> None:
    found = contents(4000)
    root = Memory(tmp_path, lambda path: REFUSED if path.endswith("77.cfg") else None)
    with pytest.raises(OffhookError) as raised:
        carry(shares(found, size=200), found, lambda: root, processes=processes, threads=threads)
    assert (raised.value.message, raised.value.hint) == ("no room", "make some")
    assert len(root.writes) < 1000


def test_a_refusal_of_a_killed_child_is_found_again(tmp_path: Path) -> None:
    parent, found = os.getpid(), contents(500)

    class Dying(Memory):
        """Ends its process as soon as it has stopped the others."""

    def refuse(path: str) -> OffhookError | None:
        if path < "000250.cfg":
            return None
        if os.getpid() != parent:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGKILL)).start()
            time.sleep(0.001)
        return REFUSED

    root = Dying(tmp_path, refuse, pause_s=0.001)
    with pytest.raises(OffhookError, match="no room"):
        carry(shares(found, size=50), found, lambda: root, processes=2)


def test_a_root_that_cannot_be_opened_and_a_share_that_cannot_be_made(tmp_path: Path) -> None:
    def refuse() -> Any:
        raise REFUSED

    found = contents(1000)
    for parts, opening in ((shares(found, size=100), refuse), ([refuse], lambda: Memory(tmp_path))):
        with pytest.raises(OffhookError, match="no room"):
            carry(parts, found, opening, processes=2)


@pytest.mark.parametrize("threads", [1, 4])
def test_a_bug_flies_and_ends_it(tmp_path: Path, threads: int) -> None:
    def fail(path: str) -> OffhookError | None:
        return {}[path] if path == "000400.cfg" else None  # type: ignore[no-any-return]

    found = contents(1000)
    others = set(threading.enumerate())  # of servers that other tests left running
    with pytest.raises(KeyError):
        carry(shares(found, size=50), found, lambda: Memory(tmp_path, fail), processes=2, threads=threads)
    with pytest.raises(KeyError):
        carry([lambda: iter([{}["share"]])], found, lambda: Memory(tmp_path), threads=threads)
    assert set(threading.enumerate()) <= others


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait, neither between attempts nor until a refusal is believed."""
    monkeypatch.setattr("offhook.publish.carry.transfer._PATIENCE_S", 0.0)
    monkeypatch.setattr("offhook.publish.carry.transfer.random.uniform", lambda *_: 0.0)


@pytest.mark.usefixtures("impatient")
def test_what_passes_is_tried_again(tmp_path: Path) -> None:
    found, seen = contents(300), set()

    def sometimes(path: str) -> OffhookError | None:
        if path in seen or not path.endswith("5.cfg"):
            return None
        seen.add(path)
        return Passing("busy", hint="later")

    root = Memory(tmp_path, sometimes)
    assert sorted(carry(shares(found, size=100), found, lambda: root)) == list(found)
    assert root.writes == dict.fromkeys(found, 1)


def test_a_server_that_is_away_for_a_moment_ends_nothing(tmp_path: Path) -> None:
    back = time.monotonic() + 1.5
    found = contents(200)
    root = Memory(tmp_path, lambda _: Passing("busy", hint="later") if time.monotonic() < back else None)
    assert sorted(carry(shares(found, size=100), found, lambda: root)) == list(found)


@pytest.mark.usefixtures("impatient")
def test_what_does_not_pass_is_believed(tmp_path: Path) -> None:
    found, asked = contents(3000), []

    def never(path: str) -> OffhookError:
        asked.append(path)
        return Passing("busy", hint="later")

    for refuse, most in ((never, 8), (lambda path: never(path) if path == "000150.cfg" else None, 4)):
        asked.clear()
        with pytest.raises(OffhookError, match="busy"):
            carry(shares(found, size=300), found, lambda refuse=refuse: Memory(tmp_path, refuse), threads=4)
        assert len(asked) <= most


def test_the_table_of_writers_fits_the_kinds() -> None:
    assert writers("/srv/phones") == (1, 1)
    assert writers("ftps://host/phones") == (1, 4)
    assert writers("s3://acme-phones/site") == (2, 16)


def test_a_folder_holds_everything_whole(tmp_path: Path) -> None:
    found = contents(500)
    carry(shares(found, size=100), found, lambda: open_root(str(tmp_path)), **writers(str(tmp_path))._asdict())
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == found


def in_bucket(endpoint: str, **more: Any) -> Callable[[], Root]:
    options = replace(RootOptions(endpoint=endpoint, region="us-east-1"), **more)
    return lambda: open_root(f"s3://{BUCKET}/site", options=options)


def held(endpoint: str) -> dict[str, bytes]:
    """Everything in the bucket, without offhook."""
    client = s3_client(endpoint)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
    return {key.removeprefix("site/"): bytes(client.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in keys}


@pytest.mark.peer
def test_seaweedfs_holds_everything_whole(tmp_path: Path) -> None:
    found = contents(1000)
    with environment(), peers.seaweedfs(tmp_path, ACCESS_KEY, SECRET_KEY) as endpoint:
        s3_client(endpoint).create_bucket(Bucket=BUCKET)
        written = carry(shares(found, size=200), found, in_bucket(endpoint), processes=2, threads=16)
        assert sorted(written) == list(found)
        assert held(endpoint) == found
        described = s3_client(endpoint).head_object(Bucket=BUCKET, Key="site/000000.cfg")
    assert (described["ContentType"], described["CacheControl"]) == ("text/plain", "no-cache")
    assert described["Metadata"] == {"commit": "abc"}


class Faults:
    """Answers 30 % of the PUTs with 500 or 503, resets them before or after they are done, or delays them."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.on = False

    def __call__(self, environ: dict[str, Any]) -> tuple[str, bytes] | None:
        with self._lock:
            fault = self._random.choice(("500", "503", "reset", "late")) if self._random.random() < 0.3 else ""
        if not self.on or environ["REQUEST_METHOD"] != "PUT" or not fault:
            return None
        if fault == "late":
            time.sleep(0.05)
            return None
        if fault == "reset":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return "500 Gone", b""
        code = "SlowDown" if fault == "503" else "InternalError"
        return f"{fault} Fault", f"<Error><Code>{code}</Code></Error>".encode()


@pytest.mark.peer
@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.long)])
def test_everything_arrives_whole_through_faults(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # the pauses are botocore's and tested there; so many of them take minutes
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)
    monkeypatch.setattr("offhook.publish.roots.s3_quick._FIRST_PAUSE_S", {})
    found, faults = contents(count), Faults(seed=7)
    with environment(), peers.moto(faults) as endpoint:
        s3_client(endpoint).create_bucket(Bucket=BUCKET)
        faults.on = True
        written = carry(shares(found, size=250), found, in_bucket(endpoint), threads=16)
        faults.on = False
        assert sorted(written) == list(found)
        assert held(endpoint) == found


@pytest.mark.peer
def test_credentials_that_expire_on_the_way_are_one_clear_refusal() -> None:
    taken: list[str] = []

    def expire(environ: dict[str, Any]) -> tuple[str, bytes] | None:
        if not environ["PATH_INFO"].endswith(".cfg"):
            return None
        taken.append(environ["PATH_INFO"])
        return ("400 No", b"<Error><Code>ExpiredToken</Code></Error>") if len(taken) > 100 else None

    found = contents(25_000)
    with environment(), peers.moto(expire) as endpoint:
        s3_client(endpoint).create_bucket(Bucket=BUCKET)
        with pytest.raises(OffhookError) as raised:
            carry(shares(found, size=500), found, in_bucket(endpoint), threads=16)
    assert raised.value.message.endswith(".cfg: the credentials have expired")
    assert raised.value.hint.startswith("sign in again")
    # each thread's request, and its repetition by boto3
    assert len(taken) <= 100 + 2 * 16 + 16
