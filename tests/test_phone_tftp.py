"""TFTP: the bytes of the phone's request, held to the guide's capture and to curl's."""

from __future__ import annotations

import struct
import subprocess
import sys

import pytest

from offhook.phone.boot import FetchOptions, Request, boot
from offhook.problem import OffhookError
from peers import program
from scripted import tftp_data, tftp_error, tftp_oack, udp_server

MAC = "0021f222b01d"
READ_REQUEST = b"\0\1%s\0octet\0tsize\0000\0blksize\000512\0timeout\0006\0"


def test_read_request_is_the_captures() -> None:
    """Guide, "Plug and Play (PnP) Server", frame 816: 97 bytes, of which 42 are Ethernet, IP and UDP."""
    with udp_server(lambda _: [tftp_error(1, b"File not found")]) as heard:
        boot(MAC, f"tftp://127.0.0.1:{heard.port}/{MAC}.cfg")
    assert heard.messages == [READ_REQUEST % b"0021f222b01d.cfg"]
    assert len(heard.messages[0]) == 97 - 42


def test_search_is_the_captures() -> None:
    """Guide, "DHCP Option66": frames of 93, 98, 99 and 98 bytes; the phone's CFG file comes after the capture."""
    with udp_server(lambda _: [tftp_error(1, b"File not found")]) as heard:
        boot(MAC, f"tftp://127.0.0.1:{heard.port}/")
    names = [b"%s", b"%s.boot", b"y000000000000.boot", b"y000000000000.cfg", b"%s.cfg"]
    assert heard.messages == [READ_REQUEST % name.replace(b"%s", MAC.encode()) for name in names]
    # The guide's frames of the second and fourth request are of 98 bytes for names of 17 characters.
    assert [len(message) + 42 for message in heard.messages][:4] == [93, 98, 99, 98]


@pytest.mark.peer
def test_read_request_is_curls() -> None:
    """libcurl sends the same options in the same order, so phones may well be using it."""
    curl = program("curl")
    with udp_server(lambda _: [tftp_error(1, b"File not found")]) as heard:
        url = f"tftp://127.0.0.1:{heard.port}/{MAC}.cfg"
        subprocess.run([curl, "--silent", url], check=False, timeout=10)
        boot(MAC, url)
    assert heard.messages[0] == heard.messages[1]


def test_a_lost_request_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the capture, whose first request has no answer."""
    monkeypatch.setattr("offhook.phone.tftp._REPEAT_S", 0.05)
    asked: list[bytes] = []

    def answers(packet: bytes) -> list[bytes]:
        asked.append(packet)
        return [] if len(asked) == 1 else [tftp_data(1, b"a=1\n")]

    with udp_server(answers) as heard:
        result = boot(MAC, f"tftp://127.0.0.1:{heard.port}/{MAC}.cfg")
    assert asked[0] == asked[1] == READ_REQUEST % b"0021f222b01d.cfg"
    assert result.settings == {"a": "1"}


def test_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tftp", None)
    with pytest.raises(OffhookError, match="TFTP needs the Python package tftp, which is not installed") as caught:
        boot(MAC, "tftp://127.0.0.1/")
    assert caught.value.hint == "pip install 'offhook[phone]'"


def test_a_server_that_knows_no_options() -> None:
    def answers(packet: bytes) -> list[bytes]:
        if b"blksize" in packet:
            return [tftp_error(4, b"illegal")]
        return [tftp_data(1, b"a=1\n")] if packet.startswith(b"\0\1") else []

    with udp_server(answers) as heard:
        result = boot(MAC, f"tftp://127.0.0.1:{heard.port}/HTTP Directory/ü.cfg")
    assert heard.messages[1] == "\0\1HTTP Directory/ü.cfg\0octet\0".encode()
    assert result.settings == {"a": "1"}


def test_options_are_acknowledged_as_in_the_capture() -> None:
    """Guide, PnP capture: OACK of tsize and blksize without timeout, acknowledged as block 0, then blocks."""
    content = b"a=" + b"x" * 1000

    def answers(packet: bytes) -> list[bytes]:
        if packet.startswith(b"\0\1"):
            return [tftp_oack(b"tsize", b"1002", b"blksize", b"512")]
        block = struct.unpack("!HH", packet)[1]
        return [tftp_data(block + 1, content[block * 512 :][:512])] if block < 2 else []

    with udp_server(answers) as heard:
        url = f"tftp://127.0.0.1:{heard.port}/{MAC}.cfg"
        result = boot(MAC, url, options=FetchOptions(max_bytes=1002))
    assert result.requests == (Request(url, "ok", 1002, "cfg"),)
    assert heard.messages[1:] == [b"\0\4\0\0", b"\0\4\0\1", b"\0\4\0\2"]
