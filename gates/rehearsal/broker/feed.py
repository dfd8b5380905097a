"""A seeded random walk of prices: the same seed gives the same prices, tick after tick."""

import random
from datetime import datetime
from decimal import Decimal

from .instruments import INSTRUMENTS, Instrument
from .market import Price

REVERSION = 0.0005
"""Share of the way home to the starting price per tick, so that a run of days stays in a sane range."""


class Feed:
    """Prices of all instruments. `volatility_pips` is the standard deviation of one tick."""

    def __init__(self, seed: int, volatility_pips: float) -> None:
        self._volatility_pips = volatility_pips
        self._random = {name: random.Random(f"{seed}:{name}") for name in INSTRUMENTS}  # noqa: S311  a replayable market, not a secret
        self._walked_pips = dict.fromkeys(INSTRUMENTS, 0.0)

    def opening(self, now: datetime) -> list[Price]:
        """The price of each instrument before the first tick."""
        return [self._quote(spec, spec.start_mid, now) for spec in INSTRUMENTS.values()]

    def tick(self, now: datetime) -> list[Price]:
        """The next price of each instrument."""
        return [self._step(spec, now) for spec in INSTRUMENTS.values()]

    def _step(self, spec: Instrument, now: datetime) -> Price:
        walked = self._walked_pips[spec.name]
        walked += self._random[spec.name].gauss(0, self._volatility_pips) - REVERSION * walked
        self._walked_pips[spec.name] = walked
        return self._quote(spec, spec.start_mid + spec.pip * Decimal(f"{walked:.1f}"), now)

    @staticmethod
    def _quote(spec: Instrument, mid: Decimal, now: datetime) -> Price:
        half = spec.spread_pips * spec.pip / 2
        return Price(spec.name, spec.price(mid - half), spec.price(mid + half), now)
