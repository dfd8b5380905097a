"""Check 2: each balance event starts where the one before it ended, and the first at the opening balance."""

from audits.checks.check import Check, Rule
from audits.findings import Level

BALANCE_CHAIN = Check(
    name="balance_chain",
    title="Each balance starts where the last one ended",
    needs=("accounts", "balance_events"),
    own=("balance_events.balance_before", "balance_events.balance_after"),
    rows_sql="SELECT count(*) FROM balance_events",
    uses=("links",),
    findings_sql="""
        WITH expected AS (
            SELECT l.*, CASE WHEN is_first THEN 'balance chain start' ELSE 'balance chain' END AS rule,
                   CASE WHEN is_first THEN opening_balance ELSE before_balance END AS expected
            FROM links l LEFT JOIN accounts a USING (account_id) WHERE NOT is_first OR a.account_id IS NOT NULL
        )
        SELECT rule, expected, e.balance_before AS measured, e.balance_before - expected AS difference, account_id,
               sequence, event_id, before_sequence
        FROM expected e JOIN balance_events b USING (account_id, sequence)
        WHERE e.balance_before IS DISTINCT FROM expected AND b.balance_before IS NOT DISTINCT FROM e.balance_before
        ORDER BY account_id, sequence, event_id
    """,
    rules={
        "balance chain": Rule(
            Level.CRITICAL,
            "Balance event {event_id} starts at {measured}, but event number {before_sequence} before it ended "
            "at {expected}.",
        ),
        "balance chain start": Rule(
            Level.CRITICAL,
            "The first balance event {event_id} of account {account_id} starts at {measured}, but the account opened "
            "with {expected}.",
        ),
    },
    empty="the ledger has no balance events",
)
