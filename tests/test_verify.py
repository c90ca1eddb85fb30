"""`offhook verify`: a published root over every protocol, broken in every way; each is told in words."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

import inventories
import peers
import repositories
from offhook.cli.run import run
from offhook.publish.places import place_of
from offhook.verify.expected import has_moved, read_release
from offhook.verify.probes import guess, probe
from publishers import changed, give_passwords, inventory, mac
from scripted import http_server, page

SCHEMA = json.loads((inventories.ROOT / "schema/output/verify.schema.json").read_text())
LOGIN = "phone-pass"
MACS = [mac(number) for number in range(1, 8)]


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 12):
        monkeypatch.setenv(f"OFFHOOK_SECRET_USERS_U{number}", f"pass-u{number}-1")
    monkeypatch.setenv("OFFHOOK_SECRET_PHONES_LOGIN", LOGIN)


class Live:
    """A fleet in a repository that was published to a folder, and the command line on it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], *, layout: str = "flat", **place: Any) -> None:
        self.folder, self.root = repositories.start(folder / "fleet"), folder / "root"
        self.root.mkdir(exist_ok=True)
        self._capsys = capsys
        self.files = inventory(layout, {"publish": "../root", "url": "http://127.0.0.1:1/", **place})
        self.publish()

    def publish(self) -> None:
        """Commit the files, and publish them."""
        repositories.commit(self.folder, self.files)
        self.run("publish", "production", *(f"--allow=cutoff:{site}" for site in ("berlin", "lyon")))

    def run(self, *arguments: str, code: int | None = 0) -> str:
        """Run a verb; it must end with `code`. Returns standard output, and standard error where it is refused."""
        self._capsys.readouterr()
        found = run(["-C", str(self.folder), *arguments])
        said = self._capsys.readouterr()
        assert code is None or found == code, said.out + said.err
        assert "pass-" not in said.out + said.err
        return said.out + (said.err if not said.out else "")

    def verify(self, *arguments: str, via: str | None = None, code: int | None = None) -> Any:
        """Return what JSON says; the exit code must fit it."""
        chosen = ("--via", via or f"{self.root.as_uri()}/") if via != "" else ()
        said = self.run("verify", "production", *chosen, *arguments, "--format", "json", code=code)
        found = json.loads(said)
        jsonschema.validate(found, SCHEMA, cls=jsonschema.Draft202012Validator)
        return found

    def text(self, *arguments: str, via: str | None = None, code: int | None = None) -> str:
        """Return the text, without its figures."""
        chosen = ("--via", via or f"{self.root.as_uri()}/")
        lines = self.run("verify", "production", *chosen, *arguments, code=code).splitlines()
        return "\n".join(line for line in lines[1:] if "a boot took" not in line).strip()


