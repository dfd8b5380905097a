"""What clients change: orders, trades and positions."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .account import Account, Batch
from .asking import instrument_in_path
from .commands import Outcome, cancel_order, close_trade, place_order, set_trade_extensions, set_trade_orders
from .door import Door, Refusal, body_of, utc_now
from .orders import ENTRIES, ON_FILL, PROTECTIONS, Body, Order
from .positions import close_position
from .replacing import replace_order, set_order_extensions
from .trades import Trade

BODY_OBJECTS = {"clientExtensions", "tradeClientExtensions", "takeProfit", "stopLoss", "trailingStopLoss"}

Command = Callable[[Batch], Outcome]


class Writings:
    """POST and PUT endpoints. Each answer carries lastTransactionID and the ids of all it caused."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.venue = door.venue

    def routes(self) -> list[Route]:
        base = "/v3/accounts/{account_id}"
        puts: dict[str, Callable[[Request, Account, Body], Command]] = {
            "/orders/{specifier}": lambda r, a, body: lambda b: replace_order(b, pending(r, a), order_in(body)),
            "/orders/{specifier}/cancel": lambda r, a, _: lambda b: cancel_order(b, pending(r, a)),
            "/orders/{specifier}/clientExtensions": lambda r, a, body: (
                lambda b: set_order_extensions(b, pending(r, a), body)
            ),
            "/trades/{specifier}/close": lambda r, a, body: lambda b: close_trade(b, open_trade(r, a), body),
            "/trades/{specifier}/orders": lambda r, a, body: lambda b: set_trade_orders(b, open_trade(r, a), body),
            "/trades/{specifier}/clientExtensions": lambda r, a, body: (
                lambda b: set_trade_extensions(b, open_trade(r, a), body)
            ),
            "/positions/{instrument}/close": lambda r, a, body: (
                lambda b: close_position(b, instrument_in_path(r).name, body)
            ),
        }
        routes = [Route(base + path, self._endpoint(make), methods=["PUT"]) for path, make in puts.items()]
        post = self._endpoint(lambda _, __, body: lambda batch: place_order(batch, order_in(body)))
        return [Route(base + "/orders", post, methods=["POST"]), *routes]

    def _endpoint(self, make: Callable[[Request, Account, Body], Command]) -> Any:
        async def endpoint(request: Request) -> Response:
            account = self.door.account(request)
            body = await body_of(request)
            for key in BODY_OBJECTS & set(body):
                if not isinstance(body[key], dict | None):
                    raise Refusal(400, f"'{key}' must be an object")
            done = self.venue.carry_out(account, utc_now(), make(request, account, body))
            last = {"lastTransactionID": str(account.last_id)}
            return self.door.json(request, done.parts | last, done.status)

        return self.door(endpoint)


def order_in(body: Body) -> Body:
    """The order a body holds. Raises Refusal."""
    order = body.get("order")
    if not isinstance(order, dict) or not isinstance(order.get("type", ""), str):
        raise Refusal(400, "The body must hold an 'order'")
    if order.get("type", "MARKET") not in (*ENTRIES, *PROTECTIONS):
        raise Refusal(400, "Invalid value specified for 'order.type'")
    for key in (*ON_FILL.values(), "clientExtensions", "tradeClientExtensions"):
        if not isinstance(order.get(key), dict | None):
            raise Refusal(400, f"'{key}' must be an object")
    return order


def pending(request: Request, account: Account) -> Order:
    """The pending order in the path. Raises Refusal."""
    order = account.order_by(request.path_params["specifier"])
    if order is None or order.state != "PENDING":
        raise refusal_on_record(account, request, "ORDER")
    return order


def open_trade(request: Request, account: Account) -> Trade:
    """The open trade in the path. Raises Refusal."""
    trade = account.trade_by(request.path_params["specifier"])
    if trade is None or not trade.is_open:
        raise refusal_on_record(account, request, "TRADE")
    return trade


def refusal_on_record(account: Account, request: Request, what: str) -> Refusal:
    """404, with the reject transaction that the broker writes about it."""
    specifier, reason = request.path_params["specifier"], f"{what}_DOESNT_EXIST"
    tail = request.url.path.rsplit("/", 1)[-1]
    if what == "ORDER" and tail == "clientExtensions":
        kind, name = "ORDER_CLIENT_EXTENSIONS_MODIFY_REJECT", "orderClientExtensionsModifyRejectTransaction"
    elif what == "ORDER":
        kind, name = "ORDER_CANCEL_REJECT", "orderCancelRejectTransaction"
    elif tail == "clientExtensions":
        kind, name = "TRADE_CLIENT_EXTENSIONS_MODIFY_REJECT", "tradeClientExtensionsModifyRejectTransaction"
    elif tail == "close":
        kind, name = "MARKET_ORDER_REJECT", "orderRejectTransaction"
    else:
        kind, name = "STOP_LOSS_ORDER_REJECT", "stopLossOrderRejectTransaction"
    key = {"ORDER": ("orderID", "clientOrderID"), "TRADE": ("tradeID", "clientTradeID")}[what]
    said = {key[1]: specifier[1:]} if specifier.startswith("@") else {key[0]: specifier}
    batch = Batch(account, utc_now())
    transaction = batch.record(kind, {**(said if kind != "MARKET_ORDER_REJECT" else {}), "rejectReason": reason})
    ids = {"lastTransactionID": str(account.last_id), "relatedTransactionIDs": [str(transaction.id)]}
    message = f"The {what.lower()} specified does not exist"
    return Refusal(404, message, **{name: transaction}, errorCode=reason, **ids)
