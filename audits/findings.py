"""Findings: one thing wrong, in values a person can check."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby


class Level(StrEnum):
    """How soon a person must look: at once, within 1 h, within 4 h."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong.

    `rule` is the broken rule's name, `sentence` says it in words for a risk officer; `expected`, `measured` and
    `difference` are text (money as exact decimal text) and `where` holds the keys of the rows, so that the finding
    can be checked by hand.
    """

    rule: str
    level: Level
    sentence: str
    expected: str = ""
    measured: str = ""
    difference: str = ""
    where: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """All findings of one rule: how many, and which to look at. `worst` has the largest difference."""

    rule: str
    level: Level
    count: int
    first: Finding
    worst: Finding
    last: Finding


def grouped(findings: Iterable[Finding]) -> tuple[FindingGroup, ...]:
    """Group findings by rule, in the order given; the worst is the one whose difference is largest in size."""
    ordered = sorted(findings, key=lambda finding: finding.rule)  # stable: the order within a rule is kept
    groups = []
    for rule, members in groupby(ordered, key=lambda finding: finding.rule):
        same = tuple(members)
        worst = max(same, key=lambda finding: _size(finding.difference))
        groups.append(FindingGroup(rule, same[0].level, len(same), same[0], worst, same[-1]))
    return tuple(groups)


def _size(difference: str) -> float:
    """Rank a difference for display only; text that is no number ranks lowest."""
    try:
        return abs(float(difference))
    except ValueError:
        return -1.0
