"""Check 10: profit and loss recomputed, per execution and per position.

Rule: what an execution closes earns (price - entry price) × units × conversion rate, of the sign of the position. The
broker keeps balances at 4 decimals and rounds each fill to them, so the booked figure may lie half a step of the fourth
decimal from the exact product and no further; sums of booked figures must agree to the last digit.
"""

from audits.checks.bookings import BOOKING_RULES, BOOKINGS_SQL
from audits.checks.check import INCONCLUSIVE, NOTE, Check, Rule
from audits.earnings import HALF_STEP
from audits.findings import Level

# Entered at one price, or at several before anything was closed; else what a close earned depends on a convention.
_SIMPLE = "(lowest_entry = highest_entry OR last_opening_at <= first_closing_at OR first_closing_at IS NULL)"

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
            WHERE e.realized_pnl <> 0 AND same_side(e.units, p.units)
            UNION ALL
            SELECT 'profit of a position', plain(d.realized_pnl), plain(p.realized_pnl),
                   p.realized_pnl - d.realized_pnl, position_id, NULL, NULL
            FROM positions p JOIN deals d USING (position_id) WHERE p.realized_pnl IS DISTINCT FROM d.realized_pnl
            UNION ALL
            SELECT 'entry price', CASE WHEN lowest_entry = highest_entry THEN plain(lowest_entry)
                   ELSE plain(lowest_entry) || ' to ' || plain(highest_entry) END, plain(entry_price),
                   entry_price - lowest_entry, position_id, NULL, NULL
            FROM positions JOIN deals USING (position_id) WHERE NOT entry_price BETWEEN lowest_entry AND highest_entry
            UNION ALL
            {BOOKINGS_SQL}
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
    }
    | BOOKING_RULES,
    empty="the ledger has no executions of a position",
)
