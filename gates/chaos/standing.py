"""What the rows of a run of gate 2 say of its criteria, of recovery times, and of the durable states."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import quantiles
from typing import Any

from django.db.models import QuerySet

from audits.verdicts import Verdict
from gates.chaos.cells.noise import Noise
from gates.chaos.cells.resting import open_trades
from gates.chaos.criteria import RECOVERY_RULES, ScenarioSeen, chaos_criteria
from gates.chaos.scenarios import NAMES
from gates.chaos.strikes.invariants import RULES
from gates.chaos.strikes.outlasting import KEEPS_WAITING, Waited, length_ms
from gates.criteria import Criterion
from gates.models import ChaosRun, CrashPoint, OperationBaseline, Run, ScenarioRun

HELD_IN = "clean__start__broker"  # the broker's transactions when the clean run begins
MOST_HELD = 2


def chaos_criteria_of(run: Run) -> tuple[Criterion, ...]:
    """Judge a run of gate 2 from its rows as they are now."""
    chaos = ChaosRun.objects.get(run=run)
    scenarios = run.scenarios.select_related("slot").order_by("number")
    return chaos_criteria([_seen(each) for each in scenarios], partial=why_partial(chaos))


def why_partial(chaos: ChaosRun) -> str:
    """Why a run is a part of the gate only; empty for the whole gate."""
    if chaos.is_narrowed:
        return "It makes chosen strikes only: run the gate without narrowing it."
    missing = set(NAMES).difference(chaos.run.scenarios.values_list("name", flat=True))
    if missing:
        return f"It leaves out {len(missing)} of the {len(NAMES)} scenarios: run the gate without narrowing it."
    if chaos.depth < 2 and chaos.run.campaign.profile == "production":
        return "It strikes no recovery: production strikes twice."
    if chaos.sampled and chaos.run.campaign.profile == "production":
        return f"It is sampled, {chaos.sampled} strikes of each kind: production strikes everywhere."
    return ""


def builds_struck(run: Run) -> list[str]:
    """The builds that the program in the cells showed in the clean runs, "" among them where it showed none."""
    shown = OperationBaseline.objects.filter(scenario__run=run).order_by("build")
    return list(shown.values_list("build", flat=True).distinct())


def recovery_times(scenario: ScenarioRun) -> dict[str, float | None]:
    """p50, p99 and the longest recovery in milliseconds; None where nothing recovered."""
    points = scenario.crash_points.filter(recovery_ms__isnull=False, verdict=Verdict.PASSED)
    return spread([time_ms for time_ms in points.values_list("recovery_ms", flat=True) if time_ms is not None])


def spread(times_ms: Sequence[float]) -> dict[str, float | None]:
    """p50, p99 and the longest of the times; None where there is none."""
    times = sorted(times_ms)
    if not times:
        return {"p50_ms": None, "p99_ms": None, "max_ms": None}
    cuts = quantiles(times, n=100, method="inclusive") if len(times) > 1 else times * 99
    return {"p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1), "max_ms": times[-1]}


def durable_states(scenario: ScenarioRun) -> dict[str, Any]:
    """How many durable states the kills left, and whether recoveries from one state ever came to different verdicts.

    Only recoveries that were followed count: a crash point that another one stands for proves nothing of its own.
    """
    states: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    kills = scenario.crash_points.exclude(state_after_kill="").filter(same_as=None, applies=True, half_open=False)
    for operation, state, verdict in kills.values_list("operation", "state_after_kill", "verdict"):
        states[operation, state].add(str(verdict))
    return {
        "kills": scenario.crash_points.exclude(state_after_kill="").count(),
        "followed": kills.count(),
        "states": len(states),
        "verdicts_differ": sum(len(verdicts) > 1 for verdicts in states.values()),
        "silent": silent_recoveries(scenario.crash_points.all()),
    }


def silent_recoveries(points: QuerySet[CrashPoint]) -> int:
    """From how many durable states a recovery sends nothing, so that depth 2 has nothing to strike there."""
    return points.filter(recovery__silent=True).values("scenario", "operation", "state_after_kill").distinct().count()


def positions_of(recorded: QuerySet[OperationBaseline]) -> dict[str, int]:
    """How many positions were open when each operation was struck, the fewest of the clean runs; `open` needs none."""
    held: dict[str, int] = {}
    for name, broker in recorded.exclude(operation="open").order_by("pk").values_list("operation", HELD_IN):
        if broker is not None:
            held[name] = min(held.get(name, MOST_HELD), len(open_trades(broker)))
    return held


def not_compared(recorded: QuerySet[OperationBaseline]) -> dict[str, list[str]]:
    """By operation what differs from one clean run to the next, and was left out where a kill that is made again
    must leave the same state, and where states are counted; operations without such noise are left out here.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, noise in recorded.order_by("pk").values_list("operation", "clean__noise"):
        found[name].update(Noise.of(noise or {}).words)
    return {name: sorted(words) for name, words in found.items() if words}


def waits_of(scenario: ScenarioRun) -> list[Waited]:
    """The strikes with a receipt that kept the target waiting, and how it gave up."""
    struck = scenario.crash_points.filter(applies=True, receipt__isnull=False, strike__in=KEEPS_WAITING)
    listed = struck.order_by("number").values_list("strike", "fault", "parameters", "receipt__gave_up")
    return [Waited(strike, fault, length_ms(given), ended or "") for strike, fault, given, ended in listed]


def delays_of(scenario: ScenarioRun) -> list[dict[str, Any]]:
    """By how long the target was kept waiting, from the shortest: how many strikes, and of how many it gave up."""
    kinds: dict[tuple[str, int, str], list[bool]] = defaultdict(list)
    for each in waits_of(scenario):
        kinds[each.strike, each.length_ms, each.fault].append(bool(each.gave_up))
    return [
        {"fault": fault, "strike": strike, "length_ms": length, "strikes": len(ends), "gave_up": sum(ends)}
        for (strike, length, fault), ends in sorted(kinds.items())
    ]


def _seen(scenario: ScenarioRun) -> ScenarioSeen:
    points = list(scenario.crash_points.filter(applies=True).defer("changes", "messages", "log"))
    failed = [({found["rule"] for found in point.findings}, point) for point in points if point.verdict == "failed"]
    return ScenarioSeen(
        name=scenario.name,
        verdict=Verdict(scenario.slot.verdict) if scenario.slot.verdict else None,
        reason=scenario.reason,
        applicable=len(points),
        receipts=sum(point.receipt is not None for point in points),
        unproven=sum(point.verdict in (None, "inconclusive") for point in points),
        unrecovered=sum(_is_unrecovered(rules, point) for rules, point in failed),
        corrupted=sum(bool(rules - RECOVERY_RULES) for rules, _ in failed),
        failed_audit=sum(bool(rules - RECOVERY_RULES - RULES) for rules, _ in failed),
        own=scenario.name not in NAMES,
    )


def _is_unrecovered(rules: set[str], point: CrashPoint) -> bool:
    """A failure that names no rule is one that stands for another crash point's: nothing speaks for a recovery."""
    return bool(rules & RECOVERY_RULES) or not rules or (point.recovery_ms is None and point.same_as_id is None)
