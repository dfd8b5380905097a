"""Part of check 12: orders that wait for a price, at the broker and in the ledger, each with its other half.

An order may be in doubt for as long as check 17 lets it be pending. Compared only where the broker's transactions have
no hole, so that none was left out, and where the account's orders name the broker's at all.
"""

from audits.checks.check import NOTE, Rule
from audits.checks.stuck import LIMIT_S
from audits.findings import Level

_SETTLED = f"(SELECT moment FROM this) - INTERVAL {LIMIT_S} SECOND"

# A replaced order may keep its row and its first number in the ledger, so neither half of a replacement is missed.
BOTH_SIDES = """
    whole AS (
        SELECT s.* FROM starts s JOIN flows f ON f.account_id = s.broker_account_id
        WHERE f.numbers = f.last_number - f.first_number + 1 AND f.unnumbered = 0
    ), naming AS (
        SELECT account_id FROM orders GROUP BY account_id HAVING count(broker_order_id) > 0
    ), waiting AS (
        SELECT w.account_id, t.id, t.time, TRY(t.raw ->> '$.clientExtensions.id') AS client_order_id,
               TRY(t.raw ->> 'units') AS units, TRY(t.raw ->> 'replacesOrderID') IS NOT NULL AS replaces, t.raw
        FROM broker_transactions t JOIN whole w ON t.account_id = w.broker_account_id
        WHERE t.type IN ('LIMIT_ORDER', 'STOP_ORDER', 'MARKET_IF_TOUCHED_ORDER')
          AND number(t.id) > coalesce(opened_after, -1)
    ), ended AS (
        SELECT w.account_id, t.order_id AS id, min(t.time) AS ended_at,
               coalesce(bool_or(t.reason = 'CLIENT_REQUEST_REPLACED'), false) AS is_replaced
        FROM broker_transactions t JOIN whole s ON t.account_id = s.broker_account_id
        JOIN waiting w ON w.account_id = s.account_id AND w.id = t.order_id
        WHERE t.type IN ('ORDER_FILL', 'ORDER_CANCEL') GROUP BY ALL
    ), resting AS (FROM waiting ANTI JOIN ended USING (account_id, id))"""

RESTING_SQL = f"""
    WITH {BOTH_SIDES}, sent AS (
        SELECT o.*, broker_account_id FROM orders o JOIN whole USING (account_id)
        WHERE status = 'submitted' AND updated_at < {_SETTLED} AND number(broker_order_id) >= first_number
    ), known AS (
        SELECT t.account_id, t.id FROM broker_transactions t
        SEMI JOIN sent ON t.account_id = sent.broker_account_id AND t.id = sent.broker_order_id
    )
    SELECT 'broker order without order', 'order', 'none', money(units), 'broker_transactions', id, account_id
    FROM resting SEMI JOIN naming USING (account_id)
    ANTI JOIN orders o ON o.account_id = resting.account_id AND o.broker_order_id = resting.id
    ANTI JOIN orders c ON c.account_id = resting.account_id AND c.client_order_id = resting.client_order_id
    WHERE time < {_SETTLED} AND NOT replaces
    UNION ALL
    SELECT 'order unknown to the broker', 'order', 'none', units, 'orders', order_id, broker_order_id
    FROM sent ANTI JOIN known ON sent.broker_account_id = known.account_id AND sent.broker_order_id = known.id
    UNION ALL
    SELECT 'order over at the broker', 'filled or cancelled', status, units, 'orders', order_id, broker_order_id
    FROM sent JOIN ended ON ended.account_id = sent.account_id AND ended.id = sent.broker_order_id
    WHERE ended_at < {_SETTLED} AND NOT is_replaced
    UNION ALL
    SELECT 'order still at the broker', 'submitted', status, o.units, 'orders', order_id, broker_order_id
    FROM orders o JOIN resting r ON r.account_id = o.account_id AND r.id = o.broker_order_id
    WHERE status IN ('cancelled', 'rejected') AND updated_at < {_SETTLED}
"""

RESTING_REMARKS_SQL = f"""
    WITH {BOTH_SIDES}
    SELECT '{NOTE}', 'orders that wait at the broker: ' || count(*) || ', not compared, since no order of account '
           || account_id || ' names its broker_order_id'
    FROM resting ANTI JOIN naming USING (account_id) GROUP BY account_id
"""

RESTING_RULES = {
    "broker order without order": Rule(
        Level.CRITICAL, "The broker holds the order {key} of {difference} units, but no order of the ledger names it."
    ),
    "order unknown to the broker": Rule(
        Level.CRITICAL, "Order {key} is submitted as {missing}, but the broker never had such an order."
    ),
    "order over at the broker": Rule(
        Level.CRITICAL, "Order {key} is {measured}, but at the broker the order {missing} was {expected} long ago."
    ),
    "order still at the broker": Rule(
        Level.CRITICAL, "Order {key} is {measured}, but the broker holds it as {missing}."
    ),
}
