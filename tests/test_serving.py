"""The pages in docs/serving/ tell the truth: each configuration is taken out of its page and run by the real server.

Only what the page's table *Yours* lists is replaced. The example fleet is published there, and virtual phones boot.
The page on S3 and CloudFront is held by test_serving_aws.py.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests
from requests.auth import HTTPDigestAuth

import peers
from offhook.phone.boot import FetchOptions, boot
from offhook.problem import OffhookError
from offhook.publish.roots.opening import open_root, open_state
from offhook.publish.roots.root import OWN, Root, RootOptions
from served import FILES, MACS, PAGES, assert_phones_boot, block, configured

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")]

PREFIX = "9f2c"
PASSWORD = "pa ss:wörd%1"
AGENT = "Flyingvoice FIP13G V0.6.24 00:21:F2:22:AE:F1"
TEMPORARY = f"{OWN}part-0123456789abcdef"


class Machine:
    """Folders that stand for those of the page: of a server that may have given up root."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.certificate = peers.make_certificate(top)
        self.phones = top / "offhook/phones"
        self.state = top / "offhook/state/production"
        self.tls = top / "tls"
        self.logs = top / "log"
        for folder in (self.phones / PREFIX, self.state, self.tls, self.logs):
            folder.mkdir(parents=True)
        shutil.copy(self.certificate.certificate, self.tls / "fullchain.pem")
        shutil.copy(self.certificate.key, self.tls / "key.pem")
        self.root_options = RootOptions(ca_file=self.certificate.ca_file, attempts=1, timeout_s=10)

    def own(self, user: str, group: str, *folders: Path, mode: int) -> None:
        """Give folders to somebody, as `install -d -o -g -m` does; who is not root keeps them."""
        for folder in folders:
            if os.geteuid() == 0:
                shutil.chown(folder, user, group)
            folder.chmod(mode)

    def users(self, name: str, *lines: str) -> str:
        (self.top / name).write_text("".join(f"{line}\n" for line in lines))
        return str(self.top / name)

    def fetch(self, username: str = "", password: str = "") -> FetchOptions:
        return FetchOptions(username, password, str(self.certificate.ca_file))


@pytest.fixture
def machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory(prefix="serving-") as name:
        Path(name).chmod(0o755)
        yield Machine(Path(name))


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Who publishes: none of the developer's credentials."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OFFHOOK_ROOT_USERNAME", "publisher")
    monkeypatch.setenv("OFFHOOK_ROOT_PASSWORD", PASSWORD)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def publish(root: Root) -> None:
    """Write the tree of the example fleet, as publishing does."""
    for path, content in FILES.items():
        root.write(path, content)


def publish_here(machine: Machine, group: str) -> None:
    """Publish into the folder, as the pages let the machine itself do; a killed run left a file there."""
    machine.own("root", group, machine.phones, machine.phones / PREFIX, mode=0o2750)
    machine.own("root", "root", machine.state, machine.state.parent, mode=0o700)
    with umask(0o027):
        root = open_root(str(machine.phones / PREFIX))
        publish(root)
        root.write(TEMPORARY, b"account.1.password=half")
    (machine.state / "manifest.json").write_text("{}")


class Client:
    """Asks a server, as a browser or somebody curious does."""

    def __init__(self, machine: Machine, url: str, auth: object = None) -> None:
        self._machine, self._url, self._auth = machine, url, auth

    def status(self, path: str, method: str = "GET", body: bytes | None = None) -> int:
        answer = requests.request(
            method,
            self._url + path,
            data=body,
            auth=self._auth,  # type: ignore[arg-type]
            headers={"User-Agent": AGENT},
            verify=str(self._machine.certificate.ca_file),
            allow_redirects=False,
            timeout=10,
        )
        return answer.status_code


HIDDEN = ["", "9f2c/", "9f2c/phonebooks/", f"9f2c/{TEMPORARY}", "not-there.cfg", "9f2c/not-there.cfg"]
OUTSIDE = ["state/production/manifest.json", "upload/", ".upload"]


def assert_nothing_else_is_served(machine: Machine, client: Client) -> None:
    """Hold that there are no listings, no temporary files, no state, and that nobody writes."""
    asked = [*HIDDEN, *OUTSIDE]
    assert {path: client.status(path) for path in asked} == dict.fromkeys(asked, 404)
    before = sorted(machine.phones.rglob("*"))
    for method, path in [
        ("PUT", "9f2c/new.cfg"),
        ("PUT", "9f2c/0021f2000001.cfg"),
        ("DELETE", "9f2c/0021f2000001.cfg"),
    ]:
        assert client.status(path, method, b"account.1.password=stolen") in (403, 404, 405, 501), method
    assert client.status("9f2c/new/", "MKCOL") in (403, 404, 405, 501)
    assert sorted(machine.phones.rglob("*")) == before
    assert (machine.phones / PREFIX / "0021f2000001.cfg").read_bytes() == FILES["0021f2000001.cfg"]


