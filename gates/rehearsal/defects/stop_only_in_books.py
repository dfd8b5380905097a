"""The stop loss stands in the books, but was never sent to the broker.

Origin: l2code/trader-bot2#50, a stop submitted and never confirmed.
Caught by gate 3: an open position without the stop that it should have.
"""

from decimal import Decimal
from typing import Any

from gates.rehearsal.defects.defect import Defect, Replacement, ask, wait
from gates.rehearsal.desk import booking, broker, clerk, orders, trading
from gates.rehearsal.desk.database import Row

market_order = trading.market_order
book_opening = clerk._book_opening


def _market_order(intent: orders.Intent, quote: broker.Quote, protection: trading.Protection) -> dict[str, Any]:
    order = market_order(intent, quote, protection)
    del order["stopLossOnFill"]
    return order


async def _book_opening(
    entry: clerk.Entry, fill: booking.Transaction, opening: booking.Opening, commission: Decimal
) -> Row:
    execution = await book_opening(entry, fill, opening, commission)
    await entry.connection.execute(
        "UPDATE wartest.positions SET stop_loss = entry_price - sign(units) * 0.0004 WHERE position_id = %s",
        (execution["position_id"],),
    )
    return execution


DEFECT = Defect(
    name="stop-only-in-books",
    title="A stop that is only in the books",
    origin="l2code/trader-bot2#50",
    gate=3,
    rules=("position without its stop",),
    replaces=(
        Replacement(trading, "market_order", _market_order),
        Replacement(clerk, "_book_opening", _book_opening),
    ),
    steps=(ask("open"), wait(6)),
)
