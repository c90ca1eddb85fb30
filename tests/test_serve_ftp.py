"""The lab server over FTP: real clients, what may not be seen or written, and clients that mean no good."""

from __future__ import annotations

import ftplib
import io
import random
import socket
import subprocess
from contextlib import ExitStack, suppress
from ipaddress import ip_network
from pathlib import Path

import pytest

import peers
from offhook.phone.boot import FetchOptions, boot
from offhook.serve.desk import FORBIDDEN, OK, Policy
from shelves import HOSTILE, LARGE, MAC, OWN, ftp, peak_kib, wait_for

LOGIN = ("pho nes", "pä:ss\"w'ord")
PROTECTED = Policy(protected=True)


def session(port: int, user: str = "", password: str = "") -> ftplib.FTP:
    client = ftplib.FTP(timeout=20)
    client.connect("127.0.0.1", port)
    client.login(user, password)
    return client


def got(client: ftplib.FTP, name: str) -> bytes:
    data = io.BytesIO()
    client.retrbinary(f"RETR {name}", data.write)
    return data.getvalue()


@pytest.mark.peer
def test_curl_and_lftp_get_what_is_on_the_shelf(tmp_path: Path) -> None:
    with ftp() as lab:
        here = f"ftp://127.0.0.1:{lab.port}"
        for name, content in (
            (f"{MAC}.cfg", OWN),
            ("large.bin", LARGE),
            ("phonebooks/company.xml", b"<x/>\n"),
            ("empty.cfg", b""),
        ):
            for words in (["--disable-epsv"], ["--ftp-method", "nocwd"], ["--ftp-method", "singlecwd"]):
                done = subprocess.run(
                    [peers.program("curl"), "-sS", *words, f"{here}/{name}"], capture_output=True, check=False
                )
                assert (done.stdout, done.stderr) == (content, b""), (name, words)
        wanted = tmp_path / "got"
        script = (
            f"set net:max-retries 1; set ftp:sync-mode on; get {MAC}.cfg -o {wanted}; get large.bin -o {wanted}2; bye"
        )
        subprocess.run(
            [peers.program("lftp"), "-c", f"open {here}; {script}"], check=True, timeout=60, capture_output=True
        )
        assert (wanted.read_bytes(), Path(f"{wanted}2").read_bytes()) == (OWN, LARGE)
        assert subprocess.run(["curl", "-s", f"{here}/nothing.cfg"], check=False).returncode == 78
        wait_for(lambda: sum(one.name == f"{MAC}.cfg" for one in lab.events) >= 4)
        assert all(
            one.whole and one.mac == MAC and one.sent_bytes == len(OWN)
            for one in lab.events
            if one.name == f"{MAC}.cfg"
        )


def test_a_virtual_phone_boots_and_logs_in() -> None:
    with ftp() as lab:
        assert boot(MAC, f"ftp://127.0.0.1:{lab.port}/").settings["account.1.password"] == "secret"
    with ftp(PROTECTED, login=("phones", "pass")) as lab:
        options = FetchOptions(username="phones", password="pass")
        assert boot(MAC, f"ftp://127.0.0.1:{lab.port}/", options=options).complete
        assert boot(MAC, f"ftp://127.0.0.1:{lab.port}/").failed


@pytest.mark.parametrize(
    ("user", "password"), [("", ""), ("anonymous", "x"), ("pho nes", "wrong"), ("other", LOGIN[1])]
)
def test_who_does_not_know_the_password_gets_nothing(user: str, password: str) -> None:
    with ftp(PROTECTED, login=LOGIN) as lab:
        with pytest.raises(ftplib.error_perm, match="530"):
            session(lab.port, user, password)
        with ftplib.FTP(timeout=20) as client:
            client.connect("127.0.0.1", lab.port)
            for command in (f"SIZE {MAC}.cfg", f"RETR {MAC}.cfg", "LIST", "PWD"):
                with pytest.raises(ftplib.error_perm, match="530"):
                    client.sendcmd(command)
    assert not any(one.result == OK for one in lab.events)


def test_who_knows_it_gets_everything() -> None:
    with ftp(PROTECTED, login=LOGIN) as lab, session(lab.port, *LOGIN) as client:
        assert got(client, f"{MAC}.cfg") == OWN


def test_nothing_is_listed() -> None:
    with ftp() as lab, session(lab.port) as client:
        assert client.nlst() == []
        lines: list[str] = []
        client.retrlines("LIST", lines.append)
        client.retrlines("MLSD", lines.append)
        assert lines == []
        client.voidcmd("TYPE I")
        assert client.size(f"{MAC}.cfg") == len(OWN)
        for command in (f"STAT {MAC}.cfg", "STAT /", "NLST phonebooks"):
            with suppress(ftplib.Error):
                assert "company" not in client.sendcmd(command)


