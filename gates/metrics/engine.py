"""The engine and the gates: heartbeats, runs, slots that wait, holes, strikes of chaos."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count, Max, Min, QuerySet
from prometheus_client.metrics_core import Metric

from gates.metrics.families import gauge, single
from gates.models import Beat, CrashPoint, Heal, Run, Slot

MOST_WAITING = 10_000
MOST_RUNS = 1000
RUN = ("target", "run")
OF = ("scenario__run__campaign__target__name", "scenario__run")


def running() -> QuerySet[Run]:
    """The runs that go on: the only ones whose rows are counted."""
    return Run.objects.filter(state=Run.State.RUNNING)


def beats(now: datetime) -> Iterator[Metric]:
    """Ages of the heartbeats of our own processes; the tick's has a name of its own, since all hangs on it."""
    ages = [(kind, (now - at).total_seconds()) for kind, at in Beat.objects.values_list("kind", "last_at")]
    tick_s = dict(ages).get("tick")
    yield gauge("last_tick_age_seconds", "Age of the engine's last tick; absent before the first.", (), single(tick_s))
    yield gauge(
        "beat_age_seconds",
        "Age of the last heartbeat of each of our own processes.",
        ("process",),
        (((kind,), age_s) for kind, age_s in ages),
    )


def runs(now: datetime) -> Iterator[Metric]:
    """Which gates run, how far they are, and what nobody filled."""
    rows = list(running().select_related("campaign__target").order_by("pk")[:MOST_RUNS])
    of = {row.pk: (row.campaign.target.name, row.pk) for row in rows}
    yield gauge(
        "run_progress_ratio",
        "Part of a running run's planned time that has passed, 0 to 1.",
        (*RUN, "gate", "profile"),
        (((*of[row.pk], row.gate, row.campaign.profile), row.progress(now)) for row in rows),
    )
    holes = Slot.objects.filter(state=Slot.State.HOLE, run__in=list(of)).order_by()
    counted = dict(holes.values_list("run").annotate(n=Count("pk")))
    yield gauge(
        "slot_holes",
        "Slots of a running run that nobody filled in time.",
        RUN,
        ((labels, counted.get(pk, 0)) for pk, labels in of.items()),
    )


def slots(now: datetime) -> Iterator[Metric]:
    """Slots whose time has come and that are not judged yet."""
    due = Slot.objects.filter(state=Slot.State.DUE, due_at__lte=now).order_by("due_at")
    waiting = due.values("pk")[:MOST_WAITING].count()
    oldest = due.values_list("due_at", flat=True).first()
    yield gauge("slots_due", f"Slots due and not judged yet, at most {MOST_WAITING}.", (), single(waiting))
    age_s = (now - oldest).total_seconds() if oldest else 0.0
    yield gauge("slots_due_age_seconds", "How long the oldest due slot has waited.", (), single(age_s))


def chaos(now: datetime) -> Iterator[Metric]:
    """Strikes through the proxies of the running runs of gate 2, their recoveries, and what is still to be healed."""
    points = CrashPoint.objects.filter(scenario__run__in=running()).order_by()
    by_end = points.values_list(*OF, "phase", "verdict").annotate(n=Count("pk"))
    yield gauge(
        "chaos_strikes",
        "Crash points of a running gate 2 by phase and verdict.",
        (*RUN, "phase", "verdict"),
        (((target, run, phase, verdict or ""), n) for target, run, phase, verdict, n in by_end),
    )
    struck = points.filter(receipt__isnull=False).values_list(*OF)
    seen = list(struck.annotate(n=Count("pk"), slowest_ms=Max("recovery_ms")))
    yield gauge(
        "proxy_receipts",
        "Strikes that a proxy of a running gate 2 has proven with a receipt.",
        RUN,
        (((target, run), n) for target, run, n, _ in seen),
    )
    yield gauge(
        "chaos_recovery_max_seconds",
        "Slowest recovery of a running gate 2.",
        RUN,
        (((target, run), ms / 1000) for target, run, _, ms in seen if ms is not None),
    )
    open_heals = Heal.objects.filter(healed_at=None).aggregate(n=Count("pk"), oldest=Min("due_at"))
    late_s = (now - open_heals["oldest"]).total_seconds() if open_heals["oldest"] else 0.0
    yield gauge("chaos_heals_open", "Strikes that are not healed yet.", (), single(open_heals["n"]))
    yield gauge(
        "chaos_heal_late_seconds",
        "How long the oldest open heal is past its time; below 0 in time.",
        (),
        single(late_s),
    )
