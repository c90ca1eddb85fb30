"""What web servers and requests say when they refuse -> one line and a next step. No server's own text is shown."""

from __future__ import annotations

import requests

from offhook.problem import OffhookError
from offhook.publish.roots.credentials import credentials_hint
from offhook.publish.roots.root import RootOptions

_STATUSES = {
    403: ("permission denied", "may this login write there, and may the server's own user?"),
    404: ("no such folder", "make the root's folder on the server"),
    405: ("the server does not take {method} there", "switch it on: dav_methods of nginx, Dav On of Apache"),
    409: ("no such folder, and none can be made", "make the root's folder on the server"),
    411: ("the server refuses the request", "look at its log"),
    412: ("somebody else was sooner", "try again"),
    413: ("the server takes no file of this size", "raise its limit: client_max_body_size, LimitRequestBody"),
    423: ("the file is locked by somebody", "close the program that edits it"),
    429: ("the server asks to slow down, time and again", "try again later, with fewer threads"),
    500: ("the server has an error of its own", "look at its log: is its disk full, may its user write there?"),
    501: ("the server does not know {method}", "is it a WebDAV server?"),
    503: ("the server is not available", "try again later"),
    507: ("the server's disk is full", "make room, and publish again"),
}


class Status(Exception):
    """An answer that may be another one the next time."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def refused_status(status: int, method: str, where: str, *, options: RootOptions) -> OffhookError:
    """Return what to say of a status (RFC 9110 section 15, RFC 4918 section 11)."""
    if status == 401:
        return OffhookError(f"{where}: the server refuses the login", hint=credentials_hint(options))
    if 300 <= status < 400:
        return OffhookError(f"{where}: the server points to another address", hint="write that one, https:// perhaps")
    message, hint = _STATUSES.get(status, ("the server refuses", "look at its log"))
    return OffhookError(f"{where}: {message.format(method=method)} (status {status})", hint=hint)


def lost(error: Exception, where: str) -> OffhookError:
    """Return what to say where there is no answer."""
    text = str(error)
    if isinstance(error, requests.exceptions.ProxyError):
        return OffhookError(f"{where}: the proxy does not answer", hint="check HTTPS_PROXY and NO_PROXY")
    if isinstance(error, requests.exceptions.SSLError):
        return OffhookError(
            f"{where}: no TLS connection that can be trusted",
            hint="name the certificate's authority with a CA file; check the host name",
        )
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return OffhookError(f"{where}: the file of certificate authorities cannot be read", hint="it holds PEM")
    if isinstance(error, requests.Timeout):
        return OffhookError(f"{where}: the server does not answer", hint="can it be reached from here?")
    if "refused" in text:
        return OffhookError(f"{where}: connection refused", hint="does the server run, and on this port?")
    if "resolve" in text or "Name or service" in text:
        return OffhookError(f"{where}: there is no such host", hint="check the name in the address")
    return OffhookError(f"{where}: the connection breaks off", hint="is it a web server? try again later")
