"""One request of the virtual phone: what is asked, with which options, and what came back."""

from __future__ import annotations

from dataclasses import dataclass, field

# Results of a request. A phone goes on after the first three, whatever it looked for.
OK = "ok"
NOT_FOUND = "not found"
FORBIDDEN = "forbidden"
UNAUTHORIZED = "unauthorized"
REFUSED = "refused"
UNREACHABLE = "unreachable"
TIMEOUT = "timeout"
TOO_BIG = "too big"
SKIPPED = "skipped"
ERROR = "error"

# Kinds of a request.
BOOT = "boot"
CFG = "cfg"
RESOURCE = "resource"


VIRTUAL_PHONE = "offhook virtual phone"
"""What a virtual phone says it is, by HTTP, where it is told nothing else: so it is known in logs."""


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How the phone fetches.

    Username and password are for the server that the boot begins with, where its URL says none; they
    are never sent to another scheme, host or port. `ca_file` is a PEM file that replaces the system's
    certificate authorities. `timeout_s` and `max_bytes` bound every single request as a whole.
    `user_agent` is the HTTP header (`offhook.phone.http.phone_user_agent` makes a phone's).
    """

    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str | None = None
    allow_other_hosts: bool = False
    timeout_s: float = 10.0
    max_bytes: int = 4 * 1024 * 1024
    user_agent: str = VIRTUAL_PHONE


@dataclass(frozen=True, slots=True)
class Answer:
    """What one fetch gave: a result, the content where the result is "ok", and why where it is not."""

    result: str
    body: bytes = field(default=b"", repr=False)
    message: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the trace: the URL (without credentials), its result, and how many bytes came.

    `kind` is "boot", "cfg" or "resource". `message` says why a request did not give its file; it holds
    no control character and no password.
    """

    url: str
    result: str
    bytes: int
    kind: str
    message: str = ""
