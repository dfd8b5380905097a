"""Reconciliations: what the target's own log says of its comparisons with the broker. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from audits.findings import Finding, Level

MISMATCH = "own reconciliation found a mismatch"
SLOW = "own reconciliation was slow"


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What the target's log shows since the run began: how many, with how many mismatches, and the slowest."""

    count: int
    mismatches: int
    slowest_ms: Decimal | None
    findings: tuple[Finding, ...]


def judge_reconciliations(rows: Iterable[Mapping[str, Any]], *, limit_ms: int, known: Collection[str]) -> Reconciled:
    """Judge the target's own reconciliations of a run.

    Each that found a mismatch is a critical finding, each that took longer than `limit_ms` a high one. Those whose id
    is in `known` were found before and are counted only.
    """
    seen = sorted(rows, key=lambda row: row["started_at"])
    fresh = [row for row in seen if row["reconciliation_id"] not in known]
    findings = [_mismatch(row) for row in fresh if row["mismatches"]]
    findings += [_slow(row, limit_ms) for row in fresh if row["duration_ms"] > limit_ms]
    return Reconciled(
        count=len(seen),
        mismatches=sum(row["mismatches"] for row in seen),
        slowest_ms=max((row["duration_ms"] for row in seen), default=None),
        findings=tuple(findings),
    )


def _mismatch(row: Mapping[str, Any]) -> Finding:
    sentence = f"The target's reconciliation at {row['started_at'].isoformat()} found {row['mismatches']} mismatches."
    return Finding(MISMATCH, Level.CRITICAL, sentence, "0", str(row["mismatches"]), str(row["mismatches"]), _where(row))


def _slow(row: Mapping[str, Any], limit_ms: int) -> Finding:
    took = f"{row['duration_ms'].normalize():f}"
    sentence = f"The target's reconciliation at {row['started_at'].isoformat()} took {took} ms, beyond {limit_ms} ms."
    difference = f"{(row['duration_ms'] - limit_ms).normalize():f}"
    return Finding(SLOW, Level.HIGH, sentence, f"at most {limit_ms} ms", f"{took} ms", difference, _where(row))


def _where(row: Mapping[str, Any]) -> dict[str, str]:
    return {"reconciliation_id": str(row["reconciliation_id"]), "started_at": row["started_at"].isoformat()}
