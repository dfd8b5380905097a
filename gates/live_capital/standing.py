"""What the rows of gate 4 say: its days, its criteria, its report."""

from datetime import datetime
from typing import Any

from django.db.models import Count, ExpressionWrapper, F, FloatField, IntegerField, Q, Value
from django.db.models.functions import Cast, Ceil, Extract
from django.utils import timezone

from gates import queries
from gates.criteria import Criterion
from gates.live_capital.criteria import Live, live_criteria
from gates.live_capital.days import Day, DaySlots, calendar
from gates.live_capital.environments import SIMULATED
from gates.live_capital.plans import AUDIT, LivePlan
from gates.live_capital.terms import Terms
from gates.models import CapitalPlan, LiveRun, Run, RunEvent, Slot, SlotResult

HAND = RunEvent.Kind.INTERVENTION


def terms_of(plan: CapitalPlan) -> Terms:
    """Return a plan's limits as the pure rules take them."""
    return Terms(
        amount=plan.amount,
        instruments=tuple(plan.instruments),
        order_size=plan.order_size,
        orders_per_minute=plan.orders_per_minute,
        daily_loss=plan.daily_loss,
        total_loss=plan.total_loss,
        ends_on=plan.ends_on,
    )


def days_of(run: Run, now: datetime) -> tuple[Day, ...]:
    """Return every day of the month, judged from its slots, events and critical alerts as they are now."""
    plan = LivePlan.stored(run.plan)
    events = run.events.filter(Q(level="critical") | Q(kind=HAND)).order_by("at").values_list("at", "sentence")
    watched = queries.critical_of_the_watch(run).order_by("event_at").values_list("event_at", "sentence")
    return calendar(run.planned_start, (plan.days, plan.day_s), _day_slots(run, plan), [*events, *watched], now)


def _day_slots(run: Run, plan: LivePlan) -> list[DaySlots]:
    """Count the slots by day, check and verdict, in the database: production has some fourteen thousand."""
    # A millisecond less, so that no float puts the end of a day into the next one.
    passed_s = F("ends_at_s") - Value(run.planned_start.timestamp() + 0.001, output_field=FloatField())
    number = Ceil(ExpressionWrapper(passed_s / plan.day_s, output_field=FloatField()))
    rows = run.slots.order_by().annotate(ends_at_s=Cast(Extract("window_end", "epoch"), FloatField()))
    counted = (
        rows.annotate(day=Cast(number, IntegerField()))
        .values("day", "check_name", "verdict")
        .annotate(count=Count("pk"), holes=Count("pk", filter=Q(state=Slot.State.HOLE)))
    )
    return [
        DaySlots(max(1, row["day"]), row["check_name"], row["verdict"], row["count"], row["holes"]) for row in counted
    ]


def live_criteria_of(run: Run) -> tuple[Criterion, ...]:
    """Judge a run of gate 4 from its rows as they are now."""
    hands = run.events.filter(kind=HAND).count()
    figures = latest_figures(run)
    live = Live(
        days=days_of(run, run.closed_at or timezone.now()),
        slots=queries.judged_slots(run),
        hands=hands,
        trades=int(figures.get("trades", 0)),
        gaps=queries.gaps_that_stayed(run),
    )
    return live_criteria(LivePlan.stored(run.plan), live)


def latest_figures(run: Run) -> dict[str, Any]:
    """Return what the newest performance slot measured; nothing before the first."""
    found = SlotResult.objects.filter(slot__run=run, slot__check_name="performance").order_by("-slot__due_at")
    return found.values_list("measured", flat=True).first() or {}


def months_of(live: LiveRun) -> list[LiveRun]:
    """Return every month of the same plan, the newest first: what was broken stays."""
    return list(LiveRun.objects.filter(plan=live.plan_id).select_related("run").order_by("-month"))


def live_report_fields(run: Run) -> dict[str, Any]:
    """Return what the report of gate 4 has besides the fields of every report."""
    live = LiveRun.objects.select_related("plan__proposed_by", "plan__decided_by").get(run=run)
    campaign, environment = run.campaign, "rehearsal" if live.environment == SIMULATED else live.environment
    return {
        "target": {"name": campaign.target.name, "build": campaign.build, "environment": environment},
        "counted": live.counted,
        "not_counted_because": live.not_counted_because,
        "snapshots": snapshots_of(run),
        "capital": {
            "environment": live.environment,
            "month": live.month,
            "plan": plan_words(live.plan),
            "days": [day_words(day) for day in days_of(run, run.closed_at or timezone.now())],
            "performance": latest_figures(run),
            "rehearsed": live.rehearsed,
            "opened": run.baseline.get("capital", {}),
            "broken_months": [
                {"month": month.month, "run": month.run_id, "verdict": month.run.verdict}
                for month in months_of(live)
                if month.month < live.month
            ],
        },
    }


def snapshots_of(run: Run) -> list[dict[str, Any]]:
    """Return the sealed books that the month's full audits judged: folder, moment, size, hash of the manifest."""
    audits = SlotResult.objects.filter(slot__run=run, slot__check_name=AUDIT).order_by("slot__due_at")
    return [
        measured["snapshot"] | {"folder": measured["folder"]}
        for measured in audits.values_list("measured", flat=True)
        if "snapshot" in measured
    ]


def day_words(day: Day) -> dict[str, Any]:
    """Return a day as JSON."""
    counts = {name: getattr(day, name) for name in ("planned", "passed", "failed", "inconclusive", "holes")}
    return {"day": day.number, "start": _utc(day.start), "verdict": day.status, "why": day.words} | counts


def plan_words(plan: CapitalPlan) -> dict[str, Any]:
    """Return a plan as JSON, money as text, with who proposed and who approved it."""
    return {
        "plan": plan.pk,
        "amount": f"{plan.amount:f}",
        "instruments": list(plan.instruments),
        "order_size": f"{plan.order_size:f}",
        "orders_per_minute": plan.orders_per_minute,
        "daily_loss": f"{plan.daily_loss:f}",
        "total_loss": f"{plan.total_loss:f}",
        "ends_on": plan.ends_on.isoformat(),
        "state": plan.state,
        "rehearsal": plan.rehearsal,
        "proposed_by": plan.proposed_by.get_username() if plan.proposed_by else None,
        "proposed_at": _utc(plan.proposed_at),
        "decided_by": plan.decided_by.get_username() if plan.decided_by else None,
        "decided_at": _utc(plan.decided_at),
        "decision": plan.decision,
    }


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
