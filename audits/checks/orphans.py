"""Check 12: nothing stands without its other half: events, executions, orders, positions, and the broker's fills.

A broker's fill that nobody booked shows even a position that was erased from everywhere. Open trades of the broker
without a position are found by the check of positions.
"""

from audits.checks.check import Check, Rule
from audits.findings import Level

# rule: (relation, its key, its column, the relation that must hold it, that relation's column)
_REFERENCES = {
    "balance event without account": ("balance_events", "event_id", "account_id", "accounts", "account_id"),
    "balance event without position": ("balance_events", "event_id", "position_id", "positions", "position_id"),
    "balance event without execution": ("balance_events", "event_id", "execution_id", "executions", "execution_id"),
    "execution without account": ("executions", "execution_id", "account_id", "accounts", "account_id"),
    "execution without order": ("executions", "execution_id", "order_id", "orders", "order_id"),
    "execution without position": ("executions", "execution_id", "position_id", "positions", "position_id"),
    "order without account": ("orders", "order_id", "account_id", "accounts", "account_id"),
    "order without position": ("orders", "order_id", "position_id", "positions", "position_id"),
    "position without account": ("positions", "position_id", "account_id", "accounts", "account_id"),
    "position event without position": ("stories", "position_id", "position_id", "positions", "position_id"),
    "position without events": ("positions", "position_id", "position_id", "stories", "position_id"),
    "position without execution": ("positions", "position_id", "position_id", "deals", "position_id"),
    "reconciliation without account": ("reconciliations", "reconciliation_id", "account_id", "accounts", "account_id"),
}

_HELD_IN = {"stories": "position_events", "deals": "executions"}

_FILLED_ORDER = """
    SELECT 'filled order without execution' AS rule, 'row in executions' AS expected, 'none' AS measured,
           NULL::DECIMAL(38, 18) AS difference, 'orders' AS relation, order_id AS key, order_id AS missing
    FROM orders ANTI JOIN executions USING (order_id) WHERE status IN ('filled', 'partially_filled')
    UNION ALL
    SELECT 'execution of an unfilled order', 'filled or partially_filled', status, NULL, 'orders', order_id, order_id
    FROM orders SEMI JOIN executions USING (order_id) WHERE status IN ('pending', 'submitted', 'rejected')
    UNION ALL
    SELECT 'units of an order without execution', plain(o.units), plain(dealt), dealt - o.units, 'orders', order_id,
           order_id
    FROM orders o JOIN (SELECT order_id, sum(units) AS dealt FROM executions GROUP BY order_id) USING (order_id)
    WHERE CASE status WHEN 'filled' THEN dealt <> o.units ELSE abs(dealt) > abs(o.units) END
    UNION ALL
    SELECT 'execution of another order', e.instrument || ' of ' || e.account_id, o.instrument || ' of ' || o.account_id,
           e.units, 'executions', e.execution_id, o.order_id
    FROM executions e JOIN orders o USING (order_id) WHERE e.instrument <> o.instrument OR e.account_id <> o.account_id
"""

# Fills after the ledger began, where its executions name the broker's transactions at all.
_FILLS = """
    SELECT 'broker fill without execution', 'execution', 'none', f.units, 'broker_transactions', fill_id, f.trade_id
    FROM parts f JOIN starts s USING (account_id) ANTI JOIN (
        SELECT e.account_id, e.broker_transaction_id, p.broker_trade_id
        FROM executions e JOIN positions p USING (position_id)
    ) b ON f.account_id = b.account_id AND f.fill_id = b.broker_transaction_id AND f.trade_id = b.broker_trade_id
    WHERE fill_number > coalesce(opened_after, -1)
      AND f.account_id NOT IN (SELECT account_id FROM executions GROUP BY 1 HAVING count(broker_transaction_id) = 0)
    UNION ALL
    SELECT 'execution unknown to the broker', 'fill ' || broker_transaction_id, 'none', units, 'executions',
           execution_id,
           broker_transaction_id
    FROM executions e JOIN starts s USING (account_id)
    ANTI JOIN broker_transactions t
      ON s.broker_account_id = t.account_id AND e.broker_transaction_id = t.id AND t.type = 'ORDER_FILL'
    WHERE broker_transaction_id IS NOT NULL AND NOT coalesce(number(broker_transaction_id) < first_number, false)
    UNION ALL
    SELECT 'execution of another order', 'order ' || any_value(f.order_id) || ' at the broker',
           'order ' || broker_order_id, any_value(e.units), 'executions', execution_id, any_value(o.order_id)
    FROM executions e JOIN orders o USING (order_id)
    JOIN parts f ON f.account_id = e.account_id AND f.fill_id = e.broker_transaction_id
    WHERE o.broker_order_id <> f.order_id GROUP BY execution_id, broker_order_id
"""


def _reference_sql(rule: str) -> str:
    relation, key, column, held_by, held_as = _REFERENCES[rule]
    return f"""
        SELECT '{rule}', '{held_as} ' || o.{column} || ' in {_HELD_IN.get(held_by, held_by)}', 'none', NULL,
               '{_HELD_IN.get(relation, relation)}', o.{key}, o.{column}
        FROM {relation} o ANTI JOIN {held_by} h ON o.{column} = h.{held_as} WHERE o.{column} IS NOT NULL
    """


def _rules() -> dict[str, Rule]:
    rules = {rule: Rule(Level.CRITICAL, f"{{key}}: {rule}; there is no {{expected}}.") for rule in _REFERENCES}
    return rules | {
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


ORPHANS = Check(
    name="orphans",
    title="Nothing without its other half",
    needs=("accounts", "orders", "executions", "positions", "position_events", "balance_events", "reconciliations"),
    compares=("broker_transactions",),
    uses=("starts", "parts", "stories", "deals"),
    rows_sql="""
        SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM executions) + (SELECT count(*) FROM positions)
             + (SELECT count(*) FROM position_events) + (SELECT count(*) FROM balance_events)
    """,
    findings_sql="FROM ("
    + "\nUNION ALL\n".join([_FILLED_ORDER, _FILLS, *(_reference_sql(rule) for rule in _REFERENCES)])
    + "\n) ORDER BY rule, key",
    rules=_rules(),
    empty="the ledger has no orders, executions, positions or events",
    needs_tie=True,
)
