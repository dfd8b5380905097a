"""Which of the thirteen a finding belongs to. One that fits none of them keeps its own name as the alert's rule."""

from audits.checks import replay
from gates.alerts.rules import (
    balance_equation,
    event_replay,
    missed_trigger,
    orphaned_position,
    reconciliation_latency,
    reconciliation_mismatch,
    stop_latency,
    system_crash,
)

FOUND_AS: dict[str, str] = {
    "stop touched, not executed": missed_trigger.RULE.name,
    "closed beyond its stop": missed_trigger.RULE.name,
    "closed beyond its stop by something else": missed_trigger.RULE.name,
    "balance row": balance_equation.RULE.name,
    "balance chain": balance_equation.RULE.name,
    "balance chain start": balance_equation.RULE.name,
    "balance total": balance_equation.RULE.name,
    "balance of last event": balance_equation.RULE.name,
    "reconciliation mismatch": reconciliation_mismatch.RULE.name,
    "own reconciliation found a mismatch": reconciliation_mismatch.RULE.name,
    "broker balance": reconciliation_mismatch.RULE.name,
    "position units": reconciliation_mismatch.RULE.name,
    "position entry price": reconciliation_mismatch.RULE.name,
    "position instrument": reconciliation_mismatch.RULE.name,
    "position without broker trade": orphaned_position.RULE.name,
    "broker trade without position": orphaned_position.RULE.name,
    "position without events": orphaned_position.RULE.name,
    "position without execution": orphaned_position.RULE.name,
    "target does not answer": system_crash.RULE.name,
    "stop executed late": stop_latency.RULE.name,
    "own reconciliation was slow": reconciliation_latency.RULE.name,
    "reconciliation slow": reconciliation_latency.RULE.name,
    **dict.fromkeys(replay.REPLAY.rules, event_replay.RULE.name),
}
