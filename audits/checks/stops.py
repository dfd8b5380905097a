"""Check 15: each position has the stops that it should have, at the broker, and what they executed is booked so.

Judged from the broker's orders and fills, without prices: a stop that was touched and left lying shows only where
something else closed its trade beyond it. The windows of gate 1 (audits.stop_windows) look at prices.
"""

from audits.checks.check import INCONCLUSIVE, NOTE, Check, Rule
from audits.findings import Level

LIMIT_S = 5  # from a fill to its stop loss, from one stop loss to the next, from the touching price to the execution
_LIMIT = f"INTERVAL {LIMIT_S} SECOND"

_STOP = "upper(close_reason) IN ('STOP', 'SL') OR contains(upper(close_reason), 'STOP_LOSS')"
_PROFIT = "upper(close_reason) IN ('TP', 'PROFIT') OR contains(upper(close_reason), 'TAKE_PROFIT')"
_BOOKED = f"CASE WHEN {_STOP} THEN 'stop loss' WHEN {_PROFIT} THEN 'take profit' ELSE 'neither' END"

# What is compared must not have moved within the limit: the ledger books a moved stop a moment later.
_LIVE = f"""
    SELECT account_id, trade_id, kind, arg_max(price, number) FILTER (ended_at IS NULL) AS price,
           count_if(ended_at IS NULL) AS live, bool_or(is_trailing AND ended_at IS NULL) AS is_trailing, count(*)
               AS orders,
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

STOPS = Check(
    name="stops",
    title="Every position has its stops, and what they executed is booked",
    needs=("accounts", "positions", "executions", "broker_transactions"),
    uses=("tied_pairs", "parts", "stops"),
    rows_sql="""
        SELECT (SELECT count(*) FROM stops) + (SELECT count(*) FROM positions SEMI JOIN tied_pairs USING (account_id)
                WHERE stop_loss IS NOT NULL OR take_profit IS NOT NULL)
    """,
    findings_sql=f"""
        WITH wanted AS ({_WANTED}), closes AS (
            SELECT account_id, trade_id, time, fill_id, order_id, price, executed, quoted_at FROM parts
            WHERE kind = 'closed'
        ), closed AS (
            SELECT p.position_id, p.close_reason, {_BOOKED} AS booked, c.*
            FROM positions p JOIN closes c ON p.account_id = c.account_id AND p.broker_trade_id = c.trade_id
        ), found AS (
            SELECT 'position without its stop' AS rule, kind || ' at ' || plain(wanted) AS expected, 'none' AS measured,
                   NULL::DECIMAL(38, 18) AS difference, position_id, trade_id, NULL AS order_id
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
            SELECT 'unprotected', 'a stop loss within {LIMIT_S} s', plain(epoch_ms(until) - epoch_ms(since))
                   || ' ms without',
                   epoch_ms(until) - epoch_ms(since), position_id, g.trade_id, order_id
            FROM ({_GAPS}) g JOIN positions p ON p.account_id = g.account_id AND p.broker_trade_id = g.trade_id
            WHERE until > since + {_LIMIT}
            UNION ALL
            SELECT 'close booked as something else', executed, coalesce(close_reason, 'none'), NULL, position_id,
                   trade_id,
                   order_id
            FROM closed WHERE booked <> executed AND close_reason IS NOT NULL
            UNION ALL
            SELECT 'closed by no fill', 'a closing fill', close_reason, NULL, position_id, broker_trade_id, NULL
            FROM positions p SEMI JOIN tied_pairs USING (account_id) ANTI JOIN closes c
              ON p.account_id = c.account_id AND p.broker_trade_id = c.trade_id
            WHERE p.status = 'closed' AND ({_STOP} OR {_PROFIT})
            UNION ALL
            SELECT 'stop executed late', 'within {LIMIT_S} s', epoch_ms(time) - epoch_ms(quoted_at) || ' ms',
                   epoch_ms(time) - epoch_ms(quoted_at), position_id, trade_id, order_id
            FROM closed WHERE executed <> 'neither' AND time > quoted_at + {_LIMIT}
            UNION ALL
            SELECT 'closed beyond its stop', s.kind || ' at ' || plain(s.price), plain(c.price), c.price - s.price,
                   c.position_id, c.trade_id, s.order_id
            FROM closed c JOIN stops s USING (account_id, trade_id)
            WHERE c.executed = 'neither' AND NOT s.is_trailing AND s.has_usual_trigger
              AND s.created_at <= c.time AND coalesce(s.ended_at >= c.time, true)
              AND CASE WHEN (s.kind = 'stop loss') = (s.trade_units > 0) THEN c.price < s.price ELSE c.price
                  > s.price END
        )
        FROM found ORDER BY rule, position_id, order_id, expected
    """,
    remarks_sql=f"""
        SELECT '{NOTE}', count(*) || ' stops executed, the slowest ' || coalesce(max(epoch_ms(p.time)
               - epoch_ms(quoted_at))::VARCHAR || ' ms', 'of unknown time') || ' after the price, slippage at worst '
               || coalesce(plain(max((s.price - p.price) * sign(s.trade_units))), 'unknown')
        FROM parts p JOIN stops s ON p.account_id = s.account_id AND p.order_id = s.order_id AND NOT s.is_trailing
        HAVING count(*) > 0
        UNION ALL
        SELECT '{NOTE}', 'no prices are in the snapshot: a stop that was touched and left lying is not seen unless '
               || 'something else closed its trade beyond it'
        FROM stops HAVING count(*) > 0
        UNION ALL
        SELECT '{NOTE}', count(*) || ' positions have neither a stop loss nor a take profit, here or at the broker'
        FROM positions p SEMI JOIN tied_pairs USING (account_id) ANTI JOIN stops s
          ON p.account_id = s.account_id AND p.broker_trade_id = s.trade_id
        WHERE stop_loss IS NULL AND take_profit IS NULL HAVING count(*) > 0
        UNION ALL
        SELECT '{INCONCLUSIVE}', 'no position names its broker_trade_id: its stops cannot be found'
        FROM positions HAVING count(*) > 0 AND count(broker_trade_id) = 0
    """,
    rules={
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
            Level.HIGH, "Position {position_id} was {measured} a stop loss until order {order_id} placed one."
        ),
        "close booked as something else": Rule(
            Level.CRITICAL,
            "Position {position_id} was closed by {expected} at the broker, but the ledger says {measured}.",
        ),
        "closed by no fill": Rule(
            Level.CRITICAL, "Position {position_id} is closed by {measured}, but the broker has no fill that closed it."
        ),
        "stop executed late": Rule(
            Level.HIGH, "The stop {order_id} of position {position_id} was executed {measured} after the price."
        ),
        "closed beyond its stop": Rule(
            Level.CRITICAL,
            "Position {position_id} was closed at {measured} by something else, beyond its {expected} that should have "
            "closed it before.",
        ),
    },
    empty="no position has a stop loss or a take profit, and the broker saw none",
    needs_tie=True,
)
