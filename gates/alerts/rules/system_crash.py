"""The target's process is gone, or its health has been silent for too long."""

from datetime import timedelta

from gates.alerts.rules.observed import HealthSeen, Observed
from gates.alerts.rules.rule import Breach, Judgement, Rule, Runbook, Thresholds, judged, unseen


def judge(seen: Observed, limits: Thresholds) -> Judgement:
    """The process of the run's start is dead, or health is silent for `silent_after_s`.

    Clean is a target that answers that it is well, whichever process that is now.
    """
    if seen.process is None and seen.health is None:
        return unseen(seen.why_unseen("health"))
    health, limit_s = seen.health, limits["silent_after_s"]
    if health is not None and health.answered and health.well and _another(seen, health):
        return judged((), f"The target answers that it is well, as process {health.pid}.")
    found = []
    if seen.process is not None and not seen.process.alive:
        pid = seen.process.pid
        words = f"The target's process {pid} died."
        found.append(
            Breach(f"process {pid}", words, seen.since("process"), "the process of the start lives", {"pid": pid})
        )
    elif health is not None and health.silent_s >= limit_s:
        words = f"The target has not answered at its health address for {limit_s:g} s: {health.reason}"
        at = seen.at - timedelta(seconds=health.silent_s - limit_s)
        found.append(Breach("silent", words, at, f"answers within {limit_s:g} s", {"reason": health.reason}))
    if not found and (health is None or not (health.answered and health.well)):
        return unseen("the target has not answered that it is well" if health else seen.why_unseen("health"))
    return judged(tuple(found), "The target answers that it is well.")


def _another(seen: Observed, health: HealthSeen) -> bool:
    """Whether the answer is not an old one of a process that has died since."""
    return seen.process is None or seen.process.alive or health.pid != seen.process.pid


RULE = Rule(
    name="system crash",
    level="critical",
    watches="the target's process where it runs on this machine, and its health",
    thresholds=("silent_after_s",),
    rechecked_by="the target answers that it is well",
    runbook=Runbook(
        means="Nobody trades, books or guards the open positions now; stops at the broker still stand.",
        look_at="its log up to the end, the kernel's log for an out-of-memory kill, then open positions at the broker",
        leave_alone="do not start it a second time while its supervisor may: two of them trade twice",
    ),
    judge=judge,
)
