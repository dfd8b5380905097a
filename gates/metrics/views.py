"""`/metrics`, for people who are signed in and for scrapers that hold the token of METRICS_TOKEN."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from secrets import compare_digest

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gates.metrics import alerts, engine, queues, streams
from gates.metrics.families import gauge, single

PARTS: tuple[Callable[[datetime], Iterator[Metric]], ...] = (
    engine.beats,
    engine.runs,
    engine.slots,
    alerts.alerts,
    alerts.rules,
    alerts.speed,
    alerts.outbox,
    streams.streams,
    streams.gaps,
    streams.lease,
    queues.queues,
    engine.chaos,
)
WHO = "Sign in, or send the token of METRICS_TOKEN: Authorization: Bearer TOKEN.\n"


class Figures(Collector):
    """All figures as they are at `now`, and how long it took to read them."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def collect(self) -> Iterator[Metric]:
        """Yield one family after another."""
        began = time.perf_counter()
        for part in PARTS:
            yield from part(self.now)
        took_s = time.perf_counter() - began
        yield gauge("scrape_seconds", "How long the portal took to read these figures.", (), single(took_s))


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer in the form that the scraper asks for; 401 to whoever is nobody."""
    if not (request.user.is_authenticated or _holds_token(request)):
        return HttpResponse(WHO, status=401, content_type="text/plain", headers={"WWW-Authenticate": "Bearer"})
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(timezone.now()))
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)


def _holds_token(request: HttpRequest) -> bool:
    """Whether the request carries the token; where none is set, nobody does."""
    token = settings.METRICS_TOKEN
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    return bool(token) and kind.lower() == "bearer" and compare_digest(given.strip().encode(), token.encode())
