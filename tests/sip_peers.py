"""Real SIP peers for tests, on 127.0.0.1: Kamailio as registrar and proxy, SIPp, baresip and PJSIP as phones.

Each is a context manager that starts a program and stops it by its process. `lossy` is a relay that drops packets.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from peers import Certificate, free_port, missing, program

USER = "offhook"
PASSWORD = "notify-me"
REALM = "pbx.example.com"
_START_S = 20.0

_KAMAILIO = """
#!KAMAILIO
debug=1
log_stderror=yes
log_facility=LOG_LOCAL0
children={workers}
tcp_children=2
disable_tcp=no
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/:/usr/lib/aarch64-linux-gnu/kamailio/modules/"
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
{tls}
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
modparam("registrar", "method_filtering", 0)
modparam("tm", "fr_timer", {fr_timer_ms})
# timer J: how long repetitions of a request are answered again
modparam("tm", "wt_timer", {timer_j_ms})
modparam("auth", "nonce_expire", 300)
modparam("auth", "algorithm", "{algorithm}")

request_route {{
  if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
  if (is_method("REGISTER")) {{ save("location"); exit; }}
  if (is_present_hf("Route")) {{ loose_route(); if (!is_myself("$ru")) {{ t_relay(); exit; }} }}
  {auth}
  if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
  t_relay();
}}
"""
_AUTH = """
  if (!pv_proxy_authenticate("{realm}", "{password}", "0")) {{ proxy_challenge("{realm}", "1"); exit; }}
  consume_credentials();
"""


@dataclass(frozen=True, slots=True)
class Registrar:
    """A running Kamailio: its port for UDP and TCP, and that for TLS."""

    port: int
    tls_port: int


@contextmanager
def kamailio(
    *,
    digest: str = "",
    tls: Certificate | None = None,
    workers: int = 2,
    fr_timer_ms: int = 30_000,
    timer_j_ms: int = 32_000,
) -> Iterator[Registrar]:
    """Run Kamailio as registrar and proxy; with `digest` (MD5 or SHA-256) it demands USER and PASSWORD for a NOTIFY."""
    executable = program("kamailio")
    with tempfile.TemporaryDirectory(prefix="kamailio-") as name:
        folder = Path(name)
        tls_port = free_port()
        secure = ""
        if tls is not None:
            (folder / "tls.cfg").write_text(
                f"[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\nrequire_certificate = no\n"
                f"private_key = {tls.key}\ncertificate = {tls.certificate}\n"
            )
            secure = (
                f'enable_tls=yes\nlisten=tls:127.0.0.1:{tls_port}\nloadmodule "tls.so"\n'
                f'modparam("tls", "config", "{folder}/tls.cfg")'
            )

        def command(port: int) -> list[str]:
            text = _KAMAILIO.format(
                port=port,
                workers=workers,
                tls=secure,
                fr_timer_ms=fr_timer_ms,
                timer_j_ms=timer_j_ms,
                algorithm=digest or "MD5",
                auth=_AUTH.format(realm=REALM, password=PASSWORD) if digest else "",
            )
            (folder / "kamailio.cfg").write_text(text)
            # with one -D it would run as one process, and TCP would silently stay closed
            return [executable, "-DD", "-E", "-f", f"{folder}/kamailio.cfg", "-Y", str(folder), "-m", "512"]

        with running(command, answers_sip) as port:
            yield Registrar(port, tls_port)


def is_registered(port: int, user: str) -> bool:
    """Tell whether a registrar hands an OPTIONS on to a user's phone."""
    return not options(port, user).startswith((b"SIP/2.0 404", b"SIP/2.0 408")) and options(port, user) != b""


def answers_sip(port: int) -> bool:
    """Tell whether a SIP server answers at all."""
    return options(port, "nobody") != b""


