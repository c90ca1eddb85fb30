"""Real servers for tests, as context managers: each serves a folder on 127.0.0.1 and gives its URL.

A test that needs one is marked `peer`. Where the program is missing the test is skipped with the reason,
in CI (the environment variable CI is set) it fails.
"""

from __future__ import annotations

import getpass
import hashlib
import http.client
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

_APACHE = "/usr/lib/apache2/modules"
_START_S = 20.0
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
def atftpd(root: Path) -> Iterator[str]:
    """Serve the folder with atftpd; gives tftp://127.0.0.1:PORT/."""
    executable = program("atftpd")

    def command(port: int) -> list[str]:
        words = [executable, "--daemon", "--no-fork", "--user", "root.root", "--logfile", "/dev/null"]
        return [*words, "--port", str(port), "--bind-address", "127.0.0.1", str(root)]

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
def git_http(root: Path, user: str, password: str) -> Iterator[str]:
    """Serve the repositories in the folder with git-http-backend behind lighttpd and Basic authentication.

    Gives http://127.0.0.1:PORT/. Whoever has the password may fetch and push.
    """
    executable = program("lighttpd")
    backend = Path(_run(program("git"), "--exec-path").strip()) / "git-http-backend"
    with tempfile.TemporaryDirectory(prefix="lighttpd-") as name:
        folder = Path(name)
        (folder / "users").write_text(f"{user}:{password}\n")

        def command(port: int) -> list[str]:
            (folder / "lighttpd.conf").write_text(
                f"""server.modules = ("mod_auth", "mod_authn_file", "mod_alias", "mod_cgi", "mod_setenv")
server.document-root = "{folder}"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{folder}/error.log"
alias.url = ("/" => "{backend}/")
cgi.assign = ("" => "")
setenv.add-environment = (
    "GIT_PROJECT_ROOT" => "{root}", "GIT_HTTP_EXPORT_ALL" => "1", "GIT_CONFIG_COUNT" => "1",
    "GIT_CONFIG_KEY_0" => "safe.directory", "GIT_CONFIG_VALUE_0" => "*"
)
auth.backend = "plain"
auth.backend.plain.userfile = "{folder}/users"
auth.require = ("/" => ("method" => "basic", "realm" => "git", "require" => "valid-user"))
"""
            )
            return [executable, "-D", "-f", f"{folder}/lighttpd.conf"]

        with _running(command, _accepts) as port:
            yield f"http://127.0.0.1:{port}/"


