"""Current prices, what they are worth in another currency, and how many units can be dealt."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from .instruments import INSTRUMENTS

MONEY_STEP = Decimal("0.0001")
FACTOR_STEP = Decimal("0.000000000001")
ONE = Decimal(1)


def money(value: Decimal) -> Decimal:
    """`value` at the precision of an account's balance: four decimals, half to even."""
    return value.quantize(MONEY_STEP, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True)
class Price:
    """A two-sided price. Buyers pay `ask`, sellers get `bid`."""

    instrument: str
    bid: Decimal
    ask: Decimal
    time: datetime

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2

    def dealt(self, units: Decimal) -> Decimal:
        """What someone who trades `units` (negative sells) pays or gets."""
        return self.ask if units > 0 else self.bid


@dataclass(frozen=True)
class Conversion:
    """Multiply a gain, or a loss, of one currency by these to have it in the home currency."""

    gain: Decimal
    loss: Decimal

    def home(self, amount: Decimal) -> Decimal:
        return money(amount * (self.gain if amount >= 0 else self.loss))

    @property
    def middle(self) -> Decimal:
        return (self.gain + self.loss) / 2


SAME = Conversion(ONE, ONE)


@dataclass
class Market:
    """The latest price of each instrument, and limits on the units of the next fill."""

    prices: dict[str, Price] = field(default_factory=dict)
    liquidity: dict[str, Decimal] = field(default_factory=dict)

    def take(self, price: Price) -> None:
        self.prices[price.instrument] = price

    def price(self, instrument: str) -> Price:
        return self.prices[instrument]

    def limit_next_fill(self, instrument: str, units: Decimal) -> None:
        """At most `units` can be dealt by the next fill of `instrument`."""
        self.liquidity[instrument] = units

    def dealable(self, instrument: str, units: Decimal) -> Decimal:
        """How many of `units` (signed) can be dealt now; uses up a limit that was set."""
        limit = self.liquidity.pop(instrument, None)
        if limit is None or abs(units) <= limit:
            return units
        return limit.copy_sign(units)

    def conversion(self, currency: str, home: str) -> Conversion:
        """Factors from `currency` to `home`: directly, or by way of the dollar.

        Raises KeyError where neither a pair nor the dollar joins the two.
        """
        if currency == home:
            return SAME
        direct = self._direct(currency, home)
        if direct is not None:
            return direct
        first, second = self._direct(currency, "USD"), self._direct("USD", home)
        if first is None or second is None:
            raise KeyError(f"No way from {currency} to {home}")
        return Conversion(
            (first.gain * second.gain).quantize(FACTOR_STEP), (first.loss * second.loss).quantize(FACTOR_STEP)
        )

    def _direct(self, currency: str, home: str) -> Conversion | None:
        """A gain is sold at the worse side, a loss is bought at the worse side."""
        if (name := f"{currency}_{home}") in self.prices:
            return Conversion(self.prices[name].bid, self.prices[name].ask)
        if (name := f"{home}_{currency}") in self.prices:
            price = self.prices[name]
            return Conversion((ONE / price.ask).quantize(FACTOR_STEP), (ONE / price.bid).quantize(FACTOR_STEP))
        return None

    def base_value(self, instrument: str, home: str) -> Decimal:
        """What one unit of `instrument` is worth in `home`, at the middle."""
        spec = INSTRUMENTS[instrument]
        if spec.base == home:
            return ONE
        return self.price(instrument).mid * self.conversion(spec.quote, home).middle
