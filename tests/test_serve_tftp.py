"""The lab server over TFTP: real clients, the protocol's corners, loss, and clients that mean no good."""

from __future__ import annotations

import random
import selectors
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest

import peers
from offhook.phone.boot import boot
from offhook.phone.request import FetchOptions
from offhook.serve.desk import FORBIDDEN, OK, TFTP, Desk, Policy
from offhook.serve.listening import udp
from offhook.serve.shelf import shelf_of
from offhook.serve.tftp import MAX_OF_ONE, TftpServer
from shelves import HOSTILE, LARGE, MAC, OWN, ROWS, SHELF, peak_kib, tftp, wait_for

ROUND = LARGE[: 8 * 65_540]
RRQ, WRQ, DATA, ACK, ERROR, OACK = range(1, 7)


def request(name: bytes | str, *options: str, kind: int = RRQ, mode: str = "octet") -> bytes:
    given = name.encode() if isinstance(name, str) else name
    return struct.pack("!H", kind) + b"\0".join([given, *(one.encode() for one in (mode, *options)), b""])


def ack(number: int) -> bytes:
    return struct.pack("!HH", ACK, number & 0xFFFF)


class Client:
    """A client of the test's own, which can do what no good one does."""

    def __init__(self, port: int) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.settimeout(10)
        self.server = ("127.0.0.1", port)
        self.other: tuple[str, int] = self.server

    def close(self) -> None:
        self.sock.close()

    def ask(self, packet: bytes) -> bytes:
        self.sock.sendto(packet, self.server)
        return self.hear()

    def hear(self) -> bytes:
        packet, self.other = self.sock.recvfrom(65535)
        return packet

    def say(self, packet: bytes) -> None:
        self.sock.sendto(packet, self.other)

    def is_silent(self, for_s: float = 0.3) -> bool:
        self.sock.settimeout(for_s)
        try:
            self.hear()
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(10)
        return False

    def fetch(self, name: str, *options: str) -> bytes:
        """Fetch a whole file, a window at a time."""
        size, window, number, data = 512, 1, 0, b""
        packet = self.ask(request(name, *options))
        if packet[1] == OACK:
            words = packet[2:].split(b"\0")
            granted = dict(zip(words[::2], words[1::2], strict=False))
            size, window = int(granted.get(b"blksize", b"512")), int(granted.get(b"windowsize", b"1"))
            self.say(ack(0))
            packet = self.hear()
        while True:
            assert packet[:4] == struct.pack("!HH", DATA, (number + 1) & 0xFFFF)
            number, data = number + 1, data + packet[4:]
            is_last = len(packet) - 4 < size
            if is_last or number % window == 0:
                self.say(ack(number))
            if is_last:
                return data
            packet = self.hear()


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


# real clients


@contextmanager
def recorder(port: int) -> Iterator[tuple[int, list[bytes]]]:
    """A port that hands the first datagram on, so that its bytes can be read; the transfer goes past it."""
    first: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as front:
        front.bind(("127.0.0.1", 0))
        front.settimeout(10)

        def carry() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
                back.settimeout(10)
                packet, client = front.recvfrom(65535)
                first.append(packet)
                back.sendto(packet, ("127.0.0.1", port))
                there = None
                with selectors.DefaultSelector() as ready:
                    for one in (front, back):
                        ready.register(one, selectors.EVENT_READ)
                    while events := ready.select(1):
                        for key, _ in events:
                            if key.fileobj is back:
                                packet, there = back.recvfrom(65535)
                                front.sendto(packet, client)
                            elif there:
                                back.sendto(front.recvfrom(65535)[0], there)

        thread = threading.Thread(target=carry)
        thread.start()
        yield front.getsockname()[1], first
        thread.join()


