"""What a client can ask of an account. Each command takes the request's body and answers with transactions."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .account import Account, Batch, Transaction
from .fills import fill
from .instruments import INSTRUMENTS
from .orders import (
    ON_FILL,
    PROTECTIONS,
    Body,
    Fields,
    Order,
    Rejected,
    decimal_of,
    entry_fields,
    extensions_of,
    on_fill_details,
)
from .protections import cancel, place_protection
from .trades import Trade
from .triggers import FILL_REASONS, execute, touched


@dataclass(frozen=True)
class Outcome:
    """The HTTP status of an answer, and its parts: a Transaction, a list of them, or plain JSON under each name."""

    status: int
    parts: dict[str, Any]


def outcome(batch: Batch, status: int, parts: dict[str, Any]) -> Outcome:
    """An answer with the ids of everything the command caused."""
    related = [str(transaction.id) for transaction in batch.recorded()]
    present = {name: part for name, part in parts.items() if part is not None}
    return Outcome(status, present | {"relatedTransactionIDs": related})


def rejection(batch: Batch, name: str, transaction: Transaction, status: int = 400) -> Outcome:
    """A refusal that is on record."""
    reason = transaction.fields["rejectReason"]
    message = reason.replace("_", " ").capitalize()
    return outcome(batch, status, {name: transaction, "errorCode": reason, "errorMessage": message})


def place_order(batch: Batch, request: Body, replaces: Order | None = None) -> Outcome:
    """Create an order of a kind in ENTRIES or PROTECTIONS; fill it if it is a market order or is touched at once."""
    kind = str(request.get("type") or "MARKET")
    try:
        if kind in PROTECTIONS:
            return _place_protection_order(batch, request, kind, replaces)
        checked = entry_fields(request | {"type": kind})
        _refuse_pending_client_id(batch.account, checked.values["client_extensions"], replaces)
    except Rejected as refused:
        fields = rejected_fields(request) | {"rejectReason": refused.reason}
        return rejection(batch, "orderRejectTransaction", batch.record(f"{kind}_ORDER_REJECT", fields))
    replacement_cancel = _replaced(batch, replaces)
    order = _create(batch, checked, replaces)
    created = batch.account.transactions[order.id - 1]
    if order.type == "MARKET":
        fill(batch, order, order.units or Decimal(0), FILL_REASONS["MARKET"])
    elif touched(batch.account, order, batch.account.market.price(order.instrument)):
        execute(batch, order)
    elif order.time_in_force in ("FOK", "IOC"):
        cancel(batch, order, "TIME_IN_FORCE_EXPIRED")
    return outcome(batch, 201, created_parts(batch, created, replacement_cancel))


def created_parts(batch: Batch, created: Transaction, replaced: Transaction | None = None) -> dict[str, Any]:
    """The named transactions of an answer about a new order."""
    own = [t for t in batch.recorded() if t.fields.get("orderID") == str(created.id)]
    return {
        "orderCancelTransaction": replaced or next((t for t in own if t.type == "ORDER_CANCEL"), None),
        "orderCreateTransaction": created,
        "orderFillTransaction": next((t for t in own if t.type == "ORDER_FILL"), None),
        "replacingOrderCancelTransaction": next((t for t in own if replaced and t.type == "ORDER_CANCEL"), None),
    }


def rejected_fields(request: Body) -> Body:
    """What was asked for, as far as it was said, for the record of a refusal."""
    keys = ("instrument", "units", "price", "tradeID", "distance", "timeInForce", "positionFill", "clientExtensions")
    kept = {key: request[key] for key in keys if request.get(key) is not None}
    return kept | {"reason": "CLIENT_ORDER"}


def _create(batch: Batch, checked: Fields, replaces: Order | None) -> Order:
    order = Order(id=batch.next_id, type=checked.type, created=batch.now, **checked.values)
    order.market_at_start = batch.account.market.price(order.instrument).dealt(order.units or Decimal(0))
    order.replaces = replaces.id if replaces else None
    batch.account.orders[order.id] = batch.account.pending[order.id] = order
    fields: Body = {
        "instrument": order.instrument,
        "units": order.units,
        "price": order.price,
        "timeInForce": order.time_in_force,
        "gtdTime": order.gtd_time,
        "priceBound": order.price_bound,
        "positionFill": order.position_fill,
        "triggerCondition": order.trigger if order.type != "MARKET" else None,
        "reason": "REPLACEMENT" if replaces else "CLIENT_ORDER",
        "replacesOrderID": str(replaces.id) if replaces else None,
        "clientExtensions": order.client_extensions,
        "tradeClientExtensions": order.trade_extensions,
    }
    fields |= {ON_FILL[kind]: details for kind, details in order.on_fill.items()}
    batch.record(f"{order.type}_ORDER", fields)
    return order


def _refuse_pending_client_id(account: Account, extensions: Body | None, replaces: Order | None) -> None:
    """Only pending orders count: an order that has filled frees its client id, as at the real broker."""
    wanted = (extensions or {}).get("id")
    if wanted and any(o.client_id == wanted for o in account.pending.values() if o is not replaces):
        raise Rejected("CLIENT_ORDER_ID_ALREADY_EXISTS")


def _replaced(batch: Batch, order: Order | None) -> Transaction | None:
    if order is None:
        return None
    order.replaced_by = batch.next_id + 1
    return cancel(batch, order, "CLIENT_REQUEST_REPLACED", {"replacedByOrderID": str(order.replaced_by)})


def _place_protection_order(batch: Batch, request: Body, kind: str, replaces: Order | None) -> Outcome:
    trade = batch.account.trade_by(str(request.get("tradeID") or f"@{request.get('clientTradeID')}"))
    if trade is None or not trade.is_open:
        raise Rejected("TRADE_DOESNT_EXIST" if request.get("tradeID") else "TRADE_ID_UNSPECIFIED")
    if kind in trade.protections and (replaces is None or trade.protections[kind] != replaces.id):
        raise Rejected(f"{kind}_ORDER_ALREADY_EXISTS")
    details = protection_details(trade, kind, request)
    _refuse_pending_client_id(batch.account, details.get("clientExtensions"), replaces)
    cancelled = _replaced(batch, replaces)
    why = {"reason": "REPLACEMENT", "replacesOrderID": str(replaces.id)} if replaces else {"reason": "CLIENT_ORDER"}
    order = place_protection(batch, trade, kind, details, why)
    order.replaces = replaces.id if replaces else None
    created = batch.account.transactions[order.id - 1]
    if touched(batch.account, order, batch.account.market.price(order.instrument)):
        execute(batch, order)
    return outcome(batch, 201, created_parts(batch, created, cancelled))


def protection_details(trade: Trade, kind: str, request: Body) -> Body:
    """Check a protection of an open trade; the reasons lose their ON_FILL. Raises Rejected."""
    try:
        return on_fill_details(INSTRUMENTS[trade.instrument], kind, request)
    except Rejected as refused:
        prefix = "STOP_LOSS_ORDER_" if refused.reason.startswith("STOP_LOSS_ON_FILL_PRICE_AND") else ""
        raise Rejected(refused.reason.replace(f"{kind}_ON_FILL_", prefix)) from refused


def cancel_order(batch: Batch, order: Order) -> Outcome:
    """Cancel a pending order on its owner's request."""
    return outcome(batch, 200, {"orderCancelTransaction": cancel(batch, order, "CLIENT_REQUEST")})


