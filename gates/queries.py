"""What pages and commands need to read."""

from datetime import datetime

from django.db.models import Case, Count, Exists, FloatField, IntegerField, Max, OuterRef, Q, QuerySet, Sum, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce, JSONObject
from django.db.models.lookups import GreaterThan

from gates.alerts.rechecking import WATCH
from gates.alerts.rules import system_crash
from gates.alerts.rules.findings import FOUND_AS
from gates.criteria import Gap, Judged
from gates.models import Alert, Beat, Run, RunEvent, Slot, StreamGap

MOST_GAPS = 1000  # the first one makes a run inconclusive; how many there were is only told
SEEN = ("stops", "positions")  # the checks whose values the criteria of gate 1 add up


def last_tick_age_s(now: datetime) -> float | None:
    """Return the age of the last tick in seconds, or None when there has been none."""
    last = Beat.objects.filter(kind="tick").values_list("last_at", flat=True).first()
    return None if last is None else (now - last).total_seconds()


def slot_counts(run: Run) -> dict[str, int]:
    """Return planned, passed, failed, inconclusive (holes among them) and holes."""
    return run.slots.aggregate(
        planned=Count("pk"),
        passed=Count("pk", filter=Q(verdict="passed")),
        failed=Count("pk", filter=Q(verdict="failed")),
        inconclusive=Count("pk", filter=Q(verdict="inconclusive")),
        holes=Count("pk", filter=Q(state=Slot.State.HOLE)),
    )


def judged_slots(run: Run) -> list[Judged]:
    """Count the run's slots by check, state, verdict and whether they missed a stop, with what they saw together.

    Counted in the database: a run of 72 h has 9,144 slots, and its page is judged anew with every change. Only what
    slots of `SEEN` measured is read.
    """
    number = {
        key: Coalesce(Cast(KeyTextTransform(key, "result__measured"), IntegerField()), 0)
        for key in ("touches", "executed", "reconciliations", "reconciliation_mismatches")
    }
    worst = {
        key: Max(Cast(KeyTextTransform(key, "result__measured"), FloatField()))
        for key in ("latency_max_ms", "slippage_worst_pips")
    }
    missed = Case(When(GreaterThan(number["touches"], number["executed"]), then=True), default=False)
    slots, done_and_seen = run.slots.order_by(), Q(check_name__in=SEEN, state=Slot.State.DONE)
    seen = slots.filter(done_and_seen).values("check_name", "state", "verdict", missed=missed)
    together = JSONObject(
        touches=Sum(number["touches"]),
        executed=Sum(number["executed"]),
        reconciliations=Max(number["reconciliations"]),
        reconciliation_mismatches=Max(number["reconciliation_mismatches"]),
        **worst,
    )
    alike = ("check_name", "state", "verdict")
    rows = seen.annotate(count=Count("pk"), seen=together).values_list(*alike, "seen", "count")
    others = slots.exclude(done_and_seen).values(*alike).annotate(count=Count("pk")).values_list(*alike, "count")
    counted = [Judged(check, state, verdict, {}, count) for check, state, verdict, count in others]
    return counted + [Judged(*row) for row in rows]


def what_happened(run: Run) -> list[tuple[str, str]]:
    """Return the run's events as (kind, level), its findings and what only the watch saw as (rule, level)."""
    events = list(run.events.values_list("kind", "level"))
    found = run.findings.order_by().values_list("rule", "level").annotate(times=Count("pk"))
    repeated = [(rule, level) for rule, level, times in found for _ in range(times)]
    told = {FOUND_AS.get(rule, rule) for rule, level in repeated if level == "critical"}
    told |= {system_crash.RULE.name for kind, _ in events if kind == RunEvent.Kind.TARGET_DIED}
    watched = critical_of_the_watch(run).exclude(rule__in=told).values_list("rule", "level")
    return [*events, *repeated, *watched]


def critical_of_the_watch(run: Run) -> QuerySet[Alert]:
    """Return the run's critical alerts of which the watch saw something: it looks between the slots, which may all be
    clean. What was resolved has happened all the same."""
    return run.alerts.filter(level="critical", cause__by__contains=[WATCH])


def stands_by_slots() -> Q:
    """Of gaps: those that lie within slots of the stops, windows side by side, that have all passed."""
    stops = Slot.objects.filter(run=OuterRef("run"), check_name="stops")
    begins = stops.filter(window_start__lte=OuterRef("since"), window_end__gte=OuterRef("since"))
    ends = stops.filter(window_start__lte=OuterRef("until"), window_end__gte=OuterRef("until"))
    touching = stops.filter(window_start__lte=OuterRef("until"), window_end__gte=OuterRef("since"))
    unproven = touching.exclude(state=Slot.State.DONE, verdict="passed")
    return Q(Exists(begins)) & Q(Exists(ends)) & ~Q(Exists(unproven))


def gaps_that_stayed(run: Run) -> list[Gap]:
    """Return the gaps of the run's streams that nothing stands for, in order of time; at most `MOST_GAPS`.

    Not those that were read again, nor those over which the slots of the stops passed: a slot reads each touch anew
    from the broker's own candles and transactions, so that it needs no stream.
    """
    gaps = StreamGap.objects.filter(run=run, repaired=False).exclude(stands_by_slots()).order_by("since", "pk")
    return [Gap(*row) for row in gaps.values_list("kind", "since", "until")[:MOST_GAPS]]
