"""The virtual phone's boot: the guide's own examples and captures, the order of requests, and its limits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.phone.boot import MAX_INCLUDES, BootResult, FetchOptions, Request, boot
from offhook.phone.trace import render_trace
from offhook.problem import OffhookError

MAC = "0021f222b01d"

TIME_CFG = """\
##Time Zone ranges from -11 to +14.
local_time.time_zone=+8
local_time.ntp_server1=cn.pool.ntp.org
local_time.ntp_server2=cn.pool.ntp.org

##Time format: 0-12 hours, 1-24 hours.
local_time.time_format=0

##Date format: 0-WWW MMM DD, 1-DD-MMM-YY, 2-YYYY-MM-DD, 3-DD/MM/YYYY, 4-MM/DD/YY, 5-DD MMM YYYY, 6-WWW DD MMM.
local_time.date_format=0
"""


def write(root: Path, files: dict[str, str | bytes]) -> str:
    """Write the files and return the folder's URL."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return f"file://{root}/"


def lines(result: BootResult) -> list[tuple[str, str]]:
    """The name below the root, and the result, of every request."""
    return [(request.url.removeprefix(result.url), request.result) for request in result.requests]


def test_guide_instance(tmp_path: Path) -> None:
    """Guide, "An Instance of Auto Provision Configuration": the boot file of step 1, time.cfg of step 2."""
    url = write(
        tmp_path,
        {"y000000000000.boot": 'include:config <time.cfg>\ninclude:config "xxx.cfg"\n', "time.cfg": TIME_CFG},
    )
    assert boot("00:21:F2:22:B0:1D", url) == BootResult(
        mac=MAC,
        url=url,
        requests=(
            Request(f"{url}{MAC}", "not found", 0, "cfg"),
            Request(f"{url}{MAC}.boot", "not found", 0, "boot"),
            Request(f"{url}y000000000000.boot", "ok", 51, "boot"),
            Request(f"{url}time.cfg", "ok", len(TIME_CFG), "cfg"),
            Request(f"{url}xxx.cfg", "not found", 0, "cfg"),
        ),
        settings={
            "local_time.time_zone": "+8",
            "local_time.ntp_server1": "cn.pool.ntp.org",
            "local_time.ntp_server2": "cn.pool.ntp.org",
            "local_time.time_format": "0",
            "local_time.date_format": "0",
        },
        resources={},
        warnings=("xxx.cfg: not found, not included",),
        complete=False,
        failed=False,
    )


def test_guide_custom_cfg(tmp_path: Path) -> None:
    """Guide, "Creating a New CFG File", included as in "Creating MAC-Oriented Boot File"."""
    url = write(
        tmp_path,
        {
            f"{MAC}.boot": 'include:config <test.cfg>\ninclude:config "http://10.20.0.92/mac.cfg"\n',
            "test.cfg": "local_contact.data.url=http://10.20.0.92/testcontact.xml\n"
            "wui.http_enable=1\nwui.https_enable=1\nlang.gui=Chinese_S\n",
        },
    )
    result = boot(MAC, url)
    other = "another scheme, host or port than the boot began with"
    assert result.settings == {
        "local_contact.data.url": "http://10.20.0.92/testcontact.xml",
        "wui.http_enable": "1",
        "wui.https_enable": "1",
        "lang.gui": "Chinese_S",
    }
    assert result.requests[2:] == (
        Request(f"{url}test.cfg", "ok", 113, "cfg"),
        Request("http://10.20.0.92/mac.cfg", "skipped", 0, "cfg", other),
        Request("http://10.20.0.92/testcontact.xml", "skipped", 0, "resource", other),
    )
    assert result.warnings == (
        f"mac.cfg: skipped: {other}, not included",
        f"testcontact.xml: skipped: {other}, not fetched",
    )


