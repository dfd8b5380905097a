"""Check 12: nothing stands without its other half: events, executions, orders, positions, and the broker's fills.

A broker's fill that nobody booked shows even a position that was erased from everywhere. Open trades of the broker
without a position are found by the check of positions.
"""

from audits.checks.check import Check, Rule
from audits.checks.dealings import DEALING_RULES, FILLED_SQL, ORDERS_SQL
from audits.checks.outlived import OUTLIVED_RULES, OUTLIVED_SQL
from audits.checks.resting import RESTING_REMARKS_SQL, RESTING_RULES, RESTING_SQL
from audits.checks.unnamed import UNNAMED_REMARKS_SQL, UNNAMED_RULES, UNNAMED_SQL
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


def _reference_sql(rule: str) -> str:
    relation, key, column, held_by, held_as = _REFERENCES[rule]
    return f"""
        SELECT '{rule}', '{held_as} ' || o.{column} || ' in {_HELD_IN.get(held_by, held_by)}', 'none', NULL,
               '{_HELD_IN.get(relation, relation)}', o.{key}, o.{column}
        FROM {relation} o ANTI JOIN {held_by} h ON o.{column} = h.{held_as} WHERE o.{column} IS NOT NULL
    """


def _rules() -> dict[str, Rule]:
    rules = {rule: Rule(Level.CRITICAL, f"{{key}}: {rule}; there is no {{expected}}.") for rule in _REFERENCES}
    return rules | DEALING_RULES | RESTING_RULES | OUTLIVED_RULES | UNNAMED_RULES


_PARTS = (
    f"({ORDERS_SQL})",
    FILLED_SQL,
    f"({RESTING_SQL})",
    f"({OUTLIVED_SQL})",
    UNNAMED_SQL,
    *(_reference_sql(rule) for rule in _REFERENCES),
)

ORPHANS = Check(
    name="orphans",
    title="Nothing without its other half",
    needs=("accounts", "orders", "executions", "positions", "position_events", "balance_events", "reconciliations"),
    compares=("broker_transactions",),
    uses=("flows", "starts", "parts", "misfits", "stories", "deals"),
    rows_sql="""
        SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM executions) + (SELECT count(*) FROM positions)
             + (SELECT count(*) FROM position_events) + (SELECT count(*) FROM balance_events)
    """,
    findings_sql="FROM (" + "\nUNION ALL\n".join(_PARTS) + ") ORDER BY rule, key",
    remarks_sql=f"({RESTING_REMARKS_SQL}) UNION ALL ({UNNAMED_REMARKS_SQL})",
    rules=_rules(),
    empty="the ledger has no orders, executions, positions or events",
    needs_tie=True,
)