def options(port: int, user: str) -> bytes:
    """Return what is answered to an OPTIONS, or nothing."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.settimeout(0.3)
        sock.connect(("127.0.0.1", port))
        own = f"127.0.0.1:{sock.getsockname()[1]}"
        lines = [
            f"OPTIONS sip:{user}@127.0.0.1:{port} SIP/2.0",
            f"Via: SIP/2.0/UDP {own};branch=z9hG4bK{time.monotonic_ns()};rport",
            "Max-Forwards: 5",
            f"From: <sip:up@{own}>;tag=up",
            f"To: <sip:{user}@127.0.0.1:{port}>",
            f"Call-ID: {time.monotonic_ns()}",
            "CSeq: 1 OPTIONS",
            "Content-Length: 0",
        ]
        try:
            sock.send("".join(f"{line}\r\n" for line in (*lines, "")).encode())
            return sock.recv(4096)
        except OSError:
            return b""


def _free_port_of_both() -> int:
    """A port that neither TCP nor UDP uses; connections of other tests that have just ended hold many of TCP's."""
    while True:
        port = free_port()
        if not is_bound(port) and not is_bound(port, udp=False):
            return port


@contextmanager
def running(
    command: Callable[[int], Sequence[str]],
    is_ready: Callable[[int], bool],
    *,
    folder: Path | None = None,
    patience_s: float = 5,
) -> Iterator[int]:
    """Run a program on a free port until the block ends; it must be ready first."""
    for _ in range(5):
        port = _free_port_of_both()
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                command(port), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=folder
            )
            try:
                end = time.monotonic() + _START_S
                while time.monotonic() < end and process.poll() is None:
                    if is_ready(port):
                        yield port
                        return
                    time.sleep(0.02)
            finally:
                process.terminate()
                try:
                    process.wait(patience_s)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            log.seek(0)
            said = log.read().decode("utf-8", "replace")[-3000:]
    pytest.fail(f"{command(0)[0]} does not start: {said}", pytrace=False)


_ANSWER = """
  <send>
    <![CDATA[
      SIP/2.0 {status}
      [last_Via:]
      [last_From:]
      [last_To:];tag=[call_number]
      [last_Call-ID:]
      [last_CSeq:]
      {headers}Content-Length: 0

    ]]>
  </send>
"""
_ASK = '  <recv request="NOTIFY" crlf="true"/>\n'
_CHECK = """
  <recv request="NOTIFY">
    <action>
      {check}
    </action>
  </recv>
  <nop test="fine" next="good" hide="true"/>
"""


def answering(status: str = "200 OK", *, header: str = "", after_ms: int = 0, method: str = "NOTIFY") -> str:
    """Return SIPp's scenario of a phone that answers a NOTIFY, or another request."""
    pause = f'  <pause milliseconds="{after_ms}"/>\n' if after_ms else ""
    return _scenario(_ASK.replace("NOTIFY", method) + pause + _answer(status, header))


def silent() -> str:
    """Return SIPp's scenario of a phone that hears and does not answer."""
    return _scenario(_ASK + '  <pause milliseconds="3600000"/>\n')


def challenging(status: int, *, realm: str = "phone") -> str:
    """Return SIPp's scenario of a phone that demands USER and PASSWORD by 401 or 407, and checks them."""
    name = "WWW" if status == 401 else "Proxy"
    challenge = f'{name}-Authenticate: Digest realm="{realm}",nonce="47364c23432d2e131a5fb210812c",algorithm=MD5'
    check = f'<verifyauth assign_to="fine" username="{USER}" password="{PASSWORD}"/>'
    if status == 407:  # verifyauth looks for Authorization only: that it is there must do
        header = 'search_in="hdr" header="Proxy-Authorization:"'
        check = f'<ereg regexp="Digest username=.{USER}" {header} assign_to="fine"/>'
    checked = _CHECK.format(check=check)
    wrong = _answer("403 Forbidden", "") + '  <nop next="end" hide="true"/>\n'
    good = '  <label id="good"/>\n' + _answer("200 OK", "") + '  <label id="end"/>\n'
    return _scenario(_ASK + _answer(f"{status} Who Is It", challenge) + checked + wrong + good)


def _answer(status: str, header: str) -> str:
    return _ANSWER.format(status=status, headers=f"{header}\n      " if header else "")


