"""The twelve scenarios, in the order in which pages and reports show them, and behind them a target's own."""

from collections.abc import Mapping
from typing import Any

from gates.chaos.scenarios.database_connection_drop import DATABASE_CONNECTION_DROP
from gates.chaos.scenarios.database_deadlock import DATABASE_DEADLOCK
from gates.chaos.scenarios.kill_during_event_replay import KILL_DURING_EVENT_REPLAY
from gates.chaos.scenarios.kill_during_margin_update import KILL_DURING_MARGIN_UPDATE
from gates.chaos.scenarios.kill_during_partial_fill import KILL_DURING_PARTIAL_FILL
from gates.chaos.scenarios.kill_during_reconciliation import KILL_DURING_RECONCILIATION
from gates.chaos.scenarios.kill_during_trade_close import KILL_DURING_TRADE_CLOSE
from gates.chaos.scenarios.kill_during_trade_open import KILL_DURING_TRADE_OPEN
from gates.chaos.scenarios.network_drop_during_close import NETWORK_DROP_DURING_CLOSE
from gates.chaos.scenarios.network_drop_during_order import NETWORK_DROP_DURING_ORDER
from gates.chaos.scenarios.own import own_scenarios
from gates.chaos.scenarios.scenario import Aim, Scenario
from gates.chaos.scenarios.slow_database_queries import slow_database_queries
from gates.chaos.scenarios.slow_network_responses import slow_network_responses
from gates.chaos.timeouts import Timeouts, timeouts_of


def twelve(timeouts: Timeouts) -> tuple[Scenario, ...]:
    """The twelve for a target of these timeouts."""
    return (
        KILL_DURING_TRADE_OPEN,
        KILL_DURING_TRADE_CLOSE,
        KILL_DURING_PARTIAL_FILL,
        KILL_DURING_MARGIN_UPDATE,
        KILL_DURING_RECONCILIATION,
        KILL_DURING_EVENT_REPLAY,
        NETWORK_DROP_DURING_ORDER,
        NETWORK_DROP_DURING_CLOSE,
        slow_network_responses(timeouts),
        DATABASE_CONNECTION_DROP,
        DATABASE_DEADLOCK,
        slow_database_queries(timeouts),
    )


SCENARIOS = twelve(Timeouts())  # of the bundled desk
NAMES = tuple(scenario.name for scenario in SCENARIOS)


def scenarios_of(spec: Mapping[str, Any]) -> tuple[Scenario, ...]:
    """The twelve around a target's own timeouts, and behind them those that its description adds.

    Raises TargetUnreachableError.
    """
    return (*twelve(timeouts_of(spec)), *own_scenarios(spec, taken=NAMES))


__all__ = ["NAMES", "SCENARIOS", "Aim", "Scenario", "scenarios_of"]
