"""The SIP client: a request and where it goes -> how it ended.

It finds the servers (`locate`), sends over UDP, TCP or TLS (`transport`), repeats by the timers (`transaction`),
answers a server that asks for `credentials`, and goes on to the next server where one fails (RFC 3263 section
4.3). A request is one small object, without a task or a future: a hundred thousand may be under way.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from offhook.problem import OffhookError
from offhook.sip.credentials import CHALLENGES, Answered, Credentials, asked
from offhook.sip.locate import TCP, TLS, UDP, Resolver, SystemResolver, Target, locate, located
from offhook.sip.message import Headers, Request, Response, SipError, SipUri, parse, parse_uri, parse_via, render
from offhook.sip.outcome import (
    CANCELLED,
    CREDENTIALS_UNUSED,
    CREDENTIALS_WANTED,
    NO_ADDRESS,
    SERVER_ERROR,
    Outcome,
    harmless,
    outcome_of,
)
from offhook.sip.tls import tls_context
from offhook.sip.transaction import LOST, TIMEOUT, TLS_REFUSED, UNREACHABLE, Failure, Timers, Transaction, Transactions
from offhook.sip.transport import Stream, UdpSocket, local_address, said

LONGEST_DATAGRAM = 1300
"""A longer request goes over TCP (RFC 3261 section 18.1.1)."""

_MOST_IDLE = 64
_MOST_KNOWN = 10_000
_AVOID_S = 30.0
_KNOWN_S = 60.0
_BRANCH = re.compile(rb";\s*branch\s*=\s*([^\s;,]+)", re.I)
_METHOD = re.compile(rb"[A-Z]+")
_SHUT = Failure(UNREACHABLE, "the connection does not open")

Told: TypeAlias = Callable[[Outcome], None]


@dataclass(slots=True, eq=False)
class _Work:
    """A request on its way: the servers that are left, what was answered to whom, and who waits for the end.

    `once` says that it may not be sent again where a connection ends that it was written on; `renewed` that it was.
    """

    request: Request
    credentials: Credentials | None
    told: Told
    targets: list[Target] = field(default_factory=list)
    position: int = 0
    sequence: int = 0
    sends: int = 0
    started_at: float = 0.0
    oversize: bool = False
    once: bool = False
    renewed: bool = False
    answered: Answered = field(default_factory=Answered)


class Client:
    """Sends requests outside dialogs. Use it as an asynchronous context manager, in one event loop.

    `bind` is the address to send from, by default whatever the system chooses. `ca_file` holds the authorities whose
    servers are trusted over TLS. `timers` may be shortened for tests.
    """

    def __init__(
        self,
        *,
        timers: Timers | None = None,
        resolver: Resolver | None = None,
        ca_file: Path | None = None,
        bind: str = "",
    ) -> None:
        self._timers = timers or Timers()
        self._resolver = resolver or SystemResolver()
        self._ca_file = ca_file
        self._bind = bind
        self._context: ssl.SSLContext | None = None
        self._udp: dict[int, UdpSocket] = {}
        self._streams: dict[Target, Stream] = {}
        self._work: dict[tuple[str, str], tuple[_Work, Transaction]] = {}
        self._known: dict[str, tuple[float, list[Target] | Outcome]] = {}
        self._asking: dict[str, tuple[asyncio.Task[None], list[_Work]]] = {}
        self._own: dict[str, str] = {}
        self._heard: dict[str, float] = {}
        self._avoided: dict[Target, float] = {}
        self._shut: dict[Target, float] = {}
        self._queues: set[str | Target] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._room: asyncio.Event = asyncio.Event()
        self._closed = False

    async def __aenter__(self) -> Client:
        self._loop = asyncio.get_running_loop()
        self._transactions = Transactions(self._timers, clock=self._loop.time, resend=self._transmit)
        if self._ca_file is not None:
            self._tls()  # so that a file that is none is told at once
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        for task, works in list(self._asking.values()):
            task.cancel()
            for work in works:
                work.told(Outcome(CANCELLED))
        for stream in list(self._streams.values()):
            await stream.close()
        for udp in self._udp.values():
            udp.close()
        unfinished, self._work = self._work, {}
        for work, transaction in unfinished.values():
            work.told(Outcome(CANCELLED, sends=work.sends + transaction.sends))

    def __len__(self) -> int:
        """Return how many requests are under way."""
        return len(self._work) + sum(len(works) for _, works in self._asking.values())

    @property
    def fresh(self) -> int:
        """How many requests are younger than T1, and not heard of yet."""
        return self._transactions.fresh

    async def send(self, request: Request, target: str, *, credentials: Credentials | None = None) -> Outcome:
        """Send a request to a SIP address ("sip:pbx.example.com;transport=tcp") and return how it ended.

        The request brings everything but Via, CSeq, Contact and Content-Length. What the network or the server does
        is an outcome, never an exception. Raises OffhookError where the address or a header is none.
        """
        ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def told(outcome: Outcome) -> None:
            if not ended.done():
                ended.set_result(outcome)

        try:
            self.begin(request, target, told, credentials=credentials)
        except SipError as error:
            raise OffhookError(f"the request cannot be sent: {error}") from error
        return await ended

    def begin(
        self, request: Request, target: str, told: Told, *, credentials: Credentials | None = None, once: bool = False
    ) -> None:
        """Do what `send` does, and call `told` at the end: once, and always, also where the client is closed.

        With `once` it is not sent again where a connection ends on which a server may have read it.
        Raises SipError where a header holds a line break, and OffhookError where the address is none.
        """
        work = _Work(request, credentials, told, started_at=self._loop.time(), once=once)
        known = self._known.get(target)
        if known is not None and known[0] > self._loop.time():
            self._set_out(work, known[1])
            return
        uri = _uri(target)
        if at_once := located(uri):
            self._know(target, [at_once], _KNOWN_S)
            self._set_out(work, [at_once])
            return
        render(request)  # so that a header that is none is told here, not when DNS has answered
        if target in self._asking:
            self._asking[target][1].append(work)
            self._queues.add(target)
        else:
            works = [work]
            task = self._loop.create_task(self._find(target, uri, works))
            self._asking[target] = (task, works)

    async def room(self, fresh: int, under_way: int) -> None:
        """Wait until fewer than `fresh` requests are fresh and fewer than `under_way` are under way.

        And until no two wait for a name to be found or a connection to open: they all go at once when that is done.
        """
        while self.fresh >= fresh or len(self) >= under_way or self._has_queue():
            self._room.clear()
            await self._room.wait()

    def _has_queue(self) -> bool:
        self._queues = {one for one in self._queues if self._is_queue(one)}
        return bool(self._queues)

    def _is_queue(self, place: str | Target) -> bool:
        """Tell whether requests wait, not one alone, for an address to be found or a connection to open."""
        if isinstance(place, str):
            return place in self._asking
        stream = self._streams.get(place)
        return stream is not None and stream.waiting > 1

    async def _find(self, target: str, uri: SipUri, works: list[_Work]) -> None:
        """Ask DNS once for all who wait for the same address."""
        began = self._loop.time()
        found: list[Target] | Outcome
        try:
            found = await locate(uri, self._resolver)
        except OffhookError as error:
            found = Outcome(NO_ADDRESS, detail=error.message)
        except Exception as error:  # a bug in a task flies nowhere: whoever waits would for ever
            found = Outcome(NO_ADDRESS, detail=harmless(repr(error)))
        del self._asking[target]
        # that there is none is believed for as long as it took to find out: not every phone must wait for it
        self._know(target, found, self._loop.time() - began if isinstance(found, Outcome) else _KNOWN_S)
        for work in works:
            self._set_out(work, found)
        self._room.set()

    def _know(self, target: str, found: list[Target] | Outcome, seconds: float) -> None:
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
            self._own.clear()
        self._known[target] = (self._loop.time() + seconds, found)

    def _set_out(self, work: _Work, found: list[Target] | Outcome) -> None:
        """Begin with the servers that have not just failed; the others stay as a last resort."""
        if isinstance(found, Outcome):
            work.told(found)
            return
        if len(found) > 1 and self._avoided:
            now = self._loop.time()
            found = sorted(found, key=lambda one: self._avoided.get(one, 0.0) > now)
        work.targets = found
        self._attempt(work)

    def _attempt(self, work: _Work) -> None:
        """Send the request, or send it again with an answer or to the next server.

        A loop: a name may lead to hundreds of servers that nothing can be sent to.
        """
        while (failed := self._begun(work)) is not None:
            if not self._has_next(work, *failed):
                self._tell(work, *failed)
                return

    def _begun(self, work: _Work) -> tuple[Target, Failure] | None:
        """Begin a transaction with the server whose turn it is, or return why nothing can be sent there."""
        target = work.targets[work.position]
        branch = "z9hG4bK" + secrets.token_hex(10)
        try:
            work.sequence += 1
            data = self._render(work, target, branch)
            if target.transport == UDP and len(data) > LONGEST_DATAGRAM and not work.oversize:
                target = replace(target, transport=TCP)
                data = self._render(work, target, branch)
        except OSError as error:
            return target, Failure(UNREACHABLE, said(error))
        if self._is_shut(target):
            return target, _SHUT
        key = (branch, work.request.method)
        transaction = Transaction(key, data, target, lambda result: self._ended(key, result), target.transport != UDP)
        self._work[key] = (work, transaction)
        work.started_at = self._loop.time()
        self._transactions.start(transaction)
        self._transmit(transaction)
        self._arm()
        return None

    def _render(self, work: _Work, target: Target, branch: str) -> bytes:
        own = self._own_address(target)
        transport = target.transport.upper()
        request = work.request
        suffix = "" if target.transport == UDP else f";transport={target.transport}"
        fields = [
            ("Via", f"SIP/2.0/{transport} {own};branch={branch};rport"),
            *request.headers.items(),
            ("CSeq", f"{work.sequence} {request.method}"),
            ("Contact", f"<sip:offhook@{own}{suffix}>"),
            *work.answered.headers(),
        ]
        return render(Request(request.method, request.uri, Headers.of(*fields), request.body))

    def _own_address(self, target: Target) -> str:
        """The host and port that answers may come to, as a Via writes them."""
        own = self._own.get(target.address)
        if own is None:
            host = self._bind or local_address(target)
            port = self._udp_socket(target).port
            own = self._own[target.address] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return own

    def _udp_socket(self, target: Target) -> UdpSocket:
        family = socket.AF_INET6 if ":" in target.address else socket.AF_INET
        if family not in self._udp:
            self._udp[family] = UdpSocket(family, self._bind, datagram=self._datagram, refused=self._refused)
        return self._udp[family]

    def _transmit(self, transaction: Transaction) -> None:
        target = transaction.peer
        assert isinstance(target, Target)
        if target.transport != UDP:
            stream = self._stream(target)
            stream.pending += 1
            stream.send(transaction.data)
            if stream.waiting > 1:
                self._queues.add(target)
            return
        try:
            self._udp_socket(target).send(transaction.data, target)
        except (OSError, OverflowError) as error:
            failure = Failure(UNREACHABLE, said(error))
            self._loop.call_soon(self._transactions.fail, transaction.key, failure)

    def _stream(self, target: Target) -> Stream:
        stream = self._streams.get(target)
        if stream is None:
            stream = Stream(
                target,
                self._tls,
                opened=self._room.set,
                received=lambda one: self._received(one, target.address),
                lost=self._lost,
            )
            self._streams[target] = stream
        return stream

    def _leave(self, target: Target) -> None:
        """A transaction is over: of many connections those are closed that nobody waits for."""
        stream = self._streams.get(target)
        if stream is not None:
            stream.pending -= 1
            if stream.pending <= 0 and len(self._streams) > _MOST_IDLE:
                self._streams.pop(target).drop()

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = tls_context(self._ca_file)
        return self._context

    def _datagram(self, data: bytes, source: str) -> None:
        try:
            message = parse(data)
        except SipError:
            return
        self._received(message, source)

    def _received(self, message: Request | Response, source: str) -> None:
        """Hand a response to its transaction. Requests, and what is not for us, are ignored (RFC 3261 18.1.2)."""
        if not isinstance(message, Response):
            return
        ways = message.headers.all("Via")
        if len(ways) != 1:  # 8.1.3.3: it was meant for somebody else
            return
        try:
            branch = parse_via(ways[0]).parameters.get("branch") or ""
        except SipError:
            return
        method = (message.headers.get("CSeq") or "").split()[-1:]
        if method and self._transactions.answer(branch, method[0], message):
            self._heard[source] = self._loop.time()
            self._room.set()

    def _refused(self, data: bytes, words: str) -> None:
        """An ICMP error came for a datagram, of which it quotes the beginning."""
        branch, method = _BRANCH.search(data), _METHOD.match(data)
        if branch and method:
            self._transactions.fail((branch[1].decode("latin-1"), method[0].decode()), Failure(UNREACHABLE, words))

    def _lost(self, stream: Stream, failure: Failure) -> None:
        if self._streams.get(stream.target) is stream:
            del self._streams[stream.target]
        cut_off = [one for one in self._work.values() if one[1].peer == stream.target]
        for work, transaction in cut_off:
            work.once = work.once or len(cut_off) > 1  # many in a burst would pass every rate
            if failure.word == UNREACHABLE and not failure.is_broken and work.targets[work.position].transport == UDP:
                work.oversize = True  # it was UDP, but for its size: the RFC allows to try that then (18.1.1)
            self._transactions.fail(transaction.key, failure)

    def _ended(self, key: tuple[str, str], result: Response | Failure) -> None:
        work, transaction = self._work.pop(key)
        target = transaction.peer
        assert isinstance(target, Target)
        work.sends += transaction.sends
        self._room.set()
        self._leave(target)
        if self._closed:
            return
        try:
            self._go_on(work, transaction, target, result)
        except ValueError as error:  # of what a server sent nothing can be made
            work.told(Outcome(SERVER_ERROR, detail=harmless(str(error)), server=str(target), sends=work.sends))

    def _go_on(self, work: _Work, transaction: Transaction, target: Target, result: Response | Failure) -> None:
        who = work.credentials
        if isinstance(result, Response):
            if result.status in CHALLENGES and who is not None and work.answered.take(result, who, work.request):
                self._attempt(work)
                return
        elif result.is_broken:
            is_last = work.once or transaction.provisional
            if not (is_last or work.renewed):
                work.renewed = True  # the server may have ended an idle connection just then: on a new one (18.4)
                self._attempt(work)
                return
            if result.word == UNREACHABLE:
                result = replace(result, word=LOST)
            if is_last and result.word == LOST:
                self._avoid(target)
                self._tell(work, target, result)
                return
        elif result.word == TIMEOUT and self._never_opened(target):
            self._shut[target] = self._loop.time() + self._timers.give_up_s
            result = _SHUT
        elif result.word == TIMEOUT and transaction.provisional:
            # the server is there: another one would ask the same phone
            work.targets = work.targets[: work.position + 1]
        self._over(work, target, result)

    def _never_opened(self, target: Target) -> bool:
        stream = self._streams.get(target)
        return self._is_shut(target) if stream is None else not stream.is_open

    def _is_shut(self, target: Target) -> bool:
        """Tell whether a connection has just not come about: the others shall not all wait as long for another."""
        return self._shut.get(target, 0.0) > self._loop.time()

    def _over(self, work: _Work, target: Target, result: Response | Failure) -> None:
        if self._has_next(work, target, result):
            self._attempt(work)
        else:
            self._tell(work, target, result)

    def _has_next(self, work: _Work, target: Target, result: Response | Failure) -> bool:
        """Turn to the next server where this one failed (RFC 3263 section 4.3); False where that was the end."""
        if isinstance(result, Failure):
            if work.oversize and target.transport == TCP:
                return True
            if result.word != TIMEOUT or self._heard.get(target.address, 0.0) < work.started_at:
                self._avoid(target)
        elif result.status != 503:
            return False
        if isinstance(result, Failure) and result.word == TLS_REFUSED:
            # what TLS refused is never sent in the clear instead
            rest = [one for one in work.targets[work.position + 1 :] if one.transport == TLS]
            work.targets = [*work.targets[: work.position + 1], *rest]
        if work.position + 1 == len(work.targets):
            return False
        work.position += 1
        work.oversize = False
        return True

    def _avoid(self, target: Target) -> None:
        self._avoided[target] = self._loop.time() + _AVOID_S
        if target in self._streams:  # it may be half open
            self._streams.pop(target).drop()

    def _tell(self, work: _Work, target: Target, result: Response | Failure) -> None:
        outcome = outcome_of(result, server=str(target), sends=work.sends, has_answered=bool(work.answered))
        if isinstance(result, Response) and outcome.word == CREDENTIALS_WANTED and work.credentials is not None:
            outcome = replace(outcome, word=CREDENTIALS_UNUSED, detail=harmless(asked(result)))
        work.told(outcome)

    def _arm(self) -> None:
        """See to it that the timers are looked at when the next one is due."""
        due = self._transactions.next_due
        if due is None or (self._alarm is not None and self._alarm.when() <= due):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._transactions.tick()
        self._room.set()
        self._arm()


def _uri(target: str) -> SipUri:
    try:
        return parse_uri(target)
    except SipError as error:
        raise OffhookError(f"{target}: {error}", hint="sip:pbx.example.com;transport=tcp") from error
