"""Closing a position: the long or the short side of an instrument, wholly or in part."""

from decimal import Decimal
from typing import Any

from .account import Batch, Transaction
from .commands import Outcome, closing_order, created_parts, outcome, rejection
from .orders import Body, Rejected, decimal_of
from .trades import Trade


def close_position(batch: Batch, instrument: str, request: Body) -> Outcome:
    """Close the sides that the request names with ALL or a number of units. All or none are checked first."""
    wanted = {side: str(request.get(f"{side}Units") or "NONE") for side in ("long", "short")}
    if wanted == {"long": "NONE", "short": "NONE"}:
        wanted = {"long": "ALL", "short": "ALL"}
    trades = {side: _side(batch, instrument, side) for side in wanted}
    parts: dict[str, Any] = {}
    try:
        units = {side: _units(trades[side], text) for side, text in wanted.items() if text != "NONE"}
        if not any(units.values()):
            raise Rejected("CLOSEOUT_POSITION_DOESNT_EXIST")
    except Rejected as refused:
        side = "long" if wanted["long"] != "NONE" else "short"
        return rejection(batch, f"{side}OrderRejectTransaction", _rejected(batch, instrument, refused.reason))
    for side, number in units.items():
        if number:
            closes = {f"{side}PositionCloseout": {"instrument": instrument, "units": wanted[side]}}
            created = closing_order(batch, trades[side][0], number, closes)
            made = created_parts(batch, created)
            parts[f"{side}OrderCreateTransaction"] = created
            parts[f"{side}OrderFillTransaction"] = made["orderFillTransaction"]
            parts[f"{side}OrderCancelTransaction"] = made["orderCancelTransaction"]
    return outcome(batch, 200, parts)


def _side(batch: Batch, instrument: str, side: str) -> list[Trade]:
    return [trade for trade in batch.account.open_in(instrument) if (trade.units > 0) == (side == "long")]


def _units(trades: list[Trade], text: str) -> Decimal:
    held = sum((abs(trade.units) for trade in trades), Decimal(0))
    if text == "ALL":
        return held
    units = decimal_of(text, "UNITS_INVALID")
    if units <= 0 or units != units.to_integral_value():
        raise Rejected("UNITS_INVALID")
    if not held:
        raise Rejected("CLOSEOUT_POSITION_DOESNT_EXIST")
    if units > held:
        raise Rejected("CLOSEOUT_POSITION_UNITS_EXCEED_POSITION_SIZE")
    return units.quantize(Decimal(1))


def _rejected(batch: Batch, instrument: str, reason: str) -> Transaction:
    fields = {"instrument": instrument, "units": "0", "timeInForce": "FOK", "positionFill": "REDUCE_ONLY"}
    return batch.record("MARKET_ORDER_REJECT", fields | {"reason": "POSITION_CLOSEOUT", "rejectReason": reason})
