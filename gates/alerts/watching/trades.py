"""The broker's open trades, as an account and then its transactions tell them, against the ledger's positions. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from gates.alerts.rules.observed import PositionSeen

FILL = "ORDER_FILL"


class OpenTrades:
    """Trade id → instrument, of what is open now."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}

    @property
    def now(self) -> Mapping[str, str]:
        """What is open now."""
        return self._open

    def begin(self, account: Mapping[str, Any]) -> None:
        """Take over what an account holds, as `GET /accounts/{id}` tells it."""
        self._open = {str(trade["id"]): str(trade["instrument"]) for trade in account.get("trades") or ()}

    def learn(self, record: Mapping[str, Any]) -> None:
        """Take one transaction, in order. A trade that was reduced to nothing is closed."""
        if record.get("type") != FILL:
            return
        opened = record.get("tradeOpened")
        if opened and _has_units(opened):
            self._open[str(opened["tradeID"])] = str(record.get("instrument", ""))
        for closed in record.get("tradesClosed") or ():
            self._open.pop(str(closed["tradeID"]), None)


def _has_units(trade: Mapping[str, Any]) -> bool:
    try:
        return Decimal(str(trade.get("units", "1"))) != 0
    except InvalidOperation:
        return True


def without_other_half(trades: Mapping[str, str], positions: Iterable[PositionSeen]) -> dict[str, str]:
    """Return in words, by a key of its own, each trade without its position and each position without its trade."""
    held = {position.trade_id: position for position in positions}
    words = {
        f"trade {trade_id}": f"The broker has held trade {trade_id} ({instrument}) without a position of the ledger"
        for trade_id, instrument in trades.items()
        if trade_id not in held
    }
    return words | {
        f"position {position.position_id}": f"Position {position.position_id} has been open without its trade"
        for trade_id, position in held.items()
        if trade_id not in trades
    }
