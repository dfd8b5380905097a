"""What clients change: orders, trades and positions."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .asking import instrument_in_path
from .asks import Ask
from .door import Door, Refusal, body_of, utc_now
from .orders import ENTRIES, ON_FILL, PROTECTIONS, Body

OBJECTS = {*ON_FILL.values(), "clientExtensions", "tradeClientExtensions", "takeProfit", "stopLoss", "trailingStopLoss"}

PUTS = {
    "/orders/{specifier}": "replace",
    "/orders/{specifier}/cancel": "cancel",
    "/orders/{specifier}/clientExtensions": "order_extensions",
    "/trades/{specifier}/close": "close_trade",
    "/trades/{specifier}/orders": "protect",
    "/trades/{specifier}/clientExtensions": "trade_extensions",
    "/positions/{instrument}/close": "close_position",
}


class Writings:
    """POST and PUT endpoints. Each answer carries lastTransactionID and the ids of all it caused."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.venue = door.venue

    def routes(self) -> list[Route]:
        base = "/v3/accounts/{account_id}"
        post = Route(base + "/orders", self._endpoint("order"), methods=["POST"])
        return [post, *(Route(base + path, self._endpoint(name), methods=["PUT"]) for path, name in PUTS.items())]

    def _endpoint(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            account = self.door.account(request)
            ask = asked(request, name, await body_of(request))
            done = self.venue.carry_out(account.id, ask, utc_now())
            last = {"lastTransactionID": str(account.last_id)}
            return self.door.json(request, done.parts | last, done.status)

        return self.door(endpoint)


def asked(request: Request, name: str, body: Body) -> Ask:
    """The request as an Ask whose body has the right shape. Raises Refusal."""
    if name in ("order", "replace"):
        body = order_in(body)
    if name == "close_position":
        return Ask(name, instrument_in_path(request).name, body)
    return Ask(name, request.path_params.get("specifier", ""), well_shaped(body))


def order_in(body: Body) -> Body:
    """The order a body holds. Raises Refusal."""
    order: Any = body.get("order")
    if not isinstance(order, dict):
        raise Refusal(400, "The body must hold an 'order'")
    if order.get("type", "MARKET") not in [*ENTRIES, *PROTECTIONS]:
        raise Refusal(400, "Invalid value specified for 'order.type'")
    return order


def well_shaped(body: Body) -> Body:
    """`body`, whose nested parts are objects. Raises Refusal."""
    for key in OBJECTS & set(body):
        if not isinstance(body[key], dict | None):
            raise Refusal(400, f"'{key}' must be an object")
        inner = (body[key] or {}).get("clientExtensions")
        if not isinstance(inner, dict | None):
            raise Refusal(400, f"'{key}.clientExtensions' must be an object")
    return body
