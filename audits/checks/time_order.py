"""Check 14: nothing comes before its cause, nothing is recorded before it occurred, nothing after the close.

Times of two clocks, the broker's and the ledger's, are compared with SKEW_MS between them; those of one clock exactly.
"""

from audits.checks.check import Check, Rule
from audits.checks.times import Times, odd_times_sql
from audits.findings import Level

SKEW_MS = 500
EARLIEST = "1970-01-01 00:00:00+00"

_RECORDED = ("recorded before it occurred", "recorded_at", "occurred_at", SKEW_MS)
_CHANGED = ("order changed before it was created", "updated_at", "created_at", SKEW_MS)
_CLOSED = ("position closed before it was opened", "closed_at", "opened_at", 0)
_ORDERED = ("executed before its order", "executed_at", "created_at", SKEW_MS)
# An execution's time may have been rounded to the second.
_BOOKED = ("recorded before its execution", "recorded_at", "executed_at", 2 * SKEW_MS)
_FIRST_DEAL = ("executed before its position was opened", "first_at", "opened_at", SKEW_MS)
_LAST_DEAL = ("executed after its position was closed", "closed_at", "last_at", SKEW_MS)
_FIRST_EVENT = ("event before its position was opened", "first_at", "opened_at", SKEW_MS)
_LAST_EVENT = ("event after its position was closed", "closed_at", "last_at", SKEW_MS)

# (rows, key, [(rule, what must not come before, what, within ms)], the times that must lie between 1970 and the audit)
_TIMES: tuple[Times, ...] = (
    ("position_events", "event_id", [_RECORDED], ("occurred_at", "recorded_at")),
    ("balance_events", "event_id", [_RECORDED], ("occurred_at", "recorded_at")),
    ("orders", "order_id", [_CHANGED], ("created_at", "updated_at")),
    ("executions", "execution_id", [], ("executed_at",)),
    ("positions", "position_id", [_CLOSED], ("opened_at", "closed_at")),
    ("reconciliations", "reconciliation_id", [], ("started_at",)),
    ("executions JOIN orders USING (order_id)", "execution_id", [_ORDERED], ()),
    ("balance_events JOIN executions USING (execution_id)", "event_id", [_BOOKED], ()),
    ("deals JOIN positions USING (position_id)", "position_id", [_FIRST_DEAL, _LAST_DEAL], ()),
    ("stories JOIN positions USING (position_id)", "position_id", [_FIRST_EVENT, _LAST_EVENT], ()),
)

_ORDER = """
    SELECT 'first event', 'POSITION_CREATED', first_type, NULL, position_id, 'position_events'
    FROM stories WHERE first_type <> 'POSITION_CREATED'
    UNION ALL
    SELECT 'event after the close', 'POSITION_CLOSED last, at ' || closed_sequence, 'events up to ' || last_sequence,
           last_sequence - closed_sequence, position_id, 'position_events'
    FROM stories WHERE last_sequence > closed_sequence
"""

_RULES = {
    rule: Rule(Level.CRITICAL, "{relation} {key}: " + rule + ", at {measured} ({expected}).")
    for *_, before, _ in _TIMES
    for rule, *_ in before
}

TIME_ORDER = Check(
    name="time_order",
    title="Nothing comes before its cause",
    needs=("orders", "executions", "positions", "position_events", "balance_events", "reconciliations"),
    uses=("deals", "stories"),
    rows_sql="""
        SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM executions) + (SELECT count(*) FROM positions)
             + (SELECT count(*) FROM position_events) + (SELECT count(*) FROM balance_events)
    """,
    findings_sql=f"FROM ({odd_times_sql(_TIMES, EARLIEST, SKEW_MS)} UNION ALL {_ORDER}) ORDER BY rule, key",
    rules=_RULES
    | {
        "time out of range": Rule(Level.CRITICAL, "{relation} {key} has the time {measured}, which is not {expected}."),
        "first event": Rule(Level.CRITICAL, "The first event of position {key} is {measured}, not {expected}."),
        "event after the close": Rule(
            Level.CRITICAL, "Position {key} has {measured}, but its close is event {expected}."
        ),
    },
    empty="the ledger has nothing with a time",
)
