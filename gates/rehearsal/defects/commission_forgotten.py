"""The commission of a fill is never booked.

Origin: richkuo/go-trader#1100, where the wallet drifted away from the books by what the exchange had taken.
Caught by gate 3: the broker's balance is lower.
"""

from gates.rehearsal.defects.defect import Defect, Replacement, ask
from gates.rehearsal.defects.loosened import NO_BALANCE_GUARD, NO_EXPLANATION, cash_besides
from gates.rehearsal.desk import booking

DEFECT = Defect(
    name="commission-forgotten",
    title="Commission is forgotten",
    origin="richkuo/go-trader#1100",
    gate=3,
    rules=("transaction not booked", "commission booked", "broker balance"),
    replaces=(Replacement(booking, "_cash", cash_besides("COMMISSION")), NO_BALANCE_GUARD, NO_EXPLANATION),
    steps=(ask("open"),),
)
