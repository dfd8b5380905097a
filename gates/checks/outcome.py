"""What a check says of one slot."""

from dataclasses import dataclass, field
from typing import Any

from audits.findings import Finding
from audits.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict of one slot with the values it rests on; `measured` is JSON, money in it is text."""

    verdict: Verdict
    reason: str = ""
    measured: dict[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def inconclusive(reason: str, **measured: Any) -> Outcome:
    """Say that there is no evidence, and why."""
    return Outcome(Verdict.INCONCLUSIVE, reason, measured)


def judged(findings: tuple[Finding, ...], measured: dict[str, Any]) -> Outcome:
    """Pass when nothing was found, else fail with the first finding as the reason."""
    if findings:
        return Outcome(Verdict.FAILED, findings[0].sentence, measured, findings)
    return Outcome(Verdict.PASSED, "", measured)
