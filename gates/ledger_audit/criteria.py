"""The criteria of gate 3: what is required, what was measured, and the least evidence a pass may rest on. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from audits.verdicts import Verdict, merge
from gates.criteria import Criterion
from gates.ledger_audit.plans import AuditPlan


@dataclass(frozen=True, slots=True)
class CheckSeen:
    """One check of the audit: `verdict` is None while it is not judged, `applies` False where it has no object."""

    name: str
    verdict: Verdict | None
    rows: int = 0
    findings: int = 0
    applies: bool = True


BALANCE = ("balance_row", "balance_chain", "balance_total")
COVERAGE = ("event_coverage", "sequences")
PNL = ("pnl",)


def audit_criteria(
    plan: AuditPlan, checks: Iterable[CheckSeen], *, broker: bool = True, partial: bool = False
) -> tuple[Criterion, ...]:
    """Judge an audit from its checks; the criteria's verdicts, merged, are the run's.

    Books that were compared with no broker's may be right in themselves, but never pass; nor does a part of an audit.
    """
    seen = {check.name: check for check in checks}
    table = (
        _of_checks(
            "balance equation", "exact in every row, link and total", _named(seen, BALANCE), plan.min_balance_events
        ),
        _of_checks("event coverage", "100 %, none missing, none twice", _named(seen, COVERAGE), 1),
        _discrepancies(plan, seen),
        _of_checks("PnL", "every one recomputed and equal", _named(seen, PNL), plan.min_executions),
    )
    return (*table, *((_PARTIAL,) if partial else ()), *(() if broker else (_NO_BROKER,)))


_PARTIAL = Criterion(
    "whole audit",
    "every check on the whole books",
    "a part",
    Verdict.INCONCLUSIVE,
    "An audit of a part never counts as gate 3: run it without narrowing it.",
)


_NO_BROKER = Criterion(
    "compared with the broker",
    "the broker's books of the same moment",
    "no broker's books",
    Verdict.INCONCLUSIVE,
    "The broker is the truth: give its transactions too.",
)


def _named(seen: dict[str, CheckSeen], names: Iterable[str]) -> tuple[CheckSeen, ...]:
    """Return the checks of these names; one that was not carried out is there without a verdict."""
    return tuple(seen.get(name, CheckSeen(name, None)) for name in names)


def _of_checks(name: str, required: str, checks: tuple[CheckSeen, ...], least_rows: int) -> Criterion:
    """Judge one criterion by its own checks, of which the first must have looked at `least_rows` rows at least."""
    findings = sum(check.findings for check in checks)
    rows = sum(check.rows for check in checks)
    measured = f"{_discrepancy_words(findings)} in {_rows(rows)}"
    verdict = merge(_verdict(check) for check in checks if check.applies)
    reason = _why(checks, verdict)
    if verdict == Verdict.PASSED and checks[0].rows < least_rows:
        verdict, reason = Verdict.INCONCLUSIVE, f"Only {_rows(checks[0].rows)} there; a pass needs {least_rows:,}."
    return Criterion(name, f"{required}; at least {_rows(least_rows)}", measured, verdict, reason)


def _discrepancies(plan: AuditPlan, seen: dict[str, CheckSeen]) -> Criterion:
    """Judge all planned checks together; those that do not apply are counted apart."""
    checks = _named(seen, plan.checks)
    findings = sum(check.findings for check in checks)
    apart = sum(not check.applies for check in checks)
    judged = sum(check.applies and check.verdict is not None for check in checks)
    rows = _rows(sum(check.rows for check in checks))
    measured = f"{_discrepancy_words(findings)} in {rows}, {judged} of {len(checks)} checks"
    measured += f", {apart} not applicable" if apart else ""
    verdict = merge(_verdict(check) for check in checks if check.applies)
    return Criterion("zero discrepancies", "0 in every check", measured, verdict, _why(checks, verdict))


def _discrepancy_words(count: int) -> str:
    return "1 discrepancy" if count == 1 else f"{count:,} discrepancies"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _verdict(check: CheckSeen) -> Verdict:
    """A check without a verdict is no evidence, nor is one that looked at nothing."""
    if check.verdict == Verdict.PASSED and not check.rows:
        return Verdict.INCONCLUSIVE
    return check.verdict or Verdict.INCONCLUSIVE


def _why(checks: tuple[CheckSeen, ...], verdict: Verdict) -> str:
    if verdict == Verdict.PASSED:
        return ""
    names = ", ".join(check.name.replace("_", " ") for check in checks if check.applies and _verdict(check) == verdict)
    if not names:
        return "None of its checks applies to these books."
    return f"Not passed: {names}."
