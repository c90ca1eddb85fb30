"""What a lab server says while it runs: a greeting, its log, the summary; and what it hears at the keyboard."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click

from offhook.review import serve as words
from offhook.serve.addresses import address
from offhook.serve.desk import FTP, HTTP, PNP, TFTP
from offhook.serve.lab import Asking, Lab
from offhook.serve.listening import own_address

_BUSY = 8
_BREATH_S = 0.05


@contextmanager
def heard(lab: Lab) -> Iterator[None]:
    """End on Ctrl-C and SIGTERM; show the summary on SIGUSR1, and on Enter at a terminal."""
    wanted = {signal.SIGINT: None, signal.SIGTERM: None, signal.SIGUSR1: Asking()}
    # a bug in a server's thread ends the run, with its report
    threading.excepthook = lambda fault: lab.put(fault.exc_value if isinstance(fault.exc_value, Exception) else None)
    former = {number: signal.signal(number, lambda *_, entry=entry: lab.put(entry)) for number, entry in wanted.items()}
    if sys.stdin is not None and sys.stdin.isatty():
        threading.Thread(target=_listen, args=(lab,), name="keys", daemon=True).start()
    try:
        yield
    finally:
        threading.excepthook = threading.__excepthook__
        for number, handler in former.items():
            signal.signal(number, handler)


def _listen(lab: Lab) -> None:
    with suppress(OSError, ValueError):
        for _ in sys.stdin:
            lab.put(Asking())


def greeting(lab: Lab, host: str, notes: list[str], style: str) -> str:
    """Return the first lines: what is handed out, where, and what there is to know of it."""
    here = own_address() if host in ("0.0.0.0", "::") else host
    shelf = lab.desk.shelf
    urls = {protocol: address(protocol, here, port) for protocol, port in lab.ports.items()}
    policy = lab.terms.policy
    if TFTP in urls and TFTP not in policy.own_by:
        notes.append("TFTP cannot ask for the environment's password: it hands out files that several phones share")
    open_ones = [name for name in (HTTP, TFTP, FTP) if name in urls and name in policy.own_by]
    if shelf.owners and open_ones:
        notes.append(f"phones' passwords go over the network as plain text by {', '.join(open_ones)}")
    if not shelf.phones:
        notes.append("no phone is listed here")
    pnp = lab.url_of(next(iter(shelf.phones), "0" * 12), here) if PNP in urls and (lab.best or lab.terms.url) else ""
    if style == "json":
        return words.greeting_json(shelf.revision, len(shelf.phones), urls, pnp, notes)
    return words.greeting_text(shelf.revision, len(shelf.phones), urls, best=lab.best, pnp=pnp, notes=notes)


def tell(lab: Lab, style: str) -> None:
    """Print the log until it ends, and then the summary."""
    entry_of, summary_of = (
        (words.entry_json, words.summary_json) if style == "json" else (words.entry_text, words.summary_text)
    )
    while True:
        texts = []
        for entry in lab.waiting():
            if isinstance(entry, Exception):
                raise entry
            texts.append(summary_of(lab.rows(), lab.lost) if isinstance(entry, Asking | None) else entry_of(entry))
            if entry is None:
                say("\n".join(texts))
                return
        say("\n".join(texts))
        if len(texts) > _BUSY:
            time.sleep(_BREATH_S)  # a line at a time would cost the servers more than the line does


def say(text: str) -> None:
    """Print at once."""
    click.echo(text)
    sys.stdout.flush()
