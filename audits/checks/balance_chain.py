"""Check 2: each balance event starts where the one before it ended, and the first at the opening balance."""

from audits.checks.check import Check, Rule
from audits.findings import Level

BALANCE_CHAIN = Check(
    name="balance_chain",
    title="Each balance starts where the last one ended",
    needs=("accounts", "balance_events"),
    rows_sql="SELECT count(*) FROM balance_events",
    findings_sql="""
        WITH chain AS (
            SELECT account_id, sequence, event_id, balance_before,
                   lag(event_id) OVER by_sequence AS before_event_id,
                   lag(balance_after) OVER by_sequence AS before_balance
            FROM balance_events
            WINDOW by_sequence AS (PARTITION BY account_id ORDER BY sequence, event_id)
        ), expected AS (
            SELECT chain.*, CASE WHEN before_event_id IS NULL THEN opening_balance ELSE before_balance END AS expected,
                   CASE WHEN before_event_id IS NULL THEN 'balance chain start' ELSE 'balance chain' END AS rule
            FROM chain LEFT JOIN accounts USING (account_id)
            WHERE before_event_id IS NOT NULL OR accounts.account_id IS NOT NULL
        )
        SELECT rule, expected, balance_before AS measured, balance_before - expected AS difference, account_id,
               sequence, event_id, before_event_id
        FROM expected
        WHERE balance_before IS DISTINCT FROM expected
        ORDER BY account_id, sequence, event_id
    """,
    rules={
        "balance chain": Rule(
            Level.CRITICAL,
            "Balance event {event_id} starts at {measured}, but the event before it, {before_event_id}, ended at "
            "{expected}.",
        ),
        "balance chain start": Rule(
            Level.CRITICAL,
            "The first balance event {event_id} of account {account_id} starts at {measured}, but the account opened "
            "with {expected}.",
        ),
    },
    empty="the ledger has no balance events",
)
