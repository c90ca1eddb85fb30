"""Real servers for tests, as context managers: each serves a folder on 127.0.0.1 and gives its URL.

A test that needs one is marked `peer`. Where the program is missing the test is skipped with the reason,
in CI (the environment variable CI is set) it fails.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

_START_S = 10.0
_ATTEMPTS = 3  # another process may take a free port before the server does


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate for 127.0.0.1 and localhost, its key, and the authority that signed it: paths of PEM files."""

    ca_file: Path
    certificate: Path
    key: Path


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def program(name: str) -> str:
    """Return the path of a program, or skip the test."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return found or missing(f"{name} is not installed")


def free_port(*, udp: bool = False) -> int:
    """Return a port of 127.0.0.1 that nothing uses now."""
    kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def tftpd(root: Path) -> Iterator[str]:
    """Serve the folder with tftpd-hpa, which must be started by root; gives tftp://127.0.0.1:PORT/."""
    executable = program("in.tftpd")
    if os.geteuid() != 0:
        missing("in.tftpd must be started by root")

    def command(port: int) -> list[str]:
        # -p: the files' own permissions count, which in temporary folders are for their owner only
        return [executable, "-L", "-u", "root", "-p", "-a", f"127.0.0.1:{port}", "-s", str(root)]

    with _running(command, _answers_tftp, udp=True) as port:
        yield f"tftp://127.0.0.1:{port}/"


@contextmanager
def nginx(root: Path, *, tls: Certificate | None = None, user: str | None = None, password: str = "") -> Iterator[str]:
    """Serve the folder with nginx, over TLS and behind Basic authentication if asked; gives the URL."""
    executable = program("nginx")
    with tempfile.TemporaryDirectory(prefix="nginx-") as name:
        folder = Path(name)
        access = ""
        if user is not None:
            hashed = _run(program("openssl"), "passwd", "-apr1", password).strip()
            (folder / "users").write_text(f"{user}:{hashed}\n")
            access = f'auth_basic "phones"; auth_basic_user_file {folder}/users;'
        secure = f"ssl_certificate {tls.certificate}; ssl_certificate_key {tls.key};" if tls else ""

        def command(port: int) -> list[str]:
            listen = f"listen 127.0.0.1:{port}{' ssl' if tls else ''};"
            paths = " ".join(
                f"{what}_temp_path {folder}/{what};" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            (folder / "nginx.conf").write_text(
                f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;"
                f" events {{}} http {{ access_log off; {paths} default_type text/plain;"
                f" server {{ {listen} {secure} {access} root '{root}'; }} }}"
            )
            return [executable, "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]

        with _running(command, _accepts) as port:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/"


@contextmanager
def lighttpd_digest(root: Path, user: str, password: str, *, algorithm: str = "SHA-256|MD5") -> Iterator[str]:
    """Serve the folder with lighttpd behind Digest authentication; gives http://127.0.0.1:PORT/.

    `algorithm` is lighttpd's: MD5, SHA-256, or both, each then a challenge of its own.
    """
    executable = program("lighttpd")
    with tempfile.TemporaryDirectory(prefix="lighttpd-") as name:
        folder = Path(name)
        (folder / "users").write_text(f"{user}:{password}\n")

        def command(port: int) -> list[str]:
            (folder / "lighttpd.conf").write_text(
                f"""server.modules = ("mod_auth", "mod_authn_file")
server.document-root = "{root}"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{folder}/error.log"
auth.backend = "plain"
auth.backend.plain.userfile = "{folder}/users"
auth.require = ("/" => (
    "method" => "digest", "algorithm" => "{algorithm}", "realm" => "phones", "require" => "valid-user"
))
"""
            )
            return [executable, "-D", "-f", f"{folder}/lighttpd.conf"]

        with _running(command, _accepts) as port:
            yield f"http://127.0.0.1:{port}/"


@contextmanager
def ftpd(root: Path, user: str, password: str) -> Iterator[str]:
    """Serve the folder with pyftpdlib in a thread; gives ftp://USER:PASSWORD@127.0.0.1:PORT/."""
    try:
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.handlers import FTPHandler
        from pyftpdlib.servers import FTPServer
    except ImportError:
        missing("pyftpdlib is not installed")
    authorizer = DummyAuthorizer()
    authorizer.add_user(user, password, str(root), perm="elr")
    handler = type("Handler", (FTPHandler,), {"authorizer": authorizer, "auth_failed_timeout": 0})
    server = FTPServer(("127.0.0.1", 0), handler)
    port = server.socket.getsockname()[1]
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            server.serve_forever(timeout=0.02, blocking=False, handle_exit=False)
        server.close_all()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"ftp://{user}:{password}@127.0.0.1:{port}/"
    finally:
        stopping.set()
        thread.join()


def make_certificate(folder: Path) -> Certificate:
    """Make an authority and a certificate for 127.0.0.1 and localhost with openssl, valid for a day."""
    openssl = program("openssl")
    ca, ca_key = folder / "ca.pem", folder / "ca.key"
    request, certificate, key = folder / "server.csr", folder / "server.pem", folder / "server.key"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _run(
        *(openssl, "req", "-x509", *curve, "-keyout", str(ca_key), "-out", str(ca), "-days", "1"),
        *("-subj", "/CN=test authority", "-addext", "keyUsage=critical,keyCertSign"),
    )
    _run(openssl, "req", *curve, "-keyout", str(key), "-out", str(request), "-subj", "/CN=127.0.0.1")
    extensions = folder / "server.ext"
    extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    _run(
        *(openssl, "x509", "-req", "-in", str(request), "-CA", str(ca), "-CAkey", str(ca_key)),
        *("-CAcreateserial", "-out", str(certificate), "-days", "1", "-extfile", str(extensions)),
    )
    return Certificate(ca, certificate, key)


@contextmanager
def _running(
    command: Callable[[int], Sequence[str]], is_ready: Callable[[int], bool], *, udp: bool = False
) -> Iterator[int]:
    """Run a server on a free port until the block ends; gives the port once the server answers."""
    for _ in range(_ATTEMPTS):
        port = free_port(udp=udp)
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(command(port), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
            try:
                if _wait(process, lambda port=port: is_ready(port)):
                    yield port
                    return
            finally:
                _stop(process)
            output.seek(0)
            said = output.read().decode("utf-8", "replace")
    pytest.fail(f"{command(0)[0]} does not start: {said}", pytrace=False)


def _wait(process: subprocess.Popen[bytes], is_ready: Callable[[], bool]) -> bool:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        if is_ready():
            return process.poll() is None
        time.sleep(0.01)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _answers_tftp(port: int) -> bool:
    """Tell whether anything comes back for a file that surely does not exist."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.settimeout(0.2)
        sock.sendto(struct.pack("!H", 1) + b"offhook-is-this-up\0octet\0", ("127.0.0.1", port))
        try:
            sock.recv(512)
        except OSError:
            return False
        return True


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
