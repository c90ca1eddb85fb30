"""The virtual phone against real servers: every protocol gives the same boot, and says the same of its limits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

import peers
from labs import OFFHOOK
from networks import cable
from offhook.phone.boot import BootResult, FetchOptions, Request, boot
from peers import Certificate, atftpd, ftpd, lighttpd_digest, make_certificate, nginx, tftpd

MAC = "0021f222b01d"
PASSWORD = 's3 cr"et:ü'
FILES = {
    "0021f222b01d.boot": b'#!version:1.0.0.1\ninclude:config <sites/berlin 1.cfg>\ninclude:config "0021f222b01d.cfg"\n',
    "sites/berlin 1.cfg": b"local_time.time_zone=+1\naccount.1.label=site\n",
    "0021f222b01d.cfg": "account.1.label=Krüger\nlang.gui=\n".encode() + b"#" * 2000 + b"\n",
}
SETTINGS = {"local_time.time_zone": "+1", "account.1.label": "Krüger"}

pytestmark = pytest.mark.peer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path)


def expected(url: str) -> BootResult:
    """The boot of the root above, from any server."""
    asked = [
        (MAC, "not found", 0, "cfg"),
        (f"{MAC}.boot", "ok", len(FILES[f"{MAC}.boot"]), "boot"),
        ("sites/berlin%201.cfg", "ok", len(FILES["sites/berlin 1.cfg"]), "cfg"),
        (f"{MAC}.cfg", "ok", len(FILES[f"{MAC}.cfg"]), "cfg"),
    ]
    return BootResult(
        mac=MAC,
        url=url,
        requests=tuple(Request(url + name, result, size, kind) for name, result, size, kind in asked),
        settings=SETTINGS,
        resources={},
        warnings=(),
        complete=True,
        failed=False,
    )


@contextmanager
def from_file(root: Path) -> Iterator[str]:
    yield root.as_uri() + "/"


@pytest.mark.parametrize("serve", [from_file, tftpd, atftpd, nginx])
def test_open_server(root: Path, serve: Callable[[Path], AbstractContextManager[str]]) -> None:
    with serve(root) as url:
        assert boot(MAC, url) == expected(url)


def test_dnsmasq(root: Path) -> None:
    """Its TFTP has port 69 only: it gets a network of its own."""
    with cable() as (server, phone):
        words = [peers.program("dnsmasq"), "-k", "-C", "/dev/null", "-p", "0", "-u", "root", "-x", f"{root}/../pid"]
        with peers.process(server.command(*words, "--enable-tftp", "--tftp-root", str(root))):
            url = f"tftp://{server.address}/"
            ask = (str(OFFHOOK), "boot", MAC, "--from", url, "--format", "json")
            for _ in range(100):
                answer = phone.run(*ask)
                if answer.returncode == 0:
                    break
            found = json.loads(answer.stdout)
    wanted = expected(url)
    assert found["settings"] == SETTINGS
    assert [(one["url"], one["result"], one["bytes"]) for one in found["requests"]] == [
        (one.url, one.result, one.bytes) for one in wanted.requests
    ]


@pytest.mark.parametrize("serve", [from_file, tftpd, atftpd, nginx])
def test_empty_folder(tmp_path: Path, serve: Callable[[Path], AbstractContextManager[str]]) -> None:
    with serve(tmp_path) as url:
        result = boot(MAC, url, memory={"a": "1"})
    names = [MAC, f"{MAC}.boot", "y000000000000.boot", "y000000000000.cfg", f"{MAC}.cfg"]
    assert [(r.url, r.result) for r in result.requests] == [(url + name, "not found") for name in names]
    assert result.warnings == (f"{url} has no boot or CFG file for this phone; it keeps what it has",)
    assert (result.settings, result.complete, result.failed) == ({"a": "1"}, False, False)


def test_https_trusts_its_authority_only(root: Path, certificate: Certificate) -> None:
    options = FetchOptions(ca_file=str(certificate.ca_file))
    with nginx(root, tls=certificate) as url:
        assert boot(MAC, url, options=options) == expected(url)
        distrusted = boot(MAC, url)
    assert distrusted.failed
    assert distrusted.requests == (
        Request(
            url + MAC,
            "error",
            0,
            "cfg",
            "the server's certificate is not trusted: unable to get local issuer certificate",
        ),
    )


def test_basic(root: Path, certificate: Certificate) -> None:
    known = FetchOptions("phone", PASSWORD, str(certificate.ca_file))
    with nginx(root, tls=certificate, user="phone", password=PASSWORD) as url:
        assert boot(MAC, url, options=known) == expected(url)
        wrong = boot(MAC, url, options=FetchOptions("phone", "wrong", str(certificate.ca_file)))
        none = boot(MAC, url, options=FetchOptions(ca_file=str(certificate.ca_file)))
    assert [(r.result, r.message) for r in wrong.requests + none.requests] == [
        ("unauthorized", "the server refuses the credentials"),
        ("unauthorized", "the server asks for credentials"),
    ]
    assert wrong.failed
    assert none.failed


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-256|MD5", "MD5|SHA-256"])
def test_digest(root: Path, algorithm: str) -> None:
    password = "s3:cr et"
    with lighttpd_digest(root, "phone", password, algorithm=algorithm) as url:
        assert boot(MAC, url, options=FetchOptions("phone", password)) == expected(url)
        wrong = boot(MAC, url, options=FetchOptions("phone", "wrong"))
    assert [r.result for r in wrong.requests] == ["unauthorized"]


def test_ftp(root: Path) -> None:
    with ftpd(root, "test1", "123456") as url:
        shown = url.replace("test1:123456@", "")
        assert boot(MAC, url) == expected(shown)
        assert boot(MAC, shown, options=FetchOptions("test1", "123456")) == expected(shown)
        wrong = boot(MAC, url.replace("123456", "wrong"))
        anonymous = boot(MAC, shown)
    for refused in (wrong, anonymous):
        assert refused.failed
        assert [r.result for r in refused.requests] == ["unauthorized"]
    assert "wrong" not in repr(wrong)


def test_size_limit(root: Path) -> None:
    """The limit is for a file as a whole: the last file is larger, by however little."""
    options = FetchOptions(max_bytes=len(FILES[f"{MAC}.cfg"]) - 1)
    with tftpd(root) as tftp, nginx(root) as http, ftpd(root, "u", "p") as ftp:
        for url in (tftp, http, ftp, root.as_uri() + "/"):
            result = boot(MAC, url, options=options)
            assert result.requests[-1].result == "too big"
            assert result.requests[-1].message == f"more than {options.max_bytes} bytes"
            assert (result.complete, result.failed) == (False, False)


def test_a_missing_program_is_not_passed_over_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-server is not installed"):
        peers.program("no-such-server")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="no-such-server is not installed"):
        peers.program("no-such-server")


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1024, 100_000])
def test_every_length_arrives(tmp_path: Path, size: int) -> None:
    """TFTP ends with a short block, which is empty where the length is a multiple of the block size."""
    content = b"a=" + b"x" * (size - 2) if size > 2 else b"#" * size
    (tmp_path / f"{MAC}.cfg").write_bytes(content)
    with tftpd(tmp_path) as url:
        result = boot(MAC, f"{url}{MAC}.cfg")
    assert result.requests == (Request(f"{url}{MAC}.cfg", "ok", size, "cfg"),)
    assert result.settings == ({"a": "x" * (size - 2)} if size > 2 else {})