def test_guide_dhcp_capture(tmp_path: Path) -> None:
    """Guide, "DHCP Option66": three files that are not there, then y000000000000.cfg in a single block."""
    common = "local_time.time_zone=+8\nlocal_time.time_format=0\nlang.gui=English\n"
    result = boot(MAC, write(tmp_path, {"y000000000000.cfg": common}))
    assert render_trace(result) == (
        "1  FILE  0021f222b01d        cfg   not found   -\n"
        "2  FILE  0021f222b01d.boot   boot  not found   -\n"
        "3  FILE  y000000000000.boot  boot  not found   -\n"
        "4  FILE  y000000000000.cfg   cfg   ok         66\n"
        "5  FILE  0021f222b01d.cfg    cfg   not found   -\n"
        "5 requests, 1 file, 66 bytes, 3 settings: complete"
    )


def test_guide_pnp_capture(tmp_path: Path) -> None:
    """Guide, "Plug and Play (PnP) Server": the NOTIFY names a file, and the phone fetches nothing else."""
    url = write(tmp_path, {f"{MAC}.cfg": "account.1.enable=1\n", f"{MAC}.boot": "include:config <other.cfg>\n"})
    result = boot(MAC, f"{url}$(MA).cfg")
    assert render_trace(result) == (
        "1  FILE  0021f222b01d.cfg  cfg  ok  19\n1 request, 1 file, 19 bytes, 1 setting: complete"
    )
    assert result.settings == {"account.1.enable": "1"}


ORDER: list[tuple[str, dict[str, str | bytes], list[tuple[str, str]], dict[str, str]]] = [
    (
        "the phone's boot file ends the search",
        {
            f"{MAC}.boot": "include:config <a.cfg>\ninclude:config <b.cfg>\n",
            "y000000000000.boot": "include:config <c.cfg>\n",
            "y000000000000.cfg": "from=common\n",
            "a.cfg": "from=a\na=1\n",
            "b.cfg": "from=b\n",
            f"{MAC}.cfg": "from=mac\n",
        },
        [(MAC, "not found"), (f"{MAC}.boot", "ok"), ("a.cfg", "ok"), ("b.cfg", "ok")],
        {"from": "b", "a": "1"},
    ),
    (
        "common before the phone's own",
        {"y000000000000.cfg": "from=common\nc=1\n", f"{MAC}.cfg": "from=mac\nc=\n"},
        [
            (MAC, "not found"),
            (f"{MAC}.boot", "not found"),
            ("y000000000000.boot", "not found"),
            ("y000000000000.cfg", "ok"),
            (f"{MAC}.cfg", "ok"),
        ],
        {"from": "mac", "c": "1"},
    ),
    ("a bare MAC ends the search", {MAC: "a=1\n", f"{MAC}.cfg": "a=2\n"}, [(MAC, "ok")], {"a": "1"}),
    (
        "includes are relative to the boot file",
        {
            "y000000000000.boot": "include:config <HTTP Directory/sip.cfg>\n"
            "include:config <HTTP%20Directory/./../HTTP Directory/more.cfg>\n",
            "HTTP Directory/sip.cfg": "a=1\n",
            "HTTP Directory/more.cfg": "b=2\n",
        },
        [
            (MAC, "not found"),
            (f"{MAC}.boot", "not found"),
            ("y000000000000.boot", "ok"),
            ("HTTP%20Directory/sip.cfg", "ok"),
            ("HTTP%20Directory/more.cfg", "ok"),
        ],
        {"a": "1", "b": "2"},
    ),
]


@pytest.mark.parametrize(("files", "asked", "told"), [case[1:] for case in ORDER], ids=[case[0] for case in ORDER])
def test_order(
    tmp_path: Path, files: dict[str, str | bytes], asked: list[tuple[str, str]], told: dict[str, str]
) -> None:
    result = boot(MAC, write(tmp_path, files))
    assert (lines(result), result.settings, result.complete) == (asked, told, True)


