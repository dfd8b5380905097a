"""Check 15: each position has the stops that it should have, at the broker, and what they executed is booked so.

Judged from the broker's orders and fills, and from its prices where they are in the snapshot. Without prices, a stop
that was touched and left lying shows only where something else closed its trade beyond it.
"""

from audits.checks.check import INCONCLUSIVE, NOTE, Check
from audits.checks.protection import PROTECTION_RULES, PROTECTION_SQL
from audits.checks.stopped import STOPPED_RULES, STOPPED_SQL
from audits.checks.touched import TOUCHED_REMARKS_SQL, TOUCHED_RULES, TOUCHED_SQL
from audits.checks.unprotected import UNPROTECTED_RULES, UNPROTECTED_SQL

STOPS = Check(
    name="stops",
    title="Every position has its stops, and what they executed is booked",
    needs=("accounts", "positions", "executions", "broker_transactions"),
    uses=("tied_pairs", "parts", "stops", "touches"),
    rows_sql="""
        SELECT (SELECT count(*) FROM stops) + (SELECT count(*) FROM positions SEMI JOIN tied_pairs USING (account_id)
                WHERE stop_loss IS NOT NULL OR take_profit IS NOT NULL)
    """,
    findings_sql=f"""
        FROM (({PROTECTION_SQL}) UNION ALL ({STOPPED_SQL}) UNION ALL BY NAME ({TOUCHED_SQL})
              UNION ALL BY NAME ({UNPROTECTED_SQL}))
        ORDER BY rule, position_id, broker_order_id, expected
    """,
    remarks_sql=f"""
        SELECT '{NOTE}', 'stops executed: ' || count(*) || ', the slowest ' || coalesce(max(epoch_ms(p.time)
               - epoch_ms(quoted_at))::VARCHAR || ' ms', 'of unknown time') || ' after the price, slippage at worst '
               || coalesce(plain(max((s.price - p.price) * sign(s.trade_units))), 'unknown')
        FROM parts p JOIN stops s ON p.account_id = s.account_id AND p.order_id = s.order_id AND NOT s.is_trailing
        HAVING count(*) > 0
        UNION ALL {TOUCHED_REMARKS_SQL}
        UNION ALL
        SELECT '{NOTE}', 'positions with neither a stop loss nor a take profit, here or at the broker: ' || count(*)
        FROM positions p SEMI JOIN tied_pairs USING (account_id) ANTI JOIN stops s
          ON p.account_id = s.account_id AND p.broker_trade_id = s.trade_id
        WHERE stop_loss IS NULL AND take_profit IS NULL HAVING count(*) > 0
        UNION ALL
        SELECT '{INCONCLUSIVE}', 'no position names its broker_trade_id: its stops cannot be found'
        FROM positions HAVING count(*) > 0 AND count(broker_trade_id) = 0
    """,
    rules=PROTECTION_RULES | UNPROTECTED_RULES | STOPPED_RULES | TOUCHED_RULES,
    empty="no position has a stop loss or a take profit, and the broker saw none",
    needs_tie=True,
)
