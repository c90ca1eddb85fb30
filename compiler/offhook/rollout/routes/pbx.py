"""One control connection to a PBX: orders go out without waiting for each other, and their answers come back.

What the routes through Asterisk and FreeSWITCH have in common. Both only say that they have taken the order; what the
phone answered stays with the PBX.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from offhook.problem import OffhookError
from offhook.rollout.routes.call import Call, Told
from offhook.sip.outcome import CANCELLED, REFUSED, Outcome
from offhook.sip.transaction import TIMEOUT, UNREACHABLE
from offhook.sip.transport import said

PATIENCE_S = 30.0
"""How long a PBX may take to answer."""

_WINDOW = 64
_LONGEST = 65536


class Orders:
    """Orders that wait for their answers, on an open connection whose user is logged in.

    `order` writes one, under a key of its own; `answer` reads the next answer and gives its key ("" where answers come
    in the order of the orders) and what it says, or None where it was something else.
    """

    def __init__(
        self,
        writer: asyncio.StreamWriter,
        server: str,
        *,
        order: Callable[[Call, str], bytes],
        answer: Callable[[], Awaitable[tuple[str, Outcome] | None]],
        patience_s: float,
    ) -> None:
        self._writer = writer
        self._server = server
        self._order = order
        self._answer = answer
        self._patience_s = patience_s
        self._waiting: dict[str, tuple[float, Told]] = {}  # the oldest first, each with the time of its end
        self._number = 0
        self._broken: Outcome | None = None
        self._changed = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._read())

    def begin(self, call: Call, told: Told) -> None:
        """Give the order to tell one phone, or the question. Raises OffhookError where it cannot be put."""
        if self._broken is not None:
            told(self._broken)
            return
        if not f"{call.user}{call.domain}{call.contact}".isprintable():  # a line break would be an order of its own
            told(Outcome(REFUSED, detail="the user or the domain is no printable text", server=self._server))
            return
        self._number += 1
        key = str(self._number)
        order = self._order(call, key)
        self._waiting[key] = (asyncio.get_running_loop().time() + self._patience_s, told)
        self._writer.write(order)
        self._changed.set()

    async def room(self) -> None:
        """Wait until few orders are unanswered."""
        while len(self._waiting) >= _WINDOW and self._broken is None:
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        """Stop; what was not answered is told as cancelled."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._break(Outcome(CANCELLED, server=self._server))

    async def _read(self) -> None:
        try:
            while True:
                while not self._waiting:
                    self._changed.clear()
                    await self._changed.wait()
                end, _ = next(iter(self._waiting.values()))
                async with asyncio.timeout_at(end):
                    found = await self._answer()
                if found is not None:
                    self._answered(*found)
                elif end <= asyncio.get_running_loop().time():  # it says a lot, and nothing to the order
                    raise TimeoutError
        except TimeoutError:
            self._break(Outcome(TIMEOUT, detail="the PBX does not answer", server=self._server))
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            words = "the connection was closed" if isinstance(error, EOFError) else said(error)
            self._break(Outcome(UNREACHABLE, detail=words, server=self._server))

    def _answered(self, key: str, outcome: Outcome) -> None:
        known = self._waiting.pop(key or next(iter(self._waiting), ""), None)
        self._changed.set()
        if known is not None:
            known[1](outcome)

    def _break(self, outcome: Outcome) -> None:
        self._broken = self._broken or outcome
        waiting, self._waiting = self._waiting, {}
        for _, told in waiting.values():
            told(outcome)
        self._changed.set()


@asynccontextmanager
async def connected(
    host: str, port: int, what: str, *, patience_s: float
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
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
