"""One fetch over any protocol: a Target -> an Answer, whatever the server does."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Callable

from offhook.phone.request import (
    ERROR,
    REFUSED,
    SKIPPED,
    TIMEOUT,
    UNREACHABLE,
    Answer,
    FetchOptions,
)
from offhook.phone.target import Target

Fetch = Callable[[Target, FetchOptions], Answer]
"""Gives a file, or why it did not come; `fetch` is one, and whoever boots many phones may have another."""

_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})
_MAX_MESSAGE = 200
HIDDEN = "********"


def fetch(target: Target, options: FetchOptions) -> Answer:
    """Return the file's content, or why it did not come.

    Servers cannot make this raise or last much longer than the time limit. OffhookError is raised where
    this machine lacks something: a library, or the file of certificate authorities.
    """
    return told(_protocol(target.scheme), target, options)


def told(protocol: Fetch, target: Target, options: FetchOptions) -> Answer:
    """Return what a protocol's function gives; what it raises becomes an answer, too. OffhookError flies."""
    import http.client

    if re.search(r"[\x00-\x1f\x7f]", target.name):
        return Answer(SKIPPED, message="the name holds a control character")
    try:
        answer = protocol(target, options)
    except TimeoutError:
        answer = Answer(TIMEOUT, message=f"no complete answer within {options.timeout_s:g} s")
    except OSError as error:
        answer = _refusal(error)
    except (http.client.HTTPException, ValueError) as error:
        answer = Answer(ERROR, message=f"the server breaks the protocol: {type(error).__name__}")
    return Answer(answer.result, answer.body, _clean(answer.message, target.password))


def _protocol(scheme: str) -> Fetch:
    """Return the fetch function of a scheme; its libraries are loaded when they are needed."""
    if scheme == "file":
        from offhook.phone import file

        return file.fetch
    if scheme == "ftp":
        from offhook.phone import ftp

        return ftp.fetch
    if scheme == "tftp":
        from offhook.phone import tftp

        return tftp.fetch
    from offhook.phone import http

    return http.fetch


def _refusal(error: OSError) -> Answer:
    """Return what an error of the network means for the phone."""
    import ssl

    if isinstance(error, ConnectionRefusedError):
        return Answer(REFUSED, message="no server listens there")
    if isinstance(error, socket.gaierror):
        return Answer(UNREACHABLE, message="the host has no known address")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Answer(ERROR, message=f"the server's certificate is not trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None)  # only errors that OpenSSL made have one
        return Answer(ERROR, message=f"TLS fails: {reason or 'the connection ends'}")
    if error.errno in _NO_ROUTE:
        return Answer(UNREACHABLE, message="no route to the host")
    return Answer(ERROR, message=f"the connection fails: {error.strerror or type(error).__name__}")


def _clean(message: str, password: str) -> str:
    """Return the message fit to print: servers choose part of it, and some repeat the password."""
    if password:
        message = message.replace(password, HIDDEN)
    message = printable(message)
    return message if len(message) <= _MAX_MESSAGE else message[: _MAX_MESSAGE - 3] + "..."


def printable(text: str) -> str:
    """Return the text with a question mark for what could steer a terminal or mislead a reader."""
    return "".join(character if character.isprintable() else "?" for character in text)