def _scenario(body: str) -> str:
    return f'<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="phone">\n{body}</scenario>\n'


@contextmanager
def sipp(scenario: str, folder: Path, *, transport: str = "u1") -> Iterator[int]:
    """Run a phone of SIPp by its scenario; gives the port. The folder is for its files."""
    executable = program("sipp")
    file = folder / f"phone-{time.monotonic_ns()}.xml"
    file.write_text(scenario)

    def command(port: int) -> list[str]:
        options = ["-i", "127.0.0.1", "-p", str(port), "-t", transport, "-nostdin", "-cp", str(free_port(udp=True))]
        return [executable, "-sf", str(file), *options]

    # it would wait for its calls to end
    ready = lambda port: is_bound(port, udp=transport.startswith("u"))  # noqa: E731
    with running(command, ready, folder=folder, patience_s=0) as port:
        yield port


def is_bound(port: int, *, udp: bool = True) -> bool:
    """Tell whether somebody has this port. Binding it to find out could keep the program itself from it."""
    rows = Path(f"/proc/net/{'udp' if udp else 'tcp'}").read_text().splitlines()[1:]
    return any(row.split()[1].endswith(f":{port:04X}") for row in rows)


_REGISTER = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="register">
  <send retrans="500">
    <![CDATA[
      REGISTER sip:[remote_ip]:[remote_port] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      Max-Forwards: 70
      From: <sip:[field0]@[remote_ip]>;tag=[call_number]
      To: <sip:[field0]@[remote_ip]>
      Call-ID: [call_id]
      CSeq: 1 REGISTER
      Contact: <sip:[field0]@127.0.0.1:[field1][field2]>
      User-Agent: Flyingvoice P20P V0.7.19 [field0]
      Expires: 3600
      Content-Length: 0

    ]]>
  </send>
  <recv response="200"/>
</scenario>
"""


def register(registrar: int, phones: dict[str, int], folder: Path, *, parameters: str = "") -> None:
    """Register phones (user -> port of its contact) with SIPp; `parameters` end each contact (";transport=tcp")."""
    name = f"register-{time.monotonic_ns()}"
    (folder / f"{name}.xml").write_text(_REGISTER)
    rows = "".join(f"{user};{port};{parameters.replace(';', '%3B')}\n" for user, port in phones.items())
    (folder / f"{name}.csv").write_text("SEQUENTIAL\n" + rows.replace("%3B", "\\;"))
    command = [program("sipp"), f"127.0.0.1:{registrar}", "-sf", f"{name}.xml", "-inf", f"{name}.csv"]
    options = ["-m", str(len(phones)), "-r", "1000", "-i", "127.0.0.1", "-p", str(free_port(udp=True)), "-nostdin"]
    done = subprocess.run(
        [*command, *options, "-cp", str(free_port(udp=True)), "-timeout", "30", "-timeout_error"],
        cwd=folder,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-2000:]


@contextmanager
def baresip(registrar: int, user: str, folder: Path) -> Iterator[None]:
    """Run baresip, registered as a user: a phone that answers a NOTIFY which it did not subscribe to with 481."""
    executable = program("baresip")

    def command(_: int) -> list[str]:  # it chooses its ports itself
        (folder / "config").write_text("module_path /usr/lib/baresip/modules\nmodule_app account.so\n")
        (folder / "accounts").write_text(f"<sip:{user}@127.0.0.1:{registrar}>;regint=60;auth_pass=none\n")
        (folder / "contacts").write_text("")
        return [executable, "-f", str(folder), "-n", "127.0.0.1", "-v"]

    with running(command, lambda _: is_registered(registrar, user), folder=folder):
        yield


_PJSIP = """
import sys, time
import pjsua2
endpoint = pjsua2.Endpoint()
endpoint.libCreate()
config = pjsua2.EpConfig()
config.uaConfig.threadCnt = 0
config.logConfig.level = 0
config.logConfig.consoleLevel = 0
endpoint.libInit(config)
transport = pjsua2.TransportConfig()
transport.boundAddress = "127.0.0.1"
transport.publicAddress = "127.0.0.1"
transport.port = int(sys.argv[3])
endpoint.transportCreate(pjsua2.PJSIP_TRANSPORT_UDP, transport)
endpoint.audDevManager().setNullDev()
endpoint.libStart()
account_config = pjsua2.AccountConfig()
account_config.idUri = f"sip:{sys.argv[2]}@127.0.0.1:{sys.argv[1]}"
account_config.regConfig.registrarUri = f"sip:127.0.0.1:{sys.argv[1]}"
account = pjsua2.Account()
account.create(account_config)
while True:
    endpoint.libHandleEvents(50)
