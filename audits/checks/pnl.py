"""Check 10: profit and loss recomputed, per execution and per position.

Rule: what an execution closes earns (price - entry price) × units × conversion rate, of the sign of the position. The
broker keeps balances at 4 decimals and rounds each fill to them, so the booked figure may lie half a step of the fourth
decimal from the exact product and no further; sums of booked figures must agree to the last digit.
"""

from audits.checks.check import INCONCLUSIVE, NOTE, Check, Rule
from audits.earnings import HALF_STEP
from audits.findings import Level

# Entered at one price, or at several before anything was closed; else what a close earned depends on a convention.
_SIMPLE = "(lowest_entry = highest_entry OR last_opening_at <= first_closing_at OR first_closing_at IS NULL)"

_BOOKED = """
    SELECT execution_id, sum(amount) AS booked FROM balance_events
    WHERE event_type = 'PNL_REALIZED' AND execution_id IS NOT NULL GROUP BY execution_id
"""

# A commission may be booked as a fee; the broker's other fees are booked beside it.
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
    HAVING sum(commission) <> 0
"""

_PER_ACCOUNT = """
    SELECT account_id, coalesce(earned, 0) AS earned, coalesce(booked, 0) AS booked
    FROM (SELECT account_id, sum(realized_pnl) AS earned FROM executions GROUP BY ALL) FULL OUTER JOIN
         (SELECT account_id, sum(amount) AS booked FROM balance_events WHERE event_type = 'PNL_REALIZED' GROUP BY ALL)
    USING (account_id)
"""

PNL = Check(
    name="pnl",
    title="Every profit and loss recomputes",
    needs=("executions", "positions", "balance_events"),
    uses=("deals", "earnings"),
    rows_sql="SELECT count(*) FROM executions SEMI JOIN positions USING (position_id)",
    findings_sql=f"""
        WITH found AS (
            SELECT 'profit of an execution' AS rule, coalesce(plain(earned), 'beyond any account') AS expected,
                   plain(e.realized_pnl) AS measured, e.realized_pnl - earned AS difference, position_id, execution_id,
                   broker_transaction_id
            FROM earnings e JOIN deals d USING (position_id)
            WHERE {_SIMPLE} AND (earned IS NULL OR abs(e.realized_pnl - earned) > {HALF_STEP})
            UNION ALL
            SELECT 'profit of an opening', '0', plain(e.realized_pnl), e.realized_pnl, position_id, execution_id,
                   broker_transaction_id
            FROM executions e JOIN positions p USING (position_id)
            WHERE same_side(e.units, p.units) AND e.realized_pnl <> 0
            UNION ALL
            SELECT 'profit of a position', plain(d.realized_pnl), plain(p.realized_pnl),
                   p.realized_pnl - d.realized_pnl,
                   position_id, NULL, NULL
            FROM positions p JOIN deals d USING (position_id) WHERE p.realized_pnl IS DISTINCT FROM d.realized_pnl
            UNION ALL
            SELECT 'entry price', CASE WHEN lowest_entry = highest_entry THEN plain(lowest_entry)
                   ELSE plain(lowest_entry) || ' to ' || plain(highest_entry) END, plain(entry_price),
                   entry_price - lowest_entry, position_id, NULL, NULL
            FROM positions JOIN deals USING (position_id)
            WHERE lowest_entry IS NOT NULL AND NOT entry_price BETWEEN lowest_entry AND highest_entry
            UNION ALL
            SELECT 'profit booked', plain(e.realized_pnl), plain(coalesce(booked, 0)), coalesce(booked,
                   0) - e.realized_pnl,
                   position_id, execution_id, broker_transaction_id
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
        )
        FROM found ORDER BY rule, position_id, execution_id
    """,
    remarks_sql=f"""
        SELECT '{INCONCLUSIVE}', count(*) || ' positions were increased after they had been reduced, the first: '
               || min(position_id) || '; what each of their closes earned follows no rule of the contract'
        FROM deals WHERE NOT {_SIMPLE} HAVING count(*) > 0
        UNION ALL
        SELECT '{NOTE}', 'no PNL_REALIZED balance event names its execution: profits were not compared one by one'
        FROM balance_events WHERE event_type = 'PNL_REALIZED' HAVING count(*) > 0 AND count(execution_id) = 0
    """,
    rules={
        "profit of an execution": Rule(
            Level.CRITICAL,
            "Execution {execution_id} of position {position_id} booked {measured}, but its prices, units and rate give "
            "{expected}.",
        ),
        "profit of an opening": Rule(
            Level.CRITICAL, "Execution {execution_id} opens position {position_id}, but booked a profit of {measured}."
        ),
        "profit of a position": Rule(
            Level.CRITICAL, "Position {position_id} shows {measured}, but its executions add up to {expected}."
        ),
        "entry price": Rule(
            Level.CRITICAL, "Position {position_id} was entered at {expected}, but its entry price is {measured}."
        ),
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
    },
    empty="the ledger has no executions of a position",
)
