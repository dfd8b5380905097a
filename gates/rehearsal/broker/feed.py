"""A seeded random walk of prices: the same seed gives the same prices, tick after tick."""

import random
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from .instruments import INSTRUMENTS, Instrument
from .market import Price

REVERSION = 0.0005
"""Share of the way home to the starting price per tick, so that a run of days stays in a sane range."""


class Feed:
    """Prices of all instruments. `volatility_pips` is the standard deviation of one tick."""

    def __init__(self, seed: int, volatility_pips: float) -> None:
        self._seed = seed
        self._volatility_pips = volatility_pips
        self._random = self._dice("")
        self._walked_pips = dict.fromkeys(INSTRUMENTS, 0.0)

    def resume(self, prices: Iterable[Price], beats: int) -> None:
        """Walk on from `prices`, the outcome of so many `beats`; the same seed and beats give the same sequel."""
        self._random = self._dice(f":{beats}")
        for price in prices:
            spec = INSTRUMENTS[price.instrument]
            self._walked_pips[spec.name] = float((price.mid - spec.start_mid) / spec.pip)

    def _dice(self, after: str) -> dict[str, random.Random]:
        return {name: random.Random(f"{self._seed}:{name}{after}") for name in INSTRUMENTS}  # noqa: S311  no secret

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
