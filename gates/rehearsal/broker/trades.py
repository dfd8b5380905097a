"""Trades: units of one instrument, opened by one fill and closed by later ones."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from .instruments import INSTRUMENTS
from .market import Market, money

ZERO = money(Decimal(0))


@dataclass
class Trade:
    """An open or closed trade. Its id is that of the fill that opened it; `units` are what is still open, signed."""

    id: int
    instrument: str
    price: Decimal
    opened_at: datetime
    initial_units: Decimal
    units: Decimal
    initial_margin: Decimal
    client_extensions: dict[str, Any] | None = None
    realized: Decimal = ZERO
    financing: Decimal = ZERO
    closed_value: Decimal = Decimal(0)
    """Σ units × price of all closings, for the average."""
    closing_ids: list[int] = field(default_factory=list)
    closed_at: datetime | None = None
    protections: dict[str, int] = field(default_factory=dict)
    """Order type → id of the pending take profit, stop loss or trailing stop."""

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def client_id(self) -> str | None:
        return (self.client_extensions or {}).get("id")

    @property
    def average_close(self) -> Decimal | None:
        closed = self.initial_units - self.units
        return INSTRUMENTS[self.instrument].price(self.closed_value / closed) if closed else None

    def gain(self, units: Decimal, price: Decimal, market: Market, home: str) -> Decimal:
        """What closing `units` (of the trade's sign) at `price` earns, in the home currency."""
        conversion = market.conversion(INSTRUMENTS[self.instrument].quote, home)
        return conversion.home(units * (price - self.price))

    def unrealized(self, market: Market, home: str) -> Decimal:
        """The gain of closing all that is open at the current price."""
        if not self.is_open:
            return ZERO
        return self.gain(self.units, market.price(self.instrument).dealt(-self.units), market, home)

    def margin(self, market: Market, home: str) -> Decimal:
        """Margin in use by what is open, at the current middle price."""
        return margin_of(self.instrument, self.units, market, home) if self.is_open else ZERO


def margin_of(instrument: str, units: Decimal, market: Market, home: str) -> Decimal:
    """Margin that `units` of an instrument need, in the home currency."""
    rate = INSTRUMENTS[instrument].margin_rate
    return money(abs(units) * market.base_value(instrument, home) * rate)
