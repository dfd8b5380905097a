"""The thirteen rules, in the order in which pages show them."""

from gates.alerts.rules import (
    balance_equation,
    database_connection,
    event_replay,
    missed_trigger,
    orphaned_position,
    performance,
    reconciliation_latency,
    reconciliation_mismatch,
    resource_use,
    slow_queries,
    stop_latency,
    system_crash,
    warnings_rising,
)
from gates.alerts.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    missed_trigger.RULE,
    balance_equation.RULE,
    reconciliation_mismatch.RULE,
    orphaned_position.RULE,
    system_crash.RULE,
    stop_latency.RULE,
    reconciliation_latency.RULE,
    event_replay.RULE,
    database_connection.RULE,
    resource_use.RULE,
    slow_queries.RULE,
    warnings_rising.RULE,
    performance.RULE,
)
BY_NAME: dict[str, Rule] = {rule.name: rule for rule in RULES}
