"""What clients read: accounts, prices, candles, orders, trades, positions and transactions."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .account import Account, Transaction
from .asking import asked_instruments, count_of, id_of, instrument_in_path, page, time_of
from .candles import GRANULARITY_SECONDS, Candle
from .door import Door, Refusal, utc_now
from .instruments import INSTRUMENTS
from .orders import Order
from .serialise import (
    account_json,
    candle_json,
    conversions_json,
    instrument_json,
    order_json,
    position_json,
    price_json,
    state_json,
    summary_json,
    trade_json,
)
from .trades import Trade

MAXIMUM_CANDLES = 5000

Reading = Callable[[Request, Account], dict[str, Any]]


class Readings:
    """GET endpoints. Each answer about an account carries its lastTransactionID."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.venue = door.venue

    def routes(self) -> list[Route]:
        base = "/v3/accounts/{account_id}"
        of_account: dict[str, Reading] = {
            "": lambda _, account: {"account": account_json(account)},
            "/summary": lambda _, account: {"account": summary_json(account)},
            "/instruments": self.instruments,
            "/changes": changes,
            "/pricing": self.pricing,
            "/openTrades": self.open_trades,
            "/trades": self.trades,
            "/trades/{specifier}": self.trade,
            "/orders": self.orders,
            "/pendingOrders": self.pending_orders,
            "/orders/{specifier}": self.order,
            "/positions": lambda _, account: {"positions": positions(account, account.traded_instruments())},
            "/openPositions": open_positions,
            "/positions/{instrument}": position,
        }
        routes = [
            Route("/v3/accounts", self.door(self.accounts), methods=["GET"]),
            Route("/v3/instruments/{instrument}/candles", self.door(self.candles), methods=["GET"]),
            Route(base + "/instruments/{instrument}/candles", self.door(self.candles), methods=["GET"]),
        ]
        return routes + [
            Route(base + path, self.about(reading), methods=["GET"]) for path, reading in of_account.items()
        ]

    def about(self, reading: Reading) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            account = self.door.account(request)
            parts = reading(request, account)
            return self.door.json(request, {"lastTransactionID": str(account.last_id)} | parts)

        return self.door(endpoint)

    def visible(self, request: Request, account: Account) -> list[Transaction]:
        """The transactions as this request sees them: a stale look-up lacks those of the first young batch and after.

        Order and fill become visible together, as they are stored together.
        """
        seen = account.transactions
        young = [each.batch_id for each in reversed(seen) if self._is_young(request, each.time)]
        if not young or not self._unseen(request, seen[-1].time):
            return seen
        return [each for each in seen if each.batch_id < young[-1]]

    async def accounts(self, request: Request) -> Response:
        listed = [{"id": account_id, "tags": []} for account_id in self.venue.accounts]
        return self.door.json(request, {"accounts": listed})

    def instruments(self, request: Request, account: Account) -> dict[str, Any]:
        return {"instruments": [instrument_json(spec) for spec in asked_instruments(request, every=True)]}

    def pricing(self, request: Request, account: Account) -> dict[str, Any]:
        home, market = account.currency, self.venue.market
        prices = [price_json(market.price(spec.name), market, home) for spec in asked_instruments(request)]
        parts: dict[str, Any] = {"time": utc_now(), "prices": prices}
        if request.query_params.get("includeHomeConversions", "").lower() == "true":
            parts["homeConversions"] = conversions_json(market, home)
        return parts

    def open_trades(self, request: Request, account: Account) -> dict[str, Any]:
        trades = [t for t in reversed(account.open.values()) if not self._unseen(request, t.opened_at)]
        return {"trades": [trade_json(account, trade) for trade in trades]}

    def trades(self, request: Request, account: Account) -> dict[str, Any]:
        query = request.query_params
        found = [t for t in page(request, account.trades) if not self._unseen(request, t.opened_at)]
        if state := query.get("state", "OPEN") if "ids" not in query else query.get("state"):
            found = [t for t in found if state == "ALL" or t.is_open == (state == "OPEN")]
        if name := query.get("instrument"):
            found = [t for t in found if t.instrument == name]
        return {"trades": [trade_json(account, trade) for trade in found[: count_of(request)]]}

    def trade(self, request: Request, account: Account) -> dict[str, Any]:
        return {"trade": trade_json(account, self.find_trade(request, account))}

    def find_trade(self, request: Request, account: Account) -> Trade:
        """The trade in the path. Raises Refusal."""
        trade = account.trade_by(request.path_params["specifier"])
        if trade is None or self._unseen(request, trade.opened_at):
            raise Refusal(
                404,
                "The trade ID specified does not exist",
                errorCode="NO_SUCH_TRADE",
                lastTransactionID=str(account.last_id),
            )
        return trade

    def orders(self, request: Request, account: Account) -> dict[str, Any]:
        query = request.query_params
        found = [o for o in page(request, account.orders) if not self._unseen(request, o.created)]
        if state := query.get("state", "PENDING") if "ids" not in query else query.get("state"):
            found = [o for o in found if state in ("ALL", o.state)]
        if name := query.get("instrument"):
            found = [o for o in found if o.instrument == name]
        return {"orders": [order_json(order) for order in found[: count_of(request)]]}

    def pending_orders(self, request: Request, account: Account) -> dict[str, Any]:
        orders = [o for o in reversed(account.pending.values()) if not self._unseen(request, o.created)]
        return {"orders": [order_json(order) for order in orders]}

    def order(self, request: Request, account: Account) -> dict[str, Any]:
        return {"order": order_json(self.find_order(request, account))}

    def find_order(self, request: Request, account: Account) -> Order:
        """The order in the path. Raises Refusal."""
        order = account.order_by(request.path_params["specifier"])
        if order is None or self._unseen(request, order.created):
            raise Refusal(
                404,
                "The order ID specified does not exist",
                errorCode="NO_SUCH_ORDER",
                lastTransactionID=str(account.last_id),
            )
        return order

    def _unseen(self, request: Request, at: datetime) -> bool:
        """Whether a stale look-up hides what came to be at `at`; it uses up one strike, however much it hides."""
        if not self._is_young(request, at):
            return False
        if not hasattr(request.state, "stale"):
            request.state.stale = self.venue.faults.strike("stale_lookup", request.method, request.url.path) is not None
        return bool(request.state.stale)

    def _is_young(self, request: Request, at: datetime) -> bool:
        fault = self.venue.faults.find("stale_lookup", request.method, request.url.path)
        return fault is not None and request.method == "GET" and utc_now() - at <= timedelta(milliseconds=fault.age_ms)

    async def candles(self, request: Request) -> Response:
        spec = instrument_in_path(request)
        query = request.query_params
        granularity = query.get("granularity", "S5")
        sides = query.get("price", "M")
        if granularity not in GRANULARITY_SECONDS:
            raise Refusal(400, "Invalid value specified for 'granularity'")
        if not sides or set(sides) - set("MBA"):
            raise Refusal(400, "Invalid value specified for 'price'")
        seconds = GRANULARITY_SECONDS[granularity]
        found = candles_between(request, self.venue.candles.of(spec.name, granularity))
        now = utc_now().timestamp()
        shapes = [candle_json(c, sides, spec, complete=c.start + seconds <= now) for c in found]
        return self.door.json(request, {"instrument": spec.name, "granularity": granularity, "candles": shapes})