@pytest.mark.peer
def test_curl_s_request_is_that_of_the_guide_s_capture() -> None:
    """The capture's client asked with tsize=0, blksize=512, timeout=6, in this order."""
    with tftp() as lab, recorder(lab.port) as (port, first):
        got = subprocess.run(
            [peers.program("curl"), "-sS", f"tftp://127.0.0.1:{port}/{MAC}.cfg"], capture_output=True, check=True
        ).stdout
        assert got == OWN
        assert first == [b"\0\1" + f"{MAC}.cfg\0octet\0tsize\0000\0blksize\000512\0timeout\0006\0".encode()]
        (event,) = lab.until(1)
    assert (event.protocol, event.mac, event.result, event.sent_bytes, event.whole) == (TFTP, MAC, OK, len(OWN), True)


@pytest.mark.peer
@pytest.mark.parametrize("name", [row[0] for row in ROWS if " " not in row[0] and "%" not in row[0]])
def test_tftp_hpa_and_atftp_fetch_every_file(name: str, tmp_path: Path) -> None:
    content = SHELF.files[name]
    with tftp() as lab:
        here, port = "127.0.0.1", str(lab.port)
        calls = {
            "hpa": ["tftp", "-m", "binary", here, port, "-c", "get", name, str(tmp_path / "hpa")],
            "atftp": ["atftp", "-g", "-r", name, "-l", str(tmp_path / "atftp"), here, port],
            "options": [
                *("atftp", "-g", "-r", name, "-l", str(tmp_path / "options"), "--option", "blksize 1428"),
                *("--option", "windowsize 8", here, port),
            ],
        }
        for words in calls.values():
            subprocess.run([peers.program(words[0]), *words[1:]], capture_output=True, check=True, timeout=60)
        assert {which: (tmp_path / which).read_bytes() == content for which in calls} == dict.fromkeys(calls, True)


def test_a_virtual_phone_boots() -> None:
    with tftp() as lab:
        result = boot(MAC, f"tftp://127.0.0.1:{lab.port}/")
    assert result.settings["account.1.password"] == "secret"


# the protocol


@pytest.mark.parametrize("size", [511, 512, 513, 1024, 1428])
@pytest.mark.parametrize(
    "options", [(), ("blksize", "8"), ("blksize", "1428", "windowsize", "4"), ("windowsize", "16")]
)
def test_the_last_block_is_never_full(size: int, options: tuple[str, ...]) -> None:
    with tftp() as lab, closing(Client(lab.port)) as client:
        assert client.fetch(f"block{size}.cfg", *options) == b"z" * size
        assert lab.until(1)[0].whole


def test_block_numbers_go_round() -> None:
    """RFC 1350 has 16 bits; a file of more than 65,535 blocks goes on with 0."""
    shelf = shelf_of([("round.bin", ROUND, "")], phones={}, revision="a test")
    with tftp(shelf=shelf) as lab, closing(Client(lab.port)) as client:
        assert client.fetch("round.bin", "blksize", "8", "windowsize", "16") == ROUND


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ((), None),
        (("tsize", "0"), {b"tsize": b"%d" % len(OWN)}),
        (("BLKSIZE", "1024"), {b"blksize": b"1024"}),
        (("blksize", "65464"), {b"blksize": b"1428"}),
        (("blksize", "7"), None),
        (("timeout", "0", "windowsize", "64"), {b"windowsize": b"16"}),
        (("timeout", "255", "multicast", "", "x", "y"), {b"timeout": b"255"}),
        (("blksize", "x", "tsize", "-1", "timeout", "٣"), None),
        (("blksize", "512", "blksize", "1024"), {b"blksize": b"512"}),
    ],
)
def test_options_that_are_valid_are_granted(asked: tuple[str, ...], granted: dict[bytes, bytes] | None) -> None:
    with tftp() as lab, closing(Client(lab.port)) as client:
        packet = client.ask(request(f"{MAC}.cfg", *asked))
        if granted is None:
            assert packet == struct.pack("!HH", DATA, 1) + OWN
        else:
            words = packet[2:].split(b"\0")
            assert (packet[1], dict(zip(words[:-1:2], words[1::2], strict=True))) == (OACK, granted)


def test_a_text_can_be_asked_for_as_netascii() -> None:
    with tftp() as lab, closing(Client(lab.port)) as client:
        packet = client.ask(request("y000000000000.cfg", mode="NetASCII"))
    assert packet[4:] == SHELF.files["y000000000000.cfg"].replace(b"\n", b"\r\n")


