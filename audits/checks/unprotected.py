"""Part of check 15: from its fill to its close, no position that should have a stop loss was without one.

A trade may have a stop loss and a trailing one at once: it is without where the last of those before has ended.
"""

from audits.checks.check import Rule
from audits.checks.protection import LIMIT_S
from audits.findings import Level

_LIMIT = f"INTERVAL {LIMIT_S} SECOND"
_NEVER = "'9999-12-31 00:00:00+00'::TIMESTAMPTZ"

# Each time without a stop loss: from the fill to the first, from one to the next, from the last to the close.
UNPROTECTED_SQL = f"""
    WITH placed AS (
        SELECT account_id, trade_id, order_id, number, opened_at, created_at, coalesce(ended_at, {_NEVER}) AS ended_at
        FROM stops WHERE kind = 'stop loss' AND opened_at IS NOT NULL
    ), gaps AS (
        SELECT account_id, trade_id, order_id AS broker_order_id, NULL AS transaction_id, created_at AS until,
               coalesce(max(ended_at) OVER (PARTITION BY account_id, trade_id ORDER BY number
                            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), opened_at) AS since
        FROM placed
        UNION ALL
        SELECT account_id, trade_id, NULL, fill_id, time, max(ended_at)
        FROM placed JOIN parts USING (account_id, trade_id) WHERE parts.kind = 'closed'
        GROUP BY account_id, trade_id, fill_id, time
    )
    SELECT 'unprotected' AS rule, 'a stop loss within {LIMIT_S} s' AS expected,
           plain(epoch_ms(until) - epoch_ms(since)) || ' ms without a stop loss, until ' || coalesce('order '
               || broker_order_id || ' placed one', 'transaction ' || transaction_id || ' closed it') AS measured,
           epoch_ms(until) - epoch_ms(since) AS difference, position_id, trade_id, broker_order_id, transaction_id
    FROM gaps JOIN positions p ON p.account_id = gaps.account_id AND p.broker_trade_id = trade_id
    WHERE until > since + {_LIMIT} AND (broker_order_id IS NOT NULL OR stop_loss IS NOT NULL)
"""

UNPROTECTED_RULES = {
    "unprotected": Rule(Level.HIGH, "Position {position_id} was {measured}; it should have {expected}."),
}
