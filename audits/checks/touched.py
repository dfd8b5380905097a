"""Part of check 15: each stop that the market touched was executed, told from the broker's candles in the snapshot."""

from audits.checks.check import INCONCLUSIVE, NOTE, Rule
from audits.checks.protection import LIMIT_S
from audits.findings import Level
from audits.touch_table import CANDLE_S, TRAILING

_DEADLINE = f"touched_at + INTERVAL {CANDLE_S + LIMIT_S} SECOND"
_WERE = "count(*) || CASE count(*) WHEN 1 THEN ' stop was' ELSE ' stops were' END"
_NONE = "'of ' || count(*) || CASE count(*) WHEN 1 THEN ' stop' ELSE ' stops' END || ' none'"
_AT = "strftime(touched_at, '%Y-%m-%d %H:%M:%S UTC')"

# What the quote in the fill tells to be late is found by it (see audits.checks.stopped), so not again.
TOUCHED_SQL = f"""
    WITH judged AS (
        SELECT t.*, position_id FROM touches t LEFT JOIN positions p
          ON p.account_id = t.account_id AND p.broker_trade_id = t.trade_id WHERE why IS NULL
    )
    SELECT 'stop touched, not executed' AS rule, kind || ' at ' || plain(price) AS expected,
           plain(touching_price) || ' at ' || {_AT} AS measured, touching_price - price AS difference, position_id,
           trade_id, order_id AS broker_order_id, candle_id
    FROM judged WHERE executed_at IS NULL AND {_DEADLINE} < seen_until
    UNION ALL
    SELECT 'stop executed late', 'within {LIMIT_S} s', epoch_ms(executed_at) - epoch_ms(touched_at) || ' ms',
           epoch_ms(executed_at) - epoch_ms(touched_at), position_id, trade_id, order_id, candle_id
    FROM judged j WHERE executed_at > {_DEADLINE} AND position_id IS NOT NULL AND NOT EXISTS (
        FROM parts f WHERE f.account_id = j.account_id AND f.order_id = j.order_id AND f.kind = 'closed'
            AND f.time > f.quoted_at + INTERVAL {LIMIT_S} SECOND)
"""

TOUCHED_REMARKS_SQL = f"""
    SELECT '{NOTE}', {_WERE} || ' looked at in ' || (SELECT count(*) FROM broker_candles)
           || ' candles of the broker: ' || count(touched_at) || ' touched, ' || count(executed_at) || ' executed'
    FROM touches WHERE why IS NULL HAVING count(*) > 0
    UNION ALL
    SELECT '{NOTE}', {_WERE} || ' not looked at, so that a touch left lying is not seen: ' || why
    FROM touches WHERE why IS NOT NULL GROUP BY why
    UNION ALL
    SELECT '{INCONCLUSIVE}', {_NONE} || ' could be looked at in the broker''s prices: ' || min(why)
    FROM touches WHERE why IS DISTINCT FROM '{TRAILING}' HAVING count(*) > 0 AND count_if(why IS NULL) = 0
    UNION ALL
    SELECT '{NOTE}', 'prices left out' || coalesce(' of ' || nullif(instrument, '') || ' from '
           || strftime(min(since), '%Y-%m-%d %H:%M') || ' to ' || strftime(max(until), '%Y-%m-%d %H:%M UTC'), '')
           || ': ' || left_out
    FROM price_spans WHERE left_out IS NOT NULL GROUP BY instrument, left_out
    UNION ALL
    SELECT '{NOTE}', {_WERE} || ' touched just before the snapshot: the time limit was not over'
    FROM touches WHERE why IS NULL AND executed_at IS NULL AND {_DEADLINE} >= seen_until HAVING count(*) > 0
    UNION ALL
    SELECT '{NOTE}', 'no prices are in the snapshot: a stop that was touched and left lying is not seen unless '
           || 'something else closed its trade beyond it'
    FROM stops WHERE (SELECT count(*) FROM price_spans) = 0 HAVING count(*) > 0
"""

TOUCHED_RULES = {
    "stop touched, not executed": Rule(
        Level.CRITICAL,
        "The {expected} of trade {trade_id}, order {broker_order_id}, was touched by {measured}, but not executed.",
    ),
}