def test_an_acknowledgement_that_comes_twice_doubles_nothing() -> None:
    """RFC 1123, 4.2.3.1: the Sorcerer's Apprentice."""
    with tftp() as lab, closing(Client(lab.port)) as client:
        assert client.ask(request("block1024.cfg"))[3] == 1
        for _ in range(3):
            client.say(ack(1))
        assert client.hear()[3] == 2
        assert client.is_silent()


def test_a_request_that_comes_twice_starts_one_transfer() -> None:
    with tftp() as lab, closing(Client(lab.port)) as client:
        for _ in range(3):
            client.sock.sendto(request("block1024.cfg"), client.server)
        client.hear()
        assert client.is_silent()


def test_who_is_not_of_the_transfer_cannot_end_it() -> None:
    with tftp() as lab, closing(Client(lab.port)) as client, closing(Client(lab.port)) as stranger:
        client.ask(request("block1024.cfg"))
        stranger.other = client.other
        stranger.say(struct.pack("!HH", ERROR, 0) + b"x\0")
        stranger.say(ack(1))
        client.say(ack(1))
        assert client.hear()[3] == 2
        client.say(ack(2))
        assert client.hear()[3:] == b"\3"
        client.say(ack(3))
        assert lab.until(1)[0].whole


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_block_is_repeated_until_the_client_is_given_up() -> None:
    clock, events = Clock(), []
    server = TftpServer(Desk(SHELF, Policy(), events.append), udp("127.0.0.1", 0), clock=clock)
    with closing(server), closing(Client(server.port)) as client:
        first = client.ask(request(f"{MAC}.cfg"))
        for _ in range(5):
            clock.now += 1.01
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as poke:  # wakes the loop, which looks at the clock
                poke.sendto(b"\0\0", client.server)
            assert client.hear() == first
        clock.now += 1.01
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as poke:
            poke.sendto(b"\0\0", client.server)
        wait_for(lambda: bool(events))
        assert client.is_silent()
    assert (events[0].whole, events[0].sent_bytes) == (False, 0)


@pytest.mark.parametrize("options", [(), ("timeout", "6")])
def test_a_client_that_asks_again_has_not_heard_the_answer(options: tuple[str, ...]) -> None:
    """A phone asks for 6 s before an answer is repeated, and asks again after 2."""
    clock, asking = Clock(), request(f"{MAC}.cfg", *options)
    server = TftpServer(Desk(SHELF, Policy(), print), udp("127.0.0.1", 0), clock=clock)
    with closing(server), closing(Client(server.port)) as client:
        first = client.ask(asking)
        clock.now += 0.75
        assert client.ask(asking) == first
        client.sock.sendto(asking, client.server)
        assert client.is_silent()


def test_a_client_that_only_wants_to_know_the_size_has_not_taken_it() -> None:
    with tftp() as lab, closing(Client(lab.port)) as client:
        client.ask(request(f"{MAC}.cfg", "tsize", "0"))
        client.say(struct.pack("!HH", ERROR, 8) + b"x\0")
        assert (lab.until(1)[0].result, lab.events[0].whole) == (OK, False)


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (request("new.cfg", kind=WRQ), 2),
        (request(f"{MAC}.cfg", mode="mail"), 4),
        (b"\0\1" + f"{MAC}.cfg".encode(), 4),
        (b"\0\1", 4),
        (request("nothing.cfg"), 1),
        (request(f"{MAC}.cfg", "x" * 2000), 4),
    ],
)
def test_what_cannot_be_is_refused(packet: bytes, code: int) -> None:
    with tftp() as lab, closing(Client(lab.port)) as client:
        assert client.ask(packet)[:4] == struct.pack("!HH", ERROR, code)


@pytest.mark.parametrize(
    "packet", [b"", b"\0", ack(0), struct.pack("!HH", ERROR, 0) + b"x\0", b"\0\3\0\1x", b"\xff" * 9]
)
def test_what_is_no_request_gets_no_answer(packet: bytes) -> None:
    """An answer to an answer could be sent round between two servers for ever."""
    with tftp() as lab, closing(Client(lab.port)) as client:
        client.sock.sendto(packet, client.server)
        assert client.is_silent(0.1)


