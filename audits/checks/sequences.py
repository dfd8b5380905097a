"""Check 9: events are numbered from 1 without a hole and without a number twice, per position and per account."""

from audits.checks.check import Check, Rule
from audits.findings import Level

# A position's events are looked at one by one only where they are not as many different numbers, from 1 to their count.
_POSITION_EVENTS = """
    SELECT 'position_events' AS relation, position_id AS owner, event_id, sequence, before
    FROM (SELECT position_id, event_id, sequence,
                 coalesce(lag(sequence) OVER (PARTITION BY position_id ORDER BY sequence), 0) AS before
          FROM position_events SEMI JOIN (
              SELECT position_id FROM stories
              WHERE NOT (first_sequence = 1 AND last_sequence = events AND numbers = events AND events < 64)
          ) uneven USING (position_id))
    WHERE sequence IS DISTINCT FROM before + 1
"""

SEQUENCES = Check(
    name="sequences",
    title="Events are numbered without a hole",
    needs=("position_events", "balance_events"),
    own=("position_events.sequence", "balance_events.sequence"),
    uses=("links", "stories"),
    rows_sql="SELECT (SELECT count(*) FROM position_events) + (SELECT count(*) FROM balance_events)",
    findings_sql=f"""
        WITH broken AS (
            {_POSITION_EVENTS}
            UNION ALL
            SELECT 'balance_events', account_id, min(event_id), sequence, any_value(coalesce(before_sequence, 0))
            FROM links l JOIN balance_events b USING (account_id, sequence)
            WHERE sequence IS DISTINCT FROM coalesce(before_sequence, 0) + 1 GROUP BY account_id, sequence
        )
        SELECT CASE WHEN sequence = before THEN 'number twice'
                    WHEN sequence < 1 OR sequence IS NULL THEN 'number below 1'
                    ELSE 'numbers missing' END AS rule,
               (before + 1)::VARCHAR AS expected, sequence::VARCHAR AS measured,
               (sequence::HUGEINT - before - 1)::DECIMAL(38, 0) AS difference, relation, owner, event_id
        FROM broken ORDER BY rule, relation, owner, sequence, event_id
    """,
    rules={
        "numbers missing": Rule(
            Level.CRITICAL,
            "In {relation} of {owner} the next number should be {expected}, but event {event_id} has {measured}.",
        ),
        "number twice": Rule(
            Level.CRITICAL, "In {relation} of {owner} the number {measured} is given twice, to event {event_id} too."
        ),
        "number below 1": Rule(Level.CRITICAL, "In {relation} of {owner} event {event_id} has the number {measured}."),
    },
    empty="the ledger has no events",
)
