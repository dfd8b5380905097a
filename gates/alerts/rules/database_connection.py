"""The ledger's server refuses connections, does not answer, or ended sessions by force."""

from gates.alerts.rules.observed import Observed
from gates.alerts.rules.rule import Breach, Judgement, Rule, Runbook, Thresholds, judged, unseen


def judge(seen: Observed, limits: Thresholds) -> Judgement:
    """By a connection of our own, and by the server's count of sessions that were terminated."""
    server = seen.server
    if server is None:
        return unseen(seen.why_unseen("server"))
    if server.error:
        words = f"The ledger's server does not let us in: {server.error}"
        return Judgement((Breach("refused", words, seen.since("server"), "answers", {"error": server.error}),))
    if server.killed:
        words = f"The ledger's server ended {server.killed} sessions by force."
        key = f"killed {seen.at.isoformat()}"
        return Judgement(
            (Breach(key, words, seen.since("server"), "0 sessions ended by force", {"killed": server.killed}),)
        )
    if seen.health is not None and not seen.health.well:
        return unseen("the target does not say that it is well")
    return judged((), "The ledger's server answers, and has ended no session by force since the last look.")


RULE = Rule(
    name="database connection issues",
    level="high",
    watches="a connection of our own to the ledger, and its server's count of sessions ended by force",
    thresholds=(),
    rechecked_by="the server answers, has ended no session by force since, and the target says that it is well",
    runbook=Runbook(
        means="The target cannot rely on its books: what it trades now may not be written.",
        look_at="the server's log, its connection limit, restarts and failovers, the network between",
        leave_alone="do not restart the target at once: let it show that it comes back by itself",
    ),
    judge=judge,
)
