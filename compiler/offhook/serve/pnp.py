"""Plug and play: answers phones that ask 224.0.1.75 where to fetch from, until each has confirmed it or 32 s are over.

Listens on the group's address only, so that a PBX on the same machine keeps its port 5060, and answers from a port of
its own, as the server of the guide's capture did. A phone that is not listed gets no answer: another server's perhaps.
"""

from __future__ import annotations

import contextlib
import secrets
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from offhook.serve.desk import NOT_LISTED, OK, PNP, Desk, Event
from offhook.serve.listening import address_towards
from offhook.serve.pnp_exchange import Answerer, Subscription, accepted, answer_in, notify, subscription_in

NO_ANSWER = "no answer"

_MAX_EXCHANGES = 1024
_T1_S, _T2_S = 0.5, 4.0
_TIMER_F_S = 64 * _T1_S
"""RFC 3261, 17.1.2: a request is repeated after T1, doubling to T2, until 64 times T1 are over."""

_KINDS_AT_ONCE = 64
_PAUSE_S = 0.1

UrlFor = Callable[[str, str], str]
"""The URL for a phone: its MAC, and this machine's address as the phone reaches it -> URL in ASCII."""


@dataclass(slots=True)
class _Exchange:
    """One phone's question, and where its answer stands."""

    client: tuple[str, int]
    mac: str
    url: str
    reply: bytes = field(repr=False)
    notify: bytes = field(repr=False)
    ends_s: float
    due_s: float
    pause_s: float = _T1_S
    is_over: bool = False


class PnpServer:
    """A running responder. `for_all` answers phones that are not listed, too."""

    def __init__(
        self,
        desk: Desk,
        listening: socket.socket,
        url_for: UrlFor,
        *,
        for_all: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.port: int = listening.getsockname()[1]
        self._desk = desk
        self._url_for = url_for
        self._for_all = for_all
        self._clock = clock
        self._listening = listening
        self._answering = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._answering.bind(("", 0))
        self._exchanges: dict[tuple[tuple[str, int], tuple[str, str]], _Exchange] = {}  # the oldest first
        self._selector = selectors.DefaultSelector()
        for sock in (listening, self._answering):
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_READ)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name=PNP, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.is_set():
            for key, _ in self._selector.select(_PAUSE_S if self._exchanges else 5 * _PAUSE_S):
                self._hear(self._asked if key.fileobj is self._listening else self._confirmed, key.fileobj)
            self._repeat()
        self._selector.close()
        self._listening.close()
        self._answering.close()

    def _hear(self, tell: Callable[[bytes, tuple[str, int]], None], sock: object) -> None:
        assert isinstance(sock, socket.socket)
        for _ in range(_KINDS_AT_ONCE):
            try:
                data, client = sock.recvfrom(65535)
            except OSError:
                return
            if client[1]:
                tell(data, client)

    def _asked(self, data: bytes, client: tuple[str, int]) -> None:
        asked = subscription_in(data)
        if asked is None:
            return
        known = self._exchanges.get((client, asked.number))
        if known is not None:
            self._send(known.reply, client)
            return
        if not self._for_all and asked.mac not in self._desk.shelf.phones:
            self._desk.tell(Event(PNP, client[0], asked.mac, "", NOT_LISTED))
            return
        exchange = self._begin(asked, client)
        self._send(exchange.reply, client)
        self._send(exchange.notify, client)

    def _begin(self, asked: Subscription, client: tuple[str, int]) -> _Exchange:
        here = address_towards(client[0])
        port = self._answering.getsockname()[1]
        answerer = Answerer(here, port, secrets.token_hex(8), f"z9hG4bK{secrets.token_hex(12)}")
        url = self._url_for(asked.mac, here)
        now = self._clock()
        exchange = _Exchange(
            client,
            asked.mac,
            url,
            accepted(asked, client, answerer),
            notify(asked, client, answerer, url),
            ends_s=now + _TIMER_F_S,
            due_s=now + _T1_S,
        )
        if len(self._exchanges) >= _MAX_EXCHANGES:
            del self._exchanges[next(iter(self._exchanges))]
        self._exchanges[client, asked.number] = exchange
        return exchange

    def _confirmed(self, data: bytes, client: tuple[str, int]) -> None:
        answer = answer_in(data)
        if answer is None or answer[1] < 200:
            return
        for (asker, (call_id, _)), exchange in self._exchanges.items():
            if asker == client and call_id == answer[0] and not exchange.is_over:
                self._finish(exchange, OK if answer[1] < 300 else f"refused with {answer[1]}")

    def _repeat(self) -> None:
        now = self._clock()
        for key, exchange in list(self._exchanges.items()):
            if now >= exchange.ends_s:
                if not exchange.is_over:
                    self._finish(exchange, NO_ANSWER)
                del self._exchanges[key]
            elif not exchange.is_over and now >= exchange.due_s:
                self._send(exchange.notify, exchange.client)
                exchange.pause_s = min(2 * exchange.pause_s, _T2_S)
                exchange.due_s = now + exchange.pause_s

    def _finish(self, exchange: _Exchange, result: str) -> None:
        """Tell how it ended; what was said is kept for a while, for a phone that asks the same again."""
        exchange.is_over = True
        count = len(exchange.url) if result == OK else 0
        self._desk.tell(Event(PNP, exchange.client[0], exchange.mac, exchange.url, result, count, result == OK))

    def _send(self, data: bytes, client: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):  # no way there: the phone asks again, or the timer ends it
            self._answering.sendto(data, client)


def serve_pnp(desk: Desk, listening: socket.socket, url_for: UrlFor, *, for_all: bool = False) -> PnpServer:
    """Answer on a socket that `offhook.serve.listening.multicast` made."""
    return PnpServer(desk, listening, url_for, for_all=for_all)
