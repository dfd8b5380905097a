"""The `.json` twins of the pages of planted defects."""

from collections.abc import Iterable
from typing import Any

from django.urls import reverse

from gates.detection.queries import CleanDesk, Lane, Standing
from gates.models import RehearsedDefect
from gates.pages.twins import moment


def standing_twin(standing: Standing) -> dict[str, Any]:
    clean = standing.clean
    return {
        "status": standing.status,
        "build": standing.build,
        "defects": [lane_twin(lane) for lane in standing.lanes],
        "caught": standing.caught,
        "stale": standing.stale,
        "clean_desk": _clean(clean) if clean else None,
        "going_on": standing.going_on.pk if standing.going_on else None,
    }


def lane_twin(lane: Lane) -> dict[str, Any]:
    defect = lane.defect
    return {
        "name": defect.name,
        "title": defect.title,
        "story": defect.story,
        "origin": defect.origin or None,
        "gate": defect.gate,
        "expected": list(defect.rules),
        "scenarios": list(defect.scenarios),
        "depth": defect.depth,
        "last": _rehearsed(lane.last) if lane.last else None,
        "url": reverse("gates:defect", args=[defect.name]),
    }


def defect_twin(lane: Lane, earlier: Iterable[RehearsedDefect]) -> dict[str, Any]:
    return lane_twin(lane) | {
        "replaces": list(lane.defect.replaces),
        "steps": [{"do": step.do, "what": step.what, "body": step.body} for step in lane.defect.steps],
        "findings": lane.last.findings if lane.last else [],
        "result": lane.last.result if lane.last else None,
        "reason": lane.last.reason if lane.last else "",
        "earlier": [_rehearsed(row) for row in earlier],
    }


def _rehearsed(row: RehearsedDefect) -> dict[str, Any]:
    return {
        "outcome": row.outcome,
        "where": row.where,
        "rules": list(dict.fromkeys(finding["rule"] for finding in row.findings)),
        "strike": row.strike or None,
        "strikes": row.strikes,
        "planned": row.planned,
        "took_s": row.took_s,
        "at": moment(row.at),
        "build": row.rehearsal.build,
    }


def _clean(desk: CleanDesk) -> dict[str, Any]:
    return {
        "verdict": desk.verdict,
        "strikes": desk.strikes,
        "findings": desk.findings,
        "silent": desk.silent,
        "rehearsals": [each.pk for each in desk.rehearsals],
    }
