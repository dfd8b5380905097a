"""Check 17: no order stays pending or submitted beyond its limit.

An order that waits for a price (limit, stop, market if touched) may be submitted for as long as it likes.
"""

from audits.checks.check import Check, Rule
from audits.findings import Level

LIMIT_S = 60

_WAITS_FOR_PRICE = "regexp_matches(upper(order_type), 'LIMIT|STOP|TOUCHED|PROFIT')"


def stuck_orders(limit_s: int = LIMIT_S) -> Check:
    """Return the check with another limit, in seconds from the last change of the order to the audit."""
    return Check(
        name="stuck",
        title="No order is stuck",
        needs=("orders",),
        rows_sql="SELECT count(*) FROM orders",
        findings_sql=f"""
            SELECT 'order stuck' AS rule, 'done within {limit_s} s' AS expected,
                   status || ' for ' || (epoch(moment) - epoch(updated_at))::BIGINT || ' s' AS measured,
                   (epoch(moment) - epoch(updated_at))::DECIMAL(18, 3) AS difference, order_id, account_id, instrument
            FROM orders, this
            WHERE (status = 'pending' OR (status = 'submitted' AND NOT {_WAITS_FOR_PRICE}))
              AND updated_at < moment - INTERVAL {limit_s} SECOND
            UNION ALL
            SELECT 'unknown status', 'a status of the contract', status, NULL, order_id, account_id, instrument
            FROM orders WHERE status NOT IN
                ('pending', 'submitted', 'partially_filled', 'filled', 'cancelled', 'rejected')
            ORDER BY rule, order_id
        """,
        rules={
            "order stuck": Rule(
                Level.HIGH, "Order {order_id} ({instrument}) is {measured}, although it should be {expected}."
            ),
            "unknown status": Rule(Level.HIGH, "Order {order_id} is {measured}, which is no status of the contract."),
        },
        empty="the ledger has no orders",
    )


STUCK = stuck_orders()
