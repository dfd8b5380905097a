"""`python -m tests.gates.chaos.origin PORT [CERTIFICATE]`: an HTTP server that counts what it carried out."""

import asyncio
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from gates.chaos.proxies.sessions import MAXIMUM_HELD_BYTES

MORE_THAN_IS_HELD = MAXIMUM_HELD_BYTES + 1024 * 1024

carried_out: list[str] = []
let_go = asyncio.Event()


async def orders(request: Request) -> Response:
    body = await request.body()
    carried_out.append(body.decode())
    return JSONResponse({"orders": len(carried_out)}, 201)


async def seen(_request: Request) -> Response:
    return JSONResponse(carried_out)


async def forget(_request: Request) -> Response:
    carried_out.clear()
    return Response(status_code=204)


async def echo(request: Request) -> Response:
    body = await request.body()
    return JSONResponse({"method": request.method, "length": len(body), "headers": dict(request.headers)})


async def chunks(_request: Request) -> Response:
    async def parts():
        for number in range(50):
            yield b"%d;" % number * 200

    return StreamingResponse(parts(), media_type="text/plain")


async def stream(_request: Request) -> Response:
    async def lines():
        yield b'{"type":"HEARTBEAT"}\n{"type":"ORDER_F'
        await asyncio.sleep(0.05)
        yield b'ILL"}\n'
        for _ in range(100):
            yield b'{"type":"HEARTBEAT"}\n'
            await asyncio.sleep(0.1)

    return StreamingResponse(lines(), media_type="application/octet-stream")


async def large(_request: Request) -> Response:
    return Response(bytes(MORE_THAN_IS_HELD), media_type="text/plain")


async def late(_request: Request) -> Response:
    """Answered once somebody has asked by DELETE that it be."""
    await let_go.wait()
    let_go.clear()
    return Response(status_code=201)


async def answer_late(_request: Request) -> Response:
    let_go.set()
    return Response(status_code=204)


async def unmodified(_request: Request) -> Response:
    return Response(status_code=304, headers={"ETag": '"x"'})


ROUTES = [
    Route("/v3/accounts/{account}/orders", orders, methods=["POST"]),
    Route("/v3/accounts/{account}/orders", seen, methods=["GET"]),
    Route("/v3/accounts/{account}/orders", forget, methods=["DELETE"]),
    Route("/v3/accounts/{account}/transactions/stream", stream, methods=["GET"]),
    Route("/echo", echo, methods=["GET", "POST", "HEAD", "PUT"]),
    Route("/chunks", chunks, methods=["GET"]),
    Route("/large", large, methods=["GET"]),
    Route("/late", late, methods=["POST"]),
    Route("/late", answer_late, methods=["DELETE"]),
    Route("/unmodified", unmodified, methods=["GET"]),
]


def main() -> None:
    options = {"ssl_certfile": sys.argv[2], "ssl_keyfile": sys.argv[2]} if len(sys.argv) > 2 else {}
    uvicorn.run(Starlette(routes=ROUTES), port=int(sys.argv[1]), log_level="error", **options)


if __name__ == "__main__":
    main()
