"""What the report of gate 2 says beyond every report's fields: each scenario with each of its crash points."""

import shlex
from typing import Any

from gates.chaos.engine.trial_rows import trial_of
from gates.chaos.messages import Point
from gates.chaos.standing import (
    builds_struck,
    delays_of,
    durable_states,
    not_compared,
    positions_of,
    recovery_times,
    why_partial,
)
from gates.models import ChaosRun, CrashPoint, Run, ScenarioRun

MOST_FINDINGS = 100  # of one strike; all of them are in the run's kept file of strikes


def chaos_report_fields(run: Run) -> dict[str, Any]:
    """The scenarios with their crash points, and how the strikes were chosen."""
    chaos = ChaosRun.objects.select_related("run__campaign").get(run=run)
    scenarios = run.scenarios.select_related("slot").order_by("number")
    return {
        "scenarios": [_scenario(scenario) for scenario in scenarios],
        "chaos": {
            "mode": chaos.mode,
            "sampled": chaos.sampled,
            "depth": chaos.depth,
            "partial": why_partial(chaos) or None,
            "protection_limit_ms": run.baseline.get("protection_limit_ms"),
            "builds": [build or None for build in builds_struck(run)],
            "counted": chaos.counted,
            "not_counted_because": chaos.not_counted_because or None,
        },
    }


def repeat_command(point: CrashPoint) -> str:
    """The command that makes exactly this strike again."""
    words = ["--target", point.scenario.run.campaign.target.name, "--scenario", point.scenario.name]
    words += ["--operation", point.operation, "--point", point.point, "--strike", trial_of(point).first_fault]
    if point.then_point:
        words += ["--then", point.then_point]
    return f"uv run manage.py run_chaos_scenarios {shlex.join(words)}"


def _scenario(scenario: ScenarioRun) -> dict[str, Any]:
    points = list(scenario.crash_points.select_related("scenario__run__campaign__target", "first").order_by("number"))
    return {
        "name": scenario.name,
        "verdict": scenario.slot.verdict or "inconclusive",
        "reason": scenario.reason,
        "recovery": recovery_times(scenario),
        "durable_states": durable_states(scenario),
        "delays": delays_of(scenario),
        "positions_held": positions_of(scenario.baselines.all()),
        "not_compared": not_compared(scenario.baselines.all()),
        "background": {row.operation: [one["label"] for one in row.background] for row in scenario.baselines.all()},
        "crash_points": [_point(point) for point in points if point.applies],
        "not_applicable": [_not_applicable(point) for point in points if not point.applies],
    }


def _point(point: CrashPoint) -> dict[str, Any]:
    return {
        "point": point.point,
        "label": point.label,
        "operation": point.operation,
        "side": _side(point),
        "fault": point.fault,
        "depth": point.depth,
        "then": _then(point),
        "receipt": point.receipt,
        "verdict": point.verdict or "inconclusive",
        "reason": point.reason,
        "recovery_ms": point.recovery_ms,
        "findings": point.findings[:MOST_FINDINGS],
        "finding_count": len(point.findings),
        "end": point.end,
        "state_after_kill": point.state_after_kill or None,
        "same_as": point.same_as_id,
        "changes": point.changes,
        "repeat": repeat_command(point) if point.verdict != "passed" else None,
    }


def _then(point: CrashPoint) -> dict[str, str] | None:
    """The second strike: where in the recovery, and the durable state that it recovers from."""
    if point.first is None:
        return None
    second = {"point": point.then_point, "label": point.then_label, "strike": point.then_strike}
    return second | {"state": point.first.state_after_kill}


def _not_applicable(point: CrashPoint) -> dict[str, Any]:
    names = ("point", "label", "operation", "fault", "reason")
    return {name: getattr(point, name) for name in names} | {"then": _then(point)}


def _side(point: CrashPoint) -> str:
    """Before or after the message: a lost request is lost before it passes, a lost answer after its request has."""
    direction = Point.parse(point.point).direction
    return "after" if point.strike == "kill after" or direction == "answer" else "before"
