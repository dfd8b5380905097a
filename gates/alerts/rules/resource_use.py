"""Processor, memory or disk of the target's process near its end."""

from gates.alerts.rules.observed import Observed
from gates.alerts.rules.rule import Breach, Judgement, Rule, Runbook, Thresholds, judged, unseen


def judge(seen: Observed, limits: Thresholds) -> Judgement:
    """Each share above its limit; what cannot be seen is not judged."""
    process = seen.process
    if process is None or not process.alive:
        return unseen(seen.why_unseen("process") if process is None else "the target's process is gone")
    shares = [("processor", process.cpu_pct, limits["cpu_pct"]), ("memory", process.memory_pct, limits["memory_pct"])]
    shares += [(f"disk of {path}", share, limits["disk_pct"]) for path, share in process.disks.items()]
    known = [(name, share, limit) for name, share, limit in shares if share is not None]
    if process.cpu_pct is None or process.memory_pct is None:
        return unseen("its processor time or memory cannot be seen yet")
    found = tuple(
        Breach(
            key=name,
            sentence=f"The target's {name} ({share:.0f} %) > {limit:g} %.",
            event_at=seen.at,
            threshold=f"at most {limit:g} %",
            cause={"resource": name, "share_pct": round(share, 1), "pid": process.pid},
        )
        for name, share, limit in known
        if share > limit
    )
    return judged(found, ", ".join(f"{name} {share:.0f} %" for name, share, _ in known) + ".")


RULE = Rule(
    name="resource use > 80 %",
    level="medium",
    watches="processor time, memory and disks of the target's process, where it runs on this machine",
    thresholds=("cpu_pct", "memory_pct", "disk_pct", "resource_for_s"),
    rechecked_by="each share is at its limit or below",
    runbook=Runbook(
        means="The target will soon be slow, be killed for memory, or be unable to write.",
        look_at="which resource, since when, and what grew with it",
        leave_alone="delete no file of the ledger or its log to make room: move something else",
    ),
    judge=judge,
)
