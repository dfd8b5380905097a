"""Check 3: the opening balance and all amounts give the account's balance, and so does the last event."""

from audits.checks.check import Check, Rule
from audits.findings import Level

BALANCE_TOTAL = Check(
    name="balance_total",
    title="Opening balance + all amounts = balance",
    needs=("accounts", "balance_events"),
    own=("accounts.opening_balance", "accounts.balance", "balance_events.amount"),
    uses=("totals",),
    rows_sql="SELECT count(*) FROM accounts",
    findings_sql="""
        WITH found AS (
            SELECT 'balance total' AS rule, total AS expected, balance AS measured, balance - total AS difference,
                   account_id, event_id, events
            FROM totals WHERE balance IS DISTINCT FROM total
            UNION ALL
            SELECT 'balance of last event', last_balance, balance, balance - last_balance, account_id, event_id, events
            FROM totals WHERE balance IS DISTINCT FROM last_balance
        )
        FROM found ORDER BY account_id, rule DESC
    """,
    rules={
        "balance total": Rule(
            Level.CRITICAL,
            "Account {account_id} holds {measured}, but its opening balance and its {events} balance events add up to "
            "{expected}.",
        ),
        "balance of last event": Rule(
            Level.CRITICAL,
            "Account {account_id} holds {measured}, but its last balance event {event_id} ended at {expected}.",
        ),
    },
    empty="the ledger has no accounts",
)
