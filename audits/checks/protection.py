"""Part of check 15: each position has at the broker the stops that it should have, and always had a stop loss."""

from audits.checks.check import Rule
from audits.findings import Level

LIMIT_S = 5  # from a fill to its stop loss, from one stop loss to the next, from the touching price to the execution
_LIMIT = f"INTERVAL {LIMIT_S} SECOND"

# What is compared must not have moved within the limit: the ledger books a moved stop a moment later.
_LIVE = f"""
    SELECT account_id, trade_id, kind, arg_max(price, number) FILTER (ended_at IS NULL) AS price,
           count_if(ended_at IS NULL) AS live, bool_or(is_trailing AND ended_at IS NULL) AS is_trailing,
           count(*) AS orders,
           coalesce(max(greatest(created_at, ended_at)) < (SELECT moment FROM this) - {_LIMIT}, true) AS is_settled
    FROM stops GROUP BY ALL
"""

_WANTED = f"""
    SELECT w.*, l.price, coalesce(l.live, 0) AS live, coalesce(l.orders, 0) AS orders, l.is_trailing,
           coalesce(l.is_settled, w.opened_at < (SELECT moment FROM this) - {_LIMIT}) AS is_settled
    FROM (SELECT account_id, position_id, broker_trade_id AS trade_id, status, opened_at, 'stop loss' AS kind,
                 stop_loss AS wanted FROM positions SEMI JOIN tied_pairs USING (account_id)
          UNION ALL
          SELECT account_id, position_id, broker_trade_id, status, opened_at, 'take profit', take_profit
          FROM positions SEMI JOIN tied_pairs USING (account_id)) w
    LEFT JOIN ({_LIVE}) l USING (account_id, trade_id, kind)
"""

# Each time without a stop loss: from the fill to the first, and from one to the next.
_GAPS = """
    SELECT account_id, trade_id, order_id, coalesce(lag(ended_at) OVER trade, opened_at) AS since, created_at AS until
    FROM stops WHERE kind = 'stop loss' AND opened_at IS NOT NULL
    WINDOW trade AS (PARTITION BY account_id, trade_id ORDER BY number)
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
    FROM wanted WHERE status = 'open' AND live > 0 AND NOT is_trailing AND price <> wanted AND is_settled
    UNION ALL
    SELECT 'stop unknown to the ledger', kind || ' at ' || plain(price), 'none', NULL, position_id, trade_id,
           NULL
    FROM wanted WHERE status = 'open' AND live > 0 AND NOT is_trailing AND wanted IS NULL AND is_settled
    UNION ALL
    SELECT 'unprotected', 'a stop loss within {LIMIT_S} s', plain(epoch_ms(until) - epoch_ms(since)) || ' ms without',
           epoch_ms(until) - epoch_ms(since), position_id, g.trade_id, order_id
    FROM ({_GAPS}) g JOIN positions p ON p.account_id = g.account_id AND p.broker_trade_id = g.trade_id
    WHERE until > since + {_LIMIT}
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
    "unprotected": Rule(
        Level.HIGH, "Position {position_id} was {measured} a stop loss until order {broker_order_id} placed one."
    ),
}
