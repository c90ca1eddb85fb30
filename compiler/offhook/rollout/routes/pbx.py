"""One control connection to a PBX: orders go out without waiting for each other, and their answers come back.

What the routes through Asterisk and FreeSWITCH have in common. Both only say that they have taken the order; what the
phone answered stays with the PBX.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TypeAlias

from offhook.problem import OffhookError
from offhook.rollout.routes.call import Call, Told
from offhook.sip.outcome import CANCELLED, NO_ADDRESS, REFUSED, Outcome, harmless
from offhook.sip.transaction import LOST, TIMEOUT, UNREACHABLE
from offhook.sip.transport import said

PATIENCE_S = 30.0
"""How long a PBX may take to answer."""

_WINDOW = 64
_LONGEST = 65536
_AGAIN_S = 1.0

Connection: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Pbx:
    """How one PBX is spoken to. `server` is its name in outcomes.

    `connect` gives a connection whose user is logged in. `order` makes an order, under a key of its own; `answer` reads
    the next answer and gives its key and what it says, or None where it was something else. With `in_turn` answers have
    no key ("") and come in the order of the orders.
    """

    server: str
    connect: Callable[[], AbstractAsyncContextManager[Connection]]
    order: Callable[[Call, str], bytes]
    answer: Callable[[asyncio.StreamReader], Awaitable[tuple[str, Outcome] | None]]
    in_turn: bool
    patience_s: float


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An order that was written and not answered yet."""

    told: Told
    written_at: float
    alarm: asyncio.TimerHandle


class Orders:
    """Orders that wait for their answers. Use it as an asynchronous context manager.

    Where the connection ends nobody knows what became of the orders that were written on it. For the others a new one
    is made, once until that has brought an answer: a PBX that restarts is back soon.
    """

    def __init__(self, pbx: Pbx) -> None:
        self._pbx = pbx
        self._waiting: dict[str, _Waiting] = {}  # the oldest first
        self._held: list[tuple[Call, Told]] = []
        self._number = 0
        self._heard_at = 0.0
        self._may_reopen = True
        self._broken: Outcome | None = None
        self._reopening: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Orders:
        self._loop = asyncio.get_running_loop()
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._may_reopen = False
        if self._reopening is not None:
            await _ended(self._reopening)
        await self._close()
        self._break(Outcome(CANCELLED, server=self._pbx.server, sends=1), Outcome(CANCELLED))
        self._put_held()

    def begin(self, call: Call, told: Told) -> None:
        """Give the order to tell one phone, or the question. Raises OffhookError where it cannot be put."""
        if self._reopening is not None:
            self._held.append((call, told))
            return
        if self._broken is not None:
            told(self._broken)
            return
        if not f"{call.user}{call.domain}{call.contact}".isprintable():  # a line break would be an order of its own
            told(Outcome(REFUSED, detail="the user or the domain is no printable text", server=self._pbx.server))
            return
        self._number += 1
        key = str(self._number)
        self._writer.write(self._pbx.order(call, key))
        alarm = self._loop.call_later(self._pbx.patience_s, self._late, key)
        self._waiting[key] = _Waiting(told, self._loop.time(), alarm)

    async def room(self) -> None:
        """Wait until few orders are unanswered, and while a new connection is made."""
        while self._reopening is not None or (len(self._waiting) >= _WINDOW and self._broken is None):
            self._changed.clear()
            await self._changed.wait()

    async def _open(self) -> None:
        async with AsyncExitStack() as stack:
            reader, self._writer = await stack.enter_async_context(self._pbx.connect())
            self._connection = stack.pop_all()
        self._broken = None
        self._reading = self._loop.create_task(self._read(reader))

    async def _close(self) -> None:
        await _ended(self._reading)
        await self._connection.aclose()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                found = await self._pbx.answer(reader)
                if found is not None:
                    self._answered(*found)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            words = "the connection was closed" if isinstance(error, EOFError) else said(error)
            lost = Outcome(LOST, detail=words, server=self._pbx.server, sends=1)
            self._break(lost, replace(lost, word=UNREACHABLE, sends=0))

    def _answered(self, key: str, outcome: Outcome) -> None:
        known = self._waiting.pop(next(iter(self._waiting), "") if self._pbx.in_turn else key, None)
        self._changed.set()
        if known is not None:
            self._heard_at = self._loop.time()
            self._may_reopen = True
            known.alarm.cancel()
            known.told(outcome)

    def _late(self, key: str) -> None:
        """One order was not answered in time; where no later answer came either, or has no key, none is believed."""
        outcome = Outcome(TIMEOUT, detail="the PBX does not answer", server=self._pbx.server, sends=1)
        if self._pbx.in_turn or self._heard_at <= self._waiting[key].written_at:
            self._break(outcome, replace(outcome, sends=0))
        else:
            self._waiting.pop(key).told(outcome)
            self._changed.set()

    def _break(self, written: Outcome, others: Outcome) -> None:
        """Tell how those ended that were written; how the others do, where no new connection can be made."""
        if self._broken is None:
            self._broken = others
            if self._may_reopen:
                self._may_reopen = False
                self._reopening = self._loop.create_task(self._reopen())
        waiting, self._waiting = self._waiting, {}
        for one in waiting.values():
            one.alarm.cancel()
            one.told(written)
        self._changed.set()

    async def _reopen(self) -> None:
        await self._close()
        end = self._loop.time() + self._pbx.patience_s
        while self._broken is not None and self._loop.time() < end:
            try:
                await self._open()
            except OffhookError:
                await asyncio.sleep(_AGAIN_S)
        self._put_held()

    def _put_held(self) -> None:
        self._reopening = None
        held, self._held = self._held, []
        for call, told in held:
            try:
                self.begin(call, told)
            except OffhookError as error:
                told(Outcome(NO_ADDRESS, detail=error.message))
        self._changed.set()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


