"""What is said of a desk: what was found, and where nothing proves anything."""

from dataclasses import dataclass

from audits.findings import Finding
from audits.verdicts import Verdict
from gates.checks.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found, and in words what could not be judged: a check that says nothing is no clean bill."""

    findings: tuple[Finding, ...] = ()
    silent: tuple[str, ...] = ()

    def and_also(self, other: "Judged") -> "Judged":
        """Both."""
        return Judged((*self.findings, *other.findings), (*self.silent, *other.silent))


def said_by(name: str, outcome: Outcome) -> Judged:
    """What the check of this name says: its findings, or that it proves nothing."""
    silent = (f"{name}: {outcome.reason}",) if outcome.verdict == Verdict.INCONCLUSIVE else ()
    return Judged(outcome.findings, silent)
