"""Part of check 18: a reconciliation that says all agrees, though by then the balance was not the broker's.

Judged is the newest of an account that says so, by what was booked a second before it began: opening balance and
amounts against the broker's balance after the last transaction of those. So no clock of the broker is asked, and a
booking under way accuses nobody. There is no evidence, and no finding, where the difference is gone by now, where the
balance does not follow from its events, or where something up to that transaction was booked later.
"""

from audits.checks.check import Rule
from audits.findings import Level

SETTLED_MS = 1000  # what was booked by then, a reconciliation has seen
LONGEST_MS = 86_400_000

_OFF = """
    SELECT account_id, broker_account_id, opening_balance
    FROM accounts l JOIN tied_pairs USING (account_id) JOIN broker_accounts b ON b.account_id = broker_account_id
    JOIN totals t USING (account_id)
    WHERE l.balance <> b.balance AND t.balance = t.total
"""

HIDDEN_SQL = f"""
    WITH off AS ({_OFF}), silent AS (
        SELECT account_id, arg_max(reconciliation_id, started_at) AS reconciliation_id, max(started_at) AS started_at,
               arg_max(started_at + to_milliseconds(least(duration_ms, {LONGEST_MS})::DOUBLE), started_at) AS ended_at
        FROM reconciliations SEMI JOIN off USING (account_id) WHERE mismatches = 0 GROUP BY account_id
    ), booked AS (
        SELECT account_id, amount, number(broker_transaction_id) AS number, recorded_at <= ended_at AS is_before_end,
               recorded_at <= started_at - INTERVAL {SETTLED_MS} MILLISECOND AS is_settled
        FROM balance_events JOIN silent USING (account_id)
    ), seen AS (
        SELECT account_id, sum(amount) FILTER (is_settled) AS amounts, max(number) FILTER (is_settled) AS last_number,
               min(coalesce(number, 0)) FILTER (NOT is_settled AND (is_before_end OR number IS NOT NULL)) AS next_number
        FROM booked GROUP BY account_id
    )
    SELECT 'reconciliation hid a difference', plain(account_balance), plain(opening_balance + amounts),
           opening_balance + amounts - account_balance, reconciliation_id, account_id, started_at::VARCHAR
    FROM off JOIN silent USING (account_id) JOIN seen USING (account_id)
    JOIN changes c ON c.account_id = broker_account_id AND c.number = last_number
    WHERE account_balance <> opening_balance + amounts AND coalesce(next_number > last_number, true)
"""

HIDDEN_RULES = {
    "reconciliation hid a difference": Rule(
        Level.CRITICAL,
        "The reconciliation {reconciliation_id} of account {account_id} says all agrees, but the ledger held "
        "{measured} then, and the broker {expected}.",
    )
}
