"""Places for tests of roots: one a kind, each on a real server, with a way to look at it that is not offhook's."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

import peers
from offhook.problem import OffhookError
from offhook.publish.roots.opening import open_root, open_state
from offhook.publish.roots.root import Root, RootOptions, State

USER, PASSWORD = "publisher", "pa:ss w\u00f6rd%1"
ACCESS_KEY, SECRET_KEY = "AKIDOFFHOOK", "s3cr3t-k3y"
BUCKET = "acme-phones"
ONCE = RootOptions(attempts=1, timeout_s=5)


@dataclass(frozen=True, slots=True)
class Place:
    """A kind on a server. `look` returns an object by its path below `top`, or None, without offhook."""

    kind: str
    address: str
    options: RootOptions
    look: Callable[[str], bytes | None]
    make: Callable[[str], None]
    lists: bool = True

    def root(self, below: str = "", **changes: Any) -> Root:
        """Open the root, or a folder below it, which is made."""
        if below:
            self.make(below)
        return open_root(f"{self.address}/{below}".rstrip("/"), options=replace(self.options, **changes))

    def state(self, below: str) -> State:
        """Open a state location below it."""
        self.make(below)
        return open_state(f"{self.address}/{below}", options=self.options)


def on_disk(kind: str, address: str, options: RootOptions, folder: Path, **more: Any) -> Place:
    """Return a place whose server keeps files in a folder."""

    def look(path: str) -> bytes | None:
        return (folder / path).read_bytes() if (folder / path).is_file() else None

    def make(path: str) -> None:
        (folder / path).mkdir(parents=True, exist_ok=True)
        (folder / path).chmod(0o777)

    return Place(kind, address.rstrip("/"), options, look, make, **more)


def in_s3(kind: str, endpoint: str, options: RootOptions) -> Place:
    """Return a place in a new bucket."""
    client = s3_client(endpoint)
    client.create_bucket(Bucket=BUCKET)

    def look(path: str) -> bytes | None:
        try:
            return bytes(client.get_object(Bucket=BUCKET, Key=path)["Body"].read())
        except ClientError:
            return None

    return Place(kind, f"s3://{BUCKET}", replace(options, endpoint=endpoint, region="us-east-1"), look, lambda _: None)


def s3_client(endpoint: str) -> Any:
    """Return a client of the test's own."""
    keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
    return boto3.session.Session().client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)


@contextmanager
def environment() -> Iterator[None]:
    """Give the credentials, and none of the developer's."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as home:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("HOME", home)
        patch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("OFFHOOK_ROOT_USERNAME", USER)
        patch.setenv("OFFHOOK_ROOT_PASSWORD", PASSWORD)
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        yield


KINDS = ["directory", "seaweedfs", "moto", "sftp", "ftp", "ftps", "ftp-nlst", "nginx", "apache", "webdav"]


class Places:
    """Places by kind; each server is started at its first use, and stopped by `stack`."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._made: dict[str, Place] = {}

    def __getitem__(self, kind: str) -> Place:
        if kind not in self._made:
            folder = self._folder / kind
            folder.mkdir()
            self._made[kind] = self._make(kind, folder)
        return self._made[kind]

    def _make(self, kind: str, folder: Path) -> Place:
        start = self._stack.enter_context
        options = RootOptions(attempts=2, timeout_s=20)
        if kind == "directory":
            return on_disk(kind, str(folder), options, folder)
        if kind == "seaweedfs":
            return in_s3(kind, start(peers.seaweedfs(folder, ACCESS_KEY, SECRET_KEY)), options)
        if kind == "moto":
            return in_s3(kind, start(peers.moto()), options)
        if kind == "sftp":
            server = start(peers.sshd(folder))
            options = replace(options, known_hosts=server.known_hosts, ssh_key=server.key)
            top = folder / "served"
            top.mkdir()
            return on_disk(kind, f"sftp://{server.user}@127.0.0.1:{server.port}{top}", options, top)
        if kind in ("ftp", "ftps", "ftp-nlst"):
            tls = peers.make_certificate(folder) if kind == "ftps" else None
            without = ["MLSD"] if kind == "ftp-nlst" else []
            top = folder / "served"
            top.mkdir()
            url = start(peers.ftpd(top, USER, PASSWORD, perm="elradfmw", tls=tls, without=without))
            options = replace(options, ca_file=tls.ca_file if tls else None)
            return on_disk(kind, bare(url), options, top)
        if kind == "nginx":
            return on_disk(kind, start(peers.nginx_put(folder)), options, folder, lists=False)
        url, top = start(peers.apache_dav(USER, PASSWORD, scheme="basic" if kind == "apache" else "digest"))
        address = url.replace("http:", "webdav:") if kind == "webdav" else url
        return on_disk(kind, address, options, top, lists=kind == "webdav")


def bare(url: str) -> str:
    """Return the address without what stands before the @."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}".rstrip("/")


def refusal(call: Callable[[], Any]) -> str:
    """The message of a refusal, which is one line, has a hint, and holds no secret."""
    with pytest.raises(OffhookError) as raised:
        call()
    text = f"{raised.value.message}\n{raised.value.hint}"
    assert raised.value.hint
    assert text.count("\n") == 1
    for secret in (PASSWORD, SECRET_KEY, ACCESS_KEY):
        assert secret not in text
    return raised.value.message


def writing(root: Root) -> Callable[[], None]:
    """A write, to be refused."""
    return lambda: root.write("a.cfg", b"1")


def every_call(root: Root) -> list[Callable[[], Any]]:
    """List, read, write, delete."""
    return [lambda: list(root.list()), lambda: root.read("a.cfg"), writing(root), lambda: root.delete(["a.cfg"])]
