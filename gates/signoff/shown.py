"""What a decision rests on, read for the page: the gates, what was not tested, findings, hands, and what is new."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Q

from gates.chaos.standing import builds_struck, not_compared, positions_of, silent_recoveries
from gates.models import (
    Campaign,
    ChaosRun,
    CrashPoint,
    Finding,
    LedgerAudit,
    OperationBaseline,
    Report,
    Review,
    Run,
    RunEvent,
    SignOff,
)
from gates.models.campaigns import GATES

MOST = 50


@dataclass(frozen=True, slots=True)
class GateShown:
    """One gate: its run with criteria and sealed report, or why there is none yet."""

    number: int
    name: str
    status: str
    run: Run | None
    report: Report | None
    words: str

    @property
    def took(self) -> timedelta | None:
        return self.run.closed_at - self.run.planned_start if self.run and self.run.closed_at else None


@dataclass(frozen=True, slots=True)
class Untested:
    """One thing that no gate of this campaign says anything about."""

    what: str
    because: str


@dataclass(frozen=True, slots=True)
class Changed:
    """One fact that is not what it was in the campaign that was signed last."""

    what: str
    before: str
    now: str


def gates_shown(campaign: Campaign) -> tuple[GateShown, ...]:
    """Return the four gates, each by its latest run."""
    latest: dict[int, Run] = {run.gate: run for run in campaign.runs.order_by("planned_start", "pk")}
    written = Report.objects.filter(run__in=latest.values()).only("pk", "run", "sha256", "file_name", "verdict")
    reports = {report.run_id: report for report in written}
    return tuple(_gate(number, name, latest.get(number), reports) for number, name in GATES)


def _gate(number: int, name: str, run: Run | None, reports: dict[int | None, Report]) -> GateShown:
    if run is None:
        words = "Opens after this decision." if number == 4 else "Has not run."
        return GateShown(number, name, "waiting", None, None, words)
    return GateShown(number, name, run.verdict or "running", run, reports.get(run.pk), "")


def untested(campaign: Campaign, gates: Iterable[GateShown]) -> tuple[Untested, ...]:
    """Return what the gates do not speak of: what did not apply, what was sampled or assumed, what only money shows."""
    runs = {gate.number: gate.run for gate in gates if gate.run}
    return (*_environment(campaign, runs), *_chaos(runs.get(2)), *_audit(runs.get(3)), *_starting(campaign))


def _environment(campaign: Campaign, runs: dict[int, Run]) -> Iterator[Untested]:
    spec = campaign.target.spec
    ledger, broker = spec.get("ledger", {}), spec.get("broker", {})
    if str(ledger.get("url", "")).startswith("rehearsal:"):
        yield Untested("A market", "The bundled broker made the prices: no real market was met in gates 1 to 3.")
    else:
        yield Untested(
            "Fills of real money", f"Gates 1 to 3 ran against {broker.get('url') or 'a practice account'}: see gate 4."
        )
    if 4 not in runs:
        yield Untested("Real money", "Gate 4 comes after this decision, with small capital and for thirty days.")
    if 1 in runs and runs[1].closed_at:
        hours = (runs[1].closed_at - runs[1].planned_start).total_seconds() / 3600
        yield Untested("Longer or busier times", f"Gate 1 saw {hours:,.1f} hours; more load than those had is unknown.")
    yield from _unlike_production(campaign, runs)
    yield Untested("The strategy", "That orders, books and recovery are right says nothing of whether it earns money.")


def _unlike_production(campaign: Campaign, runs: dict[int, Run]) -> Iterator[Untested]:
    """Gate by gate what differed where it ran; preflight's own look only where no run said where it was taken."""
    taken = [(gate, seen) for gate, run in sorted(runs.items()) if (seen := run.baseline.get("environment"))]
    for gate, seen in taken:
        differing = [line["fact"] for line in seen["differences"]]
        if differing:
            words = f"Gate {gate} ran where {len(differing)} facts differ: {', '.join(differing[:MOST])}."
            yield Untested("Production's environment", words)
    if taken and not any(seen["compared"] for _, seen in taken):
        why = taken[0][1]["not_compared_because"]
        yield Untested("Production's environment", f"It was compared with nothing: {why}.")
    last = campaign.target.preflights.first()
    if not taken and last is not None and last.differences:
        facts = ", ".join(line["fact"] for line in last.differences[:MOST])
        yield Untested("Production's environment", f"Preflight saw {len(last.differences)} facts that differ: {facts}.")


