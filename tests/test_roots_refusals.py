"""What the world refuses a root: one clear line and a next step for each, and nothing secret in either."""

from __future__ import annotations

import errno
import http.server
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import peers
from offhook.publish.roots import connections
from offhook.publish.roots.address import parse_address
from offhook.publish.roots.locked import LockedState
from offhook.publish.roots.opening import open_root, open_state
from offhook.publish.roots.root import Root, is_own, own_path
from offhook.publish.roots.sftp import Sftp
from peers import Sshd
from places import (
    ACCESS_KEY,
    ONCE,
    PASSWORD,
    SECRET_KEY,
    USER,
    bare,
    environment,
    every_call,
    refusal,
    writing,
)

pytestmark = pytest.mark.peer


@pytest.fixture(autouse=True)
def credentials() -> Iterator[None]:
    with environment():
        yield


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_FIRST_PAUSE_S", 0.001)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with peers.sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "the address of a root is empty or holds a control character"),
        ("s3://bucket/\n", "the address of a root is empty or holds a control character"),
        ("gopher://host/a", "offhook cannot publish to gopher://"),
        (f"sftp://{USER}:{SECRET_KEY}@host/a", "the address of a root holds a password"),
        (f"https://{USER}:{SECRET_KEY}@host/a", "the address of a root holds a password"),
        (f"s3://{ACCESS_KEY}@bucket/a", "an s3:// address is s3://bucket/prefix"),
        ("s3://", "a s3:// address has no valid host"),
        ("s3://bucket/a?region=eu", "a s3:// address holds ? or #"),
        ("s3://bucket/../other", "'../other' is no path below a root"),
        ("https://host/a/%2e%2e/b", "'a/../b' is no path below a root"),
        ("ftp://host:port/", "the address of a root has an invalid host or port"),
        ("ftp://ho st/", "a ftp:// address has no valid host"),
        ("file://host/srv", "a file:// address names a host"),
    ],
)
def test_addresses(address: str, message: str) -> None:
    assert refusal(lambda: open_root(address)) == message
    assert refusal(lambda: open_state(address)) == message


def test_a_file_address_is_a_folder(tmp_path: Path) -> None:
    root = open_root(f"file://{tmp_path}")
    root.write("a.cfg", b"1")
    assert ((tmp_path / "a.cfg").read_bytes(), root.name) == (b"1", str(tmp_path))


@pytest.mark.parametrize("scheme", ["s3", "sftp", "ftp", "ftps", "http", "https", "webdav", "webdavs"])
def test_nobody_listens(scheme: str, tmp_path: Path) -> None:
    port = peers.free_port()
    host = "bucket" if scheme == "s3" else f"127.0.0.1:{port}"
    (tmp_path / "known").touch()
    options = replace(ONCE, endpoint=f"http://127.0.0.1:{port}", region="x", known_hosts=tmp_path / "known")
    says = "the server cannot be reached" if scheme == "s3" else "connection refused"
    assert refusal(writing(open_root(f"{scheme}://{host}/a", options=options))) == f"{scheme}://{host}/a/a.cfg: {says}"


@pytest.mark.parametrize("scheme", ["sftp", "ftp", "ftps", "http", "webdavs"])
def test_another_kind_of_server(scheme: str, tmp_path: Path) -> None:
    (tmp_path / "known").touch()
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as stack:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    connection.sendall(b"what?\r\n" * 3)
                    connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        stack.callback(thread.join)
        stack.callback(listening.shutdown, socket.SHUT_RDWR)
        address = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/a"
        options = replace(ONCE, known_hosts=tmp_path / "known")
        refusal(writing(open_root(address, options=options)))


# --- folders


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    root = open_root(str(tmp_path / "mounted"))
    says = f"{tmp_path}/mounted does not exist"
    assert [refusal(call) for call in every_call(root)] == [says] * 4
    (tmp_path / "mounted").touch()
    assert refusal(writing(root)) == f"{tmp_path}/mounted is no folder"


