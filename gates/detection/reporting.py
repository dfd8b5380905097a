"""What a rehearsal of defects reports, as JSON."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from gates.detection.commands import result_shape, strike_shape
from gates.detection.judgement import Judged
from gates.detection.rehearsing import Rehearsed

SCHEMA = "wartest.rehearsed-defects/1"
KEPT = 20  # findings shown of each defect


def report(results: Iterable[Rehearsed], clean: Judged, *, started_at: datetime) -> dict[str, Any]:
    """Each defect with what caught it and why; `clean_desk` holds what was found without any: nothing, when right."""
    findings = [asdict(finding) for finding in clean.findings]
    return {
        "schema": SCHEMA,
        "started_at": started_at.isoformat(),
        "ended_at": datetime.now(UTC).isoformat(),
        "defects": [_shown(result) for result in results],
        "clean_desk": {"strikes": clean.struck, "findings": findings, "silent": list(clean.silent)},
    }


def _shown(result: Rehearsed) -> dict[str, Any]:
    defect = result.defect
    return {
        "name": defect.name,
        "title": defect.title,
        "origin": defect.origin,
        "gate": defect.gate,
        "expected": list(defect.rules),
        "outcome": str(result.outcome),
        "reason": result.reason,
        "where": result.where,
        "strikes": result.strikes,
        "planned": result.planned,
        "strike": strike_shape(result.shown_by),
        "result": result_shape(result.shown_by),
        "rules": list(result.rules),
        "took_s": result.took_s,
        "findings": [asdict(finding) for finding in result.findings[:KEPT]],
    }