def set_trade_orders(batch: Batch, trade: Trade, request: Body) -> Outcome:
    """Set, replace or (with null) cancel the take profit, stop loss and trailing stop of a trade.

    A protection the request does not name stays as it is. All or none: a bad one leaves everything as it was.
    """
    names = {"takeProfit": "TAKE_PROFIT", "stopLoss": "STOP_LOSS", "trailingStopLoss": "TRAILING_STOP_LOSS"}
    wanted = {name: request[name] for name in names if name in request}
    try:
        details = {n: protection_details(trade, names[n], body) for n, body in wanted.items() if body is not None}
    except Rejected as refused:
        kind = next(k for n, k in names.items() if wanted.get(n) is not None)
        name = next(n for n, body in wanted.items() if body is not None)
        fields = {
            "tradeID": str(trade.id),
            "reason": "CLIENT_ORDER",
            "rejectReason": refused.reason,
            "timeInForce": "GTC",
        }
        return rejection(batch, f"{name}OrderRejectTransaction", batch.record(f"{kind}_ORDER_REJECT", fields))
    parts: dict[str, Any] = {}
    for name in wanted:
        parts |= _set_protection(batch, trade, names[name], name, details.get(name))
    return outcome(batch, 200, parts)


def _set_protection(batch: Batch, trade: Trade, kind: str, name: str, details: Body | None) -> dict[str, Any]:
    account = batch.account
    parts: dict[str, Any] = {}
    old = account.orders.get(trade.protections.get(kind, 0))
    if old is not None:
        extra = {"replacedByOrderID": str(batch.next_id + 1)} if details else {}
        old.replaced_by = batch.next_id + 1 if details else None
        reason = "CLIENT_REQUEST_REPLACED" if details else "CLIENT_REQUEST"
        parts[f"{name}OrderCancelTransaction"] = cancel(batch, old, reason, extra)
    if details is None or not trade.is_open:
        return parts
    why = {"reason": "REPLACEMENT", "replacesOrderID": str(old.id)} if old else {"reason": "CLIENT_ORDER"}
    order = place_protection(batch, trade, kind, details, why)
    order.replaces = old.id if old else None
    parts[f"{name}OrderTransaction"] = account.transactions[order.id - 1]
    if touched(account, order, account.market.price(order.instrument)):
        execute(batch, order)
        own = [t for t in batch.recorded() if t.fields.get("orderID") == str(order.id)]
        parts[f"{name}OrderFillTransaction"] = next((t for t in own if t.type == "ORDER_FILL"), None)
    return parts


