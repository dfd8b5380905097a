"""Part of check 10: what executions earned and cost is what the balance was moved by."""

from audits.checks.check import Rule
from audits.findings import Level

_BOOKED = """
    SELECT execution_id, sum(amount) AS booked FROM balance_events
    WHERE event_type = 'PNL_REALIZED' AND execution_id IS NOT NULL GROUP BY execution_id
"""

# A commission may be booked as a fee; the broker's other fees are booked beside it. An account whose executions never
# name a commission keeps none there.
_COMMISSIONS = """
    SELECT account_id, broker_transaction_id, sum(commission) AS commission, coalesce(any_value(paid), 0) AS paid,
           coalesce(any_value(paid_with_fees), 0) AS paid_with_fees
    FROM executions LEFT JOIN (
        SELECT account_id, broker_transaction_id, -sum(amount) AS paid_with_fees,
               -coalesce(sum(amount) FILTER (event_type = 'COMMISSION'), 0) AS paid
        FROM balance_events
        WHERE event_type IN ('COMMISSION', 'FEE') AND broker_transaction_id IS NOT NULL GROUP BY ALL
    ) USING (account_id, broker_transaction_id)
    WHERE broker_transaction_id IS NOT NULL GROUP BY account_id, broker_transaction_id
    HAVING sum(commission) <> 0 OR account_id IN (SELECT account_id FROM executions WHERE commission <> 0)
"""

_PER_ACCOUNT = """
    SELECT account_id, coalesce(earned, 0) AS earned, coalesce(booked, 0) AS booked
    FROM (SELECT account_id, sum(realized_pnl) AS earned FROM executions GROUP BY ALL) FULL OUTER JOIN
         (SELECT account_id, sum(amount) AS booked FROM balance_events WHERE event_type = 'PNL_REALIZED' GROUP BY ALL)
    USING (account_id)
"""

BOOKINGS_SQL = f"""
    SELECT 'profit booked', plain(e.realized_pnl), plain(coalesce(booked, 0)),
           coalesce(booked, 0) - e.realized_pnl, position_id, execution_id, broker_transaction_id
    FROM executions e LEFT JOIN ({_BOOKED}) USING (execution_id)
    WHERE e.realized_pnl <> coalesce(booked, 0)
      AND EXISTS (SELECT 1 FROM balance_events WHERE event_type = 'PNL_REALIZED' AND execution_id IS NOT NULL)
    UNION ALL
    SELECT 'profits booked', plain(earned), plain(booked), booked - earned, NULL, account_id, NULL
    FROM ({_PER_ACCOUNT}) WHERE earned <> booked
    UNION ALL
    SELECT 'commission booked', plain(commission), plain(paid), paid - commission, NULL, account_id,
           broker_transaction_id
    FROM ({_COMMISSIONS}) WHERE commission NOT IN (paid, paid_with_fees)
    UNION ALL
    SELECT 'commission below zero', '0 or more', plain(commission), commission, position_id, execution_id,
           broker_transaction_id
    FROM executions WHERE commission < 0
"""

BOOKING_RULES = {
    "profit booked": Rule(
        Level.CRITICAL, "Execution {execution_id} earned {expected}, but its balance events add up to {measured}."
    ),
    "profits booked": Rule(
        Level.CRITICAL,
        "The executions of account {execution_id} earned {expected} together, but {measured} was booked as profit.",
    ),
    "commission booked": Rule(
        Level.CRITICAL,
        "The executions of transaction {broker_transaction_id} cost {expected}, but {measured} was booked.",
    ),
    "commission below zero": Rule(
        Level.CRITICAL, "Execution {execution_id} has a commission of {measured}: a cost is never below zero."
    ),
}
