"""The brokers' streams of the running runs: how old, how often cut, what could not be read."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count
from prometheus_client.metrics_core import Metric

from gates.metrics.engine import MOST_RUNS, running
from gates.metrics.families import counter, gauge, single
from gates.models import Stream, StreamGap, StreamLease
from gates.streams.lease import NAME

STREAM = ("target", "run", "stream")
OF_RUN = "run__campaign__target__name"


def streams(now: datetime) -> Iterator[Metric]:
    """One figure of each kind for each stream that is held; a stream without a line yet has no age."""
    held = Stream.objects.filter(run__in=running()).order_by("run", "kind")
    names = (OF_RUN, "run_id", "kind", "state", "last_line_at", "lines", "unreadable", "connections")
    rows = list(held.values_list(*names)[: 2 * MOST_RUNS])
    yield gauge(
        "stream_age_seconds",
        "Age of a stream's last line, heartbeats included; absent before the first.",
        STREAM,
        ((row[:3], (now - row[4]).total_seconds()) for row in rows if row[4]),
    )
    yield gauge(
        "stream_connected",
        "1 while the stream is connected.",
        STREAM,
        ((row[:3], float(row[3] == Stream.State.CONNECTED)) for row in rows),
    )
    for place, name, sentence in (
        (5, "stream_lines", "Lines that a stream told."),
        (6, "stream_lines_unreadable", "Lines that could not be read, or went back in time."),
        (7, "stream_connections", "Connections that a stream took."),
    ):
        yield counter(name, sentence, STREAM, ((row[:3], row[place]) for row in rows))


def gaps(now: datetime) -> Iterator[Metric]:
    """Gaps of the running runs' streams; what stayed makes their stops inconclusive."""
    found = StreamGap.objects.filter(run__in=running()).order_by().values_list(OF_RUN, "run_id", "kind", "repaired")
    yield gauge(
        "stream_gaps",
        "Gaps in the streams of a running run; one that is not repaired makes its stops inconclusive.",
        (*STREAM, "repaired"),
        (
            ((target, run, kind, "yes" if repaired else "no"), n)
            for target, run, kind, repaired, n in found.annotate(n=Count("pk"))
        ),
    )


def lease(now: datetime) -> Iterator[Metric]:
    """How long the lease of the streams still holds; below 0 nobody holds them."""
    until = StreamLease.objects.filter(name=NAME).values_list("lease_until", flat=True).first()
    left_s = (until - now).total_seconds() if until else None
    yield gauge(
        "stream_lease_seconds", "Time left on the lease of the streams; below 0 nobody holds them.", (), single(left_s)
    )
