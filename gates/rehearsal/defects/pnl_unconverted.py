"""The profit of a deal stays in the quote currency: yen in a column of dollars. The cash is right.

Origin: hand-made; rates are where PnL columns go wrong, and the broker's cash does not show it.
Caught by gate 3: the PnL recomputed from prices, units and rate is another.
"""

import dataclasses
from decimal import Decimal

from gates.rehearsal.defects.defect import Defect, Replacement, ask, tick
from gates.rehearsal.desk import booking, clerk
from gates.rehearsal.desk.database import Row

book_closing = clerk._book_closing


async def _book_closing(
    entry: clerk.Entry, fill: booking.Transaction, closing: booking.Closing, commission: Decimal
) -> Row:
    unconverted = (closing.realized_pnl / (closing.conversion_rate or 1)).quantize(Decimal("0.0001"))
    return await book_closing(entry, fill, dataclasses.replace(closing, realized_pnl=unconverted), commission)


DEFECT = Defect(
    name="pnl-unconverted",
    title="PnL by the wrong rate",
    gate=3,
    rules=("profit of an execution",),
    replaces=(Replacement(clerk, "_book_closing", _book_closing),),
    steps=(
        ask("open", instrument="USD_JPY", units="2000"),
        tick("USD_JPY", "150.030", "150.040"),
        ask("close"),
    ),
)
