"""What the pages of gate 2 read, in few queries whatever the number of crash points."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any, cast

from django.db.models import Count, Q, QuerySet
from django.utils.dateparse import parse_datetime

from gates.chaos.comparing import Comparison, ScenarioShown, Strike, compare, second_strike, worst_of
from gates.chaos.messages import Point
from gates.chaos.pages.chart import Chart, StrikeSeen, fault_words, sequence_chart
from gates.chaos.scenarios import SCENARIOS, scenarios_of
from gates.chaos.standing import spread
from gates.models import CrashPoint, Heal, Run, ScenarioRun
from gates.models.chaos import PHASES, Phase
from gates.targets.access import TargetUnreachableError

MOST_EARLIER = 12
LIST_FIELDS = ("messages", "log", "changes", "findings", "receipt", "parameters")  # what no list shows
TITLES = {scenario.name: scenario.title for scenario in SCENARIOS}
COUNTS = {
    "planned": Count("pk"),
    "done": Count("pk", filter=Q(phase=Phase.DONE)),
    "passed": Count("pk", filter=Q(applies=True, verdict="passed")),
    "failed": Count("pk", filter=Q(applies=True, verdict="failed")),
    "inconclusive": Count("pk", filter=Q(applies=True, verdict="inconclusive")),
    "not_applicable": Count("pk", filter=Q(applies=False)),
    "receipts": Count("pk", filter=Q(applies=True, receipt__isnull=False)),
}
NOTHING = dict.fromkeys(COUNTS, 0)


@dataclass(frozen=True, slots=True)
class ScenarioLine:
    """One scenario as a list shows it: its counts, its recovery times, and how long each phase is behind it."""

    scenario: ScenarioRun
    counts: dict[str, int]
    recovery: dict[str, float | None]

    @property
    def title(self) -> str:
        return title_of(self.scenario.name)

    @property
    def own(self) -> bool:
        """Whether the target's description adds it to the twelve."""
        return self.scenario.name not in TITLES

    @property
    def status(self) -> str:
        return scenario_status(self.scenario)

    @property
    def began(self) -> datetime | None:
        """When its first crash points were cut."""
        return phase_time(self.scenario.phase_at, Phase.ARMED)

    @property
    def took(self) -> timedelta | None:
        """From its crash points to its end."""
        end = phase_time(self.scenario.phase_at, Phase.DONE)
        return end - self.began if end and self.began else None

    @property
    def steps(self) -> list[tuple[str, bool, datetime | None]]:
        """Each phase, whether it is reached, and when the first strike reached it."""
        reached, at = PHASES.index(self.scenario.phase), self.scenario.phase_at
        return [(phase, place <= reached, phase_time(at, phase)) for place, phase in enumerate(PHASES)]


def title_of(name: str) -> str:
    """The scenario's name as the page shows it."""
    return TITLES.get(name, name.replace("_", " ").capitalize())


def expects_of(scenario: ScenarioRun) -> str:
    """What must come out of it, in words; empty for one that the target's description does not have any more."""
    try:
        every = scenarios_of(scenario.run.campaign.target.spec)
    except TargetUnreachableError:
        every = SCENARIOS
    return next((each.expects for each in every if each.name == scenario.name), "")


def scenario_status(scenario: ScenarioRun) -> str:
    """The verdict, else `running` once it has begun and `waiting` before."""
    if scenario.slot.verdict:
        return scenario.slot.verdict
    return "waiting" if scenario.phase == Phase.BASELINE and not scenario.worker else "running"


def point_status(point: CrashPoint) -> str:
    """The verdict, `skipped` where it does not apply, `running` once it has begun, else `waiting`."""
    if not point.applies:
        return "skipped"
    if point.verdict:
        return point.verdict
    return "running" if point.lease_until else "waiting"


@dataclass(frozen=True, slots=True)
class Step:
    """A phase that was reached: when, and how long it lasted, None of the last."""

    phase: str
    at: datetime
    lasted: timedelta | None

    @property
    def lasted_ms(self) -> float | None:
        return None if self.lasted is None else self.lasted.total_seconds() * 1000


