"""Part of check 12: orders, their executions and the broker's fills, each with its other half."""

from audits.checks.check import Rule
from audits.findings import Level

# Orders whose executions are not what their status and units say, and executions booked on another order.
ORDERS_SQL = """
    WITH dealt AS (
        SELECT order_id, count(*) AS executions, sum(units) AS units FROM executions GROUP BY order_id
    ), odd AS MATERIALIZED (
        SELECT o.order_id, o.status, o.units, d.units AS dealt, d.executions
        FROM orders o LEFT JOIN dealt d USING (order_id)
        WHERE CASE WHEN executions IS NULL THEN status IN ('filled', 'partially_filled')
                   ELSE status IN ('pending', 'submitted', 'rejected')
                        OR CASE status WHEN 'filled' THEN d.units <> o.units ELSE abs(d.units) > abs(o.units) END END
    ), astray AS MATERIALIZED (
        SELECT execution_id, order_id, e.units, o.broker_order_id, f.order_id AS filled
        FROM executions e JOIN orders o USING (order_id)
        LEFT JOIN parts f ON f.account_id = e.account_id AND f.fill_id = e.broker_transaction_id
                         AND f.order_id <> o.broker_order_id
        WHERE e.instrument <> o.instrument OR e.account_id <> o.account_id OR f.fill_id IS NOT NULL
    )
    SELECT 'filled order without execution' AS rule, 'row in executions' AS expected, 'none' AS measured,
           NULL::DECIMAL(38, 18) AS difference, 'orders' AS relation, order_id AS key, order_id AS missing
    FROM odd WHERE executions IS NULL
    UNION ALL
    SELECT 'execution of an unfilled order', 'filled or partially_filled', status, NULL, 'orders', order_id, order_id
    FROM odd WHERE executions > 0 AND status IN ('pending', 'submitted', 'rejected')
    UNION ALL
    SELECT 'units of an order without execution', plain(units), plain(dealt), dealt - units, 'orders', order_id,
           order_id
    FROM odd WHERE CASE status WHEN 'filled' THEN dealt <> units ELSE abs(dealt) > abs(units) END
    UNION ALL
    SELECT 'execution of another order', e.instrument || ' of ' || e.account_id, o.instrument || ' of ' || o.account_id,
           e.units, 'executions', e.execution_id, o.order_id
    FROM executions e SEMI JOIN astray USING (execution_id) JOIN orders o USING (order_id)
    WHERE e.instrument <> o.instrument OR e.account_id <> o.account_id
    UNION ALL
    SELECT 'execution of another order', 'order ' || any_value(filled) || ' at the broker', 'order ' || broker_order_id,
           any_value(units), 'executions', execution_id, any_value(order_id)
    FROM astray WHERE filled IS NOT NULL GROUP BY execution_id, broker_order_id
"""

# Fills after the ledger began, where its executions name the broker's transactions at all.
FILLED_SQL = """
    SELECT 'broker fill without execution', 'execution', 'none', fill_units, 'broker_transactions', fill_id, trade_id
    FROM misfits JOIN starts s ON fill_account_id = s.account_id
    WHERE execution_id IS NULL AND fill_number > coalesce(opened_after, -1) AND s.account_id NOT IN
        (SELECT account_id FROM executions GROUP BY 1 HAVING count(broker_transaction_id) = 0)
    UNION ALL
    SELECT 'execution unknown to the broker', 'fill ' || broker_transaction_id, 'none', units, 'executions',
           execution_id, broker_transaction_id
    FROM executions e SEMI JOIN misfits USING (execution_id) JOIN starts s USING (account_id)
    ANTI JOIN broker_transactions t
      ON s.broker_account_id = t.account_id AND e.broker_transaction_id = t.id AND t.type = 'ORDER_FILL'
    WHERE broker_transaction_id IS NOT NULL AND NOT coalesce(number(broker_transaction_id) < first_number, false)
"""

DEALING_RULES = {
    "filled order without execution": Rule(
        Level.CRITICAL, "Order {key} is filled, but the ledger has no execution of it."
    ),
    "execution of an unfilled order": Rule(Level.CRITICAL, "Order {key} was executed, but it is still {measured}."),
    "units of an order without execution": Rule(
        Level.CRITICAL, "Order {key} is for {expected} units, but its executions dealt {measured}."
    ),
    "execution of another order": Rule(
        Level.CRITICAL,
        "Execution {key} is of {expected}, but the order {missing}, on which it is booked, is {measured}.",
    ),
    "broker fill without execution": Rule(
        Level.CRITICAL,
        "The broker's fill {key} dealt {difference} units of trade {missing}, but no execution of it is booked.",
    ),
    "execution unknown to the broker": Rule(
        Level.CRITICAL, "Execution {key} names the fill {missing}, but the broker has no such fill."
    ),
}