def test_links_are_not_followed(tmp_path: Path) -> None:
    top, outside = tmp_path / "top", tmp_path / "outside"
    top.mkdir()
    outside.mkdir()
    (outside / "a.cfg").write_bytes(b"outside")
    (top / "folder").symlink_to(outside)
    (top / "a.cfg").symlink_to(outside / "a.cfg")
    root = open_root(str(top))
    refusal(lambda: root.read("folder/a.cfg"))
    refusal(lambda: root.write("folder/b.cfg", b"1"))
    refusal(lambda: root.delete(["folder/a.cfg"]))
    refusal(lambda: root.read("a.cfg"))
    refusal(lambda: root.write("a.cfg", b"1"))
    assert list(root.list()) == []
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"a.cfg": b"outside"}


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.cfg")
    root = open_root(str(tmp_path))
    assert [refusal(lambda: root.read("a.cfg")), refusal(writing(root))] == [f"{tmp_path}/a.cfg is no regular file"] * 2


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "no space left on device"),
        (errno.EDQUOT, "disk quota exceeded"),
        (errno.EROFS, "read-only file system"),
        (errno.EIO, "input/output error"),
    ],
)
def test_a_disk_that_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str) -> None:
    (tmp_path / "a.cfg").write_bytes(b"old")
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(tmp_path)):
            raise OSError(number, os.strerror(number))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    assert refusal(writing(open_root(str(tmp_path)))) == f"{tmp_path}/a.cfg: {says}"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.cfg": b"old"}


def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with _not_root(tmp_path):
        assert refusal(writing(open_root(str(tmp_path)))) == f"{tmp_path}/a.cfg: permission denied"
        refusal(lambda: open_state(str(tmp_path)).swaps())


@contextmanager
def _not_root(folder: Path) -> Iterator[None]:
    """Be another user, who reaches the folder, where the tests are run by root."""
    if os.geteuid() != 0:
        yield
        return
    modes = {parent: parent.stat().st_mode for parent in folder.parents if not parent.stat().st_mode & 0o001}
    for parent, mode in modes.items():
        parent.chmod(mode | 0o001)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for parent, mode in modes.items():
            parent.chmod(mode)


def test_state_is_for_its_owner_and_killed_writes_are_told(tmp_path: Path) -> None:
    state = open_state(str(tmp_path))
    assert state.write_version("a/manifest.json", b"1", None)
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0
    assert (tmp_path / "a/manifest.json").stat().st_mode & 0o077 == 0
    left = own_path("a/manifest.json", "part")
    (tmp_path / left).write_bytes(b"half")
    assert {stored.path for stored in state.list() if not is_own(stored.path)} == {"a/manifest.json"}
    state.delete([left])
    assert not (tmp_path / left).exists()


# --- SFTP


def sftp(server: Sshd, folder: Path, **changes: Any) -> Root:
    options = replace(ONCE, known_hosts=server.known_hosts, ssh_key=server.key)
    return open_root(f"sftp://{server.user}@127.0.0.1:{server.port}{folder}", options=replace(options, **changes))


def test_sftp_keys(server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OFFHOOK_ROOT_PASSWORD")
    kind, key = server.key.with_name("stranger.pub").read_text().split()[:2]
    (tmp_path / "other").write_text(f"[127.0.0.1]:{server.port} {kind} {key}\n")
    (tmp_path / "none").touch()
    where = f"sftp://{server.user}@127.0.0.1:{server.port}{tmp_path}"
    entry = f"[127.0.0.1]:{server.port}"
    found = [
        refusal(writing(sftp(server, tmp_path, **changes)))
        for changes in (
            {"known_hosts": tmp_path / "none"},
            {"known_hosts": tmp_path / "other"},
            {"known_hosts": tmp_path / "missing"},
            {"ssh_key": server.wrong_key},
            {"ssh_key": tmp_path / "missing"},
        )
    ]
    assert found == [
        f"{where}: the key of host {entry} is not known",
        f"{where}: the key of host {entry} is another one than known_hosts has",
        f"{tmp_path}/missing cannot be read",
        f"{where}: the server refuses the login",
        f"{tmp_path}/missing cannot be read",
    ]
    assert (tmp_path / "none").read_bytes() == b""


def test_sftp_refuses(server: Sshd, tmp_path: Path) -> None:
    missing = sftp(server, tmp_path / "missing")
    where = missing.name
    assert refusal(writing(missing)) == f"{where}/a.cfg: no such folder"
    assert refusal(lambda: list(missing.list())) == f"{where}: no such folder"
    (tmp_path / "keys").mkdir()
    (tmp_path / "a.cfg").write_bytes(b"old")
    with peers.sshd(tmp_path / "keys", sftp="internal-sftp -R") as reading:
        root = sftp(reading, tmp_path)
        assert root.read("a.cfg") == b"old"
        assert refusal(writing(root)) == f"{root.name}/a.cfg: permission denied"
        assert refusal(lambda: root.delete(["a.cfg"])) == f"{root.name}/a.cfg: permission denied"


def test_a_lock_that_a_killed_run_left(server: Sshd, tmp_path: Path) -> None:
    (tmp_path / ".offhook-lock").mkdir()
    options = replace(ONCE, known_hosts=server.known_hosts, ssh_key=server.key)
    address = parse_address(f"sftp://{server.user}@127.0.0.1:{server.port}{tmp_path}")
    state = LockedState(Sftp(address, options), wait_s=0)
    says = refusal(lambda: state.write_version("a", b"1", None))
    assert says == f"{address.name} stays locked by the folder .offhook-lock"
    assert [path.name for path in tmp_path.iterdir()] == [".offhook-lock"]


def test_sftp_from_the_login_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "phones").mkdir()
    with peers.sshd(tmp_path, sftp=f"internal-sftp -d {tmp_path}") as running:
        options = replace(ONCE, known_hosts=running.known_hosts, ssh_key=running.key)
        root = open_root(f"sftp://{running.user}@127.0.0.1:{running.port}/~/phones", options=options)
        root.write("a/b.cfg", b"1")
        assert [tuple(stored) for stored in root.list()] == [("a/b.cfg", 1)]
        root.close()
    assert (tmp_path / "phones/a/b.cfg").read_bytes() == b"1"


