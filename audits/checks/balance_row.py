"""Check 1: each balance event adds up in itself."""

from audits.checks.check import Check, Rule
from audits.findings import Level

BALANCE_ROW = Check(
    name="balance_row",
    title="Balance before + amount = balance after",
    needs=("balance_events",),
    own=("balance_events.balance_before", "balance_events.amount", "balance_events.balance_after"),
    rows_sql="SELECT count(*) FROM balance_events",
    findings_sql="""
        SELECT 'balance row' AS rule, balance_before + amount AS expected, balance_after AS measured,
               balance_after - (balance_before + amount) AS difference, account_id, sequence, event_id, event_type
        FROM balance_events
        WHERE balance_after IS DISTINCT FROM balance_before + amount
        ORDER BY account_id, sequence, event_id
    """,
    rules={
        "balance row": Rule(
            Level.CRITICAL,
            "Balance event {event_id} ({event_type}) ends at {measured}, but its balance before plus its amount is "
            "{expected}.",
        )
    },
    empty="the ledger has no balance events",
)
