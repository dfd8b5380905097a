"""Financing is forgotten, and the reconciliation reports that all agrees.

Origin: the original system matches by symbol and side only, neither size nor price nor money.
Caught by gate 3: by what was booked before it, the desk's word cannot be true.
"""

from typing import Any

from gates.rehearsal.defects.defect import Defect, Replacement, ask, control, wait
from gates.rehearsal.defects.loosened import NO_BALANCE_GUARD, NO_EXPLANATION, cash_besides
from gates.rehearsal.desk import booking, reconcile
from gates.rehearsal.desk.database import Row


def _compare(_books: Row, _positions: list[Row], _account: dict[str, Any]) -> list[str]:
    return []


DEFECT = Defect(
    name="reconciliation-hides",
    title="Reconciliation hides its mismatch",
    origin="the original system's symbol_side",
    gate=3,
    rules=("reconciliation hid a difference",),
    replaces=(
        Replacement(reconcile, "compare", _compare),
        Replacement(booking, "_cash", cash_besides("FINANCING")),
        NO_BALANCE_GUARD,
        NO_EXPLANATION,
    ),
    steps=(
        ask("open", units="100000"),
        control("/financing", days=1),
        ask("open"),  # its commission is booked, so the financing before it was passed over
        wait(1.5),
        ask("reconcile"),
    ),
)