@asynccontextmanager
async def connected(host: str, port: int, what: str, *, patience_s: float) -> AsyncIterator[Connection]:
    """Connect to a PBX and close at the end. Raises OffhookError where that fails, also while the block logs in."""
    hint = f"check notify.host and notify.port, and that {what} listens there for this machine"
    try:
        async with asyncio.timeout(patience_s):
            reader, writer = await asyncio.open_connection(host, port, limit=_LONGEST)
    except (OSError, TimeoutError) as error:
        words = "no answer" if isinstance(error, TimeoutError) else said(error)
        raise OffhookError(f"{what} at {host}:{port} cannot be reached: {words}", hint=hint) from error
    try:
        yield reader, writer
    finally:
        writer.close()


async def login(steps: Awaitable[None], what: str, *, patience_s: float) -> None:
    """Run the login; what breaks it off is told as the world's refusal."""
    try:
        async with asyncio.timeout(patience_s):
            await steps
    except (OSError, TimeoutError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        raise OffhookError(
            f"{what} does not take the login: what answers there does not speak its protocol",
            hint="check notify.host and notify.port",
        ) from error


def heard(text: str, password: str) -> str:
    """Return what a PBX says, fit to be shown: harmless, and without the password where it repeats that."""
    return harmless(text.replace(password, "***") if password else text)


async def block(reader: asyncio.StreamReader) -> dict[str, str]:
    """Return the next block of "Name: value" lines, up to an empty line: by lower-case name, the first of each.

    Raises EOFError (asyncio.IncompleteReadError) at the end, ValueError or LimitOverrunError for what has no end.
    """
    fields: dict[str, str] = {}
    size = 0
    while True:
        line = await reader.readuntil(b"\n")
        size += len(line)
        text = line.decode("utf-8", "replace").strip("\r\n")
        if not text and fields:
            return fields
        if size > _LONGEST:
            raise ValueError("an answer without end")
        name, colon, value = text.partition(":")
        if colon:
            fields.setdefault(name.strip().lower(), value.strip())
