"""Candles: five-second bars of bid, ask and middle, and coarser bars made of them."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from .market import Price

S5_SECONDS = 5
KEPT_BARS = 80_000
"""Per instrument: 72 hours of five-second bars (51,840) and a reserve."""

GRANULARITY_SECONDS = {
    "S5": 5,
    "S10": 10,
    "S15": 15,
    "S30": 30,
    "M1": 60,
    "M2": 120,
    "M4": 240,
    "M5": 300,
    "M10": 600,
    "M15": 900,
    "M30": 1800,
    "H1": 3600,
    "H2": 7200,
    "H3": 10800,
    "H4": 14400,
    "H6": 21600,
    "H8": 28800,
    "H12": 43200,
    "D": 86400,
    "W": 604800,
}


@dataclass(frozen=True)
class Bar:
    """Open, high, low and close of one side of the market."""

    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741  the broker's own names
    c: Decimal

    @classmethod
    def at(cls, value: Decimal) -> "Bar":
        return cls(value, value, value, value)

    def then(self, other: "Bar") -> "Bar":
        """This bar followed by `other`."""
        return Bar(self.o, max(self.h, other.h), min(self.l, other.l), other.c)


@dataclass(frozen=True)
class Candle:
    """All prices from `start` (seconds since 1970) until the end of the period."""

    start: int
    bid: Bar
    ask: Bar
    mid: Bar
    volume: int

    @property
    def time(self) -> datetime:
        return datetime.fromtimestamp(self.start, UTC)

    def then(self, other: "Candle") -> "Candle":
        return Candle(
            self.start,
            self.bid.then(other.bid),
            self.ask.then(other.ask),
            self.mid.then(other.mid),
            self.volume + other.volume,
        )


class Candles:
    """The five-second bars of each instrument, oldest first, a bounded number."""

    def __init__(self) -> None:
        self._bars: dict[str, deque[Candle]] = {}

    def take(self, price: Price) -> None:
        """Add one price to the bar of its time. Prices come in order of time."""
        bars = self._bars.setdefault(price.instrument, deque(maxlen=KEPT_BARS))
        second = int(price.time.timestamp())
        candle = Candle(second - second % S5_SECONDS, Bar.at(price.bid), Bar.at(price.ask), Bar.at(price.mid), volume=1)
        if bars and bars[-1].start == candle.start:
            bars[-1] = bars[-1].then(candle)
        else:
            bars.append(candle)

    def of(self, instrument: str, granularity: str) -> list[Candle]:
        """All candles of `granularity`, oldest first. Raises KeyError for an unknown granularity."""
        seconds = GRANULARITY_SECONDS[granularity]
        bars = self._bars.get(instrument, deque())
        return list(bars) if seconds == S5_SECONDS else list(_joined(bars, seconds))


def _joined(bars: Iterable[Candle], seconds: int) -> Iterable[Candle]:
    open_: Candle | None = None
    for bar in bars:
        start = bar.start - bar.start % seconds
        if open_ is not None and open_.start == start:
            open_ = open_.then(bar)
            continue
        if open_ is not None:
            yield open_
        open_ = Candle(start, bar.bid, bar.ask, bar.mid, bar.volume)
    if open_ is not None:
        yield open_