def test_a_lost_connection_is_made_again(server: Sshd, tmp_path: Path) -> None:
    root = sftp(server, tmp_path, attempts=2)
    root.write("a.cfg", b"1")
    root._connections._idle[0].client.close()  # type: ignore[attr-defined]
    root.write("a.cfg", b"2")
    assert (tmp_path / "a.cfg").read_bytes() == b"2"


# --- FTP


def test_ftp_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.cfg").write_bytes(b"old")
    with peers.ftpd(tmp_path, USER, PASSWORD, perm="elr") as url:
        root = open_root(bare(url), options=ONCE)
        says = "no such folder, or permission denied (reply 550)"
        assert refusal(writing(root)) == f"{root.name}a.cfg: {says}"
        assert refusal(lambda: root.delete(["a.cfg"])) == f"{root.name}a.cfg: {says}"
        root.delete(["b.cfg"])
        monkeypatch.setenv("OFFHOOK_ROOT_PASSWORD", "wrong")
        refused = open_root(bare(url), options=ONCE)
        assert refusal(writing(refused)) == f"{root.name}: the server refuses the login"
        ftps = open_root(bare(url).replace("ftp:", "ftps:"), options=ONCE)
        assert "(reply 50" in refusal(writing(ftps))
    assert (tmp_path / "a.cfg").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("command", "reply", "says"),
    [
        ("STOR", "452 full", "the server's disk is full (reply 452)"),
        ("STOR", "552 quota", "the quota is used up (reply 552)"),
        ("STOR", "421 bye", "the server is busy or shuts down (reply 421)"),
        ("STOR", f"599 {PASSWORD}", "the server refuses (reply 599)"),
    ],
)
def test_ftp_replies(tmp_path: Path, command: str, reply: str, says: str) -> None:
    with peers.ftpd(tmp_path, USER, PASSWORD, perm="elradfmw", replies={command: reply}) as url:
        root = open_root(bare(url), options=ONCE)
        assert refusal(writing(root)) == f"{root.name}a.cfg: {says}"


def test_ftp_that_does_not_rename_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.cfg").write_bytes(b"old")
    with peers.ftpd(tmp_path, USER, PASSWORD, perm="elradfmw", replies={"RNTO": "553 it is there"}) as url:
        root = open_root(bare(url), options=ONCE)
        assert refusal(writing(root)) == f"{root.name}: the server does not rename over a.cfg, which is there"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.cfg": b"old"}


def test_ftp_over_tls_needs_a_certificate_to_trust(tmp_path: Path) -> None:
    with peers.ftpd(tmp_path, USER, PASSWORD, perm="elradfmw", tls=peers.make_certificate(tmp_path)) as url:
        says = refusal(writing(open_root(bare(url), options=ONCE)))
    assert says == f"{bare(url)}/a.cfg: no TLS connection that can be trusted"


# --- WebDAV and PUT


def test_apache_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with peers.apache_dav(USER, PASSWORD, denied="PUT DELETE MKCOL") as (url, folder):
        (folder / "a.cfg").write_bytes(b"old")
        root = open_root(url.replace("http", "webdav"), options=ONCE)
        assert root.read("a.cfg") == b"old"
        says = f"{root.name}a.cfg: permission denied (status 403)"
        assert [refusal(writing(root)), refusal(lambda: root.delete(["a.cfg"]))] == [says] * 2
        missing = open_root(f"{url}missing".replace("http", "webdav"), options=ONCE)
        assert refusal(lambda: list(missing.list())) == f"{missing.name}: no such folder (status 404)"
    with peers.apache_dav(USER, PASSWORD) as (url, _):
        monkeypatch.setenv("OFFHOOK_ROOT_PASSWORD", "wrong")
        for attempt in (url, url.replace("http", "webdav")):
            assert refusal(writing(open_root(attempt, options=ONCE))) == f"{attempt}a.cfg: the server refuses the login"


