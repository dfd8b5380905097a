"""The criteria of gate 2: what is required, what was measured, and the least evidence a pass may rest on. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from audits.verdicts import Verdict, merge
from gates.criteria import Criterion

SCENARIOS_NEEDED = 12
RECOVERY_RULES = frozenset(
    {
        *("recovery", "target ended", "waited for ever", "connection not replaced"),
        *("second restart", "proof of life", "order in doubt"),
    }
)


@dataclass(frozen=True, slots=True)
class ScenarioSeen:
    """One scenario as the criteria see it: `verdict` None while it is not judged, the rest counts strikes.

    `own` is one that the target's description adds to the twelve.
    `applicable` strikes could be made; `unproven` of them gave no evidence; `unrecovered`, `corrupted` and
    `failed_audit` fell short in one way or another.
    """

    name: str
    verdict: Verdict | None
    reason: str = ""
    applicable: int = 0
    receipts: int = 0
    unproven: int = 0
    unrecovered: int = 0
    corrupted: int = 0
    failed_audit: int = 0
    own: bool = False


def chaos_criteria(scenarios: Sequence[ScenarioSeen], *, partial: str = "") -> tuple[Criterion, ...]:
    """Judge a run of gate 2; the verdicts, merged, are the run's. A partial run says why, and never passes."""
    corrupted = sum(each.corrupted for each in scenarios)
    unrecovered = sum(each.unrecovered for each in scenarios)
    failed_audit = sum(each.failed_audit for each in scenarios)
    twelve = [each for each in scenarios if not each.own]
    table = (
        _scenarios(twelve),
        *_own([each for each in scenarios if each.own]),
        _strikes("zero data corruption", "0 strikes that left wrong books", corrupted, scenarios),
        _strikes("perfect recovery", "within its limit, after every strike", unrecovered, scenarios),
        _strikes("integrity checks", "all clean, after every strike", failed_audit, scenarios),
    )
    if not partial:
        return table
    return (*table, Criterion("whole gate", "every crash point of all twelve", "a part", Verdict.INCONCLUSIVE, partial))


def _scenarios(scenarios: Sequence[ScenarioSeen]) -> Criterion:
    passed = sum(each.verdict == Verdict.PASSED for each in scenarios)
    verdict = merge(each.verdict or Verdict.INCONCLUSIVE for each in scenarios)
    if verdict == Verdict.PASSED and len({each.name for each in scenarios}) < SCENARIOS_NEEDED:
        verdict = Verdict.INCONCLUSIVE
    worst = next((each for each in scenarios if each.verdict == verdict and each.reason), None)
    reason = f"{SCENARIOS_NEEDED - passed} of the {SCENARIOS_NEEDED} scenarios have not passed."
    if verdict == Verdict.PASSED:
        reason = ""
    elif worst is not None:
        reason = f"{worst.name}: {worst.reason}"
    required = f"{SCENARIOS_NEEDED} of {SCENARIOS_NEEDED}"
    return Criterion("scenarios", required, f"{passed} of {SCENARIOS_NEEDED}", verdict, reason)


def _own(scenarios: Sequence[ScenarioSeen]) -> tuple[Criterion, ...]:
    """All that the target's description adds must pass; where it adds none there is nothing to say."""
    if not scenarios:
        return ()
    passed = sum(each.verdict == Verdict.PASSED for each in scenarios)
    verdict = merge(each.verdict or Verdict.INCONCLUSIVE for each in scenarios)
    short = [each for each in scenarios if (each.verdict or Verdict.INCONCLUSIVE) == verdict != Verdict.PASSED]
    reason = f"{short[0].name}: {short[0].reason or 'it is not judged yet.'}" if short else ""
    count = f"{len(scenarios)} of {len(scenarios)}"
    return (Criterion("the target's own scenarios", count, f"{passed} of {len(scenarios)}", verdict, reason),)


def _strikes(name: str, required: str, short: int, scenarios: Sequence[ScenarioSeen]) -> Criterion:
    """One that fell short fails; one without evidence, or a scenario without a strike, leaves it open."""
    applicable = sum(each.applicable for each in scenarios)
    unproven = sum(each.unproven for each in scenarios)
    measured = f"{short} of {applicable} strikes fell short"
    if short:
        words = "1 strike" if short == 1 else f"{short} strikes"
        return Criterion(name, required, measured, Verdict.FAILED, f"{words} fell short.")
    proven = (each for each in scenarios if each.applicable and each.receipts == each.applicable)
    struck = {each.name for each in proven if not each.own}
    if unproven:
        reason = f"{unproven} strikes gave no evidence."
    elif len(struck) < SCENARIOS_NEEDED:
        reason = f"Only {len(struck)} of {SCENARIOS_NEEDED} scenarios were struck, each strike with a receipt."
    else:
        return Criterion(name, required, measured, Verdict.PASSED)
    return Criterion(name, required, measured, Verdict.INCONCLUSIVE, reason)