def assert_log_names(log: Path, path: str) -> None:
    """Hold that the log has a line with the status, the file and the phone."""
    lines = log.read_text().splitlines()
    assert [line for line in lines if " 200 " in line and path in line and AGENT in line]


def handshake(machine: Machine, port: int, version: ssl.TLSVersion) -> str | None:
    """Return the version that is agreed on, by a client who knows only this one."""
    context = ssl.create_default_context(cafile=str(machine.certificate.ca_file))
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                return secure.version()
        except (ssl.SSLError, ConnectionError):
            return None


def crypted(user: str) -> str:
    done = subprocess.run(
        [peers.program("openssl"), "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True
    )
    return f"{user}:{done.stdout.strip()}"


# nginx


def nginx_tls(machine: Machine, port: int) -> str:
    here = {
        "192.0.2.10:443": f"127.0.0.1:{port}",
        "prov.nordwind.example": "localhost",
        "/etc/ssl/nordwind/": f"{machine.tls}/",
        "/etc/nginx/phones.users": machine.users("phones.users", crypted("phone")),
        "/srv/offhook/": f"{machine.top}/offhook/",
        "/var/log/nginx/": f"{machine.logs}/",
    }
    return configured("nginx-tls.md", block("nginx-tls.md", "nginx"), here)


def test_nginx_tls(machine: Machine, tmp_path: Path) -> None:
    publish_here(machine, "www-data")
    with peers.nginx_sites(lambda ports: nginx_tls(machine, ports[0])) as (port,):
        url = f"https://127.0.0.1:{port}/"
        assert_phones_boot(tmp_path, f"{url}{PREFIX}/", machine.fetch())
        client = Client(machine, url)
        assert_nothing_else_is_served(machine, client)
        assert [client.status(path) for path in ("9f2c", "9f2c/phonebooks")] == [404, 404]
        assert client.status("9f2c/0021f2000001.cfg") == 200
        if os.geteuid() == 0:
            with umask(0o077):
                open_root(str(machine.phones / PREFIX)).write("secret.cfg", b"1")
            assert client.status("9f2c/secret.cfg") == 403
        old = [handshake(machine, port, version) for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)]
        new = [handshake(machine, port, version) for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)]
    assert (old, new) == ([None, None], ["TLSv1.2", "TLSv1.3"])
    assert_log_names(machine.logs / "phones.log", "/9f2c/0021f2000001.cfg")


def test_nginx_speaks_tls_1_0_when_it_is_told_as_the_page_says(machine: Machine) -> None:
    said = re.findall(r"`(ssl_(?:protocols|ciphers) [^`]+)`", (PAGES / "README.md").read_text("utf-8"))
    assert len(said) == 2
    settings = " ".join(f"{one};" for one in said)

    def sites(ports: Sequence[int]) -> str:
        return nginx_tls(machine, ports[0]).replace("ssl_protocols TLSv1.2 TLSv1.3;", settings)

    with peers.nginx_sites(sites) as (port,):
        assert handshake(machine, port, ssl.TLSVersion.TLSv1) == "TLSv1"


def test_nginx_basic(machine: Machine, tmp_path: Path) -> None:
    publish_here(machine, "www-data")

    def sites(ports: Sequence[int]) -> str:
        return re.sub("# (auth_basic)", r"\1", nginx_tls(machine, ports[0]))

    with peers.nginx_sites(sites) as (port,):
        url = f"https://127.0.0.1:{port}/"
        assert_phones_boot(tmp_path, f"{url}{PREFIX}/", machine.fetch("phone", PASSWORD))
        assert boot(MACS[0], f"{url}{PREFIX}/", options=machine.fetch("phone", "wrong")).failed
        assert Client(machine, url).status("9f2c/0021f2000001.cfg") == 401
        assert Client(machine, url).status(f"9f2c/{TEMPORARY}") == 404


