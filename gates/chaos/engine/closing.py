"""Scenarios of which nothing is open any more: the verdicts of their crash points, merged into their slots."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from django.db.models import Max, Min, QuerySet

from audits.findings import Finding, Level
from audits.verdicts import Verdict, merge
from gates.chaos.cells.states import difference
from gates.chaos.engine.trial_rows import trial_of
from gates.chaos.engine.work import DEEPENED, move_scenario
from gates.chaos.messages import KILLS, Direction, Strike
from gates.chaos.scenarios import NAMES
from gates.chaos.standing import waits_of
from gates.chaos.strikes.invariants import Clean
from gates.chaos.strikes.outlasting import never_outlasted
from gates.checks.outcome import Outcome
from gates.engine import claim, record
from gates.models import ChaosRun, CrashPoint, ScenarioRun, Slot
from gates.models.chaos import Phase
from gates.storable import storable

KEPT_FINDINGS = 100
TOLD_MESSAGES = 5
AT_STATEMENTS = {Strike.LOCK_HELD.value, Strike.DEADLOCK.value}


def close_scenarios(run_id: int, *, worker: str, now: datetime) -> None:
    """Fill the slot of each scenario of which no crash point is open."""
    going = ScenarioRun.objects.filter(run_id=run_id).exclude(phase__in=(Phase.BASELINE, Phase.DONE))
    for scenario in going.select_related("slot"):
        if not scenario.crash_points.exclude(phase=Phase.DONE).exists():
            close_scenario(scenario, worker=worker, now=now)


def close_scenario(scenario: ScenarioRun, *, worker: str, now: datetime, reason: str = "") -> None:
    """Merge the verdicts of its crash points into its slot; with a `reason` it is inconclusive for that.

    Where another holds the slot nothing is written: the scenario stays open, and is closed with the slot later.
    """
    outcome = _outcome(scenario, storable(reason))
    slot = claim(scenario.slot_id, worker=worker, now=now)
    if slot is not None and record(slot, outcome, started_at=slot.window_start, now=now):
        ScenarioRun.objects.filter(pk=scenario.pk).update(reason=outcome.reason)
    if not Slot.objects.filter(pk=scenario.slot_id, state=Slot.State.DUE).exists():
        move_scenario(scenario.pk, Phase.DONE, now=now)


def _outcome(scenario: ScenarioRun, reason: str) -> Outcome:
    points = scenario.crash_points.all()
    struck = points.filter(applies=True)
    verdicts = [Verdict(verdict or Verdict.INCONCLUSIVE) for verdict in struck.values_list("verdict", flat=True)]
    verdict = Verdict.INCONCLUSIVE if reason else merge(verdicts)
    if verdict == Verdict.PASSED and (reason := _evidence_missing(scenario)):
        verdict = Verdict.INCONCLUSIVE
    worst = struck.filter(verdict=verdict).exclude(reason="").first()
    if not reason and not verdicts:
        first = points.first()
        reason = first.reason if first else _nothing_to_strike(scenario)
    elif not reason and worst is not None and verdict != Verdict.PASSED:
        reason = f"{worst.fault} at {worst.label} ({worst.operation}): {worst.reason}"
    times = struck.aggregate(recovery_min_ms=Min("recovery_ms"), recovery_max_ms=Max("recovery_ms"))
    measured = times | {
        "crash_points": points.count(),
        "applicable": len(verdicts),
        "passed": verdicts.count(Verdict.PASSED),
        "failed": verdicts.count(Verdict.FAILED),
        "inconclusive": verdicts.count(Verdict.INCONCLUSIVE),
        "receipts": struck.filter(receipt__isnull=False).count(),
    }
    return Outcome(verdict, reason, measured, _findings(struck))


def _nothing_to_strike(scenario: ScenarioRun) -> str:
    """Why no crash point was cut, in words: a name that was asked for, one of the target's own, or how it writes."""
    if ChaosRun.objects.get(run_id=scenario.run_id).is_narrowed:
        return "No crash point is left to strike: none of this name was recorded."
    if scenario.name in NAMES:
        return _never_aimed(scenario) or "Not applicable: there was nothing to strike."
    sent = "; ".join(f"{each.operation}: {_asked(each.messages)}" for each in scenario.baselines.all())
    return f"No strike had a message to hit: let `at` or `point` of the scenario name one of those of {sent}."


