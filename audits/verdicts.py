"""Verdicts: three values, and one way to merge them."""

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """What the evidence says. `inconclusive` is not a pass: the gate stays shut."""

    PASSED = "passed"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"


_SEVERITY = {Verdict.PASSED: 0, Verdict.INCONCLUSIVE: 1, Verdict.FAILED: 2}


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of the verdicts; merging nothing is `inconclusive`, since no evidence is never a pass."""
    return max(verdicts, key=_SEVERITY.__getitem__, default=Verdict.INCONCLUSIVE)