def nginx_publish(machine: Machine, port: int, *, network: str = "127.0.0.0/8") -> str:
    here = {
        "192.0.2.10:8443": f"127.0.0.1:{port}",
        "prov.nordwind.example": "localhost",
        "/etc/ssl/nordwind/": f"{machine.tls}/",
        "198.51.100.0/24": network,
        "/etc/nginx/publishers.users": machine.users("publishers.users", crypted("publisher")),
        "/srv/offhook": f"{machine.top}/offhook",
    }
    return configured("nginx-webdav.md", block("nginx-webdav.md", "nginx"), here)


def as_www_data(machine: Machine) -> None:
    folders = (machine.phones, machine.phones / PREFIX, machine.state.parent, machine.state)
    machine.own("www-data", "www-data", *folders, mode=0o700)


@pytest.mark.usefixtures("quiet")
def test_nginx_takes_what_is_published(machine: Machine, tmp_path: Path) -> None:
    as_www_data(machine)

    def sites(ports: Sequence[int]) -> str:
        return nginx_tls(machine, ports[0]) + nginx_publish(machine, ports[1])

    with peers.nginx_sites(sites, ports=2) as (phones, publisher):
        write = f"https://127.0.0.1:{publisher}/"
        root = open_root(f"{write}phones/{PREFIX}", options=machine.root_options)
        publish(root)
        root.write(TEMPORARY, b"half")
        root.write("ring.wav", bytes(2_000_000))
        state = open_state(f"{write}state/production", options=machine.root_options)
        assert state.swaps() is True
        assert state.write_version("manifest.json", b"{}", None) is True
        misspelt = open_root(f"{write}phones/9f2d", options=machine.root_options)
        with pytest.raises(OffhookError):
            misspelt.write("a.cfg", b"1")
        assert not (machine.phones / "9f2d").exists()
        assert_phones_boot(tmp_path, f"https://127.0.0.1:{phones}/{PREFIX}/", machine.fetch())
        assert_nothing_else_is_served(machine, Client(machine, f"https://127.0.0.1:{phones}/"))
        mine = Client(machine, write, ("publisher", PASSWORD.encode()))
        assert [mine.status(path, "DELETE") for path in ("phones/", "state/")] == [409, 409]
        assert [mine.status(path) for path in ("", "upload/", "other/a.cfg")] == [404] * 3
        assert mine.status(f"phones/{PREFIX}/a.cfg", "PUT", bytes(20 * 2**20 + 1)) == 413
        assert Client(machine, write).status(f"phones/{PREFIX}/0021f2000001.cfg") == 401
    assert (machine.state / "manifest.json").read_bytes() == b"{}"
    uploads = machine.top / "offhook/upload"
    assert [path for path in uploads.rglob("*") if path.is_file()] == []
    assert uploads.stat().st_dev == machine.phones.stat().st_dev


@pytest.mark.usefixtures("quiet")
def test_nginx_takes_nothing_from_elsewhere(machine: Machine) -> None:
    as_www_data(machine)
    with peers.nginx_sites(lambda ports: nginx_publish(machine, ports[0], network="198.51.100.0/24")) as (port,):
        mine = Client(machine, f"https://127.0.0.1:{port}/", ("publisher", PASSWORD.encode()))
        assert mine.status(f"phones/{PREFIX}/a.cfg", "PUT", b"1") == 403


# lighttpd


def lighttpd_digest(machine: Machine, port: int, algorithm: str) -> str:
    users = machine.top / "phones.digest"
    script = block("lighttpd-digest.md", "sh").replace("read -rs PASSWORD; ", "")
    script = script.replace("/etc/lighttpd/phones.digest", str(users))
    subprocess.run(["sh", "-c", script], check=True, env={**os.environ, "PASSWORD": PASSWORD})
    here = {
        '"192.0.2.10"': '"127.0.0.1"',
        "443": str(port),
        "/etc/ssl/nordwind/": f"{machine.tls}/",
        "/srv/offhook/phones": str(machine.phones),
        "/var/log/lighttpd/": f"{machine.logs}/",
        "/etc/lighttpd/phones.digest": str(users),
        '"MD5"': algorithm,
    }
    return configured("lighttpd-digest.md", block("lighttpd-digest.md", "lighttpd"), here)


