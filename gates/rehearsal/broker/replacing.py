"""Changing a pending order: its replacement by another, and its client extensions."""

from .account import Batch
from .commands import Outcome, outcome, place_order, rejection
from .orders import Body, Order, Rejected, extensions_of


def replace_order(batch: Batch, order: Order, request: Body) -> Outcome:
    """Cancel a pending order and create another in its place; a bad request leaves the old one as it was."""
    if order.trade_id is not None and "tradeID" not in request:
        request = request | {"tradeID": str(order.trade_id)}
    return place_order(batch, request, replaces=order)


def set_order_extensions(batch: Batch, order: Order, request: Body) -> Outcome:
    """Change the client extensions of a pending order, and those of the trade it may open."""
    name = "orderClientExtensionsModify"
    try:
        own = extensions_of(request.get("clientExtensions"), "ORDER")
        trade = extensions_of(request.get("tradeClientExtensions"), "TRADE")
        if not own and not trade:
            raise Rejected("CLIENT_EXTENSIONS_DATA_MISSING")
    except Rejected as refused:
        refusal = {"orderID": str(order.id), "rejectReason": refused.reason}
        transaction = batch.record("ORDER_CLIENT_EXTENSIONS_MODIFY_REJECT", refusal)
        return rejection(batch, f"{name}RejectTransaction", transaction)
    if own:
        order.client_extensions = (order.client_extensions or {}) | own
    if trade:
        order.trade_extensions = (order.trade_extensions or {}) | trade
    fields: Body = {"orderID": str(order.id), "clientOrderID": order.client_id}
    extensions = {"clientExtensionsModify": own, "tradeClientExtensionsModify": trade}
    transaction = batch.record("ORDER_CLIENT_EXTENSIONS_MODIFY", fields | extensions)
    return outcome(batch, 200, {f"{name}Transaction": transaction})
