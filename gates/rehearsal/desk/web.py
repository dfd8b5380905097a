"""The desk's HTTP face: health, the six operations, and the switch of its own trading."""

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gates.rehearsal.desk.booking import BookingStoppedError
from gates.rehearsal.desk.broker import BrokerError
from gates.rehearsal.desk.database import DatabaseUnavailableError
from gates.rehearsal.desk.desk import Desk
from gates.rehearsal.desk.operations import OPERATIONS
from gates.rehearsal.desk.trading import ImpossibleError

BODY_LIMIT_BYTES = 64 * 1024


def build_application(desk: Desk) -> Starlette:
    """The application; the desk's loops live as long as it does."""

    @asynccontextmanager
    async def lifespan(_application: Starlette) -> AsyncIterator[None]:
        running: AbstractAsyncContextManager[None] = desk.running()
        async with running:
            yield

    async def health(_request: Request) -> JSONResponse:
        well, report = await desk.health.report()
        return JSONResponse(report, status_code=200 if well else 503)

    async def operate(request: Request) -> JSONResponse:
        name = request.path_params["name"]
        operation = OPERATIONS.get(name)
        if operation is None:
            return _refusal(404, f"there is no operation {name!r}; choose of {', '.join(OPERATIONS)}")
        try:
            outcome = await operation(desk.trader, await _ask(request))
        except ImpossibleError as reason:
            return _refusal(409, str(reason))
        except (BrokerError, DatabaseUnavailableError, BookingStoppedError, LookupError, TimeoutError) as reason:
            return _refusal(503, f"{name} is in doubt or could not be done: {reason or 'no answer in time'}")
        return JSONResponse({"operation": name, **outcome})

    async def trading(request: Request) -> JSONResponse:
        try:
            running = (await _ask(request)).get("running")
        except ImpossibleError as reason:
            return _refusal(409, str(reason))
        if not isinstance(running, bool):
            return _refusal(409, "running is missing; say true or false")
        return JSONResponse({"trading": desk.trade(running)})

    routes = [
        Route("/health", health),
        Route("/operations/{name}", operate, methods=["POST"]),
        Route("/trading", trading, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _ask(request: Request) -> dict[str, Any]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT_BYTES:
            raise ImpossibleError(f"the body is larger than {BODY_LIMIT_BYTES} bytes; send a small JSON object")
    if not body.strip():
        return {}
    try:
        ask = json.loads(body)
    except ValueError as error:
        raise ImpossibleError(f"the body is no JSON ({error}); send an object or nothing") from error
    if not isinstance(ask, dict):
        raise ImpossibleError("the body is no JSON object; send an object or nothing")
    return ask


def _refusal(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status_code=status)
