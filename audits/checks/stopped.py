"""Part of check 15: what closed a trade at the broker is booked as that, and no stop was passed by."""

from audits.checks.check import Rule
from audits.checks.protection import LIMIT_S
from audits.findings import Level

_LIMIT = f"INTERVAL {LIMIT_S} SECOND"
_WORD = "regexp_replace(upper(close_reason), '[^A-Z]+', '_', 'g')"
_STOP = f"{_WORD} IN ('STOP', 'SL') OR contains({_WORD}, 'STOP_LOSS')"
_PROFIT = f"{_WORD} IN ('TP', 'PROFIT', 'TARGET', 'PROFIT_TARGET') OR contains({_WORD}, 'TAKE_PROFIT')"
_BOOKED = f"CASE WHEN {_STOP} THEN 'stop loss' WHEN {_PROFIT} THEN 'take profit' ELSE 'neither' END"

STOPPED_SQL = f"""
    WITH closes AS (
        SELECT account_id, trade_id, time, fill_id, order_id, price, executed, quoted_at FROM parts
        WHERE kind = 'closed'
    ), closed AS (
        SELECT p.position_id, p.close_reason, {_BOOKED} AS booked, c.*
        FROM positions p JOIN closes c ON p.account_id = c.account_id AND p.broker_trade_id = c.trade_id
    )
    SELECT 'close booked as something else', executed, coalesce(close_reason, 'none'), NULL, position_id,
           trade_id, order_id
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
    WHERE c.executed = 'neither' AND NOT s.is_trailing AND s.triggered_by = 'DEFAULT'
      AND s.created_at <= c.time AND coalesce(s.ended_at >= c.time, true)
      AND CASE WHEN (s.kind = 'stop loss') = (s.trade_units > 0) THEN c.price < s.price
               ELSE c.price > s.price END
"""

STOPPED_RULES = {
    "close booked as something else": Rule(
        Level.CRITICAL,
        "Position {position_id} was closed by {expected} at the broker, but the ledger says {measured}: "
        "close_reason is STOP_LOSS or TAKE_PROFIT where a stop closed it.",
    ),
    "closed by no fill": Rule(
        Level.CRITICAL, "Position {position_id} is closed by {measured}, but the broker has no fill that closed it."
    ),
    "stop executed late": Rule(
        Level.HIGH, "The stop {broker_order_id} of position {position_id} was executed {measured} after the price."
    ),
    "closed beyond its stop": Rule(
        Level.CRITICAL,
        "Position {position_id} was closed at {measured} by something else, beyond its {expected} that should have "
        "closed it before.",
    ),
}
