"""What the world refuses a publisher: one clear line, nothing lost, and afterwards a run completes."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import peers
import places
from offhook.problem import OffhookError
from publishers import KILL, Ended, Stage, Stop, in_bucket, on_folder, publish

NOBODY = 65534


@pytest.fixture(scope="module", params=["flat", "layered"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A folder."""
    return on_folder(tmp_path_factory.mktemp("folder"), request.param)


@pytest.fixture
def stage(folder: Stage) -> Stage:
    """A folder on which the first revision is published."""
    folder.at(0)
    return folder


def is_clear(ended: Ended, says: str) -> None:
    """One line and a next step, without a password."""
    assert says in ended.how, ended
    assert "\n" not in ended.how
    assert ended.hint
    for secret in ("pass-u", places.SECRET_KEY, places.ACCESS_KEY):
        assert secret not in ended.how + ended.hint


def refused(stage: Stage, says: str, fault: Callable[[], None]) -> None:
    """The next revision is refused; every phone is whole, and then it is published."""
    is_clear(publish(stage.revisions[1], first=fault), says)
    stage.are_whole(0, 1)
    stage.completes(1, grace=True)


def from_the_call(number: int, call: Callable[..., Any], error: int) -> Callable[..., Any]:
    """Return a system call that fails from the n-th one on."""
    made = iter(range(10**9))

    def failing(*arguments: Any, **more: Any) -> Any:
        if next(made) >= number:
            raise OSError(error, os.strerror(error))
        return call(*arguments, **more)

    return failing


@pytest.mark.parametrize("number", [0, 3, 9, 12])
def test_the_disk_is_full(stage: Stage, number: int) -> None:
    def full() -> None:
        os.write = from_the_call(number, os.write, errno.ENOSPC)

    refused(stage, "no space left on device", full)


def test_a_disk_that_takes_half_a_file(stage: Stage) -> None:
    """The kernel's own limit: files end at 300 bytes."""
    refused(stage, "file too large", lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300)))


@pytest.mark.parametrize("number", [0, 5, 12])
def test_the_folder_is_read_only(stage: Stage, number: int) -> None:
    def read_only() -> None:
        make, fail = os.open, from_the_call(number, os.open, errno.EROFS)

        def opened(path: Any, flags: int, *arguments: Any, **more: Any) -> int:
            return int((fail if flags & os.O_CREAT and "dir_fd" in more else make)(path, flags, *arguments, **more))

        os.open = opened

    refused(stage, "read-only file system", read_only)


@pytest.mark.parametrize("which", ["served", "state"])
def test_no_permission(stage: Stage, which: str) -> None:
    folder = stage.folder / which
    mode = folder.stat().st_mode

    def nobody() -> None:
        # as the other user reads everything else, so that what is refused is the folder's
        if os.geteuid() == 0:
            os.chown(stage.folder / ("state" if which == "served" else "served"), NOBODY, NOBODY)
            for path in stage.folder.rglob("*"):
                if which not in path.parts:
                    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
            for parent in stage.folder.parents:
                if parent.stat().st_uid == os.geteuid() and "pytest" in str(parent):
                    parent.chmod(0o755)
            stage.folder.chmod(0o755)
            os.environ["HOME"] = str(stage.folder)
            os.seteuid(NOBODY)

    try:
        folder.chmod(0o555)
        ended = publish(stage.revisions[1], first=nobody)
    finally:
        folder.chmod(mode)
        if os.geteuid() == 0:
            for path in stage.folder.rglob("*"):
                os.chown(path, 0, 0, follow_symlinks=False)
    is_clear(ended, "permission denied")
    stage.are_whole(0, 1)
    stage.completes(1)


def test_the_folder_is_not_there(stage: Stage) -> None:
    """A mount that is not there is not published beside."""
    served, away = stage.folder / "served", stage.folder / "away"
    served.rename(away)
    is_clear(publish(stage.revisions[1]), "does not exist")
    away.rename(served)
    stage.are_whole(0)
    stage.completes(1)


def test_a_state_that_was_lost_half(stage: Stage) -> None:
    """Where the manifest is gone, nothing is believed."""
    for manifest in (stage.folder / "state/manifests").iterdir():
        content = manifest.read_bytes()
        manifest.unlink()
        is_clear(publish(stage.revisions[1]), "is gone, and the head names it")
        manifest.write_bytes(content[:-20])
        is_clear(publish(stage.revisions[1]), "is damaged")
        manifest.write_bytes(content)
    stage.are_whole(0)
    stage.completes(1)


class Server:
    """S3 that refuses from the n-th request on."""

    def __init__(self) -> None:
        self.left = 10**9
        self.status = "403 Forbidden"
        self.code = "AccessDenied"

    def __call__(self, environ: dict[str, Any]) -> tuple[str, bytes] | None:
        self.left -= 1
        if self.left >= 0:
            return None
        return self.status, f"<?xml version='1.0'?><Error><Code>{self.code}</Code></Error>".encode()


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Stage]]:
    """A bucket on which the first revision is published."""
    server = Server()
    folder = tmp_path_factory.mktemp("bucket")
    with places.environment(), peers.moto(server) as endpoint:
        stage = in_bucket(folder, "layered", endpoint)
        yield server, stage


@pytest.mark.peer
@pytest.mark.parametrize(
    ("status", "code", "says", "after"),
    [
        ("400 Bad Request", "ExpiredToken", "the credentials have expired", 9),
        ("403 Forbidden", "AccessDenied", "access is denied", 14),
        ("403 Forbidden", "RequestTimeTooSkewed", "clock and the server's are too far apart", 5),
        pytest.param("404 Not Found", "NoSuchBucket", "there is no such bucket", 0, marks=pytest.mark.long),
        pytest.param("507 Full", "XMinioStorageFull", "the server's disk is full", 20, marks=pytest.mark.long),
        *(
            pytest.param("400 Bad", "ExpiredToken", "the credentials have expired", after, marks=pytest.mark.long)
            for after in range(60)
        ),
    ],
)
def test_s3_refuses(bucket: tuple[Server, Stage], status: str, code: str, says: str, after: int) -> None:
    server, stage = bucket
    stage.at(0)
    server.status, server.code, server.left = status, code, after
    ended = publish(stage.revisions[1])
    through = server.left >= 0
    server.left = 10**9
    if not (through or (ended.how == "done" and after > 40)):  # only tidying up is left
        is_clear(ended, says)
    stage.are_whole(0, 1)
    stage.completes(1)


def test_a_refusal_is_an_offhook_error_with_a_hint(stage: Stage) -> None:
    """Each call, refused: what the publisher then says is what the world said, whatever it was doing."""
    for number in range(0, stage.calls(1), 9):
        stage.at(0)
        ended = stage.stopped(1, Stop("refuse", number))
        assert ended.how == "done" or ended.kind == OffhookError.__name__, ended
    stage.at(0)
    assert stage.stopped(1, Stop(KILL, 3)).how == "killed"