def test_url_that_names_a_boot_file(tmp_path: Path) -> None:
    url = write(tmp_path, {"lab/x.boot": "include:config <a.cfg>\n", "lab/a.cfg": "a=1\n"})
    result = boot(MAC, f"{url}lab/x.boot")
    assert (result.settings, [r.result for r in result.requests]) == ({"a": "1"}, ["ok", "ok"])
    missing = boot(MAC, f"{url}lab/y.boot")
    assert (missing.settings, missing.complete, missing.failed) == ({}, False, False)


def test_folder_needs_no_slash_and_may_hold_the_mac(tmp_path: Path) -> None:
    url = write(tmp_path, {f"{MAC}/{MAC}.cfg": "a=1\n"})
    assert boot(MAC, f"{url}$(MA)").settings == {"a": "1"}


def test_memory_is_overridden_by_what_is_said(tmp_path: Path) -> None:
    """Blank values and missing lines keep what the phone has (facts of the FusionPBX pull requests)."""
    url = write(tmp_path, {f"{MAC}.cfg": "a=new\nb=\nb2 = \nc = 3\n"})
    result = boot(MAC, url, memory={"a": "old", "b": "old", "b2": "old", "z": "old"})
    assert result.settings == {"a": "new", "b": "old", "b2": "old", "z": "old", "c": "3"}
    assert result.memory == result.settings


@given(
    before=st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["0", "1", ""])),
    after=st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["0", "1"])),
)
@settings(max_examples=30, deadline=None)
def test_a_phone_converges_on_what_is_said(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, str], after: dict[str, str]
) -> None:
    """boot(A) then boot(B) ends like boot(B) for every parameter that B says."""
    root = tmp_path_factory.mktemp("root")
    first = write(root / "a", {f"{MAC}.cfg": "".join(f"{n}={v}\n" for n, v in before.items())})
    second = write(root / "b", {f"{MAC}.cfg": "".join(f"{n}={v}\n" for n, v in after.items())})
    kept = boot(MAC, second, memory=boot(MAC, first).memory).settings
    fresh = boot(MAC, second).settings
    assert {name: kept[name] for name in fresh} == fresh
    assert kept.keys() - fresh.keys() == {name for name in before.keys() - after.keys() if before[name]}


def test_resources(tmp_path: Path) -> None:
    url = write(
        tmp_path,
        {
            f"{MAC}.cfg": f"""\
local_contact.data.url=file://{tmp_path}/books/local book.xml
remote_phonebook.data.1.url=file://{tmp_path}/books/company.xml
remote_phonebook.data.2.url=
remote_phonebook.data.3.url=file://{tmp_path}/books/missing.xml
remote_phonebook.data.4.url=books/company.xml
remote_phonebook.data.5.url=file://{tmp_path}/../outside.xml
remote_phonebook.data.x.url=file://{tmp_path}/books/company.xml
other.url=file://{tmp_path}/books/company.xml
""",
            "books/local book.xml": b"<a/>",
            "books/company.xml": b"<bb/>\xff",
        },
    )
    result = boot(MAC, url)
    assert result.resources == {
        f"{url}books/local%20book.xml": b"<a/>",
        f"{url}books/company.xml": b"<bb/>\xff",
    }
    assert lines(result)[5:] == [
        ("books/local%20book.xml", "ok"),
        ("books/company.xml", "ok"),
        ("books/missing.xml", "not found"),
        (f"file://{tmp_path.parent}/outside.xml", "forbidden"),
    ]
    assert result.warnings == (
        "missing.xml: not found, not fetched",
        "a resource file is not fetched: the scheme of a URL is none, expected file, ftp, http, https or tftp",
        "outside.xml: forbidden: outside of the folder that the boot began with, not fetched",
    )
    assert (result.complete, result.failed) == (False, False)


