"""Part of check 15: each position has at the broker the stops that it should have, at the prices that it should."""

from audits.checks.check import Rule
from audits.findings import Level

LIMIT_S = 5  # from a fill to its stop loss, from one stop loss to the next, from the touching price to the execution
_LIMIT = f"INTERVAL {LIMIT_S} SECOND"

# A trailing stop, whose price moves, may stand beside a stop loss: prices are those of what stands still.
# What is compared must not have moved within the limit: the ledger books a moved stop a moment later.
_LIVE = f"""
    SELECT account_id, trade_id, kind, arg_max(price, number) FILTER (ended_at IS NULL AND NOT is_trailing) AS price,
           count_if(ended_at IS NULL) AS live, count_if(ended_at IS NULL AND NOT is_trailing) AS fixed,
           count(*) AS orders,
           coalesce(max(greatest(created_at, ended_at)) < (SELECT moment FROM this) - {_LIMIT}, true) AS is_settled
    FROM stops GROUP BY ALL
"""

_WANTED = f"""
    SELECT w.*, l.price, coalesce(l.live, 0) AS live, coalesce(l.orders, 0) AS orders, l.fixed,
           coalesce(l.is_settled, w.opened_at < (SELECT moment FROM this) - {_LIMIT}) AS is_settled
    FROM (SELECT account_id, position_id, broker_trade_id AS trade_id, status, opened_at, 'stop loss' AS kind,
                 stop_loss AS wanted FROM positions SEMI JOIN tied_pairs USING (account_id)
          UNION ALL
          SELECT account_id, position_id, broker_trade_id, status, opened_at, 'take profit', take_profit
          FROM positions SEMI JOIN tied_pairs USING (account_id)) w
    LEFT JOIN ({_LIVE}) l USING (account_id, trade_id, kind)
"""

PROTECTION_SQL = f"""
    WITH wanted AS ({_WANTED})
    SELECT 'position without its stop' AS rule, kind || ' at ' || plain(wanted) AS expected, 'none' AS measured,
           NULL::DECIMAL(38, 18) AS difference, position_id, trade_id, NULL AS broker_order_id
    FROM wanted WHERE wanted IS NOT NULL AND is_settled
      AND (orders = 0 OR (status = 'open' AND live = 0 AND trade_id IS NOT NULL))
    UNION ALL
    SELECT 'stop at another price', kind || ' at ' || plain(wanted), plain(price), price - wanted, position_id,
           trade_id, NULL
    FROM wanted WHERE status = 'open' AND fixed > 0 AND price <> wanted AND is_settled
    UNION ALL
    SELECT 'stop unknown to the ledger', kind || ' at ' || plain(price), 'none', NULL, position_id, trade_id,
           NULL
    FROM wanted WHERE status = 'open' AND fixed > 0 AND wanted IS NULL AND is_settled
"""

PROTECTION_RULES = {
    "position without its stop": Rule(
        Level.CRITICAL,
        "Position {position_id} should have a {expected}, but the broker has none for trade {trade_id}.",
    ),
    "stop at another price": Rule(
        Level.CRITICAL,
        "Position {position_id} should have a {expected}, but at the broker it stands at {measured}.",
    ),
    "stop unknown to the ledger": Rule(
        Level.HIGH, "The broker has a {expected} for trade {trade_id}, but position {position_id} has none."
    ),
}
