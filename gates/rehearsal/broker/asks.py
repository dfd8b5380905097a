"""One request of a client, from the thing it names to an answer on record. Pure: no sockets, no clock."""

from collections.abc import Callable
from dataclasses import dataclass

from .account import Batch
from .commands import Outcome, cancel_order, close_trade, outcome, place_order, set_trade_extensions, set_trade_orders
from .orders import Body, Order
from .positions import close_position
from .replacing import replace_order, set_order_extensions
from .trades import Trade


@dataclass(frozen=True)
class Ask:
    """What is asked (a key of ASKS), of which order, trade or instrument, with which body."""

    name: str
    specifier: str
    body: Body


def answer(batch: Batch, ask: Ask) -> Outcome:
    """Carry out what is asked. Whatever the body holds, the answer is an Outcome; a refusal is on record too."""
    return ASKS[ask.name](batch, ask)


def _of_order(
    command: Callable[[Batch, Order, Body], Outcome], reject: tuple[str, str]
) -> Callable[[Batch, Ask], Outcome]:
    def asked(batch: Batch, ask: Ask) -> Outcome:
        order = batch.account.order_by(ask.specifier)
        if order is None or order.state != "PENDING":
            return _missing(batch, ask, reject, "ORDER")
        return command(batch, order, ask.body)

    return asked


def _of_trade(
    command: Callable[[Batch, Trade, Body], Outcome], reject: tuple[str, str]
) -> Callable[[Batch, Ask], Outcome]:
    def asked(batch: Batch, ask: Ask) -> Outcome:
        trade = batch.account.trade_by(ask.specifier)
        if trade is None or not trade.is_open:
            return _missing(batch, ask, reject, "TRADE")
        return command(batch, trade, ask.body)

    return asked


def _missing(batch: Batch, ask: Ask, reject: tuple[str, str], what: str) -> Outcome:
    """404, with the reject transaction (its type, its name in the answer) that the broker writes about it."""
    kind, name = reject
    reason, word = f"{what}_DOESNT_EXIST", what.title()
    said = (
        {f"client{word}ID": ask.specifier[1:]}
        if ask.specifier.startswith("@")
        else {f"{what.lower()}ID": ask.specifier}
    )
    fields = {} if kind == "MARKET_ORDER_REJECT" else said
    transaction = batch.record(kind, {**fields, "rejectReason": reason})
    message = f"The {what.lower()} specified does not exist"
    return outcome(batch, 404, {name: transaction, "errorCode": reason, "errorMessage": message})


_CANCEL = ("ORDER_CANCEL_REJECT", "orderCancelRejectTransaction")
_ORDER_EXTENSIONS = ("ORDER_CLIENT_EXTENSIONS_MODIFY_REJECT", "orderClientExtensionsModifyRejectTransaction")
_TRADE_EXTENSIONS = ("TRADE_CLIENT_EXTENSIONS_MODIFY_REJECT", "tradeClientExtensionsModifyRejectTransaction")
_CLOSE = ("MARKET_ORDER_REJECT", "orderRejectTransaction")
_PROTECT = ("STOP_LOSS_ORDER_REJECT", "stopLossOrderRejectTransaction")

ASKS: dict[str, Callable[[Batch, Ask], Outcome]] = {
    "order": lambda batch, ask: place_order(batch, ask.body),
    "replace": _of_order(replace_order, _CANCEL),
    "cancel": _of_order(lambda batch, order, _: cancel_order(batch, order), _CANCEL),
    "order_extensions": _of_order(set_order_extensions, _ORDER_EXTENSIONS),
    "close_trade": _of_trade(close_trade, _CLOSE),
    "protect": _of_trade(set_trade_orders, _PROTECT),
    "trade_extensions": _of_trade(set_trade_extensions, _TRADE_EXTENSIONS),
    "close_position": lambda batch, ask: close_position(batch, ask.specifier, ask.body),
}
