"""What waits at the broker, by its transactions alone: orders not over, and open trades with their stops. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Record = Mapping[str, Any]

OVER = frozenset({"ORDER_FILL", "ORDER_CANCEL"})  # of an order filled in part, the broker cancels the rest
STOPS = frozenset({"STOP_LOSS_ORDER", "GUARANTEED_STOP_LOSS_ORDER", "TRAILING_STOP_LOSS_ORDER"})
AT = ("price", "distance")
ON_FILL = ("stopLossOnFill", "takeProfitOnFill", "trailingStopLossOnFill")


def resting_orders(records: Iterable[Record]) -> list[Record]:
    """The orders that were neither filled nor cancelled, in the order of the transactions."""
    known = list(records)
    over = {str(record.get("orderID")) for record in known if record["type"] in OVER}
    return [record for record in known if record["type"].endswith("_ORDER") and str(record["id"]) not in over]


def resting_ids(records: Iterable[Record]) -> set[str]:
    """The broker's ids of the orders that wait there."""
    return {str(order["id"]) for order in resting_orders(records)}


def resting_told(records: Iterable[Record]) -> list[list[str]]:
    """Each of them without ids and times, sorted: type, instrument, units, and where it waits. A stop has the
    instrument and the units of its trade.

    Prices count, since the market of the cells stands still: what is sent again is sent at the same price, and a stop
    that comes back elsewhere protects less.
    """
    known = list(records)
    trades = {str(fill["tradeOpened"]["tradeID"]): fill for fill in known if fill.get("tradeOpened")}
    return sorted(_told(order, trades.get(str(order.get("tradeID")), order)) for order in resting_orders(known))


def opened_trade(record: Record) -> str:
    """The trade that a fill has opened; empty where it opened none."""
    return str((record.get("tradeOpened") or {}).get("tradeID") or "")


def open_trades(records: Iterable[Record]) -> set[str]:
    """The trades that were opened and not closed."""
    known = list(records)
    closed = {str(part["tradeID"]) for record in known for part in record.get("tradesClosed") or ()}
    return {trade for record in known if (trade := opened_trade(record))} - closed


def naked_trades(records: Iterable[Record]) -> set[str]:
    """The open trades for which no stop waits."""
    known = list(records)
    stopped = {str(order.get("tradeID")) for order in resting_orders(known) if order["type"] in STOPS}
    return open_trades(known) - stopped


def unstopped_spells(records: Iterable[Record]) -> Iterator[tuple[str, Record, Record]]:
    """Trade, the cancel that took its only stop, and the record that ended that: its next stop, or its close."""
    stops: dict[str, str] = {}  # order → trade, of those that wait
    bared: dict[str, Record] = {}
    for record in records:
        if record["type"] in STOPS:
            ended = [str(record.get("tradeID"))]
            stops[str(record["id"])] = ended[0]
        else:
            ended = [str(part["tradeID"]) for part in record.get("tradesClosed") or ()]
        for trade in ended:
            if trade in bared:
                yield trade, bared.pop(trade), record
        trade = stops.pop(str(record.get("orderID")), "")
        if trade and record["type"] == "ORDER_CANCEL" and trade not in stops.values():
            bared[trade] = record


def _told(order: Record, dealt: Record) -> list[str]:
    units = order.get("units") or (dealt.get("tradeOpened") or {}).get("units")
    what = [str(value) for value in (order["type"], dealt.get("instrument"), units) if value is not None]
    at = [f"{name} {order[name]}" for name in AT if order.get(name) is not None]
    then = [f"{name} {_where(order[name])}" for name in ON_FILL if order.get(name)]
    return what + at + then


def _where(details: Record) -> str:
    return " ".join(f"{name} {details[name]}" for name in AT if details.get(name) is not None)
