"""The four currency pairs the broker trades, and their precisions."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Instrument:
    """One currency pair. A pip is 10 ** `pip_location`; prices carry `display_precision` decimals."""

    name: str
    pip_location: int
    display_precision: int
    margin_rate: Decimal
    start_mid: Decimal
    spread_pips: Decimal
    long_rate: Decimal
    short_rate: Decimal

    @property
    def base(self) -> str:
        return self.name[:3]

    @property
    def quote(self) -> str:
        return self.name[4:]

    @property
    def pip(self) -> Decimal:
        return Decimal(1).scaleb(self.pip_location)

    @property
    def step(self) -> Decimal:
        """The smallest difference between two prices."""
        return Decimal(1).scaleb(-self.display_precision)

    def price(self, value: Decimal) -> Decimal:
        """`value` rounded to the precision of this instrument's prices."""
        return value.quantize(self.step)


def _pair(name: str, places: tuple[int, int], start: str, spread: str, rates: tuple[str, str]) -> Instrument:
    return Instrument(
        name=name,
        pip_location=places[0],
        display_precision=places[1],
        margin_rate=Decimal("0.05") if "GBP" in name else Decimal("0.02"),
        start_mid=Decimal(start),
        spread_pips=Decimal(spread),
        long_rate=Decimal(rates[0]),
        short_rate=Decimal(rates[1]),
    )


INSTRUMENTS: dict[str, Instrument] = {
    pair.name: pair
    for pair in (
        _pair("EUR_USD", (-4, 5), "1.10000", "1.2", ("-0.0210", "0.0095")),
        _pair("GBP_USD", (-4, 5), "1.27000", "1.6", ("-0.0080", "-0.0060")),
        _pair("USD_JPY", (-2, 3), "150.000", "1.4", ("0.0310", "-0.0480")),
        _pair("EUR_GBP", (-4, 5), "0.86614", "1.4", ("-0.0240", "0.0110")),
    )
}

MINIMUM_UNITS = Decimal(1)
MAXIMUM_UNITS = Decimal(100_000_000)
MINIMUM_TRAILING_PIPS = Decimal(5)
MAXIMUM_TRAILING_PIPS = Decimal(10_000)
