"""The queues between beat and workers, asked of Redis or Valkey with a short limit: it may be what is ill."""

from collections.abc import Iterator
from datetime import datetime

import redis
from django.conf import settings
from prometheus_client.metrics_core import Metric

from gates.metrics.families import gauge, single

QUEUES = ("tick", "checks")
UNACKNOWLEDGED = "unacked"  # where kombu keeps what a worker has taken and not finished
LIMIT_S = 1.0


def queues(now: datetime) -> Iterator[Metric]:
    """How many messages wait; the rows hold the work, so a long queue is late and never lost."""
    depths = _depths()
    yield gauge("broker_up", "1 while Redis or Valkey answers within a second.", (), single(float(depths is not None)))
    yield gauge(
        "queue_messages",
        "Messages that wait in a queue, or that a worker has taken and not finished.",
        ("queue",),
        (((name,), n) for name, n in (depths or {}).items()),
    )


def _depths() -> dict[str, int] | None:
    try:
        address = settings.ENVIRONMENT.redis_url.get_secret_value()
        with redis.Redis.from_url(address, socket_timeout=LIMIT_S, socket_connect_timeout=LIMIT_S) as server:
            asked = server.pipeline(transaction=False)
            for name in QUEUES:
                asked.llen(name)
            asked.hlen(UNACKNOWLEDGED)
            return dict(zip((*QUEUES, UNACKNOWLEDGED), asked.execute(), strict=True))
    except (redis.RedisError, OSError):
        return None