def steps_of(phase_at: dict[str, str]) -> list[Step]:
    """The phases that were reached, in their order; one that was skipped is left out."""
    reached = [(phase, at) for phase in PHASES if (at := phase_time(phase_at, phase))]
    ends = [at for _, at in reached[1:]]
    return [Step(phase, at, end - at if end else None) for (phase, at), end in zip_longest(reached, ends)]


def phase_time(phase_at: dict[str, str], phase: str) -> datetime | None:
    """When a phase was reached."""
    return parse_datetime(phase_at[phase]) if phase in phase_at else None


def lines_of(scenarios: Iterable[ScenarioRun]) -> list[ScenarioLine]:
    """The scenarios with their counts and recovery times, in two queries for all of them."""
    listed = list(scenarios)
    points = CrashPoint.objects.filter(scenario__in=[each.pk for each in listed]).order_by()
    counted = {
        row["scenario"]: {name: row[name] for name in COUNTS}
        for row in cast("Iterable[dict[str, int]]", points.values("scenario").annotate(**COUNTS))
    }
    times: defaultdict[int, list[float]] = defaultdict(list)
    for scenario_id, recovery_ms in recovered(points).values_list("scenario", "recovery_ms"):
        times[scenario_id].append(cast("float", recovery_ms))
    return [ScenarioLine(each, counted.get(each.pk, NOTHING), spread(times[each.pk])) for each in listed]


def recovered(points: QuerySet[CrashPoint]) -> QuerySet[CrashPoint]:
    """Those whose recovery was seen and judged right."""
    return points.filter(recovery_ms__isnull=False, verdict="passed")


def totals_of(run: Run, lines: Sequence[ScenarioLine]) -> dict[str, Any]:
    """The run's counts, its recovery times, and its heals."""
    counts: dict[str, Any] = {name: sum(line.counts[name] for line in lines) for name in COUNTS}
    times = recovered(CrashPoint.objects.filter(scenario__run=run).order_by()).values_list("recovery_ms", flat=True)
    heals = Heal.objects.filter(crash_point__scenario__run=run).order_by()
    healed = Count("pk", filter=Q(healed_at__isnull=False, undone_by=None))  # what a person says is counted apart
    by_hand = Count("pk", filter=Q(undone_by__isnull=False))
    return counts | {
        "scenarios": len(lines),
        "scenarios_done": sum(line.scenario.phase == Phase.DONE for line in lines),
        "scenarios_passed": sum(line.status == "passed" for line in lines),
        "recovery": spread([time_ms for time_ms in times if time_ms is not None]),
        "heals": heals.aggregate(written=Count("pk"), healed=healed, undone_by_hand=by_hand),
    }


def charts_of(scenario: ScenarioRun) -> list[Chart]:
    """A sequence chart for each operation of which the clean run is recorded."""
    found = scenario.crash_points.filter(then_point="").defer(*LIST_FIELDS)
    strikes: defaultdict[str, list[StrikeSeen]] = defaultdict(list)
    for point in found:
        strikes[point.operation].append(strike_seen(point))
    baselines = scenario.baselines.order_by("pk")
    return [sequence_chart(each.operation, each.messages, strikes[each.operation]) for each in baselines]


def strike_seen(point: CrashPoint) -> StrikeSeen:
    """A crash point as the chart shows it, and what it says aloud."""
    status = point_status(point)
    word = {"skipped": "not applicable", "waiting": "not yet"}.get(status, status)
    words = f"{fault_words(point.fault)} at {point.then_label or point.label}: {word}"
    if point.same_as_id:
        words += ", from a durable state that another strike was followed from"
    elif point.recovery_ms is not None:
        words += f", recovered in {point.recovery_ms:.0f} ms"
    stands = point.same_as_id is not None
    return StrikeSeen(point.pk, point.point, point.fault, status, words, stands)