def test_own_files_are_for_whom_the_policy_admits() -> None:
    for policy in (Policy(own_by=frozenset({"http"})), Policy(networks=(ip_network("10.20.0.0/24"),))):
        with tftp(policy) as lab, closing(Client(lab.port)) as client:
            assert client.ask(request(f"{MAC}.cfg"))[:4] == struct.pack("!HH", ERROR, 1)
            assert client.fetch("y000000000000.cfg") == SHELF.files["y000000000000.cfg"]
            assert lab.events[0].result == FORBIDDEN


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_leads_off_the_shelf(name: str) -> None:
    with tftp() as lab, closing(Client(lab.port)) as client:
        for spelled in (name.encode(), b"\xff" + name.encode(), name.encode("utf-16")[:500]):
            assert client.ask(request(spelled))[1] == ERROR


def test_the_answer_comes_from_the_address_that_was_asked() -> None:
    """A server that listens on every address must not answer from another: phones take no notice of it."""
    with tftp(host="0.0.0.0") as lab, closing(Client(lab.port)) as client:
        client.server = ("127.0.0.5", lab.port)
        assert client.ask(request(f"{MAC}.cfg"))[4:] == OWN
        assert client.other[0] == "127.0.0.5"


def test_ipv6_clients_are_answered() -> None:
    with tftp(host="::1") as lab, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(request(f"{MAC}.cfg"), ("::1", lab.port))
        assert client.recvfrom(2000)[0][4:] == OWN


# clients that mean no good


def test_transfers_of_one_address_are_bounded_and_others_go_on(opened: ExitStack) -> None:
    with tftp() as lab:
        clients = [opened.enter_context(closing(Client(lab.port))) for _ in range(MAX_OF_ONE + 50)]
        for client in clients:
            client.ask(request("large.bin"))
        wait_for(lambda: len(lab.events) == 50)  # the oldest make room
        assert not any(one.whole for one in lab.events)
        assert clients[-1].fetch(f"{MAC}.cfg") == OWN


class Relay:
    """Carries datagrams between clients and a TFTP server, and loses, doubles and turns some of them round.

    A doubled request makes two transfers, which a client tells apart by their ports (RFC 1350, section 4):
    each has a port of its own here too.
    """

    def __init__(self, port: int, seed: int, loss: float) -> None:
        self._chance = random.Random(seed)
        self._loss = loss
        self._server = ("127.0.0.1", port)
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(("127.0.0.1", 0))
        self.port: int = self._front.getsockname()[1]
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._front, selectors.EVENT_READ, None)
        # per client the socket towards the server, per transfer the socket towards the client
        self._backs: dict[tuple[str, int], socket.socket] = {}
        self._fronts: dict[tuple[socket.socket, tuple[str, int]], socket.socket] = {}
        self._held: tuple[socket.socket, bytes, tuple[str, int]] | None = None
        self._end = threading.Event()
        self.lost = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        for one in [self._front, *self._backs.values(), *self._fronts.values()]:
            one.close()

    def _run(self) -> None:
        while not self._end.is_set():
            for key, _ in self._ready.select(0.05) or [(None, 0)]:
                if key is None:
                    self._release()
                    continue
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                try:
                    packet, sender = sock.recvfrom(65535)
                except OSError:
                    continue
                if sock is self._front:
                    self._carry(self._back(sender), packet, self._server)
                elif key.data[0] == "back":
                    self._carry(self._transfer(sock, sender), packet, key.data[1])
                else:
                    self._carry(key.data[1], packet, key.data[2])

    def _back(self, client: tuple[str, int]) -> socket.socket:
        if client not in self._backs:
            self._backs[client] = self._socket("back", client)
        return self._backs[client]

    def _transfer(self, back: socket.socket, server: tuple[str, int]) -> socket.socket:
        if (back, server) not in self._fronts:
            self._fronts[back, server] = self._socket("front", back, server)
        return self._fronts[back, server]

    def _socket(self, *what: object) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        self._ready.register(sock, selectors.EVENT_READ, what)
        return sock

    def _carry(self, sock: socket.socket, packet: bytes, to: tuple[str, int]) -> None:
        drawn = self._chance.random()
        if drawn < self._loss:
            self.lost += 1
        elif drawn < 1.5 * self._loss and self._held is None:
            self._held = (sock, packet, to)  # goes after the next one
        else:
            sock.sendto(packet, to)
            if drawn > 1 - self._loss / 2:
                sock.sendto(packet, to)
            self._release()

    def _release(self) -> None:
        if self._held is not None:
            sock, packet, to = self._held
            self._held = None
            sock.sendto(packet, to)


