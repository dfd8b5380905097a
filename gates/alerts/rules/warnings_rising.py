"""More warnings in the target's log than its own earlier rate explains."""

from math import comb

from gates.alerts.rules.observed import Observed, WarningsSeen
from gates.alerts.rules.rule import Breach, Judgement, Rule, Runbook, Thresholds, judged, unseen

LEAST_WINDOWS = 5  # of earlier behaviour
MOST = 1000  # counts above are scaled down: the test is then a little less sensitive, never more


def judge(seen: Observed, limits: Thresholds) -> Judgement:
    """Compare the window that has just ended with all before it, by `chance_of`.

    Fewer than LEAST_WINDOWS windows of earlier behaviour prove nothing and are not judged.
    """
    told = seen.warnings
    if told is None:
        return unseen(seen.why_unseen("warnings"))
    if told.before_s < LEAST_WINDOWS * told.now_s:
        return unseen(f"only {told.before_s:.0f} s of its log were seen before: it takes {LEAST_WINDOWS} windows")
    chance = chance_of(told)
    rate = f"{told.now} warnings in {told.now_s:.0f} s, {told.before} in the {told.before_s:.0f} s before"
    if told.now < limits["warnings_least"] or chance > limits["warnings_chance"]:
        return judged((), f"{rate}: no rise.")
    words = f"{rate}: by chance that happens once in {1 / max(chance, 1e-12):,.0f} windows. Last: {told.last_line}"
    cause = {"now": told.now, "before": told.before, "chance": chance, "line": told.last_line}
    return Judgement((Breach("rise", words, seen.at, f"chance above {limits['warnings_chance']:g}", cause),))


def chance_of(told: WarningsSeen) -> float:
    """Return how likely at least so many warnings are in the last window if the rate has not changed.

    Rule (Przyborowski and Wilenski, 1940, the exact test of two Poisson rates): of all n warnings the number in the
    last window is binomial, with its share of the time as the chance of each.
    """
    scale = max(1, -(-(told.now + told.before) // MOST))
    now, before = told.now // scale, -(-told.before // scale)
    total, share = now + before, told.now_s / (told.now_s + told.before_s)
    return sum(comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(now, total + 1))


RULE = Rule(
    name="warning count rising",
    level="medium",
    watches="lines that warn in the target's log ([process] log), against its own earlier rate",
    thresholds=("warnings_chance", "warnings_least", "trend_window_s"),
    rechecked_by="a later window shows no rise",
    runbook=Runbook(
        means="Something in the target fails more often than it did, and is still caught.",
        look_at="the last lines of its log, and which message is new",
        leave_alone="do not raise its log level to be rid of them",
    ),
    judge=judge,
)