"""


@contextmanager
def pjsip(registrar: int, user: str, folder: Path) -> Iterator[None]:
    """Run PJSIP, registered as a user: a phone that never answers a NOTIFY which it did not subscribe to."""
    try:
        import pjsua2  # noqa: F401
    except ImportError:
        missing("pjsua2-python is not installed")
    script = folder / "pjsip.py"
    script.write_text(_PJSIP)

    def command(port: int) -> list[str]:
        return [sys.executable, str(script), str(registrar), user, str(port)]

    with running(command, lambda _: is_registered(registrar, user), folder=folder):
        yield


@dataclass(slots=True)
class Relay:
    """A relay of datagrams that loses some: its port, and what it saw (what, was it lost), in order."""

    port: int
    seen: list[tuple[bytes, bool]] = field(default_factory=list)


@contextmanager
def lossy(server: int, share: float, *, seed: int = 1) -> Iterator[Relay]:
    """Relay datagrams between clients and a server's port, and drop this share of them each way.

    The seed says which: of the copies that go to or come from one user (To), always the same ones, whatever the order
    in which threads have their turn. With a share of 0.3 and seed 1 none of the users u0 to u59 needs more than 6
    tries of the 11 that timer F leaves.
    """
    copies: Counter[tuple[bool, bytes]] = Counter()
    front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    front.bind(("127.0.0.1", 0))
    front.settimeout(0.02)
    relay = Relay(front.getsockname()[1])
    backs: dict[tuple[str, int], socket.socket] = {}
    stopping = threading.Event()
    threads: list[threading.Thread] = []

    def lost(data: bytes) -> bool:
        # no port in it: it is another one in each run
        to = re.search(rb"\r\nTo: <sip:([^@>]*)@", data)
        way = (data.startswith(b"SIP/2.0"), to[1] if to else b"")
        copies[way] += 1
        is_lost = random.Random(f"{seed} {way} {copies[way]}").random() < share
        relay.seen.append((data, is_lost))
        return is_lost

    def back(sock: socket.socket, client: tuple[str, int]) -> None:
        while not stopping.is_set():
            with contextlib.suppress(OSError):
                data = sock.recv(65536)
                if not lost(data):
                    front.sendto(data, client)

    def serve() -> None:
        while not stopping.is_set():
            try:
                data, client = front.recvfrom(65536)
            except OSError:
                continue
            if client not in backs:
                sock = backs[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                sock.settimeout(0.02)
                sock.connect(("127.0.0.1", server))
                threads.append(threading.Thread(target=back, args=(sock, client)))
                threads[-1].start()
            if not lost(data):
                with contextlib.suppress(OSError):
                    backs[client].send(data)

    first = threading.Thread(target=serve)
    first.start()
    try:
        yield relay
    finally:
        stopping.set()
        first.join()
        for thread in threads:
            thread.join()
        for sock in (front, *backs.values()):
            sock.close()


@contextmanager
def dnsmasq(*options: str) -> Iterator[tuple[str, int]]:
    """Run dnsmasq with these records (--srv-host=..., --naptr-record=...); gives the DNS server's address and port."""
    executable = program("dnsmasq")

    def command(port: int) -> list[str]:
        own = [f"--port={port}", "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv", "--no-hosts"]
        return [executable, "-k", "-C", "/dev/null", "--user=root", "--pid-file=", *own, "--local=/test/", *options]

    with running(command, lambda port: is_bound(port) and is_bound(port, udp=False)) as port:
        yield ("127.0.0.1", port)
