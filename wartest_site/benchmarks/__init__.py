"""Benchmarks: speed is measured here and never asserted in tests.

One module, one benchmark. Its docstring says what is measured, what is not, and what `--scale` counts; `SCALE` is the
scale when none is given; `measure` does the work on servers of its own and returns the figures by name.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Protocol, cast

BENCHMARKS = ("alerts", "audit", "chaos", "detection", "monitor", "pages", "proxy")

Say = Callable[[str], None]
Figures = dict[str, float]


class Benchmark(Protocol):
    """What a module of this package offers. A figure that cannot be had here (a peer is missing) is left out."""

    SCALE: int

    def measure(self, scale: int, say: Say) -> Figures: ...


def benchmark(name: str) -> Benchmark:
    """Return the named one of `BENCHMARKS`; loaded when asked for, so that one never waits for another's parts."""
    return cast("Benchmark", import_module(f"{__name__}.{name}"))