@pytest.mark.parametrize(
    "command",
    [
        *(f"STOR {MAC}.cfg", "APPE new.cfg", "STOU", f"DELE {MAC}.cfg", "MKD x", "RMD phonebooks", f"RNFR {MAC}.cfg"),
        *("SITE CHMOD 777 x", "SITE EXEC ls", f"MFMT 20200101000000 {MAC}.cfg"),
    ],
)
def test_nothing_can_be_written(command: str) -> None:
    with ftp() as lab, session(lab.port) as client:
        with pytest.raises(ftplib.error_perm):
            client.sendcmd(command)
        assert got(client, f"{MAC}.cfg") == OWN


def test_data_goes_to_nobody_else() -> None:
    """The FTP bounce attack (RFC 2577): a server that sends where PORT says scans for its client."""
    with ftp() as lab, session(lab.port) as client:
        for command in ("PORT 192,0,2,1,0,80", "PORT 127,0,0,1,0,22", "EPRT |1|192.0.2.1|8080|"):
            with pytest.raises(ftplib.error_perm):
                client.sendcmd(command)


def test_own_files_are_for_whom_the_policy_admits() -> None:
    with ftp(Policy(networks=(ip_network("10.20.0.0/24"),))) as lab, session(lab.port) as client:
        with pytest.raises(ftplib.error_perm, match="550"):
            got(client, f"{MAC}.cfg")
        assert got(client, "empty.cfg") == b""
        assert lab.events[0].result == FORBIDDEN


@pytest.mark.parametrize("name", [name for name in HOSTILE if name.strip("/.")])
def test_no_name_leads_off_the_shelf(name: str) -> None:
    with ftp() as lab, session(lab.port) as client:
        for spelled in (name, f"/{name}", f"phonebooks/../../{name}"):
            try:
                data = got(client, spelled)
            except ftplib.Error:
                continue
            # pyftpdlib puts a path in order by itself: what it then names is on the shelf
            assert data in (OWN, b"<x/>\n"), spelled


def test_silent_clients_do_not_stop_others_and_are_bounded() -> None:
    with ftp() as lab, ExitStack() as stack:
        made = []
        for _ in range(300):
            made.append(stack.enter_context(socket.create_connection(("127.0.0.1", lab.port))))
        turned_away = 0
        for one in made:
            one.settimeout(20)
            turned_away += not one.recv(4).startswith(b"220")
        assert turned_away >= 40
        for one in made[:100]:
            one.close()

        def works() -> bool:
            try:
                with session(lab.port) as client:
                    return got(client, f"{MAC}.cfg") == OWN
            except (ftplib.Error, EOFError, OSError):
                return False

        wait_for(works)


VERBS = (
    b"USER",
    b"PASS",
    b"RETR",
    b"SIZE",
    b"CWD",
    b"PASV",
    b"EPSV",
    b"PORT",
    b"EPRT",
    b"REST",
    b"TYPE",
    b"MLST",
    b"STAT",
    b"LIST",
    b"ABOR",
    b"\xff\xf4",
    b"OPTS UTF8",
    b"HELP",
    b"MDTM",
    b"ABCDEFG",
)
WORDS = (
    b"",
    b" 0021f2000001.cfg",
    b" ../../etc/passwd",
    b" " + b"a" * 3000,
    b" \xff\xfe\0",
    b" -1",
    b" 99999999999999999999",
    b" %s%n",
    b" 1,2,3,4,5,6",
    b" |1|::1|x|",
)


def throw(count: int) -> None:
    """Send damaged commands, and see that memory stays and others are served."""
    chance = random.Random(count)
    warm = 0
    with ftp() as lab:
        for number in range(count // 10):
            with socket.create_connection(("127.0.0.1", lab.port), 0.2) as client:
                lines = [b"USER anonymous\r\nPASS x\r\n"] if chance.random() < 0.7 else []
                lines += [
                    chance.choice(VERBS) + chance.choice(WORDS) + chance.choice((b"\r\n", b"\n", b"\r\n", b"\0\r\n"))
                    for _ in range(10)
                ]
                with suppress(OSError):
                    client.sendall(b"".join(lines) + b"QUIT\r\n")
                    answer = b""
                    while more := client.recv(65536):
                        answer += more
                    assert b"root:" not in answer
            if number == count // 20:
                warm = peak_kib()
            lab.events.clear()
        with session(lab.port) as good:
            assert got(good, f"{MAC}.cfg") == OWN
    assert peak_kib() - warm < 16_000


def test_damaged_commands_are_in_nobody_s_way() -> None:
    throw(2000)


@pytest.mark.long
def test_a_hundred_thousand_damaged_commands() -> None:
    throw(100_000)