@pytest.fixture
def live(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Live:
    return Live(tmp_path, capsys)


def told(found: Any) -> dict[str, tuple[str, Any]]:
    """MAC -> verdict, and what is said of it: parameters or files."""
    return {
        one["mac"]: (
            one["verdict"],
            [tuple(part.values()) for part in one["parameters"]]
            or [(file["url"].rpartition("/")[2], file["result"]) for file in one["files"]],
        )
        for one in found["phones"]
    }


# every protocol


def servers(root: Path, folder: Path) -> dict[str, Callable[[], AbstractContextManager[str]]]:
    return {
        "http": lambda: peers.nginx(root),
        "basic": lambda: peers.nginx(root, user="phone", password=LOGIN),
        "https": lambda: peers.nginx(root, tls=peers.make_certificate(folder), user="phone", password=LOGIN),
        "digest": lambda: peers.lighttpd_digest(root, "phone", LOGIN),
        "tftp": lambda: peers.tftpd(root),
        "ftp": lambda: peers.ftpd(root, "phone", LOGIN),
    }


@pytest.mark.peer
@pytest.mark.parametrize("layout", ["flat", "layered"])
@pytest.mark.parametrize("kind", ["http", "basic", "https", "digest", "tftp", "ftp"])
def test_every_protocol(kind: str, layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "root"
    root.mkdir()
    login = {"username": "phone", "password": "secret:phones/login"} if kind != "http" else {}
    with servers(root, tmp_path)[kind]() as url:
        url = f"{url.partition('://')[0]}://{url.rpartition('@')[2] if '@' in url else url.partition('://')[2]}"
        live = Live(tmp_path, capsys, layout=layout, url=url, **login)
        options = ("--ca", str(tmp_path / "ca.pem")) if kind == "https" else ()
        good = live.verify(*options, via="", code=0)
        named = mac(2) + ".cfg" if layout == "flat" else next((root / "phones").glob(f"{mac(2)}.*")).name
        path = next(root.rglob(named))
        path.write_text(path.read_text().replace("account.1.label=102", "account.1.label=999"))
        bad = live.verify(*options, "--jobs", "3", via="", code=1)
    assert (good["url"], good["equal"], good["phones"], good["notes"]) == (url, MACS, [], [])
    # each phone asks for its bare MAC, its boot file, its CFG file, its phonebook; layered, for more CFG files
    assert good["requests"] == 7 * 4 if layout == "flat" else good["requests"] > 7 * 4
    assert told(bad) == {mac(2): ("differs", [("account.1.label", "102", "999")])}
    warned = {one["id"] for one in good["warnings"]}
    assert warned == {"tftp": {"open"}, "ftp": {"listing"}}.get(kind, set())


# the root, broken in every way


def edit(path: str, old: str, new: str) -> Callable[[Live], None]:
    def work(live: Live) -> None:
        text = (live.root / path).read_text()
        assert old in text
        (live.root / path).write_text(text.replace(old, new))

    return work


def write(path: str, content: bytes) -> Callable[[Live], None]:
    def work(live: Live) -> None:
        (live.root / path).parent.mkdir(exist_ok=True)
        (live.root / path).write_bytes(content)

    return work


def delete(*paths: str) -> Callable[[Live], None]:
    def work(live: Live) -> None:
        for path in paths:
            (live.root / path).unlink()

    return work


ONE = mac(1)
BREAKS: dict[str, tuple[Callable[[Live], None], str]] = {
    "a changed line": (
        edit(f"{ONE}.cfg", "local_time.time_format=0", "local_time.time_format=1"),
        "local_time.time_format: expected 0, has 1",
    ),
    "a line too many": (
        edit(f"{ONE}.cfg", "local_time.time_format=0", "local_time.time_format=0\nlang.gui=Klingon"),
        "lang.gui: expected nothing, has Klingon",
    ),
    "a line too few": (
        edit(f"{ONE}.cfg", "local_time.time_format=0\n", ""),
        "local_time.time_format: expected 0, has nothing",
    ),
    "a password": (edit(f"{ONE}.cfg", "pass-u1-1", "other"), "account.1.password: expected (hidden), has (hidden)"),
    "a sealed password": (
        edit(f"{ONE}.cfg", "pass-u1-1", "secret:users/u1"),
        "account.1.password: expected (hidden), has secret:users/u1",
    ),
    "a blank at the end of a value": (
        edit(f"{ONE}.cfg", "account.1.label=101", "account.1.label=101 "),
        'account.1.label: expected 101, has "101 "',
    ),
    "what steers a terminal": (
        edit(f"{ONE}.cfg", "account.1.label=101", "account.1.label=\x1b[2J"),
        "account.1.label: expected 101, has ?[2J",
    ),
}
FILES: dict[str, tuple[Callable[[Live], None], str, list[str]]] = {
    "a missing CFG file": (delete(f"{ONE}.cfg"), "missing", ["MAC.cfg: not found"]),
    "a missing boot file": (delete(f"{ONE}.boot"), "missing", ["MAC.boot: not found"]),
    "no file of its own": (delete(f"{ONE}.boot", f"{ONE}.cfg"), "missing", ["MAC.boot: not found"]),
    "an empty boot file": (write(f"{ONE}.boot", b""), "differs", ["account.1.auth_name: expected 101, has nothing"]),
    "a page instead of a file": (
        write(f"{ONE}.cfg", b"<html>Login</html>"),
        "differs",
        [*["..."] * 8, "and 10 more parameters", "MAC.cfg: line 1: neither a comment nor name=value, not read"],
    ),
    "bytes": (write(f"{ONE}.cfg", os.urandom(5000)), "differs", []),
    "an enormous file": (
        write(f"{ONE}.cfg", b"a" * 5_000_000),
        "broken",
        ["MAC.cfg: too big (more than 4194304 bytes)"],
    ),
    "a bare MAC": (
        write(ONE, b"lang.gui=Klingon\n"),
        "differs",
        ["account.1.auth_name: expected 101, has nothing"],
    ),
    "a boot file that includes nothing that is there": (
        write(f"{ONE}.boot", b'include:config "nothing.cfg"\n'),
        "missing",
        ["nothing.cfg: not found"],
    ),
}


def lines_of(text: str) -> list[str]:
    """What is said of the only group of phones."""
    groups = [group for group in text.split("\n\n") if not group.startswith("note: phonebooks on other servers")]
    assert len(groups) == 2, text
    return groups[1].splitlines()


@pytest.mark.parametrize("name", BREAKS)
def test_a_parameter(live: Live, name: str) -> None:
    work, line = BREAKS[name]
    work(live)
    lines = lines_of(live.text(code=1))
    assert lines[:2] == [f"differs  1 phone: {ONE}", f"  {line}"]
    assert all(more.startswith("  MAC.cfg: line ") for more in lines[2:])
    assert live.verify(code=1)["counts"] | {"equal": 6, "differs": 1} == live.verify(code=1)["counts"]


@pytest.mark.parametrize("name", FILES)
def test_a_file(live: Live, name: str) -> None:
    work, verdict, said = FILES[name]
    work(live)
    lines = lines_of(live.text(code=1))
    assert lines[0] == f"{verdict}  1 phone: {ONE}"
    for line, want in zip(lines[1:], said, strict=False):
        assert want in (line.strip(), "...")


def test_equal_differences_are_told_once(live: Live) -> None:
    for phone in MACS[3:]:
        edit(f"{phone}.cfg", "time_format=0", "time_format=1")(live)
        (live.root / f"{phone}.boot").write_bytes((live.root / f"{phone}.boot").read_bytes() + b"# more\n")
    for phone in MACS[:2]:
        (live.root / f"{phone}.cfg").unlink()
    assert live.text(code=1) == (
        "equal       1 phone\ndiffers     4 phones\nmissing     2 phones\n\n"
        f"missing  2 phones: {MACS[0]}, {MACS[1]}\n  MAC.cfg: not found\n\n"
        f"differs  4 phones: {MACS[3]}, {MACS[4]}, {MACS[5]} and 1 more\n"
        "  local_time.time_format: expected 0, has 1\n\n"
        "note: phonebooks on other servers were not fetched: 5 requests"
    )


def test_many_parameters_are_counted(live: Live) -> None:
    path = live.root / f"{ONE}.cfg"
    path.write_text(path.read_text() + "".join(f"x.{number}=1\n" for number in range(1, 1001)))
    (found,) = live.verify(code=1)["phones"]
    assert (len(found["parameters"]), found["more"]) == (50, 950)
    assert lines_of(live.text())[-1] == "  and 992 more parameters"


def test_junit(live: Live) -> None:
    delete(f"{ONE}.cfg")(live)
    edit(f"{mac(2)}.cfg", "time_format=0", "time_format=1")(live)
    suite = ElementTree.fromstring(
        live.run("verify", "production", "--via", f"{live.root.as_uri()}/", "--format", "junit", code=1)
    )
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("offhook verify production", "7", "2")
    assert [case.get("name") for case in suite.iter("testcase")] == MACS
    failures = [(one.get("type"), one.text) for one in suite.iter("failure")]
    assert failures == [
        ("missing", f"{ONE}.cfg: not found"),
        ("differs", "local_time.time_format: expected 0, has 1"),
    ]


def test_an_old_file(live: Live) -> None:
    old = {phone: (live.root / f"{phone}.cfg").read_bytes() for phone in MACS}
    live.files = changed(live.files)
    live.publish()
    assert live.verify(code=0)["release"] == 2
    (live.root / f"{ONE}.cfg").write_bytes(old[ONE])
    parameters = [("features.pound_key.mode", "0", "2"), ("local_time.time_format", "1", "0")]
    parameters.append(("local_time.time_zone", "+1", "+0"))
    assert told(live.verify(code=1)) == {ONE: ("differs", parameters)}
    # the work tree says something else again, and is not asked
    live.files["fleet.yaml"]["settings"]["local_time.time_format"] = "0"
    inventories.write_inventory(live.folder, live.files)
    assert ("local_time.time_format", "1", "0") in told(live.verify(code=1))[ONE][1]


@pytest.mark.peer
def test_a_phonebook_that_was_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with peers.nginx(tmp_path / "root") as url:
        live = Live(tmp_path, capsys, url=url)
        edit("phonebooks/company.xml", "112", "911")(live)
        found = told(live.verify(via="", code=1))
        again = told(live.verify("--rev", "HEAD", via="", code=1))
    assert found == again == {one: ("differs", [("company.xml", "changed")]) for one in MACS}


# servers


@contextmanager
def nginx_with(root: Path, rules: str) -> Iterator[str]:
    """An nginx with rules of its own for the folder, which it must be able to enter."""
    for folder in (root, *root.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o755)
    with peers.nginx_sites(
        lambda ports: f"server {{ listen 127.0.0.1:{ports[0]}; root '{root}'; default_type text/plain; {rules} }}"
    ) as ports:
        yield f"http://127.0.0.1:{ports[0]}/"


RULES: dict[str, tuple[str, str, list[str]]] = {
    "403 for one file": (
        f"location = /{ONE}.cfg {{ return 403; }}",
        "refused",
        ["MAC.cfg: forbidden (the server answers with status 403)"],
    ),
    "401 for one file": (
        f"location = /{ONE}.cfg {{ return 401; }}",
        "refused",
        ["MAC.cfg: unauthorized (the server asks for credentials)"],
    ),
    "500 for one file": (
        f"location = /{ONE}.boot {{ return 500; }}",
        "broken",
        ["MAC.boot: error (the server answers with status 500)"],
    ),
    "a redirect elsewhere": (
        f"location = /{ONE}.cfg {{ return 302 http://192.0.2.1/x.cfg; }}",
        "broken",
        ["MAC.cfg: skipped (the server redirects to http://192.0.2.1/x.cfg, another scheme, host or port)"],
    ),
    "no answer to one file": (f"location = /{ONE}.cfg {{ return 444; }}", "broken", ["MAC.cfg: error"]),
    "403 for what is not there": ("error_page 404 = @none; location @none { return 403; }", "", []),
}


@pytest.mark.peer
@pytest.mark.parametrize("name", RULES)
def test_a_server_that_refuses(live: Live, name: str) -> None:
    rules, verdict, said = RULES[name]
    with nginx_with(live.root, rules) as url:
        text = live.text(via=url, code=1 if verdict else 0)
    if verdict:
        lines = lines_of(text)
        assert lines[0] == f"{verdict}  1 phone: {ONE}"
        assert [line.strip()[: len(want)] for line, want in zip(lines[1:], said, strict=False)] == said
    else:
        assert text.splitlines()[2] == f"warning: answers 403 where a phone expects 404: {mac(8)}.boot"


@pytest.mark.peer
def test_a_slow_file(live: Live) -> None:
    path = live.root / f"{ONE}.cfg"
    path.write_bytes(path.read_bytes() + b"#" * 60_000 + b"\n")
    live.run("publish", "production", "--adopt", code=None)
    with nginx_with(live.root, f"location = /{ONE}.cfg {{ limit_rate 40000; }}") as url:
        found = live.verify(ONE, "--slow", "0.5", via=url, code=1)
        late = live.verify(ONE, "--timeout", "0.3", via=url, code=1)
        assert live.verify(ONE, "--slow", "60", "--timeout", "60", via=url, code=0)["equal"] == [ONE]
    assert told(found) == {ONE: ("slow", [])}
    assert told(late) == {ONE: ("slow", [(f"{ONE}.cfg", "timeout")])}


def test_nobody_answers(live: Live) -> None:
    port = peers.free_port()
    text = live.text(via=f"http://127.0.0.1:{port}/", code=1)
    assert lines_of(text) == [
        f"unreachable  7 phones: {MACS[0]}, {MACS[1]}, {MACS[2]} and 4 more",
        "  MAC: refused (no server listens there)",
    ]


def test_a_dead_server_is_given_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    live = Live(tmp_path, capsys)
    live.files["phones/all.yaml"] |= {f"0021f20001{number:02x}": {"model": "FIP10"} for number in range(100)}
    live.publish()
    found = live.verify("--jobs", "2", via=f"http://127.0.0.1:{peers.free_port()}/", code=1)
    assert found["counts"]["unreachable"] < 50
    assert found["counts"]["not asked"] == 107 - found["counts"]["unreachable"]


def test_garbage(live: Live) -> None:
    with http_server({}, other=b"SSH-2.0-OpenSSH\r\n") as heard:
        found = told(live.verify(ONE, via=f"http://127.0.0.1:{heard.port}/", code=1))
    assert found == {ONE: ("broken", [(ONE, "error")])}


@pytest.mark.peer
def test_wrong_credentials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with peers.lighttpd_digest(root, "phone", "another") as url:
        live = Live(tmp_path, capsys, url=url, username="phone", password="secret:phones/login")
        found = live.text(via=url, code=1)
    assert lines_of(found)[1] == "  MAC: unauthorized (the server refuses the credentials)"
    assert lines_of(found)[0].startswith("refused  7 phones")


# what phones are held against


def test_some_phones(live: Live) -> None:
    assert live.verify(mac(2), "00:21:F2:00:00:01", mac(2), code=0)["equal"] == [mac(1), mac(2)]
    assert "0021f2ffffff is not among the 7 phones" in live.run("verify", "production", "0021f2ffffff", code=1)


def test_the_phones_that_changed(live: Live) -> None:
    live.files["phones/all.yaml"][mac(2)]["settings"] = {"local_time.date_format": "2"}
    live.files["phones/all.yaml"][mac(8)] = {"model": "FIP14G", "site": "lyon", "accounts": ["user8"]}
    live.publish()
    assert live.verify("--changed", code=0)["equal"] == [mac(2), mac(8)]


def test_secrets_that_nobody_can_open(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 12):
        monkeypatch.delenv(f"OFFHOOK_SECRET_USERS_U{number}")
    assert live.verify(code=0)["counts"]["equal"] == 7  # a digest proves it
    edit(f"{ONE}.cfg", "time_format=0", "time_format=1")(live)
    edit(f"{mac(2)}.cfg", "pass-u2-1", "other")(live)
    found = live.verify(code=1)
    assert told(found) == {ONE: ("differs", [("local_time.time_format", "0", "1")]), mac(2): ("differs", [])}
    assert {one["note"] for one in found["phones"]} == {
        "what was released cannot be made again exactly: secrets, or offhook, are others now"
    }
    by_revision = live.verify("--rev", "HEAD", code=1)
    assert told(by_revision) == {ONE: ("differs", [("local_time.time_format", "0", "1")])}
    assert [one["note"] for one in by_revision["phones"]] == ["secrets that cannot be opened are not compared"]


def test_secrets_that_were_rotated_since(live: Live) -> None:
    give_passwords("2")
    edit(f"{ONE}.cfg", "time_format=0", "time_format=1")(live)
    assert told(live.verify(code=1)) == {ONE: ("differs", [("local_time.time_format", "0", "1")])}
    found = told(live.verify("--rev", "HEAD", mac(2), code=1))
    assert found == {mac(2): ("differs", [("account.1.password", "(hidden)", "(hidden)")])}


def test_a_released_commit_that_is_not_here(live: Live, tmp_path: Path) -> None:
    edit(f"{ONE}.cfg", "time_format=0", "time_format=1")(live)
    shutil.rmtree(live.folder / ".git")
    repositories.start(live.folder)
    repositories.commit(live.folder, message="all that is left")
    found = live.verify(code=1)
    assert told(found) == {ONE: ("differs", [])}
    assert found["notes"][0].startswith("which parameters differ is not known, the released commit is not here")


def test_a_released_work_tree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    live = Live(tmp_path, capsys, worktree=True)
    live.files["phones/all.yaml"][ONE]["settings"] = {"local_time.date_format": "2"}
    inventories.write_inventory(live.folder, live.files)
    live.run("publish", "production")
    edit(f"{ONE}.cfg", "time_format=0", "time_format=1")(live)
    found = live.verify(code=1)
    assert (found["commit"], told(found)) == ("", {ONE: ("differs", [("local_time.time_format", "0", "1")])})
    live.files["phones/all.yaml"][ONE]["settings"] = {}
    inventories.write_inventory(live.folder, live.files)
    (one,) = live.verify(code=1)["phones"]
    assert one["note"].startswith("what was released cannot be made again exactly")


def test_a_publish_meanwhile(live: Live) -> None:
    fleet = inventories.read(live.folder, environment="production")
    place = place_of(live.folder, fleet.environment, "production")
    before = read_release(place)
    assert not has_moved(place, before)
    live.files = changed(live.files)
    live.publish()
    assert has_moved(place, before)


def test_against_a_revision(live: Live) -> None:
    live.files = changed(live.files)
    repositories.commit(live.folder, live.files)
    assert live.verify("--rev", "HEAD~1", code=0)["against"].startswith("against revision ")
    found = live.verify("--rev", "HEAD", code=1)
    assert (found["release"], found["counts"]["missing"]) == (None, 1)
    assert told(found)[mac(8)] == ("missing", [(f"{mac(8)}.boot", "not found")])
    assert "local_time.time_format" in [part["parameter"] for part in found["phones"][0]["parameters"]]


def test_a_url(live: Live) -> None:
    said = json.loads(live.run("verify", f"{live.root.as_uri()}/", "--format", "json", code=0))
    assert (said["equal"], said["release"], said["commit"]) == (MACS, None, "")
    live.files = changed(live.files)
    inventories.write_inventory(live.folder, live.files)
    said = json.loads(live.run("verify", f"{live.root.as_uri()}/", "--format", "json", code=1))
    assert said["counts"]["missing"] == 1
    live.run("verify", f"{live.root.as_uri()}/", "--rev", "HEAD", "--env", "production", code=0)


def test_the_address_of_one_file(live: Live) -> None:
    assert live.verify(via=f"{live.root.as_uri()}/$(MA).cfg", code=0)["url"].endswith("/root/$(MA).cfg")


def test_the_credentials_go_nowhere_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    challenge = page(status="401 No", headers=('WWW-Authenticate: Basic realm="x"',))
    live = Live(tmp_path, capsys, username="phone", password="secret:phones/login")
    with http_server({}, other=challenge) as heard:
        live.run("verify", f"http://127.0.0.1:{heard.port}/", ONE, code=1)
        assert not [one for one in heard.messages if b"Authorization" in one]
        live.verify(ONE, via=f"http://127.0.0.1:{heard.port}/", code=1)
        assert [one for one in heard.messages if b"Authorization" in one]


REFUSED = [
    (("verify", "nowhere"), 1, 'the fleet has no environment "nowhere"'),
    (("verify", "gopher://x/"), 2, 'the scheme of a URL is "gopher"'),
    (("verify", "production", "--via", "x"), 2, "the scheme of a URL is none"),
    (("verify", "production", "not-a-mac"), 2, '"not-a-mac" is no MAC address'),
    (("verify", "production", "--env", "production"), 2, "--env goes with a URL"),
    (("verify", "http://127.0.0.1/", "--changed"), 2, "--via and --changed go with the name of an environment"),
    (("verify", "production", ONE, "--changed"), 2, "--changed goes with neither MACs nor --rev"),
    (("verify", "production", "--rev", "nothing"), 1, "nothing"),
    (("verify", "production", "--ca", "/nowhere"), 2, "does not exist"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED)
def test_refusals(live: Live, arguments: tuple[str, ...], code: int, message: str) -> None:
    assert message in live.run(*arguments, code=code)


def test_nothing_was_published(live: Live) -> None:
    shutil.rmtree(live.folder.parent / "root.offhook-state")
    assert "nothing was published to" in live.run("verify", "production", code=1)


def test_nobody_says_where(live: Live) -> None:
    del live.files["fleet.yaml"]["environments"]["production"]["url"]
    del live.files["sites/all.yaml"]
    for phone in live.files["phones/all.yaml"].values():
        phone.pop("site")
    repositories.commit(live.folder, live.files)
    assert "environments.production has no url" in live.run("verify", "production", code=1)


# what a stranger gets


PROBES: dict[str, tuple[str, Callable[[Live], None], str]] = {
    "a listing": ("autoindex on;", lambda _: None, "lists /: whoever asks knows every phone"),
    "a listing of a folder": (
        "location /phones/ { autoindex on; }",
        write(f"phones/{ONE}.cfg", b""),
        "lists /phones/: whoever asks knows every phone",
    ),
    "an answer for anybody": (
        f"try_files $uri /{ONE}.cfg;",
        lambda _: None,
        f"answers for a phone that nobody listed: {mac(8)}.boot",
    ),
    "a file that was left over": (
        "",
        write(f"{mac(8)}.cfg", b"a=1\n"),
        f"answers for a phone that nobody listed: {mac(8)}.cfg",
    ),
    "an index": (
        "",
        write(".offhook-index", b"# the files that offhook wrote here; it replaces and deletes no others\n"),
        "hands out .offhook-index: whoever asks knows every phone",
    ),
}


@pytest.mark.peer
@pytest.mark.parametrize("name", PROBES)
def test_what_a_stranger_gets(live: Live, name: str) -> None:
    rules, work, message = PROBES[name]
    work(live)
    with nginx_with(live.root, rules) as url:
        found = live.verify(via=url)
        live.run("verify", "production", "--via", url, "--strict", code=1)
    assert message in [one["message"] for one in found["warnings"]]


@pytest.mark.peer
def test_files_without_credentials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    live = Live(tmp_path, capsys, username="phone", password="secret:phones/login")
    with peers.nginx(live.root) as url:
        found = live.verify(via=url, code=0)
    assert [one["message"] for one in found["warnings"]] == [
        f"shows {ONE}.cfg without the credentials that the environment has"
    ]


def test_guesses_are_nobodys_phones() -> None:
    assert guess(["0021f2000001", "0021f2000002", "0021f2000004"]) == ["0021f2000003", "0021f2000000", "0021f2fffffe"]
    assert guess(["0021f2fffffe"]) == ["0021f2fffffd"]
    dense = [f"0021f2{number:06x}" for number in range(1000)]
    assert guess(dense) == ["0021f20003e8", "0021f2fffffe"]


def test_a_server_that_says_nothing_to_strangers_is_asked_little() -> None:
    from offhook.phone.request import FetchOptions

    port = peers.free_port()
    assert probe(f"http://127.0.0.1:{port}/", [ONE], options=FetchOptions(), promised=True) == []


def test_a_real_process(live: Live) -> None:
    done = subprocess.run(
        ["offhook", "verify", "production", "--via", f"{live.root.as_uri()}/"],
        cwd=live.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "all 7 phones" in done.stdout
    assert done.stderr == ""
