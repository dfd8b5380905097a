"""The door every request comes through: token, faults, errors in words, and the headers of an answer."""

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from .account import Account
from .faults import WRITES, Fault
from .serialise import plain
from .venue import Venue

log = logging.getLogger("broker")

MAXIMUM_BODY_BYTES = 100_000
UNAUTHORISED = "Insufficient authorization to perform request."
HTML_PAGE = "<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>502 Bad gateway</h1></body></html>"

Endpoint = Callable[[Request], Awaitable[Response]]


class Refusal(Exception):  # noqa: N818  an answer, not a failure of ours
    """An answer other than success: `status` and the broker's error message."""

    def __init__(self, status: int, message: str, **parts: Any) -> None:
        super().__init__(message)
        self.status = status
        self.parts = {"errorMessage": message, **parts}


class Door:
    """Wraps endpoints. Every request through it needs the token."""

    def __init__(self, venue: Venue, token: str, *, faulty: bool) -> None:
        self.venue = venue
        self._token = token.encode()
        self._faulty = faulty

    def __call__(self, endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            if not self._may_enter(request):
                return self.json(request, {"errorMessage": UNAUTHORISED}, 401)
            instead = self._fault_instead(request)
            if instead is not None:
                return instead
            try:
                response = await endpoint(request)
            except Refusal as refusal:
                response = self.json(request, refusal.parts, refusal.status)
            await self._fault_after(request)
            return response

        return guarded

    def json(self, request: Request, parts: dict[str, Any], status: int = 200) -> Response:
        """An answer in JSON with the headers of the real service."""
        unix = request.headers.get("Accept-Datetime-Format", "").upper() == "UNIX"
        headers = {"RequestID": self.venue.next_request_id()}
        return JSONResponse(plain(parts, unix=unix), status, headers=headers)

    def account(self, request: Request) -> Account:
        """The account in the path. Raises Refusal."""
        account_id = request.path_params["account_id"]
        if account_id not in self.venue.accounts:
            raise Refusal(403, UNAUTHORISED)
        return self.venue.accounts[account_id]

    def _may_enter(self, request: Request) -> bool:
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), b"Bearer " + self._token)

    def _fault_instead(self, request: Request) -> Response | None:
        if not self._faulty:
            return None
        faults, where = self.venue.faults, (request.method, request.url.path)
        if faults.strike("unauthorised", *where):
            return self.json(request, {"errorMessage": UNAUTHORISED}, 401)
        if fault := faults.strike("refused", *where):
            return self.json(request, {"errorMessage": "Refused on request"}, fault.status)
        if fault := faults.strike("html", *where):
            return HTMLResponse(HTML_PAGE, fault.status)
        return None

    async def _fault_after(self, request: Request) -> None:
        if not self._faulty:
            return
        faults, where = self.venue.faults, (request.method, request.url.path)
        late: Fault | None = faults.strike("late", *where)
        if late is not None:
            await asyncio.sleep(late.delay_ms / 1000)
        if request.method in WRITES and faults.strike("accepted_not_answered", *where):
            await _hang_up(request)


async def _hang_up(request: Request) -> None:
    """Reset the connection: uvicorn's request cycle holds the transport, and ASGI has no word for this."""
    cycle = getattr(request.receive, "__self__", None)
    transport = getattr(cycle, "transport", None)
    if transport is None:
        raise HTTPException(503, "The connection cannot be reset under this server")
    transport.abort()
    await asyncio.sleep(0)


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object in the body, {} where there is no body. Raises Refusal."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAXIMUM_BODY_BYTES:
            raise Refusal(413, f"The body is longer than {MAXIMUM_BODY_BYTES} bytes")
    if not raw.strip():
        return {}
    try:
        parsed = json.loads(raw)
    except ValueError as error:
        raise Refusal(400, "The body is not JSON; send one JSON object") from error
    if not isinstance(parsed, dict):
        raise Refusal(400, "The body must be one JSON object")
    return parsed


def utc_now() -> datetime:
    return datetime.now(UTC)
