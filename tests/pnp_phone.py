"""A phone that looks for a server as in the guide's capture; a program, so that it can run in another network.

`python pnp_phone.py MAC [GROUP PORT [STATUS]]` multicasts the SUBSCRIBE, confirms the NOTIFY with STATUS (0: stays
silent), and prints what it heard as JSON: {"heard": [{"from": [address, port], "text": ...}, ...]}.
"""

from __future__ import annotations

import json
import socket
import sys
import time

WAIT_S = 4.0
CALL_ID = "1213443252@192.168.50.163"


def subscribe(
    mac: str, address: str, port: int, *, user: str = "", event: str = "", group: str = "224.0.1.75"
) -> bytes:
    """Return the SUBSCRIBE: its first line as in the guide's capture, its headers as of the phone's relatives."""
    asked = f"sip:{user or f'MAC{mac}'}@{group}"
    about = event or 'ua-profile;profile-type="device";vendor="Flyingvoice";model="FIP14G";version="V0.6.24"'
    lines = [
        f"SUBSCRIBE {asked} SIP/2.0",
        f"Via: SIP/2.0/UDP {address}:{port};branch=z9hG4bK{mac}1;rport",
        f"From: <{asked}>;tag=4711",
        f"To: <{asked}>",
        f"Call-ID: {CALL_ID}",
        "CSeq: 1 SUBSCRIBE",
        f"Contact: <sip:MAC{mac}@{address}:{port}>",
        "Max-Forwards: 70",
        "User-Agent: Flyingvoice FIP14G V0.6.24",
        "Expires: 0",
        f"Event: {about}",
        "Accept: application/url",
        "Content-Length: 0",
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


def confirmation(notify: bytes, status: int = 200) -> bytes:
    """Return the answer to a NOTIFY."""
    kept = [
        line
        for line in notify.decode().split("\r\n")
        if line.partition(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")
    ]
    return "\r\n".join([f"SIP/2.0 {status} So be it", *kept, "Content-Length: 0", "", ""]).encode()


def main(arguments: list[str]) -> int:
    """Ask, and print what came."""
    mac = arguments[0]
    group, port, status = (*arguments[1:], *("224.0.1.75", "5060", "200")[len(arguments) - 1 :])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((group, int(port)))
        here = probe.getsockname()[0]
    heard = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind((here, 0))
        phone.settimeout(0.2)
        phone.sendto(subscribe(mac, here, phone.getsockname()[1]), (group, int(port)))
        ends = time.monotonic() + WAIT_S
        while time.monotonic() < ends:
            try:
                data, client = phone.recvfrom(65535)
            except TimeoutError:
                if any(one["text"].startswith("NOTIFY") for one in heard):
                    break
                continue
            heard.append({"from": list(client), "text": data.decode()})
            if data.startswith(b"NOTIFY") and int(status):
                phone.sendto(confirmation(data, int(status)), client)
    print(json.dumps({"heard": heard}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
