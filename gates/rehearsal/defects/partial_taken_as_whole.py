"""A partial fill is taken for the whole order: the position has the units that were asked for.

Origin: Knight Capital, 2012 (SEC release 70694): a router that did not know what had been filled already.
Caught by gate 3: the broker's trade is smaller.
"""

import dataclasses
from decimal import Decimal

from gates.rehearsal.defects.defect import Defect, Replacement, ask, control
from gates.rehearsal.desk import booking, clerk
from gates.rehearsal.desk.database import Row

book_opening = clerk._book_opening


async def _book_opening(
    entry: clerk.Entry, fill: booking.Transaction, opening: booking.Opening, commission: Decimal
) -> Row:
    whole = entry.order["units"] if entry.order else opening.units
    return await book_opening(entry, fill, dataclasses.replace(opening, units=whole), commission)


DEFECT = Defect(
    name="partial-taken-as-whole",
    title="A partial fill taken for the whole order",
    origin="Knight Capital, SEC release 70694",
    gate=3,
    rules=("position units",),
    replaces=(Replacement(clerk, "_book_opening", _book_opening),),
    steps=(
        control("/liquidity", instrument="EUR_USD", units="300"),
        ask("open", units="1000", time_in_force="IOC"),
    ),
)
