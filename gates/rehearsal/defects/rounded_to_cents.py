"""Money is rounded to cents, though the broker keeps four decimals.

Origin: richkuo/go-trader#1570, an alarm about two cents that its tolerance of one had let grow.
Caught by gate 3: its tolerance is zero at the broker's precision.
"""

import dataclasses
from decimal import Decimal

from gates.rehearsal.defects.defect import Defect, Replacement, ask
from gates.rehearsal.defects.loosened import NO_BALANCE_GUARD, NO_EXPLANATION
from gates.rehearsal.desk import booking

CENT = Decimal("0.01")
exact_cash = booking._cash


def _cash(transaction: booking.Transaction, closings: tuple[booking.Closing, ...]) -> tuple[booking.Cash, ...]:
    return tuple(
        dataclasses.replace(part, amount=part.amount.quantize(CENT)) for part in exact_cash(transaction, closings)
    )


DEFECT = Defect(
    name="rounded-to-cents",
    title="Money rounded to cents",
    origin="richkuo/go-trader#1570",
    gate=3,
    rules=("transaction booked with another sum", "commission booked", "broker balance"),
    replaces=(Replacement(booking, "_cash", _cash), NO_BALANCE_GUARD, NO_EXPLANATION),
    steps=(*(ask("open", units=str(1010 + n)) for n in range(3)),),
)