def _evidence_missing(scenario: ScenarioRun) -> str:
    """What was due and not struck, in words, see each; empty where nothing is missing, or only some strikes were asked
    for.
    """
    chaos = ChaosRun.objects.filter(run_id=scenario.run_id).first()
    if chaos is None or chaos.is_narrowed:
        return ""
    unstruck = _never_struck(scenario) if chaos.depth >= 2 else ""
    return unstruck or _never_outlasted(scenario) or _never_refused(scenario) or _never_aimed(scenario)


def _never_struck(scenario: ScenarioRun) -> str:
    """Which recovery was due to be struck at depth 2 and has no strike, in words; empty where none is missing.

    Due is the recovery from each durable state that a kill has left for sure and that was passed, unless it was shown
    to send nothing. States that only noise tells apart are two: their recoveries may differ as well. Where
    nothing exact is said, as by engines of before it was kept, none stands for another.
    """
    points = scenario.crash_points
    deepened = points.filter(DEEPENED).values_list("operation", "exact", "pk")
    struck = {(operation, exact or pk) for operation, exact, pk in deepened}
    plain = points.filter(verdict=Verdict.PASSED, strike__in=KILLS, half_open=False, then_point="")
    for point in plain.select_related("first"):
        if trial_of(point).leaves_one_state and (point.operation, point.exact or point.pk) not in struck:
            where = f"{point.fault} at {point.label} ({point.operation})"
            return f"The recovery from state {point.state_after_kill}, left by {where}, was never struck."
    return ""


def _never_outlasted(scenario: ScenarioRun) -> str:
    """Which strikes of a slow ledger or broker reached no timeout of the target; empty where each kind did."""
    return never_outlasted(scenario.name, waits_of(scenario))


def _never_refused(scenario: ScenarioRun) -> str:
    """That no strike saw a connection refused, in words; empty where one did, or none was made."""
    refusing = scenario.crash_points.filter(strike=Strike.REFUSE_CONNECTIONS)
    first = refusing.first()
    if first is None or refusing.filter(receipt__isnull=False).exists():
        return ""
    channel = trial_of(first).point.channel
    return (
        f"In none of {refusing.count()} strikes the target asked for a connection to the {channel} while they were "
        f"refused, though it was asked whether it is well: let its `ready` ask the {channel}, so that it is seen to "
        "connect again."
    )


def _never_aimed(scenario: ScenarioRun) -> str:
    """Which operation changes the books and no strike of the scenario had a message of it to hit, in words; empty where
    there is none. Locks and deadlocks are looked at apart: beside them there may be strikes that any message is good
    for.
    """
    aimed = set(scenario.crash_points.values_list("operation", "strike"))
    kinds = AT_STATEMENTS & {strike for _, strike in aimed}
    for baseline in scenario.baselines.order_by("operation"):
        strikes = {strike for operation, strike in aimed if operation == baseline.operation}
        missing = sorted(kinds - strikes) or ([] if strikes else ["strike"])
        clean = Clean.of(baseline.clean)
        if missing and (changed := difference(clean.start, clean.end)):
            return (
                f"No {missing[0]} had a message to hit in {baseline.operation}, which changes {', '.join(changed)}: "
                f"none of {_asked(baseline.messages)} is one that it strikes. Statements are known to write by INSERT, "
                "UPDATE, DELETE, MERGE, CALL or a function."
            )
    return ""


def _asked(messages: Sequence[Mapping[str, str]]) -> str:
    """The first few messages that an operation sent, each once."""
    told = list(dict.fromkeys(each["label"] for each in messages if each["direction"] == Direction.REQUEST))
    if not told:
        return "its messages"
    return ", ".join(f"'{label}'" for label in told[:TOLD_MESSAGES]) + (" …" if len(told) > TOLD_MESSAGES else "")


def _findings(points: QuerySet[CrashPoint]) -> tuple[Finding, ...]:
    """The first finding of each crash point that failed, as many as a page can show; where it was is in it."""
    found = []
    for point in points.filter(verdict=Verdict.FAILED).exclude(findings=[])[:KEPT_FINDINGS]:
        first = point.findings[0]
        where = {**first["where"], "crash_point": str(point.pk), "operation": point.operation, "at": point.label}
        found.append(
            Finding(
                rule=first["rule"],
                level=Level(first["level"]),
                sentence=f"{point.fault} at {point.label}: {first['sentence']}",
                expected=first["expected"],
                measured=first["measured"],
                difference=first["difference"],
                where=where | {"fault": point.fault},
            )
        )
    return tuple(found)
