"""How a figure is written: one family of a name, its sentence, its labels, and the values it has now."""

from collections.abc import Iterable
from typing import Any

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

PREFIX = "wartest_"
Values = Iterable[tuple[tuple[Any, ...], float]]


def gauge(name: str, sentence: str, labels: tuple[str, ...] = (), values: Values = ()) -> Metric:
    """Return what may rise and fall; `values` are (label values, number)."""
    family = GaugeMetricFamily(f"{PREFIX}{name}", sentence, labels=labels)
    for of, value in values:
        family.add_metric([str(one) for one in of], value)
    return family


def counter(name: str, sentence: str, labels: tuple[str, ...] = (), values: Values = ()) -> Metric:
    """Return what only rises; Prometheus knows it as `name_total`."""
    family = CounterMetricFamily(f"{PREFIX}{name}", sentence, labels=labels)
    for of, value in values:
        family.add_metric([str(one) for one in of], value)
    return family


def single(value: float | None) -> Values:
    """One value without labels; none where nothing is known, so that an absent figure is seen as absent."""
    return () if value is None else (((), value),)
