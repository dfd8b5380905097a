"""The target answers more slowly than it used to."""

from statistics import median

from gates.alerts.rules.observed import Observed, SpeedSeen
from gates.alerts.rules.rule import Breach, Judgement, Rule, Runbook, Thresholds, judged, unseen

LEAST_BEFORE = 10  # windows of earlier behaviour
IN_A_ROW = 2  # windows that must all be slow
SIGMA = 1.4826  # of a normal distribution, MAD times this is its standard deviation


def judge(seen: Observed, limits: Thresholds) -> Judgement:
    """Compare the medians of the last windows with those of the target's own earlier ones, by `limit_of`.

    Fewer than LEAST_BEFORE earlier windows prove nothing and are not judged.
    """
    if not seen.speeds:
        return unseen(seen.why_unseen("speeds"))
    ready = [speed for speed in seen.speeds if len(speed.before) >= LEAST_BEFORE and len(speed.lately) >= IN_A_ROW]
    if not ready:
        most = max(len(speed.before) for speed in seen.speeds)
        return unseen(f"only {most} earlier windows were seen: it takes {LEAST_BEFORE}")
    found = tuple(_breach(seen, speed, limits) for speed in ready if min(speed.lately) > limit_of(speed, limits))
    return judged(found, ", ".join(f"{speed.what} {speed.lately[-1]:.1f} ms" for speed in ready) + ": as before.")


def limit_of(speed: SpeedSeen, limits: Thresholds) -> float:
    """Return from where on a median, in ms, is slower than the target's own earlier behaviour.

    Rule: median + k robust standard deviations (1.4826 MAD; Hampel's identifier, as in Leys and others, 2013), and at
    least a factor and a difference above the median, so that a very even target is not accused of noise.
    """
    middle = median(speed.before)
    spread = SIGMA * median(abs(value - middle) for value in speed.before)
    slower = middle + limits["slower_mads"] * spread
    return max(slower, middle * limits["slower_times"], middle + limits["slower_least_ms"])


def _breach(seen: Observed, speed: SpeedSeen, limits: Thresholds) -> Breach:
    limit_ms, usual_ms = limit_of(speed, limits), median(speed.before)
    words = (
        f"The target's {speed.what} takes {speed.lately[-1]:.1f} ms, beyond {limit_ms:.1f} ms; usual {usual_ms:.1f}."
    )
    cause = {"what": speed.what, "lately_ms": list(speed.lately), "usual_ms": round(usual_ms, 3)}
    return Breach(speed.what, words, seen.at, f"at most {limit_ms:.1f} ms", cause)


RULE = Rule(
    name="performance degradation",
    level="medium",
    watches="how long the target's health, its database and its broker take, against its own earlier windows",
    thresholds=("slower_mads", "slower_times", "slower_least_ms", "trend_window_s"),
    rechecked_by="the last windows are as the earlier ones were",
    runbook=Runbook(
        means="The target still works, but slower than itself: stops, bookings and reconciliations will follow.",
        look_at="which of the three became slow, and what changed then: load, data size, network, neighbours",
        leave_alone="change no setting of the target in a judged run",
    ),
    judge=judge,
)