@contextmanager
def ftpd(
    root: Path,
    user: str,
    password: str,
    *,
    perm: str = "elr",
    tls: Certificate | None = None,
    without: Sequence[str] = (),
    replies: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Serve the folder with pyftpdlib in a thread; gives ftp://USER:PASSWORD@127.0.0.1:PORT/.

    `perm` is pyftpdlib's: elr reads, elradfmw writes. With `tls` both connections must be encrypted. The server does
    not know the commands `without`, and answers a command of `replies` with that text.
    """
    try:
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
        from pyftpdlib.ioloop import IOLoop
        from pyftpdlib.servers import FTPServer
    except ImportError:
        missing("pyftpdlib is not installed")
    authorizer = DummyAuthorizer()
    authorizer.add_user(user, password, str(root), perm=perm)
    known = {name: value for name, value in FTPHandler.proto_cmds.items() if name not in without}
    says: dict[str, object] = {
        f"ftp_{name}": lambda self, path, text=text: self.respond(text) for name, text in (replies or {}).items()
    }
    secure: dict[str, object] = {}
    if tls:
        known = {**known, **TLS_FTPHandler.proto_cmds}
        secure = {"certfile": str(tls.certificate), "keyfile": str(tls.key)}
        secure |= {"tls_control_required": True, "tls_data_required": True}
    plain = {"authorizer": authorizer, "auth_failed_timeout": 0, "proto_cmds": known}
    handler = type("Handler", (TLS_FTPHandler if tls else FTPHandler,), {**plain, **says, **secure})
    server = FTPServer(("127.0.0.1", 0), handler, ioloop=IOLoop())  # the usual one is shared by all servers
    port = server.socket.getsockname()[1]
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            server.serve_forever(timeout=0.02, blocking=False, handle_exit=False)
        server.close_all()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"{'ftps' if tls else 'ftp'}://{user}:{password}@127.0.0.1:{port}/"
    finally:
        stopping.set()
        thread.join()


@contextmanager
def nginx_put(
    root: Path, *, tls: Certificate | None = None, methods: str = "PUT DELETE MKCOL", limit: str = "0"
) -> Iterator[str]:
    """Take files into the folder by PUT with nginx's ngx_http_dav_module; gives the URL."""
    executable = program("nginx")
    with tempfile.TemporaryDirectory(prefix="nginx-") as name:
        folder = Path(name)
        secure = f"ssl_certificate {tls.certificate}; ssl_certificate_key {tls.key};" if tls else ""
        paths = " ".join(
            f"{what}_temp_path {folder}/{what};" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )

        def command(port: int) -> list[str]:
            (folder / "nginx.conf").write_text(
                f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;"
                f" events {{}} http {{ access_log off; {paths} default_type text/plain; client_max_body_size {limit};"
                f" server {{ listen 127.0.0.1:{port}{' ssl' if tls else ''}; {secure}"
                f" root '{root}'; dav_methods {methods}; }} }}"
            )
            return [executable, "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]

        with _running(command, _accepts) as port:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{port}/"


@contextmanager
def apache_dav(user: str, password: str, *, scheme: str = "digest", denied: str = "") -> Iterator[tuple[str, Path]]:
    """Serve a folder of its own with Apache's mod_dav behind Basic or Digest; gives the URL and the folder.

    The methods `denied` (PUT DELETE) are answered with 403. The folder is not the test's: started by root, Apache works
    as a user who cannot enter that one.
    """
    executable = program("apache2")
    with tempfile.TemporaryDirectory(prefix="apache-") as name:
        folder, root = Path(name), Path(name) / "root"
        root.mkdir()
        hashed = _run(program("openssl"), "passwd", "-apr1", password).strip()
        digest = hashlib.md5(f"{user}:phones:{password}".encode(), usedforsecurity=False).hexdigest()
        (folder / "users").write_text(f"{user}:{hashed}\n" if scheme == "basic" else f"{user}:phones:{digest}\n")
        modules = ("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "dav", "dav_fs")
        loaded = [f"LoadModule {one}_module {_APACHE}/mod_{one}.so" for one in (*modules, f"auth_{scheme}")]
        limits = f"<RequireNone>\nRequire method {denied}\n</RequireNone>" if denied else ""

        def command(port: int) -> list[str]:
            (folder / "apache.conf").write_text(
                "\n".join(loaded)
                + f"""
ServerRoot {folder}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {folder}/pid
ErrorLog {folder}/error.log
DocumentRoot {root}
DavLockDB {folder}/locks/db
User nobody
Group nogroup
<Directory {root}>
Dav On
AuthType {scheme}
AuthName phones
AuthUserFile {folder}/users
AuthzSendForbiddenOnFailure On
<RequireAll>
Require valid-user
{limits}
</RequireAll>
</Directory>
"""
            )
            return [executable, "-f", f"{folder}/apache.conf", "-DFOREGROUND"]

        (folder / "locks").mkdir()
        for path in (folder, root, folder / "locks"):
            path.chmod(0o777)
        with _running(command, _accepts) as port:
            yield f"http://127.0.0.1:{port}/", root


Configuration = Callable[[Sequence[int]], str]
"""Gives the text of a configuration that listens on these ports of 127.0.0.1."""


@contextmanager
def nginx_sites(sites: Configuration, *, ports: int = 1) -> Iterator[list[int]]:
    """Run nginx as Debian's nginx.conf does, with these files of sites-enabled; gives the ports."""
    executable = program("nginx")
    with _open_folder("nginx-") as folder:
        paths = " ".join(
            f"{what}_temp_path {folder}/{what};" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"user www-data; worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;"
            f" events {{}} http {{ access_log off; {paths} include {folder}/sites; }}"
        )

        def command(chosen: Sequence[int]) -> list[str]:
            (folder / "sites").write_text(sites(chosen))
            return [executable, "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]

        with _running_on(command, ports) as chosen:
            yield chosen


@contextmanager
def lighttpd(configuration: Configuration) -> Iterator[int]:
    """Run lighttpd with a whole lighttpd.conf; gives the port."""
    executable = program("lighttpd")
    with _open_folder("lighttpd-") as folder:

        def command(chosen: Sequence[int]) -> list[str]:
            (folder / "lighttpd.conf").write_text(configuration(chosen))
            return [executable, "-D", "-f", f"{folder}/lighttpd.conf"]

        with _running_on(command, 1) as chosen:
            yield chosen[0]


_APACHE_ENABLED = (
    *("access_compat", "alias", "auth_basic", "authn_core", "authn_file", "authz_core", "authz_host", "authz_user"),
    *("autoindex", "deflate", "dir", "env", "filter", "mime", "mpm_event", "negotiation", "reqtimeout", "setenvif"),
)
"""What Debian 12 enables when it installs Apache."""


@contextmanager
def apache_site(site: Configuration, *, modules: Sequence[str], ports: int = 1) -> Iterator[list[int]]:
    """Run Apache with Debian's modules, those that `a2enmod` names, and a file of sites-enabled; gives the ports.

    Like Debian's ports.conf it listens on the first port; the site must say the others.
    """
    executable = program("apache2")
    needed = ("socache_shmcb",) if "ssl" in modules else ()
    loaded = [f"LoadModule {one}_module {_APACHE}/mod_{one}.so" for one in (*_APACHE_ENABLED, *needed, *modules)]
    with _open_folder("apache-") as folder:

        def command(chosen: Sequence[int]) -> list[str]:
            frame = (
                f"ServerRoot {folder}\nServerName 127.0.0.1\nListen 127.0.0.1:{chosen[0]}\nPidFile {folder}/pid\n"
                f"ErrorLog {folder}/error.log\nTypesConfig /dev/null\nUser www-data\nGroup www-data\n"
                f"<Directory />\nAllowOverride None\nRequire all denied\n</Directory>\n"
            )
            (folder / "apache.conf").write_text("\n".join(loaded) + "\n" + frame + site(chosen))
            return [executable, "-f", f"{folder}/apache.conf", "-DFOREGROUND"]

        with _running_on(command, ports) as chosen:
            yield chosen


@contextmanager
def tftpd_defaults(defaults: Configuration) -> Iterator[int]:
    """Run tftpd-hpa as its unit does with a file /etc/default/tftpd-hpa; gives the port."""
    executable = program("in.tftpd")
    if os.geteuid() != 0:
        missing("in.tftpd must be started by root")
    started = (
        '. "$1"; exec "$0" --foreground --user $TFTP_USERNAME --address $TFTP_ADDRESS $TFTP_OPTIONS $TFTP_DIRECTORY'
    )
    with _open_folder("tftpd-") as folder:

        def command(port: int) -> list[str]:
            (folder / "defaults").write_text(defaults([port]))
            return ["sh", "-c", started, executable, f"{folder}/defaults"]

        with _running(command, _answers_tftp, udp=True) as port:
            yield port


@dataclass(frozen=True, slots=True)
class Sshd:
    """An SSH server: its port and user, the key to log in with and one it does not know, its own key's known_hosts."""

    port: int
    user: str
    key: Path
    wrong_key: Path
    known_hosts: Path


@contextmanager
def sshd(folder: Path, *, sftp: str = "internal-sftp") -> Iterator[Sshd]:
    """Run OpenSSH's server with its SFTP subsystem (`internal-sftp -R` only reads); its keys are made in the folder."""
    executable, keygen = program("sshd"), program("ssh-keygen")
    for name in ("host", "user", "stranger"):
        _run(keygen, "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name))
    (folder / "authorized").write_text((folder / "user.pub").read_text())
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # which sshd demands of root

    def command(port: int) -> list[str]:
        (folder / "sshd.conf").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
            f"AuthorizedKeysFile {folder}/authorized\nPermitRootLogin prohibit-password\nMaxStartups 100\n"
            f"PasswordAuthentication no\nSubsystem sftp {sftp}\n"
        )
        return [executable, "-D", "-e", "-f", f"{folder}/sshd.conf"]

    with _running(command, _accepts) as port:
        kind, key = (folder / "host.pub").read_text().split()[:2]
        known = folder / "known_hosts"
        known.write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
        yield Sshd(port, getpass.getuser(), folder / "user", folder / "stranger", known)


@contextmanager
def seaweedfs(folder: Path, access_key: str, secret_key: str) -> Iterator[str]:
    """Run SeaweedFS with its S3 interface, for one user with all rights; gives the endpoint. It takes seconds."""
    executable = program("weed")
    user = {"name": "offhook", "credentials": [{"accessKey": access_key, "secretKey": secret_key}]}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    (folder / "s3.json").write_text(json.dumps({"identities": [{**user, "actions": actions}]}))

    def command(port: int) -> list[str]:
        parts = ("master.port", "volume.port", "filer.port", "master.port.grpc", "volume.port.grpc", "filer.port.grpc")
        ports = [f"-{part}={free_port()}" for part in (*parts, "s3.port.grpc")]
        off = ["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.volumeSizeLimitMB=64", "-volume.max=20"]
        s3 = ["-s3", f"-s3.port={port}", f"-s3.config={folder}/s3.json"]
        return [executable, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *ports, *off, *s3]

    # what it holds is thrown away: there is no need to wait for it to be put in order
    with _running(command, _answers_http, patience_s=0) as port:
        yield f"http://127.0.0.1:{port}"


Interposed = Callable[[dict[str, Any]], tuple[str, bytes] | None]
"""Sees a request's WSGI environment, may change it, and may answer in the server's place: status line and body."""


@contextmanager
def moto(interposed: Interposed = lambda _: None) -> Iterator[str]:
    """Run moto's double of AWS in a thread; gives the endpoint. It checks no signature."""
    try:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server
    except ImportError:
        missing("moto is not installed")
    aws = DomainDispatcherApplication(create_backend_app)

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        answer = interposed(environ)
        if answer is None:
            return aws(environ, start_response)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response(answer[0], [("Content-Type", "application/xml"), ("Content-Length", str(len(answer[1])))])
        return [answer[1]]

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
        with closing(http.client.HTTPConnection("127.0.0.1", server.server_port)) as connection:
            interposed = lambda _: None  # noqa: E731
            connection.request("POST", "/moto-api/reset")  # what it holds is the process's
            connection.getresponse().read()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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
def process(words: Sequence[str], *, patience_s: float = 5) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends; whoever asks for it sees when it is ready."""
    made = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield made
    finally:
        _stop(made, patience_s)


@contextmanager
def _running(
    command: Callable[[int], Sequence[str]],
    is_ready: Callable[[int], bool],
    *,
    udp: bool = False,
    patience_s: float = 5,
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
                _stop(process, patience_s)
            output.seek(0)
            said = output.read().decode("utf-8", "replace")
    pytest.fail(f"{command(0)[0]} does not start: {said}", pytrace=False)


@contextmanager
def _open_folder(prefix: str) -> Iterator[Path]:
    """Make a folder that servers which give up root can enter, unlike the test's own."""
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def _running_on(command: Callable[[Sequence[int]], Sequence[str]], ports: int) -> Iterator[list[int]]:
    """Run a server on several free ports until the block ends; gives them once it accepts on all."""
    chosen: list[int] = []

    def choose(port: int) -> Sequence[str]:
        chosen[:] = [port, *(free_port() for _ in range(ports - 1))]
        return command(chosen)

    with _running(choose, lambda _: all(map(_accepts, chosen))):
        yield chosen


def _wait(process: subprocess.Popen[bytes], is_ready: Callable[[], bool]) -> bool:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        if is_ready():
            return process.poll() is None
        time.sleep(0.01)
    return False


def _stop(process: subprocess.Popen[bytes], patience_s: float) -> None:
    process.terminate()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _answers_http(port: int) -> bool:
    """Tell whether an HTTP server answers with something that is not an error of its own."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2)) as connection:
        try:
            connection.request("GET", "/")
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False


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