def _chaos(run: Run | None) -> Iterator[Untested]:
    chaos = ChaosRun.objects.filter(run=run).first() if run else None
    if run is None or chaos is None:
        return
    yield Untested("Kills at the live broker", "Gate 2 struck copies of the target, each with a broker of its own.")
    if "" in builds_struck(run):
        yield Untested("Which build was struck", "Gate 2's program shows none: only the description says which it was.")
    if chaos.sampled:
        yield Untested("Every crash point", f"Sampled: {chaos.sampled} strikes of each kind and operation.")
    if chaos.mode == ChaosRun.Mode.QUICK:
        same = CrashPoint.objects.filter(scenario__run=run, same_as__isnull=False).count()
        yield Untested("Every recovery", f"Quick mode: {same:,} strikes rest on the recovery of another one.")
    if chaos.depth < 2:
        yield Untested("Kills during a recovery", "One strike at a time: no recovery was struck itself.")
    elif silent := silent_recoveries(CrashPoint.objects.filter(scenario__run=run)):
        words = f"States from which one sends nothing, so that no message of it could be struck: {silent:,}."
        yield Untested("Kills during some recoveries", words)
    yield from _positions(run)
    yield from _not_compared(run)
    apart = CrashPoint.objects.filter(scenario__run=run, applies=False)
    for row in apart.values("fault").annotate(n=Count("pk"), why=Max("reason")).order_by("-n", "fault")[:MOST]:
        yield Untested(f"{row['fault'].capitalize()} at {row['n']:,} points", row["why"] or "It did not apply.")
    background = run.scenarios.filter(baselines__background__0__isnull=False).distinct().count()
    if background:
        yield Untested(
            "Messages that come by themselves",
            f"In {background} scenarios some came in one of two recordings only, and were not struck.",
        )


def _positions(run: Run) -> Iterator[Untested]:
    held = positions_of(OperationBaseline.objects.filter(scenario__run=run))
    if alone := ", ".join(name.replace("_", " ") for name, count in sorted(held.items()) if count < 2):
        words = f"Struck from one open position: {alone}. What is done twice had no second one to be done to."
        yield Untested("More than one position", words)


def _not_compared(run: Run) -> Iterator[Untested]:
    named = not_compared(OperationBaseline.objects.filter(scenario__run=run))
    if names := sorted({name for names in named.values() for name in names}):
        more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
        listed = f"{', '.join(names[:MOST])}{more}"
        words = f"A kill that was made again was taken to leave the same state whatever differed in {listed}."
        yield Untested("What differs between two clean runs", words)


def _audit(run: Run | None) -> Iterator[Untested]:
    if run is None or not LedgerAudit.objects.filter(run=run).exists():
        return
    for name, reason in run.slots.filter(result__measured__applies=False).values_list("check_name", "result__reason"):
        yield Untested(f"The check {name.replace('_', ' ')}", reason or "It has no object in these books.")


def _starting(campaign: Campaign) -> Iterator[Untested]:
    if campaign.started_by_id is None:
        yield Untested(
            "Who started it", "It was started in a terminal: whoever approves also says that it was not they."
        )


@dataclass(frozen=True, slots=True)
class FindingsShown:
    """Findings that are understood alike: rule, level and what was made of them."""

    state: str
    rule: str
    level: str
    count: int
    cause: str
    first: Finding


