"""Check 9: events are numbered from 1 without a hole and without a number twice, per position and per account."""

from audits.checks.check import Check, Rule
from audits.findings import Level


def _numbered_sql(relation: str, owner: str) -> str:
    """Each event with the number before it; only those that do not follow by one are kept."""
    return f"""
        SELECT '{relation}' AS relation, {owner} AS owner, event_id, sequence, before
        FROM (SELECT {owner}, event_id, sequence, coalesce(lag(sequence) OVER (
                  PARTITION BY {owner} ORDER BY sequence), 0) AS before FROM {relation})
        WHERE sequence IS DISTINCT FROM before + 1
    """


SEQUENCES = Check(
    name="sequences",
    title="Events are numbered without a hole",
    needs=("position_events", "balance_events"),
    rows_sql="SELECT (SELECT count(*) FROM position_events) + (SELECT count(*) FROM balance_events)",
    findings_sql=f"""
        WITH broken AS (
            {_numbered_sql("position_events", "position_id")} UNION ALL {_numbered_sql("balance_events", "account_id")}
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