def seconds_of(scenario: ScenarioRun) -> list[tuple[CrashPoint, Chart]]:
    """The second strikes: a chart of the recovery from each first strike that was followed by more."""
    found = scenario.crash_points.exclude(then_point="").select_related("first").defer(*LIST_FIELDS)
    groups: dict[int, tuple[CrashPoint, list[CrashPoint]]] = {}
    for point in found:
        if point.first:
            groups.setdefault(point.first.pk, (point.first, []))[1].append(point)
    return [(first, recovery_chart(points)) for first, points in groups.values()]


def recovery_chart(seconds: Iterable[CrashPoint]) -> Chart:
    """The messages of a recovery that were struck, in their order, and the second strikes at each. No time is kept."""
    messages: dict[str, dict[str, Any]] = {}
    strikes: list[StrikeSeen] = []
    for second in seconds:
        at = Point.parse(second.then_point)
        said = {"channel": str(at.channel), "direction": str(at.direction), "label": second.then_label}
        messages.setdefault(second.then_point, {**said, "point": second.then_point, "at_ms": None})
        strikes.append(replace(strike_seen(second), point=second.then_point, fault=second.then_strike))
    return sequence_chart("recovery", messages.values(), strikes)


def earlier_lines(scenario: ScenarioRun) -> list[tuple[ScenarioLine, Comparison | None]]:
    """The same scenario of the same target, newest first, each compared with this one, which stands among them.

    A run of one crash point alone is left out: `struck_here` shows it. None where there is nothing to compare: this one
    itself, and as long as either still goes on.
    """
    same = ScenarioRun.objects.filter(name=scenario.name, run__campaign__target=scenario.run.campaign.target_id)
    campaigns = same.filter(Q(run__chaos__only_point="") | Q(pk=scenario.pk))
    found = campaigns.filter(pk__lte=scenario.pk).select_related("slot", "run__campaign", "run__chaos")
    listed = list(found.order_by("-pk")[:MOST_EARLIER])
    shown = _shown(listed)
    return [
        (line, None if line.scenario == scenario else compare(shown[line.scenario.pk], shown[scenario.pk]))
        if line.scenario.phase == scenario.phase == Phase.DONE
        else (line, None)
        for line in lines_of(listed)
    ]


def struck_here(point: CrashPoint) -> list[CrashPoint]:
    """The same strike of the same target, newest first, this one among them; by itself it is alone."""
    names = ("operation", "point", "fault", "then_point", "then_strike")
    found = CrashPoint.objects.filter(
        scenario__name=point.scenario.name,
        scenario__run__campaign__target=point.scenario.run.campaign.target_id,
        **{name: getattr(point, name) for name in names},
    )
    listed = found.select_related("scenario__run__campaign", "scenario__run__chaos").defer(*LIST_FIELDS)
    return list(listed.order_by("-pk")[:MOST_EARLIER])


def _shown(scenarios: Sequence[ScenarioRun]) -> dict[int, ScenarioShown]:
    """The verdicts of each scenario and of each of its strikes, as its report has them, in one query."""
    made: defaultdict[int, list[tuple[Strike, str]]] = defaultdict(list)
    skipped: defaultdict[int, dict[Strike, str]] = defaultdict(dict)
    points = CrashPoint.objects.filter(scenario__in=[each.pk for each in scenarios]).order_by("scenario", "number")
    names = ("operation", "point", "fault", "first__state_after_kill", "then_strike", "then_point")
    for scenario_id, verdict, applies, *named in points.values_list("scenario", "verdict", "applies", *names):
        operation, point, fault, state, then_strike, then_point = named
        second = second_strike(operation, state, then_strike, then_point) if then_point else None
        strike = second or (operation, point, fault, "")
        if applies:
            made[scenario_id].append((strike, verdict or "inconclusive"))
        else:
            skipped[scenario_id][strike] = "not applicable"
    return {
        each.pk: ScenarioShown(each.slot.verdict or "inconclusive", worst_of(made[each.pk]) | skipped[each.pk])
        for each in scenarios
    }
