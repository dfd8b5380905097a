"""The owner's end of a proxy's control socket: JSON lines, a reply for each command, and events in between.

ProxyError
├── ProxyGoneError      the proxy ended or does not answer in time
└── ProxyRefusedError   the proxy understood and said no, with one sentence
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from gates.chaos.faults import Fault, parameters
from gates.chaos.messages import Direction, Message, Point
from gates.chaos.proxies.events import Decision, Event, Status, event_of

LINE_LIMIT_BYTES = 64 * 1024 * 1024
REPLY_LIMIT_S = 30.0
CONNECT_LIMIT_S = 10.0
MAXIMUM_EVENTS = 100_000


class ProxyError(Exception):
    """Something is wrong with a proxy."""


class ProxyGoneError(ProxyError):
    """The proxy is not there any more."""


class ProxyRefusedError(ProxyError):
    """The proxy said no."""


class Control:
    """One proxy, driven by its one owner; the proxy ends when its owner goes away.

    Every method raises ProxyGoneError, and ProxyRefusedError where the proxy says no.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(MAXIMUM_EVENTS)
        self._gone = False
        self._reading = asyncio.create_task(self._read(reader))

    @classmethod
    async def connect(cls, path: Path, *, limit_s: float = CONNECT_LIMIT_S) -> "Control":
        """Become the owner of the proxy at `path`. Raises ProxyGoneError."""
        try:
            async with asyncio.timeout(limit_s):
                return cls(*await asyncio.open_unix_connection(path, limit=LINE_LIMIT_BYTES))
        except (OSError, TimeoutError) as error:
            raise ProxyGoneError(f"No proxy answers at {path}: {error}") from error

    async def reset(self) -> None:
        """Close every connection, the servers' sides drained first; forget recording, counts and armed faults."""
        await self._ask("reset")

    async def recording(self) -> tuple[Message, ...]:
        """The messages since the last reset, in the order in which they came."""
        return tuple(Message.of(shape) for shape in await self._ask("recording"))

    async def arm(self, where: Point | Direction, fault: Fault, *, times: int | None = 1, hold_ms: int = 0) -> None:
        """Let `fault` strike at a point, or at every message that goes one way, `times` times (None: always).

        The message stands for `hold_ms` before it is struck, which its proof says as `held_ms`.
        """
        given = parameters(fault)
        await self._ask("arm", where=str(where), strike=fault.strike, parameters=given, times=times, hold_ms=hold_ms)

    async def disarm(self) -> None:
        """Nothing strikes any more; what is held stays held."""
        await self._ask("disarm")

    async def decide(self, held_id: int, decision: Decision, **proof: str | int | float | bool) -> None:
        """What becomes of a held message; `proof` (pid, signal) goes into the receipt."""
        await self._ask("decide", held_id=held_id, decision=decision, proof=proof)

    async def close_upstream(self, connection: int | None = None) -> bool:
        """Close the server's side of one connection whose target is gone, or of all; False where answers were
        still missing when the time was over.
        """
        return bool(await self._ask("close_upstream", connection=connection))

    async def status(self) -> Status:
        """What the proxy holds at the moment."""
        return Status(**await self._ask("status"))

    async def events(self) -> AsyncIterator[Event]:
        """What happens, as it happens. Ends when the proxy is gone."""
        while (event := await self._events.get()) is not None:
            yield event

    async def close(self) -> None:
        """Let the proxy go: it ends."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
        await self._reading

    async def _ask(self, command: str, **arguments: Any) -> Any:
        if self._gone:
            raise ProxyGoneError("The proxy has ended")
        number = next(self._numbers)
        reply = self._waiting[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"id": number, "command": command, **arguments})
        try:
            async with asyncio.timeout(REPLY_LIMIT_S):
                self._writer.write(line.encode() + b"\n")
                await self._writer.drain()
                return await reply
        except TimeoutError:
            raise ProxyGoneError(f"The proxy did not answer {command} within {REPLY_LIMIT_S:.0f} s") from None
        except OSError as error:
            raise ProxyGoneError(f"The proxy has ended: {error}") from error
        finally:
            self._waiting.pop(number, None)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError, ValueError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                self._take(json.loads(line))
        self._gone = True
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ProxyGoneError("The proxy has ended"))
        if self._events.full():
            self._events.get_nowait()
        self._events.put_nowait(None)
        self._writer.close()

    def _take(self, said: dict[str, Any]) -> None:
        if "event" in said:
            if self._events.full():  # nobody listens: the newest matter more
                self._events.get_nowait()
            self._events.put_nowait(event_of(said))
            return
        waiting = self._waiting.get(said.get("id", 0))
        if waiting is None or waiting.done():
            return
        if "refused" in said:
            waiting.set_exception(ProxyRefusedError(said["refused"]))
        else:
            waiting.set_result(said.get("result"))
