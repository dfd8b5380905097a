"""The checks, in the order in which pages and reports show them."""

from audits.checks.balance_chain import BALANCE_CHAIN
from audits.checks.balance_row import BALANCE_ROW
from audits.checks.balance_total import BALANCE_TOTAL
from audits.checks.broker_balance import BROKER_BALANCE
from audits.checks.check import Check, Rule
from audits.checks.orphans import ORPHANS
from audits.checks.positions import POSITIONS

CHECKS: tuple[Check, ...] = (
    BALANCE_ROW,
    BALANCE_CHAIN,
    BALANCE_TOTAL,
    BROKER_BALANCE,
    POSITIONS,
    ORPHANS,
)

__all__ = ["CHECKS", "Check", "Rule"]
