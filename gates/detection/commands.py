"""Keeping a rehearsal: a row when it begins, one for each defect as it comes, and the clean desk at its end."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from gates.detection.builds import war_test_build
from gates.detection.judgement import Judged
from gates.detection.rehearsing import Rehearsed, ShownBy
from gates.models import Rehearsal, RehearsedDefect

KEPT_FINDINGS = 20


def begin_rehearsal(names: Iterable[str], *, now: datetime) -> Rehearsal:
    """A rehearsal of these defects."""
    return Rehearsal.objects.create(build=war_test_build(), asked=list(names), started_at=now)


def keep(rehearsal: Rehearsal, done: Rehearsed, *, now: datetime) -> RehearsedDefect:
    """Keep what became of one defect."""
    return RehearsedDefect.objects.create(
        rehearsal=rehearsal,
        defect=done.defect.name,
        gate=done.defect.gate,
        outcome=done.outcome,
        expected=list(done.defect.rules),
        findings=[asdict(finding) for finding in done.findings[:KEPT_FINDINGS]],
        where=done.where,
        reason=done.reason,
        strikes=done.strikes,
        planned=done.planned,
        strike=strike_shape(done.shown_by),
        result=result_shape(done.shown_by),
        took_s=done.took_s,
        at=now,
    )


def end_rehearsal(rehearsal: Rehearsal, clean: Judged, *, now: datetime) -> None:
    """Close it with what was found on the clean desk, and at how many strikes."""
    rehearsal.clean_findings = [asdict(finding) for finding in clean.findings[:KEPT_FINDINGS]]
    rehearsal.clean_silent = list(clean.silent)
    rehearsal.clean_strikes = clean.struck
    rehearsal.ended_at = now
    rehearsal.save(update_fields=["clean_findings", "clean_silent", "clean_strikes", "ended_at"])


def strike_shape(shown: ShownBy | None) -> dict[str, Any]:
    """Which strike it was, by the names that a command takes; empty without one."""
    if shown is None:
        return {}
    trial = shown.trial
    return {
        "scenario": shown.scenario,
        "operation": trial.operation,
        "point": str(trial.point),
        "label": shown.label,
        "fault": trial.fault,
        "first_fault": trial.first_fault,
        "then_point": str(trial.then.point) if trial.then else "",
        "then_label": shown.then_label,
    }


def result_shape(shown: ShownBy | None) -> dict[str, Any]:
    """What the strike came to; empty without one."""
    result = shown.result if shown else None
    if result is None:
        return {}
    names = ("verdict", "receipt", "recovery_ms", "changes", "end", "messages", "log", "took_ms")
    return {name: getattr(result, name) for name in names}
