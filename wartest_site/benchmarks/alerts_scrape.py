"""What a scrape of `/metrics` costs while so many targets run, beside what writing the same answer alone costs."""

import statistics
import time
from collections.abc import Callable
from datetime import timedelta

from django.contrib.auth.models import User
from django.test import RequestFactory
from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from gates.metrics.views import Figures as Told
from gates.metrics.views import metrics
from gates.models import Run, Slot
from wartest_site.benchmarks import Figures, Say

SLOTS_OF_A_RUN = 100
DUE_OF_THEM = 10
TIMES = 15


class _Kept:
    """Figures that were read before: telling them again asks the database nothing."""

    def __init__(self, told: list[Metric]) -> None:
        self.told = told

    def collect(self) -> list[Metric]:
        return self.told


def scrape(runs: list[Run], say: Say) -> Figures:
    """Cut slots for each run, ask again and again, and return the medians in ms; the floor is the writing alone."""
    now = timezone.now()
    Slot.objects.bulk_create(
        Slot(run=run, check_name="health", window_start=at, window_end=at, due_at=at, grace_until=at)
        for run in runs
        for at in (now + timedelta(minutes=number - DUE_OF_THEM) for number in range(SLOTS_OF_A_RUN))
    )
    request = RequestFactory().get("/metrics")
    request.user = User()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Kept(list(Told(now).collect())))
    encode, _ = choose_encoder("")
    whole, floor = _median_ms(lambda: metrics(request)), _median_ms(lambda: encode(registry))
    size = len(metrics(request).content)
    figures = {"scrape_ms": whole, "scrape_floor_ms": floor, "scrape_over_floor": round(whole / floor, 1)}
    say(f"a scrape with {len(runs) * SLOTS_OF_A_RUN:,} slots, {size:,} bytes: {figures}")
    return figures


def _median_ms(step: Callable[[], object]) -> float:
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        step()
        took.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(took), 2)