@pytest.mark.parametrize("algorithm", ['"MD5"', '"MD5|SHA-256"', '"SHA-256"'])
def test_lighttpd_digest(machine: Machine, tmp_path: Path, algorithm: str) -> None:
    publish_here(machine, "www-data")
    machine.logs.chmod(0o777)
    with peers.lighttpd(lambda ports: lighttpd_digest(machine, ports[0], algorithm)) as port:
        url = f"https://127.0.0.1:{port}/"
        assert_phones_boot(tmp_path, f"{url}{PREFIX}/", machine.fetch("phone", PASSWORD))
        assert boot(MACS[0], f"{url}{PREFIX}/", options=machine.fetch("phone", "wrong")).failed
        assert boot(MACS[0], f"{url}{PREFIX}/", options=machine.fetch()).failed
        client = Client(machine, url, HTTPDigestAuth("phone", PASSWORD))
        assert_nothing_else_is_served(machine, client)
        assert [client.status(path) for path in ("9f2c/phonebooks", "9f2c/0021f2000001.cfg")] == [301, 200]
        versions = [handshake(machine, port, one) for one in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2)]
        asked = requests.get(f"{url}a.cfg", verify=str(machine.certificate.ca_file), timeout=10)
    assert versions == [None, "TLSv1.2"]
    challenged = re.findall(r"algorithm=([\w-]+)", asked.headers["WWW-Authenticate"])
    assert challenged == sorted(algorithm.strip('"').split("|"), reverse=True)
    assert_log_names(machine.logs / "phones.log", "/9f2c/0021f2000001.cfg")


# Apache


def apache(machine: Machine, ports: Sequence[int], *, network: str = "127.0.0.0/8") -> str:
    def user(name: str, realm: str) -> str:
        digest = hashlib.md5(f"{name}:{realm}:{PASSWORD}".encode(), usedforsecurity=False).hexdigest()
        return f"{name}:{realm}:{digest}"

    locks = machine.top / "locks"
    locks.mkdir(exist_ok=True)
    machine.own("www-data", "www-data", locks, mode=0o700)
    here = {
        "192.0.2.10:443": f"127.0.0.1:{ports[0]}",
        "192.0.2.10:8443": f"127.0.0.1:{ports[1]}",
        "prov.nordwind.example": "localhost",
        "/etc/ssl/nordwind/": f"{machine.tls}/",
        "/srv/offhook": f"{machine.top}/offhook",
        "/etc/apache2/phones.digest": machine.users("phones.digest", user("phone", "phones")),
        "/etc/apache2/publishers.digest": machine.users("publishers.digest", user("publisher", "publish")),
        "/var/log/apache2/": f"{machine.logs}/",
        "/var/lock/apache2/": f"{locks}/",
        "198.51.100.0/24": network,
    }
    return configured("apache-digest.md", block("apache-digest.md", "apache"), here)


def apache_modules() -> list[str]:
    (said,) = re.findall(r"`a2enmod ([^`]+)`", (PAGES / "apache-digest.md").read_text("utf-8"))
    return str(said).split()


@pytest.mark.usefixtures("quiet")
def test_apache_digest_and_webdav(machine: Machine, tmp_path: Path) -> None:
    as_www_data(machine)
    with peers.apache_site(lambda ports: apache(machine, ports), modules=apache_modules(), ports=2) as ports:
        write = f"webdavs://127.0.0.1:{ports[1]}"
        root = open_root(f"{write}/phones/{PREFIX}", options=machine.root_options)
        publish(root)
        root.write(TEMPORARY, b"half")
        assert {stored.path for stored in root.list()} == {*FILES, TEMPORARY}
        state = open_state(f"{write}/state/production", options=machine.root_options)
        assert state.swaps() is True
        assert state.write_version("manifest.json", b"{}", None) is True
        url = f"https://127.0.0.1:{ports[0]}/"
        assert_phones_boot(tmp_path, f"{url}{PREFIX}/", machine.fetch("phone", PASSWORD))
        assert boot(MACS[0], f"{url}{PREFIX}/", options=machine.fetch("phone", "wrong")).failed
        client = Client(machine, url, HTTPDigestAuth("phone", PASSWORD))
        assert_nothing_else_is_served(machine, client)
        assert [client.status(path) for path in ("9f2c/phonebooks", "9f2c/0021f2000001.cfg")] == [301, 200]
        phone = Client(machine, f"https://127.0.0.1:{ports[1]}/", HTTPDigestAuth("phone", PASSWORD))
        assert phone.status(f"phones/{PREFIX}/0021f2000001.cfg") == 401
        versions = [handshake(machine, ports[0], one) for one in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2)]
    assert versions == [None, "TLSv1.2"]
    assert_log_names(machine.logs / "phones.log", "/9f2c/0021f2000001.cfg")


