"""The checks, in the order in which pages and reports show them."""

from audits.checks.balance_chain import BALANCE_CHAIN
from audits.checks.balance_row import BALANCE_ROW
from audits.checks.balance_total import BALANCE_TOTAL
from audits.checks.broker_balance import BROKER_BALANCE
from audits.checks.broker_chain import BROKER_CHAIN
from audits.checks.check import Check, Rule
from audits.checks.duplicates import DUPLICATES
from audits.checks.equity import EQUITY
from audits.checks.event_coverage import EVENT_COVERAGE
from audits.checks.orphans import ORPHANS
from audits.checks.pnl import PNL
from audits.checks.positions import POSITIONS
from audits.checks.reconciliation import RECONCILIATION
from audits.checks.replay import REPLAY
from audits.checks.sequences import SEQUENCES
from audits.checks.stops import STOPS
from audits.checks.stuck import STUCK
from audits.checks.tie_out import TIE_OUT
from audits.checks.time_order import TIME_ORDER

CHECKS: tuple[Check, ...] = (
    BALANCE_ROW,
    BALANCE_CHAIN,
    BALANCE_TOTAL,
    TIE_OUT,
    BROKER_CHAIN,
    BROKER_BALANCE,
    EQUITY,
    EVENT_COVERAGE,
    SEQUENCES,
    PNL,
    POSITIONS,
    ORPHANS,
    DUPLICATES,
    TIME_ORDER,
    STOPS,
    REPLAY,
    STUCK,
    RECONCILIATION,
)

__all__ = ["CHECKS", "Check", "Rule"]
