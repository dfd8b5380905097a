"""Broker transactions as a test writes them, and a random account whose every number is known."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def order(number, units="100", *, at=NOON, instrument="EUR_USD", kind="MARKET_ORDER", reason="CLIENT_ORDER", **more):
    fields = {"id": str(number), "type": kind, "reason": reason, "time": at.isoformat()}
    return fields | {"units": units, "instrument": instrument} | more


@dataclass
class Account:
    """Adds transactions up by itself, in whole numbers of 0.0001, so that a test can compare."""

    balance: Decimal = Decimal(500)
    transactions: list = field(default_factory=list)
    results: dict = field(default_factory=dict)

    def book(self, kind, *, change, **fields):
        self.balance += change
        number = len(self.transactions) + 1
        at = NOON + timedelta(seconds=number)
        head = {"id": str(number), "type": kind, "time": at.isoformat(), "accountBalance": f"{self.balance:f}"}
        self.transactions.append(head | fields)

    def close(self, trade_id, pl, *, financing=Decimal(0), commission=Decimal(0), spread=Decimal(0), whole=True):
        self.results[trade_id] = self.results.get(trade_id, Decimal(0)) + pl
        part = {"tradeID": trade_id, "realizedPL": f"{pl:f}", "financing": f"{financing:f}"}
        parts = {"tradesClosed": [part]} if whole else {"tradeReduced": part}
        amounts = {"pl": pl, "financing": financing, "commission": commission, "halfSpreadCost": spread}
        text = {name: f"{amount:f}" for name, amount in amounts.items()}
        self.book("ORDER_FILL", change=pl + financing - commission, **text, **parts)
