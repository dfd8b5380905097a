"""The rows each page shows, read in few queries whatever the size of the run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self, cast

from django.db.models import Count, DateTimeField, F, Func, Max, Min, Q, QuerySet, Value

from audits.findings import Finding as PureFinding
from audits.findings import FindingGroup, grouped
from gates.models import Alert, Beat, Campaign, Finding, Run, RunEvent, Slot
from gates.models.campaigns import GATES
from gates.pages.curves import Band, Sample
from gates.pages.grid import COLUMNS, SlotGroup

TICK = "tick"
MOST_FINDINGS = 2000
MOST_EVENTS = 100
STATUS_WHERE = {
    "failed": Q(verdict="failed"),
    "inconclusive": Q(verdict="inconclusive"),
    "passed": Q(verdict="passed"),
    "waiting": Q(verdict__isnull=True),
}


@dataclass(frozen=True, slots=True)
class SlotCounts:
    """How the slots of a run add up; `due` are those whose time has come, `holes` those nobody filled in time."""

    planned: int
    due: int
    passed: int
    failed: int
    inconclusive: int
    holes: int

    @property
    def done(self) -> int:
        return self.passed + self.failed + self.inconclusive

    @classmethod
    def of(cls, groups: Sequence[SlotGroup]) -> Self:
        """Add up what the grid shows, which spares the database a second look at every slot of the run."""
        totals = {name: sum(group.counts[name] for group in groups) for name in STATUS_WHERE}
        return cls(
            planned=sum(totals.values()),
            due=sum(group.due for group in groups),
            passed=totals["passed"],
            failed=totals["failed"],
            inconclusive=totals["inconclusive"],
            holes=sum(group.holes for group in groups),
        )


@dataclass(frozen=True, slots=True)
class GateStep:
    """One gate of the rail: its status, its run if there is one, and why it is shut if it is."""

    number: int
    name: str
    status: str
    run: Run | None
    reason: str

    @property
    def shut(self) -> bool:
        return self.run is None


def status_of(row: Run | Slot | Campaign) -> str:
    """Return the verdict, else `running` for an open run and `waiting` for a slot that is not judged yet."""
    if row.verdict:
        return row.verdict
    return "waiting" if isinstance(row, Slot) else "running"


def last_tick_at() -> datetime | None:
    return Beat.objects.filter(kind=TICK).values_list("last_at", flat=True).first()


def slot_counts(run: Run, now: datetime) -> SlotCounts:
    counts = run.slots.aggregate(
        planned=Count("pk"),
        due=Count("pk", filter=Q(due_at__lte=now)),
        holes=Count("pk", filter=Q(state=Slot.State.HOLE)),
        **{name: Count("pk", filter=STATUS_WHERE[name]) for name in ("passed", "failed", "inconclusive")},
    )
    return SlotCounts(**counts)


def slot_groups(run: Run, now: datetime) -> list[SlotGroup]:
    """Count the run's slots by check and stretch of time, in the database, in the order of the plan."""
    stretch = Func(
        Value((run.planned_end - run.planned_start) // COLUMNS),
        "window_start",
        Value(run.planned_start),
        function="date_bin",  # whole microseconds: of slots on the edge of a stretch none falls on its wrong side
        output_field=DateTimeField(),
    )
    rows = (
        run.slots.annotate(stretch=stretch)
        .values("check_name", "stretch")
        .annotate(start=Min("window_start"), end=Max("window_end"), n=Count("pk"), one=Min("pk"))
        .annotate(**{name: Count("pk", filter=where) for name, where in STATUS_WHERE.items()})
        .annotate(due=Count("pk", filter=Q(due_at__lte=now)), holes=Count("pk", filter=Q(state=Slot.State.HOLE)))
        .order_by("check_name", "stretch")
    )
    order = [cadence["check_name"] for cadence in run.plan.get("cadences", ())]
    counted = cast("list[dict[str, Any]]", sorted(rows, key=lambda row: _place(row["check_name"], order)))
    return [
        SlotGroup(
            check=row["check_name"],
            start=row["start"],
            end=row["end"],
            counts={name: row[name] for name in STATUS_WHERE},
            slot_id=row["one"] if row["n"] == 1 else None,
            due=row["due"],
            holes=row["holes"],
        )
        for row in counted
    ]


def _place(check: str, order: list[str]) -> int:
    """Return where the plan puts the check; a check that is not in the plan comes last."""
    return order.index(check) if check in order else len(order)


def gate_rail(campaign: Campaign | None) -> list[GateStep]:
    """Return the four gates in order, each with its latest run, or with the reason why it is shut."""
    latest: dict[int, Run] = {}
    if campaign:
        latest = {run.gate: run for run in counted_runs().filter(campaign=campaign).order_by("planned_start")}
    steps: list[GateStep] = []
    for number, name in GATES:
        run = latest.get(number)
        status = status_of(run) if run else "waiting"
        steps.append(GateStep(number, name, status, run, "" if run else _why_shut(number, steps, campaign)))
    return steps


def counted_runs() -> QuerySet[Run]:
    """Return the runs that count towards the gates; one out of its turn or of a part is a campaign of its own."""
    return Run.objects.exclude(audit__counted=False).exclude(chaos__counted=False).exclude(live__counted=False)


def _why_shut(number: int, before: list[GateStep], campaign: Campaign | None) -> str:
    stopped = next((step for step in before if step.status in {"failed", "inconclusive"}), None)
    if stopped:
        return f"Stays shut: gate {stopped.number} {stopped.status}. A new campaign starts at gate 1."
    if number == 1:
        return "Open: the first gate of every campaign."
    waiting = next((step for step in before if step.status != "passed"), None)
    if waiting:
        return f"Opens when gate {waiting.number}, {waiting.name}, has passed."
    return "Open." if number < 4 else _why_capital_waits(campaign)


def _why_capital_waits(campaign: Campaign | None) -> str:
    if campaign is not None and not campaign.signable:
        return "Opens with a capital plan; a rehearsal may make its own."
    if campaign is not None and campaign.state == Campaign.State.APPROVED:
        return "Signed off: opens with an approved capital plan."
    return "Opens when gates 1 to 3 are signed off."


def standing(criteria: list[dict[str, Any]], counts: SlotCounts) -> list[dict[str, Any]]:
    """Return the criteria of a run that goes on: what is only waiting is `running`, not yet inconclusive.

    Once a slot is inconclusive its word stays; a failure stays in any case.
    """
    if counts.inconclusive:
        return criteria
    waiting = {"verdict": "running", "reason": ""}
    return [line | waiting if line["verdict"] == "inconclusive" else line for line in criteria]


def open_alerts(run: Run | None = None) -> QuerySet[Alert]:
    """Alerts not resolved, least time left first."""
    alerts = Alert.objects.exclude(state=Alert.State.RESOLVED).select_related("target", "run")
    return (alerts.filter(run=run) if run else alerts).order_by("deadline_at", "pk")


def finding_groups(findings: QuerySet[Finding]) -> tuple[FindingGroup, ...]:
    """Group the first findings by rule; the rows carry their own address."""
    rows = list(findings.order_by("found_at", "pk")[:MOST_FINDINGS])
    return grouped(cast("Iterable[PureFinding]", rows))


def samples(run: Run) -> list[Sample]:
    """What the slots measured, in order of time, for the curves."""
    rows = run.slots.filter(result__isnull=False).order_by("due_at").values_list("due_at", "result__measured")
    return [Sample(at, measured) for at, measured in rows if isinstance(measured, dict)]


def away_bands(run: Run, now: datetime) -> list[Band]:
    """The stretches in which the target was away, from the log; still away reaches to now or the run's end."""
    died, back = RunEvent.Kind.TARGET_DIED, RunEvent.Kind.TARGET_BACK
    bands, since = [], None
    for at, kind in run.events.filter(kind__in=[died, back]).values_list("at", "kind")[:200]:
        if kind == died:
            since = since or at
        elif since:
            bands.append(Band(since, at, "target away"))
            since = None
    if since:
        bands.append(Band(since, min(now, run.closed_at or now), "target away"))
    return bands


def dashboard_cursor() -> str:
    """Return a text that changes whenever the dashboard would: runs, alerts, or a campaign."""
    runs = Run.objects.aggregate(n=Count("pk"), moved=Max("pk"))
    moving = Run.objects.filter(state=Run.State.RUNNING).order_by("pk").values_list("pk", F("cursor"))[:20]
    alerts = open_alerts().aggregate(
        n=Count("pk"), last=Max("raised_at"), acknowledged=Count("pk", filter=Q(state="acknowledged"))
    )
    campaigns = Campaign.objects.aggregate(n=Count("pk"), ended=Max("ended_at"))
    parts: list[Any] = [*runs.values(), *alerts.values(), *campaigns.values()]
    return "-".join(_compact(part) for part in parts) + "".join(f".{pk}.{cursor}" for pk, cursor in moving)


def _compact(value: Any) -> str:
    return str(int(value.timestamp() * 1000)) if isinstance(value, datetime) else str(value or 0)


def overdue(alert: Alert, now: datetime) -> timedelta:
    """Time past the deadline; negative while there is time left."""
    return now - alert.deadline_at
