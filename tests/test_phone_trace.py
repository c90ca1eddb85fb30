"""A boot as text, and what of it is never shown."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from offhook.phone.boot import BootResult, Request
from offhook.phone.memory import read_memory, write_memory
from offhook.phone.trace import render_settings, render_trace, shown_settings
from offhook.problem import OffhookError


def result(*requests: Request, settings: dict[str, str] | None = None, failed: bool = False) -> BootResult:
    return BootResult(
        mac="0021f222b01d",
        url="https://h/9f2c/",
        requests=requests,
        settings=settings or {},
        resources={},
        warnings=(),
        complete=not failed,
        failed=failed,
    )


def test_trace() -> None:
    requests = [Request(f"https://h/9f2c/sites/{number} é.cfg", "ok", number, "cfg") for number in range(8)]
    requests.append(Request("https://h/9f2c/a%20b%1b.cfg", "error", 0, "cfg", "\x1b[31mred"))
    requests.append(Request("http://other:81/book.xml", "skipped", 0, "resource", "another host"))
    assert render_trace(result(*requests[-3:], settings={"a": "1", "b": "2"})) == (
        "1  HTTPS  sites/7 é.cfg             cfg       ok       7\n"
        "2  HTTPS  a b?.cfg                  cfg       error    -  ?[31mred\n"
        "3  HTTP   http://other:81/book.xml  resource  skipped  -  another host\n"
        "3 requests, 1 file, 7 bytes, 2 settings: complete"
    )
    assert render_trace(result()) == "0 requests, 0 files, 0 bytes, 0 settings: complete"
    assert render_trace(result(*requests)).split("\n")[0].startswith(" 1  HTTPS")


def test_trace_of_a_failure() -> None:
    request = Request("https://h/9f2c/0021f222b01d", "refused", 0, "cfg", "no server listens there")
    assert render_trace(result(request, failed=True)) == (
        "1  HTTPS  0021f222b01d  cfg  refused  -  no server listens there\n"
        "1 request, 0 files, 0 bytes, 0 settings: failed"
    )


SHOWN = [
    ("account.1.password", "hunter2", "********"),
    ("account.1.password", "secret:berlin/alice", "secret:berlin/alice"),
    ("static.network.802_1x.md5_password", "x", "********"),
    ("static.managementserver.connection_request_password", "x", "********"),
    ("security.user_password", "admin:admin", "********"),
    ("auto_provision.aes_key_16.com", "0123456789abcdef", "********"),
    ("wifi.1.PSK", "x", "********"),
    ("features.password_dial.enable", "1", "1"),
    ("features.factory_pwd_enable", "1", "1"),
    ("features.pound_key.mode", "2", "2"),
    ("account.1.auth_name", "alice", "alice"),
    ("remote_phonebook.data.1.url", "https://u:p@w@h/x?a=b@c", "https://u:********@h/x?a=b@c"),
    ("auto_provision.server.url", "ftp://test1:123456@10.3.6.234/", "ftp://test1:********@10.3.6.234/"),
    ("account.1.label", "a://b c@d", "a://b c@d"),
]


@pytest.mark.parametrize(("name", "value", "shown"), SHOWN)
def test_secrets_are_not_shown(name: str, value: str, shown: str) -> None:
    assert shown_settings({name: value}) == {name: shown}


def test_settings_are_in_natural_order() -> None:
    settings = {"linekey.10.type": "15", "linekey.2.type": "16", "linekey.2.label": "Ä\x1b", "a": "1", "linekey": "x"}
    assert render_settings(settings) == (
        "a               = 1\nlinekey         = x\nlinekey.2.label = Ä?\nlinekey.2.type  = 16\nlinekey.10.type = 15"
    )
    assert render_settings({}) == ""


def test_memory(tmp_path: Path) -> None:
    path = tmp_path / "phone.json"
    assert read_memory(path) == {}
    write_memory(path, {"b": "ü \n", "a": "1"})
    assert path.read_text("utf-8") == '{\n  "a": "1",\n  "b": "ü \\n"\n}\n'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_memory(path) == {"a": "1", "b": "ü \n"}
    write_memory(path, {})
    assert read_memory(path) == {}
    assert os.listdir(tmp_path) == ["phone.json"]


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"a": 1}', b"\xff", b"[" * 100_000, b'"a"'])
def test_memory_that_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "phone.json"
    path.write_bytes(content)
    with pytest.raises(OffhookError, match=r"phone\.json is not "):
        read_memory(path)


def test_memory_that_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(OffhookError, match="cannot be read: is a directory"):
        read_memory(tmp_path)
    with pytest.raises(OffhookError, match="cannot be written: no such file or directory"):
        write_memory(tmp_path / "no/phone.json", {})
    (tmp_path / "folder").mkdir()
    with pytest.raises(OffhookError, match="cannot be written: is a directory"):
        write_memory(tmp_path / "folder", {"a": "1"})
    assert os.listdir(tmp_path) == ["folder"]


def test_memory_is_json(tmp_path: Path) -> None:
    write_memory(tmp_path / "m", {"a": "1"})
    assert json.loads((tmp_path / "m").read_bytes()) == {"a": "1"}
