"""Check 12: nothing stands without its other half inside the ledger: events, executions, orders and positions.

Broker trades without a position are found by the check of positions.
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
    "position event without position": ("position_events", "event_id", "position_id", "positions", "position_id"),
    "position without events": ("positions", "position_id", "position_id", "position_events", "position_id"),
    "position without execution": ("positions", "position_id", "position_id", "executions", "position_id"),
    "reconciliation without account": (
        "reconciliations",
        "reconciliation_id",
        "account_id",
        "accounts",
        "account_id",
    ),
}

_FILLED_ORDER = """
    SELECT 'filled order without execution' AS rule, 'a row in executions' AS expected, 'none' AS measured,
           NULL::DECIMAL(38, 18) AS difference, 'orders' AS relation, order_id AS key, order_id AS missing
    FROM orders ANTI JOIN executions USING (order_id) WHERE status IN ('filled', 'partially_filled')
"""


def _reference_sql(rule: str) -> str:
    relation, key, column, held_by, held_as = _REFERENCES[rule]
    return f"""
        SELECT '{rule}', '{held_as} ' || o.{column} || ' in {held_by}', 'none', NULL, '{relation}', o.{key},
               o.{column}
        FROM {relation} o ANTI JOIN {held_by} h ON o.{column} = h.{held_as} WHERE o.{column} IS NOT NULL
    """  # noqa: S608  every name comes from the table above


def _rules() -> dict[str, Rule]:
    rules = {rule: Rule(Level.CRITICAL, f"{{key}}: {rule}; there is no {{expected}}.") for rule in _REFERENCES}
    rules["filled order without execution"] = Rule(
        Level.CRITICAL, "Order {key} is filled, but the ledger has no execution of it."
    )
    return rules


ORPHANS = Check(
    name="orphans",
    title="Nothing without its other half",
    needs=(
        "accounts",
        "orders",
        "executions",
        "positions",
        "position_events",
        "balance_events",
        "reconciliations",
    ),
    rows_sql="""
        SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM executions) + (SELECT count(*) FROM positions)
             + (SELECT count(*) FROM position_events) + (SELECT count(*) FROM balance_events)
    """,
    findings_sql="\nUNION ALL\n".join([_FILLED_ORDER, *(_reference_sql(rule) for rule in _REFERENCES)])
    + "\nORDER BY rule, key",
    rules=_rules(),
    empty="the ledger has no orders, executions, positions or events",
)
