"""`offhook boot`: what goes where, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from offhook.cli.boot import boot
from scripted import http_server, page

MAC = "0021f222b01d"
CFG = "account.1.password=hunter2\naccount.2.password=secret:berlin/alice\nlinekey.10.type=0\nlinekey.2.type=15\n"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(boot, arguments)


@pytest.fixture
def url(tmp_path: Path) -> str:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / f"{MAC}.cfg").write_text(CFG)
    return folder.as_uri() + "/"


def test_text(url: str) -> None:
    result = run("00:21:f2:22:b0:1d", "--from", url)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout == (
        "1  FILE  0021f222b01d        cfg   not found    -\n"
        "2  FILE  0021f222b01d.boot   boot  not found    -\n"
        "3  FILE  y000000000000.boot  boot  not found    -\n"
        "4  FILE  y000000000000.cfg   cfg   not found    -\n"
        "5  FILE  0021f222b01d.cfg    cfg   ok         102\n"
        "5 requests, 1 file, 102 bytes, 4 settings: complete\n"
        "\n"
        "account.1.password = ********\n"
        "account.2.password = secret:berlin/alice\n"
        "linekey.2.type     = 15\n"
        "linekey.10.type    = 0\n"
    )


def test_json(url: str) -> None:
    result = run(MAC, "--from", f"{url}$(MA).cfg", "--format", "json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {
        "mac": MAC,
        "url": f"{url}{MAC}.cfg",
        "requests": [{"url": f"{url}{MAC}.cfg", "result": "ok", "bytes": 102, "kind": "cfg", "message": ""}],
        "settings": {
            "account.1.password": "********",
            "account.2.password": "secret:berlin/alice",
            "linekey.2.type": "15",
            "linekey.10.type": "0",
        },
        "warnings": [],
        "complete": True,
        "failed": False,
    }


def test_incomplete(url: str, tmp_path: Path) -> None:
    (tmp_path / f"root/{MAC}.boot").write_text(f"include:config <{MAC}.cfg>\ninclude:config <x.cfg>\n")
    result = run(MAC, "--from", url)
    assert result.exit_code == 1
    assert result.stderr == "warning: x.cfg: not found, not included\n"
    assert result.stdout.startswith("1  FILE  0021f222b01d ")
    assert "settings: incomplete\n" in result.stdout


def test_failed(tmp_path: Path) -> None:
    memory = tmp_path / "memory.json"
    memory.write_text('{"a": "1"}')
    with http_server({}, other=page(status="500 Oops")) as heard:
        result = run(MAC, "--from", f"http://127.0.0.1:{heard.port}/", "--memory", str(memory))
    assert result.exit_code == 1
    assert result.stderr == (
        f"warning: {MAC}: error: the server answers with status 500; the phone keeps what it has\n"
    )
    assert result.stdout.endswith("\n1 request, 0 files, 0 bytes, 1 setting: failed\n\na = 1\n")
    assert memory.read_text() == '{"a": "1"}'


def test_memory(url: str, tmp_path: Path) -> None:
    memory = tmp_path / "memory.json"
    assert run(MAC, "--from", url, "--memory", str(memory)).exit_code == 0
    (tmp_path / f"root/{MAC}.cfg").write_text("linekey.2.type=16\nlinekey.10.type=\n")
    result = run(MAC, "--from", url, "--memory", str(memory))
    kept = {"account.1.password": "hunter2", "account.2.password": "secret:berlin/alice", "linekey.10.type": "0"}
    assert json.loads(memory.read_text()) == {**kept, "linekey.2.type": "16"}
    assert "hunter2" not in result.output


def test_options_reach_the_server(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("open sesame\n")
    challenge = page(status="401 No", headers=('WWW-Authenticate: Basic realm="phones"',))
    with http_server({}, other=challenge) as heard:
        url = f"http://127.0.0.1:{heard.port}/"
        options = ("--user", "Aladdin", "--password-file", str(password), "--model", "FIP14G")
        result = run(MAC, "--from", url, *options, "--timeout", "5")
    assert result.exit_code == 1
    assert b"\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n" in heard.messages[1]
    assert b"\r\nUser-Agent: Flyingvoice FIP14G V0.6.24 00:21:F2:22:B0:1D\r\n" in heard.messages[0]
    assert "sesame" not in result.output


def test_other_hosts(url: str, tmp_path: Path) -> None:
    with http_server({"/x.cfg": page(b"a=1\n")}) as heard:
        (tmp_path / f"root/{MAC}.boot").write_text(f"include:config <http://127.0.0.1:{heard.port}/x.cfg>\n")
        assert run(MAC, "--from", url).exit_code == 1
        assert run(MAC, "--from", url, "--allow-other-hosts").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("0021f222b01", "--from", "file:///x/"), "expected 12 hex digits, like 0021f2000001"),
        ((MAC, "--from", "sftp://u:hunter2@h/"), 'the scheme of a URL is "sftp", expected'),
        ((MAC, "--from", "http://u:hunter2@h:x/"), "a URL has an invalid host or port"),
        ((MAC,), "Missing option '--from'"),
        ((MAC, "--from", "file:///x/", "--password-file", __file__), "--password-file needs --user"),
        ((MAC, "--from", "file:///x/", "--ca", "/nowhere"), "File '/nowhere' does not exist"),
        ((MAC, "--from", "file:///x/", "--model", "FIP\r\nX: y"), "expected a model like FIP14G"),
        ((MAC, "--from", "file:///x/", "--timeout", "0"), "0.0 is not in the range"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr.replace("\n", " ")
    assert "hunter2" not in result.output


def test_password_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b"\xff")
    result = run(MAC, "--from", "file:///x/", "--user", "u", "--password-file", str(tmp_path / "password"))
    assert result.exit_code == 2
