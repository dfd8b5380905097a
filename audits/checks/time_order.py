"""Check 14: nothing comes before its cause, nothing is recorded before it occurred, nothing after the close.

Times of two clocks, the broker's and the ledger's, are compared with SKEW_MS between them; those of one clock exactly.
"""

from audits.checks.check import Check, Rule
from audits.findings import Level

SKEW_MS = 500
_SKEW = f"INTERVAL {SKEW_MS} MILLISECOND"
EARLIEST = "1970-01-01 00:00:00+00"

# relation: its key and its times
_TIMES = {
    "orders": ("order_id", ("created_at",)),
    "executions": ("execution_id", ("executed_at",)),
    "positions": ("position_id", ("opened_at", "closed_at")),
    "position_events": ("event_id", ("occurred_at", "recorded_at")),
    "balance_events": ("event_id", ("occurred_at", "recorded_at")),
    "reconciliations": ("reconciliation_id", ("started_at",)),
}

# rule: (what came too early, what should have come before it, where, the key)
_BEFORE = {
    "recorded before it occurred": [
        ("recorded_at", "occurred_at", "position_events", "event_id", _SKEW),
        ("recorded_at", "occurred_at", "balance_events", "event_id", _SKEW),
    ],
    "order changed before it was created": [("updated_at", "created_at", "orders", "order_id", _SKEW)],
    "position closed before it was opened": [
        ("closed_at", "opened_at", "positions", "position_id", "INTERVAL 0 SECOND")
    ],
    "executed before its order": [
        ("executed_at", "created_at", "executions JOIN orders USING (order_id)", "execution_id", _SKEW)
    ],
    "executed before its position was opened": [
        ("first_at", "opened_at", "deals JOIN positions USING (position_id)", "position_id", _SKEW)
    ],
    "executed after its position was closed": [
        ("closed_at", "last_at", "deals JOIN positions USING (position_id)", "position_id", _SKEW)
    ],
    "event before its position was opened": [
        ("first_at", "opened_at", "stories JOIN positions USING (position_id)", "position_id", _SKEW)
    ],
    "event after its position was closed": [
        ("closed_at", "last_at", "stories JOIN positions USING (position_id)", "position_id", _SKEW)
    ],
}


def _before_sql(rule: str) -> list[str]:
    return [
        f"""
        SELECT '{rule}' AS rule, '{early} not before ' || {late} AS expected, {early}::VARCHAR AS measured,
               (epoch_us({early}) - epoch_us({late}))::DECIMAL(30, 0) * 0.001 AS difference, {key}::VARCHAR AS key,
               '{relation.split()[0]}' AS relation
        FROM {relation} WHERE {early} < {late} - {allowed}
        """
        for early, late, relation, key, allowed in _BEFORE[rule]
    ]


def _range_sql(relation: str) -> list[str]:
    key, times = _TIMES[relation]
    return [
        f"""
        SELECT 'time out of range', 'between 1970 and the audit', {time}::VARCHAR, NULL, {key}, '{relation}'
        FROM {relation}, this WHERE {time} < '{EARLIEST}'::TIMESTAMPTZ OR {time} > moment + {_SKEW}
        """
        for time in times
    ]


_ORDER = """
    SELECT 'first event', 'POSITION_CREATED', first_type, NULL, position_id, 'position_events'
    FROM stories WHERE first_type <> 'POSITION_CREATED'
    UNION ALL
    SELECT 'event after the close', 'POSITION_CLOSED last, at ' || closed_sequence, 'events up to ' || last_sequence,
           last_sequence - closed_sequence, position_id, 'position_events'
    FROM stories WHERE last_sequence > closed_sequence
"""

_RULES = {rule: Rule(Level.CRITICAL, "{relation} {key}: " + rule + ", at {measured} ({expected}).") for rule in _BEFORE}

TIME_ORDER = Check(
    name="time_order",
    title="Nothing comes before its cause",
    needs=("orders", "executions", "positions", "position_events", "balance_events", "reconciliations"),
    uses=("deals", "stories"),
    rows_sql="""
        SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM executions) + (SELECT count(*) FROM positions)
             + (SELECT count(*) FROM position_events) + (SELECT count(*) FROM balance_events)
    """,
    findings_sql="FROM ("
    + "\nUNION ALL\n".join(
        [
            *(sql for rule in _BEFORE for sql in _before_sql(rule)),
            *(sql for name in _TIMES for sql in _range_sql(name)),
            _ORDER,
        ]
    )
    + ") ORDER BY rule, key",
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