def findings_shown(campaign: Campaign) -> list[FindingsShown]:
    """Group the campaign's findings by state, rule and cause: what is open first."""
    found = Finding.objects.filter(run__campaign=campaign).order_by()
    rows = list(found.values("state", "rule", "level", "cause").annotate(n=Count("pk"), one=Max("pk")))
    rows.sort(key=lambda row: (row["state"] != Finding.State.TO_INVESTIGATE, row["state"], row["rule"]))
    one = Finding.objects.in_bulk([row["one"] for row in rows[:MOST]])
    return [
        FindingsShown(row["state"], row["rule"], row["level"], row["n"], row["cause"], one[row["one"]])
        for row in rows[:MOST]
    ]


def interventions(campaign: Campaign) -> list[RunEvent]:
    hands = RunEvent.objects.filter(run__campaign=campaign, kind=RunEvent.Kind.INTERVENTION)
    return list(hands.select_related("run").order_by("at", "pk")[:MOST])


@dataclass(frozen=True, slots=True)
class Looks:
    """The reviews that people owed the runs: how many were written and missed, and the written ones."""

    written: list[Review]
    owed: int
    missed: int


def looks(campaign: Campaign, now: datetime) -> Looks:
    """Return the reviews owed until now; one whose time is not over is neither owed nor missed yet."""
    reviews = Review.objects.filter(run__campaign=campaign)
    owed = reviews.filter(Q(done_at__isnull=False) | Q(due_at__lt=now))
    written = owed.filter(done_at__isnull=False).select_related("person").order_by("done_at")
    return Looks(list(written[:MOST]), owed.count(), owed.filter(done_at=None).count())


def earlier(campaign: Campaign) -> list[Campaign]:
    """Return the campaigns before this one in the same profile, newest first, with their incidents.

    They are those of the target, and those of another name that were on the same account of the broker.
    """
    first = campaign.runs.filter(gate=1).values_list("baseline__account", flat=True).first()
    same = Q(target=campaign.target) | (Q(runs__gate=1, runs__baseline__account=first) if first else Q())
    before = Campaign.objects.filter(same, profile=campaign.profile, started_at__lt=campaign.started_at)
    return list(before.select_related("target").distinct().order_by("-started_at", "-pk")[:10])


def last_signed(campaign: Campaign) -> Campaign | None:
    """Return the target's newest campaign before this one that was approved for live capital."""
    decided = Q(state__in=[Campaign.State.APPROVED, Campaign.State.LIVE, Campaign.State.ENDED])
    approved = Campaign.objects.filter(
        decided | Q(sign_offs__decision=SignOff.Decision.APPROVE),
        target=campaign.target,
        profile="production",
        started_at__lt=campaign.started_at,
    )
    return approved.order_by("-started_at", "-pk").first()


def differences(before: Campaign, now: Campaign) -> tuple[Changed, ...]:
    """Return what is not as it was: build, plans, and each criterion's measured values."""
    facts = [("Build", before.build, now.build)]
    old, new = _criteria(before), _criteria(now)
    facts += [(name, old.get(name, "–"), new.get(name, "–")) for name in dict.fromkeys([*old, *new])]
    return tuple(Changed(*fact) for fact in facts if fact[1] != fact[2])


def _criteria(campaign: Campaign) -> dict[str, str]:
    """Return each gate's criteria as `gate 1: stops executed, required` and the measured value of each."""
    facts: dict[str, str] = {}
    for run in campaign.runs.filter(gate__lt=4).order_by("gate", "pk"):
        for line in run.criteria:
            facts[f"Gate {run.gate}: {line['name']}"] = _value(line)
    return facts


def _value(line: dict[str, Any]) -> str:
    return f"{line.get('measured', '–')} (required: {line.get('required', '–')})"


def as_of(campaign: Campaign) -> datetime | None:
    """Return when the newest of what is decided about was measured."""
    return campaign.runs.aggregate(last=Max("closed_at"))["last"]
