"""Whether two runs of gate 2 made the same strikes and came to the same verdicts, by their reports. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audits.verdicts import Verdict, merge

Strike = tuple[str, str, str, str]
"""Operation, point, fault in words, and the point of the recovery at depth 2 (else empty).

A second strike is named by the durable state that the first one left, in the place of the first one's point and fault:
of the kills that leave the same state, the one that is over first is followed by more.
"""
Verdicts = Mapping[Strike, str]
"""Each strike's verdict in words; what did not apply is `not applicable`."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between an earlier run and a later one; `verdicts` holds strike → (earlier, later)."""

    only_earlier: tuple[Strike, ...]
    only_later: tuple[Strike, ...]
    verdicts: Mapping[Strike, tuple[str, str]]
    same: int

    @property
    def identical(self) -> bool:
        """Whether both made the same strikes with the same verdicts; two that made none are not."""
        return bool(self.same) and not (self.only_earlier or self.only_later or self.verdicts)

    @property
    def words(self) -> str:
        """The comparison in one line."""
        if self.identical:
            return f"identical: the same {self.same} strikes, the same verdicts"
        parts = (
            (len(self.verdicts), "with another verdict"),
            (len(self.only_earlier), "only in the earlier"),
            (len(self.only_later), "only in the later"),
        )
        told = ", ".join(f"{count} {words}" for count, words in parts if count)
        return f"{told or 'nothing was struck'}; {self.same} the same"


def compare(earlier: Verdicts, later: Verdicts) -> Comparison:
    """Compare strike by strike."""
    both = [strike for strike in earlier if strike in later]
    differing = {strike: (earlier[strike], later[strike]) for strike in both if earlier[strike] != later[strike]}
    return Comparison(
        only_earlier=tuple(strike for strike in earlier if strike not in later),
        only_later=tuple(strike for strike in later if strike not in earlier),
        verdicts=differing,
        same=len(both) - len(differing),
    )


def verdicts_of(report: Mapping[str, Any], depth: int = 2) -> dict[str, Verdicts]:
    """Every strike's verdict by scenario; depth 1 leaves second strikes out. Raises KeyError, TypeError where it is no
    report of gate 2.
    """
    return {scenario["name"]: _strikes(scenario, depth) for scenario in report["scenarios"]}


def fingerprint(report: Mapping[str, Any], depth: int = 2) -> str:
    """Sixteen hexadecimal digits, equal for reports of the same strikes with the same verdicts, in any order: by it one
    is compared with another that is not at hand. Raises as `verdicts_of`.
    """
    told = {
        name: sorted((*strike, verdict) for strike, verdict in made.items())
        for name, made in verdicts_of(report, depth).items()
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def second_strike(operation: str, state: str, strike: str, point: str) -> Strike:
    """The name of a second strike, at a point of the recovery from a durable state."""
    return (operation, f"after a kill that left {state}", f"{strike} in the recovery", point)


def _strikes(scenario: Mapping[str, Any], depth: int) -> Verdicts:
    points = [point for point in scenario["crash_points"] if depth > 1 or point["then"] is None]
    made: dict[Strike, str] = {}
    for point in points:  # two engines may strike the recovery from one state, under one name: the worse verdict stands
        before = made.get(_named(point), Verdict.PASSED)
        made[_named(point)] = merge((Verdict(before), Verdict(point["verdict"])))
    skipped = scenario.get("not_applicable", [])
    return made | {(each["operation"], each["point"], each["fault"], ""): "not applicable" for each in skipped}


def _named(point: Mapping[str, Any]) -> Strike:
    then = point["then"]
    if then is None:
        return (point["operation"], point["point"], point["fault"], "")
    return second_strike(point["operation"], then["state"], then["strike"], then["point"])
