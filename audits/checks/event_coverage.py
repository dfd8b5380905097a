"""Check 8: each position has every event that its status demands, and its executions have each their own."""

from audits.checks.check import Check, Rule
from audits.event_words import ALWAYS, BALANCE_EVENTS, CLOSED, COUNTED, OPENED, POSITION_EVENTS
from audits.findings import Level


def _unknown_sql(relation: str, owner: str, known: tuple[str, ...]) -> str:
    return f"""
        SELECT 'unknown event type', 'one of {len(known)} known types', event_type, NULL,
               {owner}, '{relation}', event_id
        FROM {relation} WHERE event_type NOT IN {known}
    """


def _missing_sql() -> str:
    return "\nUNION ALL\n".join(
        f"""
        SELECT 'event missing' AS rule, '{name}' AS expected, 'none' AS measured, NULL::DECIMAL(38, 18) AS difference,
               position_id, status AS detail, NULL AS event_id
        FROM told WHERE coalesce({COUNTED[name]}, 0) = 0{" AND status = 'closed'" if name in CLOSED else ""}
        """
        for name in (*ALWAYS, *OPENED, *CLOSED)
    )


EVENT_COVERAGE = Check(
    name="event_coverage",
    title="Every position and execution has the events it must have",
    needs=("positions", "executions", "position_events", "balance_events"),
    uses=("deals", "stories"),
    rows_sql="SELECT count(*) FROM positions",
    findings_sql=f"""
        WITH told AS (
            SELECT p.position_id, p.status, s.*, coalesce(executions, 0) AS executions,
                   coalesce(closings, 0) AS closings
            FROM positions p LEFT JOIN (SELECT * EXCLUDE (position_id, units, realized_pnl), position_id FROM stories) s
              USING (position_id) LEFT JOIN deals d USING (position_id)
        ), found AS (
            {_missing_sql()}
            UNION ALL
            SELECT 'one ORDER_FILLED per execution', executions::VARCHAR, coalesce(filled, 0)::VARCHAR,
                   coalesce(filled, 0) - executions, position_id, status, NULL
            FROM told WHERE coalesce(filled, 0) <> executions
            UNION ALL
            SELECT 'one PNL_REALIZED per closing execution', closings::VARCHAR, coalesce(realized, 0)::VARCHAR,
                   coalesce(realized, 0) - closings, position_id, status, NULL
            FROM told WHERE coalesce(realized, 0) <> closings
            UNION ALL
            SELECT 'one event of its kind', '1', greatest(created, reserved, released, closed)::VARCHAR,
                   greatest(created, reserved, released, closed) - 1, position_id, status, NULL
            FROM told WHERE greatest(created, reserved, released, closed) > 1
            UNION ALL
            SELECT 'event too early', 'no POSITION_CLOSED', closed::VARCHAR, closed, position_id, status, NULL
            FROM told WHERE status = 'open' AND closed > 0
            UNION ALL
            {_unknown_sql("position_events", "position_id", POSITION_EVENTS)}
            UNION ALL
            {_unknown_sql("balance_events", "account_id", BALANCE_EVENTS)}
        )
        FROM found ORDER BY rule, position_id, expected, event_id
    """,
    rules={
        "event missing": Rule(Level.CRITICAL, "Position {position_id} is {detail}, but has no {expected} event."),
        "one ORDER_FILLED per execution": Rule(
            Level.CRITICAL, "Position {position_id} has {expected} executions, but {measured} ORDER_FILLED events."
        ),
        "one PNL_REALIZED per closing execution": Rule(
            Level.CRITICAL,
            "Position {position_id} has {expected} closing executions, {measured} PNL_REALIZED events.",
        ),
        "one event of its kind": Rule(Level.CRITICAL, "Position {position_id} has the same event {measured} times."),
        "event too early": Rule(Level.CRITICAL, "Position {position_id} is open, but has a POSITION_CLOSED event."),
        "unknown event type": Rule(
            Level.HIGH, "Event {event_id} in {detail} is a {measured}, which the contract lacks."
        ),
    },
    empty="the ledger has no positions",
)