MIDDLE = b"0123456789abcdef" * 400


@pytest.mark.peer
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 8))])
def test_every_file_comes_whole_through_loss_and_disorder(seed: int, tmp_path: Path) -> None:
    shelf = shelf_of([*ROWS, ("middle.bin", MIDDLE, "")], phones=SHELF.phones, revision="a test")
    with tftp(shelf=shelf) as lab, closing(Relay(lab.port, seed, 0.1)) as lossy:
        here = f"tftp://127.0.0.1:{lossy.port}"
        running = {
            "curl": subprocess.Popen(["curl", "-sS", "-o", str(tmp_path / "curl"), f"{here}/middle.bin"]),
            # atftp gives up on an OACK that comes twice, which loss brings about: it is asked until it has the file
            "window": subprocess.Popen(
                [
                    *("sh", "-c", 'for try in 1 2 3 4 5 6 7 8 9; do "$@" && exit; done; exit 1', "again"),
                    *("atftp", "-g", "-r", "middle.bin", "-l", str(tmp_path / "window"), "--option", "windowsize 8"),
                    *("--option", "timeout 1", "127.0.0.1", str(lossy.port)),
                ],
                stdout=subprocess.DEVNULL,
            ),
        }
        result = boot(MAC, f"{here}/", options=FetchOptions(timeout_s=180))
        assert [one.wait(180) for one in running.values()] == [0, 0]
        assert lossy.lost > 2
    assert result.settings["account.1.password"] == "secret"
    assert {name: (tmp_path / name).read_bytes() == MIDDLE for name in running} == {"curl": True, "window": True}


def damaged(chance: random.Random) -> bytes:
    data = bytearray(request(f"{MAC}.cfg", "tsize", "0", "blksize", "512", "windowsize", "4"))
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(3):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[at : at + chance.randrange(1, 12)]
            case _:
                data[at:at] = chance.choice([b"\0", b"../", b"\xff\xff", b"9" * 30, b"blksize\0", b"a" * 600])
    return bytes(data)


def throw(count: int) -> None:
    """Send damaged requests and damaged answers to what they start, and see that memory stays and others are served."""
    chance = random.Random(count)
    warm = 0
    allowed = {content[:512] for content in SHELF.files.values()} | {content[:1428] for content in SHELF.files.values()}
    with tftp() as lab, ExitStack() as stack:
        clients = [stack.enter_context(closing(Client(lab.port))) for _ in range(20)]
        for client in clients:
            client.sock.setblocking(False)
        for number in range(count):
            client = chance.choice(clients)
            client.sock.sendto(damaged(chance), client.server if chance.random() < 0.6 else client.other)
            try:
                while packet := client.hear():
                    if packet[1] == DATA and len(packet) > 100:
                        assert any(one.startswith(packet[4:]) for one in allowed) or packet[4:] in LARGE
            except OSError:
                pass
            if number % 100 == 0:
                time.sleep(0.01)
                lab.events.clear()
            if number == count // 2:
                warm = peak_kib()
        with closing(Client(lab.port)) as client:
            assert client.fetch(f"{MAC}.cfg") == OWN
    assert peak_kib() - warm < 16_000


def test_damaged_packets_are_in_nobody_s_way() -> None:
    throw(3000)


@pytest.mark.long
def test_a_hundred_thousand_damaged_packets() -> None:
    throw(100_000)
