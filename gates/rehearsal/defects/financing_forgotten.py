"""Overnight financing is never booked.

Origin: richkuo/go-trader#1107: drift between wallet and books is structural, not a missing fee column.
Caught by gate 3: the broker's balance differs.
"""

from gates.rehearsal.defects.defect import Defect, Replacement, ask, control
from gates.rehearsal.defects.loosened import NO_BALANCE_GUARD, NO_EXPLANATION, cash_besides
from gates.rehearsal.desk import booking

DEFECT = Defect(
    name="financing-forgotten",
    title="Financing is forgotten",
    origin="richkuo/go-trader#1107",
    gate=3,
    rules=("transaction not booked", "broker balance"),
    replaces=(Replacement(booking, "_cash", cash_besides("FINANCING")), NO_BALANCE_GUARD, NO_EXPLANATION),
    steps=(ask("open", units="100000"), control("/financing", days=1), ask("open")),
)
