"""The broker's open trades, as an account and then its transactions tell them. Pure."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

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
