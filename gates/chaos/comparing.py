"""Whether two runs of gate 2 made the same strikes and came to the same verdicts, by their reports. Pure."""

import hashlib
import json
from collections.abc import Iterable, Mapping
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
VERSION = "v2-"  # how a fingerprint begins; one of before, sixteen digits alone, knew no scenario's verdict


@dataclass(frozen=True, slots=True)
class ScenarioShown:
    """A scenario as it is compared: its own verdict, empty where it is left out, and those of its strikes.

    Its own may be worse than the worst of its strikes': what was due and never struck is no pass.
    """

    verdict: str
    strikes: Verdicts


ABSENT = ScenarioShown("absent", {})


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs of a scenario between an earlier run and a later one; `verdicts` holds strike → (earlier, later),
    `own` the scenario's own verdict in both.
    """

    own: tuple[str, str]
    only_earlier: tuple[Strike, ...]
    only_later: tuple[Strike, ...]
    verdicts: Mapping[Strike, tuple[str, str]]
    same: int

    @property
    def identical(self) -> bool:
        """Whether both made the same strikes, or none, and came to the same verdicts, the scenario's own among them."""
        return len(set(self.own)) == 1 and not (self.only_earlier or self.only_later or self.verdicts)

    @property
    def words(self) -> str:
        """The comparison in one line."""
        earlier, later = self.own
        if self.identical:
            struck = f"the same {self.same} strikes, the same verdicts" if self.same else "nothing was struck"
            return f"identical: {struck}; as a whole {later or 'not compared'}"
        parts = (
            (len(self.verdicts), "with another verdict"),
            (len(self.only_earlier), "only in the earlier"),
            (len(self.only_later), "only in the later"),
        )
        told = [f"as a whole {earlier} → {later}"] if earlier != later else []
        told += [f"{count} {words}" for count, words in parts if count]
        return f"{', '.join(told)}; {self.same} the same"


def compare(earlier: ScenarioShown, later: ScenarioShown) -> Comparison:
    """Compare a scenario with itself, strike by strike."""
    before, after = earlier.strikes, later.strikes
    both = [strike for strike in before if strike in after]
    differing = {strike: (before[strike], after[strike]) for strike in both if before[strike] != after[strike]}
    return Comparison(
        own=(earlier.verdict, later.verdict),
        only_earlier=tuple(strike for strike in before if strike not in after),
        only_later=tuple(strike for strike in after if strike not in before),
        verdicts=differing,
        same=len(both) - len(differing),
    )


def scenarios_shown(report: Mapping[str, Any], depth: int = 2) -> dict[str, ScenarioShown]:
    """What a report shows of each scenario. Depth 1 leaves second strikes out, and with them the scenarios' own
    verdicts, which they decide too. Raises KeyError, TypeError, ValueError where it is no report of gate 2.
    """
    return {
        scenario["name"]: ScenarioShown(scenario["verdict"] if depth > 1 else "", _strikes(scenario, depth))
        for scenario in report["scenarios"]
    }


def fingerprint(report: Mapping[str, Any], depth: int = 2) -> str:
    """VERSION and sixteen hexadecimal digits, equal for reports that `compare` would call identical throughout: by it
    one is compared with another that is not at hand. Raises as `scenarios_shown`.
    """
    told = {
        name: [shown.verdict, sorted((*strike, verdict) for strike, verdict in shown.strikes.items())]
        for name, shown in scenarios_shown(report, depth).items()
    }
    return VERSION + hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def second_strike(operation: str, state: str, strike: str, point: str) -> Strike:
    """The name of a second strike, at a point of the recovery from a durable state."""
    return (operation, f"after a kill that left {state}", f"{strike} in the recovery", point)


def worst_of(made: Iterable[tuple[Strike, str]]) -> dict[Strike, str]:
    """Each strike's verdict. Two engines may strike the recovery from one state, under one name: the worse stands."""
    worst: dict[Strike, str] = {}
    for strike, verdict in made:
        worst[strike] = merge((Verdict(worst.get(strike, Verdict.PASSED)), Verdict(verdict)))
    return worst


def _strikes(scenario: Mapping[str, Any], depth: int) -> Verdicts:
    points = [point for point in scenario["crash_points"] if depth > 1 or point["then"] is None]
    skipped = [each for each in scenario.get("not_applicable", []) if depth > 1 or each.get("then") is None]
    made = worst_of((_named(point), point["verdict"]) for point in points)
    return made | {_named(each): "not applicable" for each in skipped}


def _named(point: Mapping[str, Any]) -> Strike:
    then = point.get("then")
    if then is None:
        return (point["operation"], point["point"], point["fault"], "")
    return second_strike(point["operation"], then["state"], then["strike"], then["point"])
