"""The desk's HTTP face: health, the six operations, and the switch of its own trading; on 127.0.0.1 only."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

import httptools

from gates.rehearsal.desk.booking import BookingStoppedError
from gates.rehearsal.desk.broker import BrokerError
from gates.rehearsal.desk.database import DatabaseUnavailableError
from gates.rehearsal.desk.desk import Desk
from gates.rehearsal.desk.exchanges import ExchangeError, Message, TooLargeError
from gates.rehearsal.desk.operations import OPERATIONS
from gates.rehearsal.desk.trading import ImpossibleError

HOST = "127.0.0.1"
BODY_LIMIT_BYTES = 64 * 1024
IDLE_S = 75.0  # between two requests on one connection
LAST_ANSWERS_S = 1.0  # at the end, for what is being answered
OPERATING = "/operations/"
TRADING = "/trading"

Answer = tuple[int, Mapping[str, Any]]


class Face:
    """Answers requests, each connection in a task of its own."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._answering: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def shown(self, port: int) -> AsyncIterator[None]:
        """Listen for the length of the block; then what is being answered has LAST_ANSWERS_S. Raises OSError."""
        server = await asyncio.start_server(self._serve, HOST, port)
        try:
            yield
        finally:
            server.close()
            if self._answering:
                await asyncio.wait(self._answering, timeout=LAST_ANSWERS_S)

    async def answer(self, method: str, path: str, body: bytes) -> Answer:
        """Answer one request."""
        if path == "/health":
            well, report = await self._desk.health.report()
            return 200 if well else 503, report
        if path != TRADING and not path.startswith(OPERATING):
            return _refusal(404, f"there is nothing at {path}; look at /health, or POST {OPERATING}NAME or {TRADING}")
        if method != "POST":
            return _refusal(405, f"{path} takes POST, not {method}")
        return self._trade(body) if path == TRADING else await self._operate(path.removeprefix(OPERATING), body)

    async def _operate(self, name: str, body: bytes) -> Answer:
        operation = OPERATIONS.get(name)
        if operation is None:
            return _refusal(404, f"there is no operation {name!r}; choose of {', '.join(OPERATIONS)}")
        try:
            outcome = await operation(self._desk.trader, _ask(body))
        except ImpossibleError as reason:
            return _refusal(409, str(reason))
        except (BrokerError, DatabaseUnavailableError, BookingStoppedError, LookupError, TimeoutError) as reason:
            self._desk.look_now()
            return _refusal(503, f"{name} is in doubt or could not be done: {reason or 'no answer in time'}")
        return 200, {"operation": name, **outcome}

    def _trade(self, body: bytes) -> Answer:
        try:
            running = _ask(body).get("running")
        except ImpossibleError as reason:
            return _refusal(409, str(reason))
        if not isinstance(running, bool):
            return _refusal(409, "running is missing; say true or false")
        return 200, {"trading": self._desk.trade(running)}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request after the other, until the client hangs up, is silent for too long, or speaks no HTTP."""
        with suppress(OSError, TimeoutError, ExchangeError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        message = Message(httptools.HttpRequestParser)
        try:
            async with asyncio.timeout(IDLE_S):
                if not await message.read(reader, limit_bytes=BODY_LIMIT_BYTES):
                    return False
        except TooLargeError as error:
            writer.write(_written(_refusal(413, f"{error}; send a small JSON object"), stays=False))
            return False
        task = asyncio.ensure_future(self._answered(message))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)
        writer.write(_written(await task, stays=message.stays))
        await writer.drain()
        return message.stays

    async def _answered(self, message: Message) -> Answer:
        path = unquote(urlsplit(message.url).path)
        return await self.answer(message.parser.get_method().decode(), path, bytes(message.body))


def _ask(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        ask = json.loads(body)
    except ValueError as error:
        raise ImpossibleError(f"the body is no JSON ({error}); send an object or nothing") from error
    if not isinstance(ask, dict):
        raise ImpossibleError("the body is no JSON object; send an object or nothing")
    return ask


def _refusal(status: int, reason: str) -> Answer:
    return status, {"error": reason}


def _written(answer: Answer, *, stays: bool) -> bytes:
    status, content = answer
    body = json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
    return (
        f"{head}Content-Length: {len(body)}\r\nConnection: {'keep-alive' if stays else 'close'}\r\n\r\n".encode() + body
    )
