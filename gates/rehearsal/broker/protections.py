"""The protections of a trade, and how an order ends without a fill."""

from decimal import Decimal

from .account import Batch, Transaction
from .orders import PROTECTIONS, Body, Order
from .trades import Trade


def place_protection(batch: Batch, trade: Trade, kind: str, details: Body, why: Body) -> Order:
    """Place a take profit, stop loss or trailing stop on an open trade, whose price side was checked before."""
    account = batch.account
    market_price = account.market.price(trade.instrument).dealt(-trade.units)
    sign = Decimal(1).copy_sign(trade.units)
    distance, price = details.get("distance"), details.get("price")
    trailing = market_price - sign * distance if kind == "TRAILING_STOP_LOSS" and distance is not None else None
    if kind == "STOP_LOSS" and price is None and distance is not None:
        price = trade.price - sign * distance
    order = Order(
        id=batch.next_id,
        type=kind,
        created=batch.now,
        time_in_force=details.get("timeInForce", "GTC"),
        instrument=trade.instrument,
        price=price,
        distance=distance,
        gtd_time=details.get("gtdTime"),
        trigger=details.get("triggerCondition", "DEFAULT"),
        trade_id=trade.id,
        client_trade_id=trade.client_id,
        client_extensions=details.get("clientExtensions"),
        trailing_value=trailing,
    )
    account.orders[order.id] = account.pending[order.id] = order
    trade.protections[kind] = order.id
    fields = {
        "tradeID": str(trade.id),
        "clientTradeID": trade.client_id,
        "price": price,
        "distance": distance,
        "timeInForce": order.time_in_force,
        "gtdTime": order.gtd_time,
        "triggerCondition": order.trigger,
        "guaranteed": False if kind == "STOP_LOSS" else None,
        "clientExtensions": order.client_extensions,
    }
    batch.record(f"{kind}_ORDER", fields | why)
    return order


def cancel(batch: Batch, order: Order, reason: str, extra: Body | None = None) -> Transaction:
    """Cancel a pending order, or one that has just been created."""
    order.state, order.cancelling_id, order.cancelled_at = "CANCELLED", batch.next_id, batch.now
    batch.account.pending.pop(order.id, None)
    if order.trade_id is not None and order.type in PROTECTIONS:
        protections = batch.account.trades[order.trade_id].protections
        if protections.get(order.type) == order.id:
            del protections[order.type]
    fields = {"orderID": str(order.id), "clientOrderID": order.client_id, "reason": reason}
    return batch.record("ORDER_CANCEL", fields | (extra or {}))
