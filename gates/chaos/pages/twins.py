"""The `.json` twins of the pages of gate 2."""

from collections.abc import Iterable
from typing import Any

from gates.chaos.comparing import Comparison
from gates.chaos.pages.chart import Chart, StrikeSeen
from gates.chaos.pages.rows import ScenarioLine, point_status
from gates.chaos.reporting import repeat_command
from gates.chaos.standing import builds_struck
from gates.models import ChaosRun, CrashPoint, Run
from gates.pages import twins


def chaos_twin(run: Run, chaos: ChaosRun) -> dict[str, Any]:
    return {
        **twins.run_twin(run),
        "counted": chaos.counted,
        "not_counted_because": chaos.not_counted_because,
        "started_by": chaos.started_by.get_username() if chaos.started_by else None,
        "mode": chaos.mode,
        "sampled": chaos.sampled,
        "depth": chaos.depth,
        "builds": [build or None for build in builds_struck(run)],
        "only": {
            "operation": chaos.only_operation,
            "point": chaos.only_point,
            "strike": chaos.only_strike,
            "then": chaos.only_then,
        },
        "cells": chaos.cells,
        "trouble": chaos.trouble,
    }


def line_twin(line: ScenarioLine) -> dict[str, Any]:
    scenario = line.scenario
    return {
        "scenario": scenario.pk,
        "run": scenario.run_id,
        "number": scenario.number,
        "name": scenario.name,
        "title": line.title,
        "status": line.status,
        "phase": scenario.phase,
        "phase_at": scenario.phase_at,
        "reason": scenario.reason,
        "crash_points": line.counts,
        "recovery": line.recovery,
        "url": scenario.get_absolute_url(),
    }


def earlier_twin(line: ScenarioLine, compared: Comparison | None) -> dict[str, Any]:
    told = None
    if compared is not None:
        told = {
            "identical": compared.identical,
            "own": list(compared.own),
            "same": compared.same,
            "only_earlier": [list(strike) for strike in compared.only_earlier],
            "only_later": [list(strike) for strike in compared.only_later],
            "verdicts": [[*strike, *pair] for strike, pair in compared.verdicts.items()],
        }
    return line_twin(line) | {"compared_with_this": told}


def chart_twin(chart: Chart) -> dict[str, Any]:
    return {
        "operation": chart.operation,
        "messages": [
            {
                "at_ms": row.at_ms,
                "channel": row.channel,
                "direction": row.direction,
                "label": row.label,
                "strikes": [strike_twin(cell.strike) for cell in row.cells],
            }
            for row in chart.rows
        ],
    }


def strike_twin(strike: StrikeSeen) -> dict[str, Any]:
    return {
        "crash_point": strike.crash_point,
        "fault": strike.fault,
        "status": strike.status,
        "same_state_as_another": strike.stands,
    }


def point_twin(point: CrashPoint, struck_here: Iterable[CrashPoint]) -> dict[str, Any]:
    names = ("number", "operation", "point", "label", "fault", "depth", "phase", "phase_at", "attempt", "worker")
    results = ("verdict", "applies", "reason", "receipt", "recovery_ms", "findings", "changes", "end")
    rest = ("state_after_kill", "messages", "log", "took_ms")
    return {
        "crash_point": point.pk,
        "scenario": point.scenario_id,
        "run": point.scenario.run_id,
        "status": point_status(point),
        **{name: getattr(point, name) for name in (*names, *results, *rest)},
        "then": {"point": point.then_point, "label": point.then_label, "strike": point.then_strike}
        if point.then_point
        else None,
        "first": point.first_id,
        "same_as": point.same_as_id,
        "finished_at": twins.moment(point.finished_at),
        "heals": [
            {
                "fault": heal.fault,
                "written_at": twins.moment(heal.written_at),
                "due_at": twins.moment(heal.due_at),
                "healed_at": twins.moment(heal.healed_at),
                "healed_by": heal.healed_by,
                "undone_by": str(heal.undone_by) if heal.undone_by else None,
                "undone_how": heal.undone_how,
            }
            for heal in point.heals.select_related("undone_by")
        ],
        "repeat": repeat_command(point),
        "struck_again": [again_twin(each) for each in struck_here if each.pk != point.pk],
    }


def again_twin(point: CrashPoint) -> dict[str, Any]:
    run = point.scenario.run
    return {
        "crash_point": point.pk,
        "run": run.pk,
        "alone": bool(run.chaos.only_point),
        "build": run.campaign.build,
        "status": point_status(point),
        "recovery_ms": point.recovery_ms,
        "started_at": twins.moment(run.planned_start),
        "url": point.get_absolute_url(),
    }
