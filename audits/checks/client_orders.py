"""Part of check 13: one client order id, one order executed, here and at the broker."""

from audits.checks.check import Rule
from audits.findings import Level

# Looked for by a hash first here too, and in the broker's raw record only what shares one.
CLIENT_ORDERS_SQL = """
    SELECT 'client order executed twice', '1 order', count(*) || ' orders', (count(*) - 1)::DECIMAL(38, 18), 'orders',
           client_order_id, min(order_id), max(order_id)
    FROM (SELECT * FROM orders WHERE client_order_id IS NOT NULL AND hash(client_order_id) IN (
              SELECT hash(client_order_id) FROM orders WHERE client_order_id IS NOT NULL
              GROUP BY 1 HAVING count(*) > 1)) SEMI JOIN executions USING (order_id)
    GROUP BY account_id, client_order_id HAVING count(*) > 1
    UNION ALL
    SELECT 'client order filled twice', '1 order', count(DISTINCT order_id) || ' orders',
           (count(DISTINCT order_id) - 1)::DECIMAL(38, 18), 'broker_transactions', client_order_id,
           min(fill_id), max(fill_id)
    FROM (SELECT p.account_id, p.order_id, fill_id, t.raw ->> 'clientOrderID' AS client_order_id
          FROM parts p JOIN broker_transactions t ON t.account_id = p.broker_account_id AND t.id = p.fill_id
          WHERE client_order_hash IN (SELECT client_order_hash FROM parts WHERE client_order_hash IS NOT NULL
                                      GROUP BY 1 HAVING min(order_id) <> max(order_id)))
    WHERE client_order_id IS NOT NULL
    GROUP BY account_id, client_order_id HAVING count(DISTINCT order_id) > 1
"""

CLIENT_ORDER_RULES = {
    "client order executed twice": Rule(
        Level.CRITICAL,
        "{measured} with the client order id {key} were executed, {first_key} and {last_key} among them.",
    ),
    "client order filled twice": Rule(
        Level.CRITICAL,
        "The broker filled {measured} with the client order id {key}, by the transactions {first_key} and {last_key}.",
    ),
}
