"""Files over TFTP (RFC 1350), asked for as a Flyingvoice phone asks.

The guide's captures ("DHCP Option66", "Plug and Play (PnP) Server") show read requests of type octet
with the options tsize=0, blksize=512 and timeout, in this order. The timeout's value is cut off there;
6 is what libcurl sends, whose request has the same options in the same order.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from offhook.phone.request import ERROR, FORBIDDEN, NOT_FOUND, OK, TIMEOUT, TOO_BIG, Answer, FetchOptions
from offhook.phone.target import Target
from offhook.problem import OffhookError

if TYPE_CHECKING:
    from tftp import TFTPClient

OPTIONS = {"tsize": "0", "blksize": "512", "timeout": "6"}
"""The options of a read request, in the order in which they are sent."""

_REPEAT_S = 2.0
"""How long an answer is waited for before the request is sent again; the capture's phone took 4.2 s."""


def fetch(target: Target, options: FetchOptions) -> Answer:
    """Return the file's content. A server that does not run shows as "timeout": UDP cannot tell.

    Raises OffhookError where the library for TFTP is missing, OSError where the host has no address.
    """
    try:
        import tftp
    except ImportError as error:
        raise OffhookError(
            "TFTP needs the Python package tftp, which is not installed", hint="pip install 'offhook[phone]'"
        ) from error
    content = io.BytesIO()
    try:
        transfer = _client(target, options).download(target.name, content)
    except tftp.TransferTimeoutError:
        return Answer(TIMEOUT, message=f"no complete answer within {options.timeout_s:g} s")
    except tftp.FileNotFound:
        return Answer(NOT_FOUND)
    except tftp.AccessViolation:
        return Answer(FORBIDDEN)
    except tftp.TransferTooLargeError:
        return Answer(TOO_BIG, message=f"more than {options.max_bytes} bytes")
    except tftp.RemoteError as error:
        return Answer(ERROR, message=f"the server answers with TFTP error {int(error.code)}: {error.message}")
    except tftp.TFTPError as error:
        return Answer(ERROR, message=f"the server breaks the protocol: {error.message}")
    announced = transfer.negotiated.tsize
    if announced is not None and announced != transfer.bytes:
        return Answer(ERROR, message=f"the server announced {announced} bytes and sent {transfer.bytes}")
    return Answer(OK, content.getvalue())


def _client(target: Target, options: FetchOptions) -> TFTPClient:
    """Return a client that asks with OPTIONS, all of them given as extra ones to keep their order."""
    import tftp

    return tftp.TFTPClient(
        f"[{target.host}]" if ":" in target.host else target.host,
        target.port,
        timeout=_REPEAT_S,
        deadline=options.timeout_s,
        max_size=options.max_bytes,
        blksize=None,
        tsize=False,
        timeout_option=False,
        extra_options=OPTIONS,
    )
