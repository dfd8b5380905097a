"""What is said of a desk: what was found, and where nothing proves anything."""

from dataclasses import dataclass

from audits.findings import Finding
from audits.verdicts import Verdict
from gates.checks.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found, and in words what could not be judged: a check that says nothing is no clean bill.

    `struck` counts the strikes that were made, each with its receipt.
    """

    findings: tuple[Finding, ...] = ()
    silent: tuple[str, ...] = ()
    struck: int = 0

    def and_also(self, other: "Judged") -> "Judged":
        """Both."""
        findings, silent = (*self.findings, *other.findings), (*self.silent, *other.silent)
        return Judged(findings, silent, self.struck + other.struck)


def said_by(name: str, outcome: Outcome) -> Judged:
    """What the check of this name says: its findings, or that it proves nothing."""
    silent = (f"{name}: {outcome.reason}",) if outcome.verdict == Verdict.INCONCLUSIVE else ()
    return Judged(outcome.findings, silent)
