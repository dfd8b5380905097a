"""A query in the ledger that runs, or waits for a lock, for too long."""

from datetime import timedelta

from gates.alerts.rules.observed import Observed
from gates.alerts.rules.rule import Breach, Judgement, Rule, Runbook, Thresholds, judged, unseen

WORDS = 120  # letters of a query that are shown


def judge(seen: Observed, limits: Thresholds) -> Judgement:
    """Each session whose query has run for longer than `slow_query_ms` so far."""
    server = seen.server
    if server is None or server.error:
        return unseen(server.error if server else seen.why_unseen("server"))
    if server.hidden:
        return unseen(f"{server.hidden} sessions may not be seen: grant pg_read_all_stats to the ledger's user")
    limit_ms = limits["slow_query_ms"]
    found = []
    for session in server.sessions:
        if session.running_ms <= limit_ms:
            continue
        began = seen.at - timedelta(milliseconds=session.running_ms)
        waits = f", waiting for a lock of {', '.join(map(str, session.blocked_by))}" if session.blocked_by else ""
        words = f"Session {session.pid} has run for more than {limit_ms:g} ms{waits}: {session.query[:WORDS]}"
        cause = {"pid": session.pid, "blocked_by": list(session.blocked_by), "began_at": began.isoformat()}
        over = began + timedelta(milliseconds=limit_ms)
        found.append(Breach(f"{session.pid} {session.query[:WORDS]}", words, over, f"at most {limit_ms:g} ms", cause))
    longest = max((session.running_ms for session in server.sessions), default=0)
    return judged(tuple(found), f"The longest query now runs for {longest:.0f} ms.")


RULE = Rule(
    name="slow queries",
    level="medium",
    watches="the ledger's pg_stat_activity: each query of another session, and the locks it waits for",
    thresholds=("slow_query_ms",),
    rechecked_by="no query of another session runs for longer",
    runbook=Runbook(
        means="The target waits for its ledger; what it wants to book comes late or runs into a timeout.",
        look_at="the query named, the session that holds the lock, and what that one waits for",
        leave_alone="terminate no session of the target: it may be in the middle of a booking",
    ),
    judge=judge,
)