def close_trade(batch: Batch, trade: Trade, request: Body) -> Outcome:
    """Close all of a trade, or `units` (positive) of it, with a market order."""
    asked = request.get("units") or "ALL"
    try:
        units = abs(trade.units) if asked == "ALL" else decimal_of(asked, "UNITS_INVALID")
        if units <= 0 or units != units.to_integral_value():
            raise Rejected("UNITS_INVALID")
        if units > abs(trade.units):
            raise Rejected("CLOSE_TRADE_UNITS_EXCEED_TRADE_SIZE")
    except Rejected as refused:
        fields = {"instrument": trade.instrument, "units": "0", "timeInForce": "FOK", "positionFill": "REDUCE_ONLY"}
        fields |= {"reason": "TRADE_CLOSE", "rejectReason": refused.reason}
        transaction = batch.record("MARKET_ORDER_REJECT", fields)
        return rejection(batch, "orderRejectTransaction", transaction)
    closes = {"tradeClose": {"tradeID": str(trade.id), "units": str(asked)}}
    created = closing_order(batch, trade, units.quantize(Decimal(1)), closes)
    return outcome(batch, 200, created_parts(batch, created))


def closing_order(batch: Batch, trade: Trade, units: Decimal, closes: Body) -> Transaction:
    """Record a market order that takes `units` off one trade, and fill it; returns the order's transaction."""
    position = "tradeClose" not in closes
    order = Order(
        id=batch.next_id,
        type="MARKET",
        created=batch.now,
        time_in_force="FOK",
        instrument=trade.instrument,
        units=-units.copy_sign(trade.units),
        position_fill="REDUCE_ONLY",
        trade_id=None if position else trade.id,
        closes=closes,
        client_extensions=closes.get("clientExtensions"),
    )
    batch.account.orders[order.id] = batch.account.pending[order.id] = order
    fields = {
        "instrument": order.instrument,
        "units": order.units,
        "timeInForce": "FOK",
        "positionFill": "REDUCE_ONLY",
        "reason": "POSITION_CLOSEOUT" if position else "TRADE_CLOSE",
        **closes,
    }
    created = batch.record("MARKET_ORDER", fields)
    reason = "MARKET_ORDER_POSITION_CLOSEOUT" if position else "MARKET_ORDER_TRADE_CLOSE"
    fill(batch, order, order.units or Decimal(0), reason)
    return created


def set_trade_extensions(batch: Batch, trade: Trade, request: Body) -> Outcome:
    """Replace the client extensions of a trade."""
    name = "tradeClientExtensionsModify"
    try:
        extensions = extensions_of(request.get("clientExtensions"), "TRADE")
        if not extensions:
            raise Rejected("CLIENT_EXTENSIONS_DATA_MISSING")
    except Rejected as refused:
        refusal = {"tradeID": str(trade.id), "rejectReason": refused.reason}
        transaction = batch.record("TRADE_CLIENT_EXTENSIONS_MODIFY_REJECT", refusal)
        return rejection(batch, f"{name}RejectTransaction", transaction)
    trade.client_extensions = (trade.client_extensions or {}) | extensions
    fields: Body = {"tradeID": str(trade.id), "clientTradeID": trade.client_id, name: extensions}
    transaction = batch.record("TRADE_CLIENT_EXTENSIONS_MODIFY", fields)
    return outcome(batch, 200, {f"{name}Transaction": transaction})
