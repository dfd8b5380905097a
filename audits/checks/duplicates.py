"""Check 13: nothing is booked twice: a broker's transaction, an execution, an order, a key that should be unique.

Groups are looked for by a hash first, which is quick, and by the values themselves among what shares one.
"""

from audits.checks.check import NOTE, Check, Rule
from audits.checks.client_orders import CLIENT_ORDER_RULES, CLIENT_ORDERS_SQL
from audits.contract import BY_NAME
from audits.findings import Level

# rule: (relation, the columns that together may come once, the rows that are looked at)
_ONCE = {
    "event twice": ("balance_events", ("event_id",), "true"),
    "position event twice": ("position_events", ("event_id",), "true"),
    "execution twice": ("executions", ("execution_id",), "true"),
    "order twice": ("orders", ("order_id",), "true"),
    "position twice": ("positions", ("position_id",), "true"),
    "account twice": ("accounts", ("account_id",), "true"),
    "reconciliation twice": ("reconciliations", ("reconciliation_id",), "true"),
    # One broker transaction may give several events without a position, one for each trade that it was about.
    "transaction booked twice": (
        "balance_events",
        ("account_id", "broker_transaction_id", "event_type", "position_id", "execution_id"),
        "broker_transaction_id IS NOT NULL AND (position_id IS NOT NULL OR execution_id IS NOT NULL "
        "OR event_type IN ('DEPOSIT', 'WITHDRAWAL'))",
    ),
    "fill executed twice": (
        "executions",
        ("account_id", "broker_transaction_id", "position_id"),
        "broker_transaction_id IS NOT NULL",
    ),
    "idempotency key twice": ("position_events", ("idempotency_key",), "idempotency_key IS NOT NULL"),
    "broker order twice": ("orders", ("account_id", "broker_order_id"), "broker_order_id IS NOT NULL"),
    "broker trade twice": ("positions", ("account_id", "broker_trade_id"), "broker_trade_id IS NOT NULL"),
}


def _once_sql(rule: str) -> str:
    relation, columns, where = _ONCE[rule]
    together, words = ", ".join(columns), f"concat_ws(', ', {', '.join(columns)})"
    key = columns[0] if len(columns) == 1 else BY_NAME[relation].key
    return f"""
        SELECT '{rule}' AS rule, '1' AS expected, count(*)::VARCHAR AS measured,
               (count(*) - 1)::DECIMAL(38, 18) AS difference, '{relation}' AS relation, {words} AS key,
               min({key}) AS first_key, max({key}) AS last_key
        FROM {relation}
        WHERE {where} AND hash({together}) IN (
            SELECT hash({together}) FROM {relation} WHERE {where} GROUP BY 1 HAVING count(*) > 1)
        GROUP BY {together} HAVING count(*) > 1
    """


DUPLICATES = Check(
    name="duplicates",
    title="Nothing is booked twice",
    needs=("accounts", "orders", "executions", "positions", "position_events", "balance_events", "reconciliations"),
    compares=("broker_transactions",),
    uses=("parts",),
    rows_sql="""
        SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM executions) + (SELECT count(*) FROM positions)
             + (SELECT count(*) FROM position_events) + (SELECT count(*) FROM balance_events)
    """,
    findings_sql="FROM (" + "\nUNION ALL\n".join([*map(_once_sql, _ONCE), CLIENT_ORDERS_SQL]) + ") ORDER BY rule, key",
    remarks_sql=f"""
        SELECT '{NOTE}', 'position_events.idempotency_key is null in every row'
        FROM position_events HAVING count(*) > 0 AND count(idempotency_key) = 0
        UNION ALL
        SELECT '{NOTE}', 'orders.client_order_id is null in every row'
        FROM orders HAVING count(*) > 0 AND count(client_order_id) = 0
    """,
    rules={
        rule: Rule(Level.CRITICAL, "{relation}: " + rule + ": {key} comes {measured} times ({first_key}, {last_key}).")
        for rule in _ONCE
    }
    | CLIENT_ORDER_RULES,
    empty="the ledger has no orders, executions, positions or events",
    needs_tie=True,
)