@pytest.mark.usefixtures("quiet")
def test_apache_takes_nothing_from_elsewhere(machine: Machine) -> None:
    as_www_data(machine)

    def site(ports: Sequence[int]) -> str:
        return apache(machine, ports, network="198.51.100.0/24")

    with peers.apache_site(site, modules=apache_modules(), ports=2) as ports:
        mine = Client(machine, f"https://127.0.0.1:{ports[1]}/", HTTPDigestAuth("publisher", PASSWORD))
        assert mine.status(f"phones/{PREFIX}/a.cfg", "PUT", b"1") in (401, 403)
    assert list((machine.phones / PREFIX).iterdir()) == []


# tftpd-hpa


def tftp(port: int, opcode: int, name: str, *options: str) -> bytes:
    """Send one request, and return the first answer."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.settimeout(5)
        words = "".join(f"{word}\0" for word in (name, "octet", *options))
        sock.sendto(struct.pack("!H", opcode) + words.encode(), ("127.0.0.1", port))
        answer, source = sock.recvfrom(65536)
        sock.sendto(b"\0\x05\0\0enough\0", source)
        return answer


def tftpd(machine: Machine, port: int) -> str:
    names = machine.top / "tftpd.map"
    (line,) = re.findall(r"^(printf .*) > /etc/tftpd.map", block("tftpd-hpa.md", "sh", begins="adduser"), re.MULTILINE)
    subprocess.run(["sh", "-c", f"{line} > {names}"], check=True)
    here = {"192.0.2.10:69": f"127.0.0.1:{port}", "/srv/tftp": str(machine.phones), "/etc/tftpd.map": str(names)}
    return configured("tftpd-hpa.md", block("tftpd-hpa.md", "sh", begins="# /etc/default"), here)


def test_tftpd(machine: Machine, tmp_path: Path) -> None:
    machine.own("root", "tftp", machine.phones, mode=0o2750)
    with umask(0o027):
        root = open_root(str(machine.phones))
        publish(root)
        root.write(TEMPORARY, b"half")
        root.write("large.bin", bytes(5_000))
    (machine.phones / "private.cfg").write_bytes(b"1")
    (machine.phones / "private.cfg").chmod(0o600)
    (machine.top / "outside.cfg").write_bytes(b"1")
    (machine.phones / "link.cfg").symlink_to(machine.top / "outside.cfg")
    error = {name: b"\0\x05\0" + code for name, code in [("denied", b"\0"), ("missing", b"\x01"), ("access", b"\x02")]}
    with peers.tftpd_defaults(lambda ports: tftpd(machine, ports[0])) as port:
        assert_phones_boot(tmp_path, f"tftp://127.0.0.1:{port}/", FetchOptions())
        assert tftp(port, 1, "not-there.cfg").startswith(error["missing"])
        assert tftp(port, 1, "private.cfg").startswith(error["denied"])
        for name in (TEMPORARY, f"phonebooks/../{TEMPORARY}"):
            assert tftp(port, 1, name)[:2] == b"\0\x05"
        for name in ("../outside.cfg", "../offhook/state/production", "link.cfg", str(machine.top / "outside.cfg")):
            assert tftp(port, 1, name)[:2] == b"\0\x05"
        for name in ("new.cfg", "0021f2000001.cfg"):
            assert tftp(port, 2, name)[:2] == b"\0\x05"
        assert tftp(port, 1, "large.bin", "blksize", "8192") == b"\0\x06blksize\x001468\0"
    assert (machine.phones / "0021f2000001.cfg").read_bytes() == FILES["0021f2000001.cfg"]
    assert not (machine.phones / "new.cfg").exists()


def test_tftpd_serves_the_old_file_or_the_new_one(machine: Machine) -> None:
    machine.own("root", "tftp", machine.phones, mode=0o2750)
    root = open_root(str(machine.phones))
    contents = [b"#" + b"%d" % number * 40_000 for number in range(2)]
    with umask(0o027):
        root.write("0021f2000001.cfg", contents[0])
    stopping = threading.Event()

    def write() -> None:
        number = 0
        while not stopping.is_set():
            number = 1 - number
            root.write("0021f2000001.cfg", contents[number])

    with peers.tftpd_defaults(lambda ports: tftpd(machine, ports[0])) as port, umask(0o027):
        writer = threading.Thread(target=write)
        writer.start()
        try:
            sizes = {
                (request.result, request.bytes)
                for _ in range(20)
                for request in boot(MACS[0], f"tftp://127.0.0.1:{port}/0021f2000001.cfg").requests
            }
        finally:
            stopping.set()
            writer.join()
    assert sizes == {("ok", len(contents[0]))}