@pytest.mark.parametrize("program", ["apache", "nginx"])
def test_a_web_server_without_mkcol_is_found_out(program: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        if program == "apache":
            url, _ = stack.enter_context(peers.apache_dav(USER, PASSWORD, denied="MKCOL"))
        else:
            url = stack.enter_context(peers.nginx_put(tmp_path, methods="PUT DELETE"))
        state = open_state(url, options=ONCE)
        assert state.swaps() is False
        assert state.write_version("lock", b"1", None) is True
        assert state.write_version("lock", b"2", None) is False
        assert state.write_version("lock", b"3", "0" * 64) is False
        assert state.read("lock") == b"1"
        assert refusal(lambda: state.write("a/b.cfg", b"")).startswith(f"{url}a/b.cfg: ")


def test_nginx_refuses(tmp_path: Path) -> None:
    with peers.nginx_put(tmp_path, methods="off") as url:
        root = open_root(url, options=ONCE)
        assert refusal(writing(root)) == f"{url}a.cfg: the server does not take PUT there (status 405)"
    with peers.nginx_put(tmp_path, limit="1k") as url:
        root = open_root(url, options=ONCE)
        says = refusal(lambda: root.write("a.cfg", b"1" * 2000))
        assert says == f"{url}a.cfg: the server takes no file of this size (status 413)"


def test_https_needs_a_certificate_to_trust(tmp_path: Path) -> None:
    tls = peers.make_certificate(tmp_path)
    (tmp_path / "no.pem").write_text("no certificate")
    with peers.nginx_put(tmp_path, tls=tls) as url:
        says = refusal(writing(open_root(url, options=ONCE)))
        assert says == f"{url}a.cfg: no TLS connection that can be trusted"
        refusal(writing(open_root(url, options=replace(ONCE, ca_file=tmp_path / "missing.pem"))))
        refusal(writing(open_root(url, options=replace(ONCE, ca_file=tmp_path / "no.pem"))))
        open_root(url, options=replace(ONCE, ca_file=tls.ca_file)).write("a.cfg", b"1")
    assert (tmp_path / "a.cfg").read_bytes() == b"1"


@contextmanager
def scripted(*statuses: int) -> Iterator[tuple[str, list[str]]]:
    """A web server that answers with these statuses, the last one again and again; gives the methods it was asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.command)
            self.send_response(statuses[min(len(asked), len(statuses)) - 1], SECRET_KEY)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{web.server_port}/", asked
        finally:
            web.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("statuses", "times", "says"),
    [
        ((503, 429, 502, 204), 4, None),
        ((503,), 4, "the server is not available (status 503)"),
        ((429,), 4, "the server asks to slow down, time and again (status 429)"),
        ((507,), 1, "the server's disk is full (status 507)"),
        ((423,), 1, "the file is locked by somebody (status 423)"),
        ((301,), 1, "the server points to another address"),
        ((402,), 1, "the server refuses (status 402)"),
    ],
)
def test_statuses_that_pass_are_tried_again(statuses: tuple[int, ...], times: int, says: str | None) -> None:
    with scripted(*statuses) as (url, asked):
        root = open_root(url, options=replace(ONCE, attempts=4))
        if says:
            assert refusal(writing(root)) == f"{url}a.cfg: {says}"
        else:
            root.write("a.cfg", b"1")
    assert asked == ["PUT"] * times


def test_credentials_come_from_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OFFHOOK_ROOT_USERNAME", "OFFHOOK_ROOT_PASSWORD"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "root").mkdir()
    with peers.ftpd(tmp_path / "root", USER, "s3cret", perm="elradfmw") as url:
        (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login {USER} password s3cret\n")
        open_root(bare(url), options=ONCE).write("a.cfg", b"1")
        other = f"ftp://somebody@{bare(url).removeprefix('ftp://')}"
        assert refusal(writing(open_root(other, options=ONCE))).endswith("the server refuses the login")
        (tmp_path / "netrc").write_text(f"machine 127.0.0.1 pass {SECRET_KEY}\n")
        says = refusal(writing(open_root(bare(url), options=ONCE)))
        assert says == f"{tmp_path}/netrc is no netrc file: line 1"


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "paramiko", None)
    monkeypatch.delitem(sys.modules, "offhook.publish.roots.sftp", raising=False)
    assert refusal(lambda: open_root("sftp://host/a")) == "sftp:// needs the package paramiko"