def test_only_cfg_files_are_included(tmp_path: Path) -> None:
    url = write(tmp_path, {f"{MAC}.boot": "include:config <a.txt>\ninclude:config <a.cfg>\n", "a.cfg": "a=1\n"})
    result = boot(MAC, url)
    assert result.requests[2] == Request(f"{url}a.txt", "skipped", 0, "cfg", "only .cfg files can be included")
    assert (result.settings, result.complete) == ({"a": "1"}, False)


def test_include_limit(tmp_path: Path) -> None:
    names = [f"{number}.cfg" for number in range(MAX_INCLUDES + 5)]
    files: dict[str, str | bytes] = {name: f"n={name}\n" for name in names}
    files[f"{MAC}.boot"] = "".join(f"include:config <{name}>\n" for name in names)
    result = boot(MAC, write(tmp_path, files))
    assert len(result.requests) == 2 + MAX_INCLUDES
    assert result.settings == {"n": f"{MAX_INCLUDES - 1}.cfg"}
    assert result.warnings == (f"{MAC}.boot: 69 includes, only the first 64 are followed",)
    assert not result.complete


def test_resource_limit(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/book.xml"
    cfg = "".join(f"remote_phonebook.data.{number}.url={url}\n" for number in range(MAX_INCLUDES + 1))
    result = boot(MAC, write(tmp_path, {f"{MAC}.cfg": cfg, "book.xml": "x"}))
    assert len([request for request in result.requests if request.kind == "resource"]) == MAX_INCLUDES
    assert result.warnings == ("65 resource files, only the first 64 are fetched",)


FOREIGN = [
    (
        {f"{MAC}.boot": "<html>\n<p>Not here</p>\n"},
        (
            f"{MAC}.boot: lines 1, 2: neither a comment nor an include, not read",
            f"{MAC}.boot: includes no CFG file",
        ),
    ),
    (
        {MAC: "<html>\n"},
        (
            f"{MAC} exists: what a phone does with it is not documented, read here as its only CFG file",
            f"{MAC}: line 1: neither a comment nor name=value, not read",
            f"{MAC}: not a CFG file, no line is a setting",
        ),
    ),
    (
        {f"{MAC}.boot": "include:config <http://[x/a.cfg>\ninclude:config <a\x01.cfg>\n"},
        (
            f"{MAC}.boot: a URL has an invalid host or port, not included",
            f"{MAC}.boot: a URL holds a control character, not included",
        ),
    ),
]


@pytest.mark.parametrize(("files", "warnings"), FOREIGN)
def test_what_is_no_provisioning_file(tmp_path: Path, files: dict[str, str | bytes], warnings: tuple[str, ...]) -> None:
    result = boot(MAC, write(tmp_path, files))
    assert (result.settings, result.warnings, result.complete, result.failed) == ({}, warnings, False, False)


ESCAPES = [
    "../secret.cfg",
    "%2e%2e/secret.cfg",
    "..%2fsecret.cfg",
    "%2e%2e%2fsecret.cfg",
    "sub/../../secret.cfg",
    "sub%2f..%2f..%2fsecret.cfg",
    "/etc/secret.cfg",
    "%2fetc/secret.cfg",
    "link/secret.cfg",
    "link.cfg",
    "file:///etc/secret.cfg",
    "file://localhost/etc/secret.cfg",
    "../root2/secret.cfg",
]


@pytest.mark.parametrize("path", ESCAPES)
def test_no_path_leaves_the_folder(tmp_path: Path, path: str) -> None:
    url = write(tmp_path / "root", {f"{MAC}.boot": f"include:config <{path}>\n", "sub/a.cfg": "a=1\n"})
    write(tmp_path, {"secret.cfg": "stolen=1\n", "root2/secret.cfg": "stolen=1\n"})
    (tmp_path / "root/link").symlink_to(tmp_path)
    (tmp_path / "root/link.cfg").symlink_to(tmp_path / "secret.cfg")
    result = boot(MAC, url, options=FetchOptions(allow_other_hosts=True))
    assert result.settings == {}
    assert result.requests[2].result in {"forbidden", "not found"}


def test_the_url_cannot_be_left_either(tmp_path: Path) -> None:
    """A file named by the URL bounds the boot by its own folder."""
    url = write(tmp_path, {"root/x.boot": "include:config <../a.cfg>\n", "a.cfg": "a=1\n"})
    assert boot(MAC, f"{url}root/x.boot").requests[1].result == "forbidden"


def test_links_within_the_folder_are_followed(tmp_path: Path) -> None:
    url = write(tmp_path / "release-1", {f"{MAC}.cfg": "a=1\n"})
    (tmp_path / "release-1/y000000000000.cfg").symlink_to(f"{MAC}.cfg")
    (tmp_path / "current").symlink_to("release-1")
    assert boot(MAC, url.replace("release-1", "current")).settings == {"a": "1"}


def test_what_is_not_a_file_is_not_found(tmp_path: Path) -> None:
    url = write(tmp_path, {"y000000000000.cfg/x": "a=1\n", "a": "b"})
    os.mkfifo(tmp_path / f"{MAC}.boot")
    (tmp_path / f"{MAC}.cfg").symlink_to(f"{MAC}.cfg")  # a loop
    result = boot(MAC, url)
    assert [r.result for r in result.requests] == ["not found"] * 4 + ["error"]
    assert boot(MAC, f"{url}a/b/").requests[0].result == "not found"
    assert boot(MAC, f"file://{tmp_path}/{'x' * 300}/").requests[0].result == "error"


def test_what_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forbidden is like not there, as it is at object stores."""

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("offhook.phone.file.os.open", denied)
    result = boot(MAC, f"file://{tmp_path}/")
    assert [(r.result, r.message) for r in result.requests] == [("forbidden", "the file may not be read")] * 5
    assert (result.complete, result.failed) == (False, False)


def test_names_with_control_characters_are_not_asked_for(tmp_path: Path) -> None:
    url = write(tmp_path, {f"{MAC}.boot": "include:config <a%0a.cfg>\n"})
    result = boot(MAC, url)
    assert result.requests[2] == Request(f"{url}a%0a.cfg", "skipped", 0, "cfg", "the name holds a control character")
    assert result.warnings == ("a?.cfg: skipped: the name holds a control character, not included",)


def test_size_limit_is_per_file(tmp_path: Path) -> None:
    url = write(tmp_path, {f"{MAC}.cfg": b"a=1\n" + b"#" * 96})
    assert boot(MAC, url, options=FetchOptions(max_bytes=100)).settings == {"a": "1"}
    result = boot(MAC, url, options=FetchOptions(max_bytes=99), memory={"b": "2"})
    assert result.failed
    assert result.warnings == (f"{MAC}.cfg: too big: more than 99 bytes; the phone keeps what it has",)
    assert result.settings == {"b": "2"}


@pytest.mark.parametrize(
    ("mac", "url", "message"),
    [
        ("0021f222b01", "file:///x/", "the MAC is not valid, expected 12 hex digits"),
        (MAC, "/x/", "the scheme of a URL is none, expected file, ftp, http, https or tftp"),
        (MAC, "sftp://h/", 'the scheme of a URL is "sftp", expected file, ftp, http, https or tftp'),
        (MAC, "http:///x", "a URL has no valid host"),
        (MAC, "http://user:secret@h:99999/", "a URL has an invalid host or port"),
        (MAC, "file://server/x", "a file URL names a host, expected file:///path/"),
        (MAC, "http://h/\n", "a URL holds a control character"),
        (MAC, "http://h/\udc80", "a URL is not valid UTF-8"),
    ],
)
def test_wrong_mac_or_url(mac: str, url: str, message: str) -> None:
    with pytest.raises(OffhookError) as caught:
        boot(mac, url)
    assert caught.value.message == message