def candles_between(request: Request, candles: list[Candle]) -> list[Candle]:
    """Those that `from`, `to` and `count` ask for. Raises Refusal."""
    query = request.query_params
    count = count_of(request, default=500, most=MAXIMUM_CANDLES)
    start, end = time_of(query.get("from")), time_of(query.get("to"))
    if start is not None and end is not None and "count" in query:
        raise Refusal(400, "'count' cannot be given together with both 'from' and 'to'")
    found = [
        c
        for c in candles
        if (start is None or c.start >= start.timestamp()) and (end is None or c.start < end.timestamp())
    ]
    if start is not None and end is not None:
        if len(found) > MAXIMUM_CANDLES:
            raise Refusal(400, "Maximum value for 'count' exceeded")
        return found
    return found[:count] if start is not None else found[-count:]


def changes(request: Request, account: Account) -> dict[str, Any]:
    """What the transactions after `sinceTransactionID` did, and the state that prices change."""
    since = id_of(request, "sinceTransactionID", account)
    new = account.transactions[since:]
    by_type = {kind: [t for t in new if t.type == kind] for kind in ("ORDER_FILL", "ORDER_CANCEL")}
    filled = {int(t.fields["orderID"]) for t in by_type["ORDER_FILL"]}
    cancelled = {int(t.fields["orderID"]) for t in by_type["ORDER_CANCEL"]} - filled
    opened, reduced, closed = set(), set(), set()
    for fill in by_type["ORDER_FILL"]:
        opened |= _trade_ids([fill.fields["tradeOpened"]])
        reduced |= _trade_ids([fill.fields["tradeReduced"]])
        closed |= _trade_ids(fill.fields["tradesClosed"] or [])
    created = [o for o in account.pending.values() if o.id > since]
    names = sorted({t.fields["instrument"] for t in by_type["ORDER_FILL"]})
    orders, trades = account.orders, account.trades
    dynamic = [
        {"id": str(o.id), "trailingStopValue": o.trailing_value}
        for o in account.pending.values()
        if o.trailing_value is not None
    ]
    open_trades = [trade_json(account, t, summary=True) for t in account.open.values()]
    return {
        "changes": {
            "ordersCreated": [order_json(o) for o in created],
            "ordersFilled": [order_json(orders[n]) for n in sorted(filled) if n in orders],
            "ordersTriggered": [],
            "ordersCancelled": [order_json(orders[n]) for n in sorted(cancelled) if n in orders],
            "tradesOpened": [trade_json(account, trades[n], summary=True) for n in sorted(opened)],
            "tradesReduced": [trade_json(account, trades[n], summary=True) for n in sorted(reduced)],
            "tradesClosed": [trade_json(account, trades[n], summary=True) for n in sorted(closed)],
            "positions": positions(account, names),
            "transactions": new,
        },
        "state": state_json(account)
        | {
            "orders": dynamic,
            "trades": [{key: t[key] for key in ("id", "unrealizedPL", "marginUsed")} for t in open_trades],
            "positions": [
                {
                    "instrument": row["instrument"],
                    "netUnrealizedPL": row["unrealizedPL"],
                    "longUnrealizedPL": row["long"]["unrealizedPL"],
                    "shortUnrealizedPL": row["short"]["unrealizedPL"],
                    "marginUsed": row["marginUsed"],
                }
                for row in positions(account, sorted({t.instrument for t in account.open.values()}))
            ],
        },
    }


def _trade_ids(entries: list[dict[str, Any] | None]) -> set[int]:
    return {int(entry["tradeID"]) for entry in entries if entry}


def positions(account: Account, names: list[str]) -> list[dict[str, Any]]:
    return [position_json(account, name) for name in names]


def open_positions(request: Request, account: Account) -> dict[str, Any]:
    return {"positions": positions(account, [name for name in INSTRUMENTS if account.open_in(name)])}


def position(request: Request, account: Account) -> dict[str, Any]:
    return {"position": position_json(account, instrument_in_path(request).name)}
