"""Streams: prices and transactions, one JSON object a line, with a heartbeat every five seconds."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from .account import Account, Transaction
from .asking import asked_instruments
from .door import Door, Refusal, utc_now
from .serialise import plain, price_json
from .venue import Listener

HEARTBEAT_S = 5.0
MAXIMUM_STREAMS = 20


class Streams:
    """GET endpoints whose answers do not end until the client or the broker goes."""

    def __init__(self, door: Door, *, heartbeat_s: float = HEARTBEAT_S, most: int = MAXIMUM_STREAMS) -> None:
        self.door = door
        self.venue = door.venue
        self._heartbeat_s, self._most = heartbeat_s, most

    def routes(self) -> list[Route]:
        base = "/v3/accounts/{account_id}"
        return [
            Route(base + "/pricing/stream", self.door(self.prices), methods=["GET"]),
            Route(base + "/transactions/stream", self.door(self.transactions), methods=["GET"]),
        ]

    def end(self) -> None:
        """End every stream, so that the server can stop."""
        for listener in self.venue.listeners:
            if not listener.queue.full():
                listener.queue.put_nowait(None)

    async def prices(self, request: Request) -> Response:
        account = self.door.account(request)
        names = [spec.name for spec in asked_instruments(request)]
        market, home = self.venue.market, account.currency
        listener = Listener(instruments=frozenset(names))
        if request.query_params.get("snapshot", "true").lower() != "false":
            for name in names:
                listener.tell(market.price(name))
        return self._stream(
            request,
            listener,
            lambda line: [price_json(line, market, home)],
            lambda: {"type": "HEARTBEAT", "time": utc_now()},
        )

    async def transactions(self, request: Request) -> Response:
        account = self.door.account(request)
        return self._stream(
            request, Listener(account_id=account.id), self._transaction_lines, lambda: heartbeat(account)
        )

    def _transaction_lines(self, line: Transaction) -> list[Any]:
        """Usually the line once; twice or not at all where a fault strikes."""
        if self.venue.faults.strike("missing_line", "GET", "/transactions/stream"):
            return []
        if self.venue.faults.strike("duplicate_line", "GET", "/transactions/stream"):
            return [line, line]
        return [line]

    def _stream(
        self, request: Request, listener: Listener, lines: Callable[[Any], list[Any]], beat: Callable[[], Any]
    ) -> Response:
        if len(self.venue.listeners) >= self._most:
            raise Refusal(429, f"No more than {self._most} streams can be open")
        unix = request.headers.get("Accept-Datetime-Format", "").upper() == "UNIX"
        self.venue.listeners.add(listener)

        def encode(part: Any) -> bytes:
            return json.dumps(plain(part, unix=unix), separators=(",", ":")).encode() + b"\n"

        async def body() -> AsyncIterator[bytes]:
            loop = asyncio.get_running_loop()
            try:
                yield encode(beat())
                due = loop.time() + self._heartbeat_s
                while True:
                    try:
                        line = await asyncio.wait_for(listener.queue.get(), max(due - loop.time(), 0))
                    except TimeoutError:
                        due = loop.time() + self._heartbeat_s
                        yield encode(beat())
                        continue
                    if line is None:
                        return
                    for part in lines(line):
                        yield encode(part)
            finally:
                self.venue.listeners.discard(listener)

        return StreamingResponse(body(), media_type="application/octet-stream")


def heartbeat(account: Account) -> dict[str, Any]:
    """The line that lets a client see that it has missed a transaction."""
    return {"type": "HEARTBEAT", "lastTransactionID": str(account.last_id), "time": utc_now()}
