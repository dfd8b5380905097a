"""Daily financing: what a day of holding a position costs or earns."""

from decimal import Decimal

from .account import Batch, Transaction
from .instruments import INSTRUMENTS
from .market import money
from .orders import Body
from .trades import ZERO, Trade

DAYS_A_YEAR = Decimal(365)


def charge_financing(batch: Batch, days: int = 1) -> Transaction | None:
    """Book `days` of financing on every open trade as one DAILY_FINANCING; None where nothing is open.

    A trade's share is units × base value in the home currency × annual rate of its side ÷ 365, rounded at four
    decimals; the transaction is the sum of the shares, so that the parts always add up.
    """
    account = batch.account
    if not account.open:
        return None
    positions, total = [], ZERO
    for name in (name for name in INSTRUMENTS if account.open_in(name)):
        shares = [(trade, share_of(batch, trade, days)) for trade in account.open_in(name)]
        of_position = sum((share for _, share in shares), ZERO)
        for trade, share in shares:
            account.earn(trade, financing=share)
        entries: list[Body] = [{"tradeID": str(trade.id), "financing": share} for trade, share in shares]
        positions.append({"instrument": name, "financing": of_position, "openTradeFinancings": entries})
        total += of_position
    account.balance += total
    fields = {
        "financing": total,
        "accountBalance": account.balance,
        "accountFinancingMode": "DAILY",
        "positionFinancings": positions,
    }
    return batch.record("DAILY_FINANCING", fields)


def share_of(batch: Batch, trade: Trade, days: int) -> Decimal:
    """What one trade earns (or pays, negative) for `days`, in the home currency."""
    account, spec = batch.account, INSTRUMENTS[trade.instrument]
    rate = spec.long_rate if trade.units > 0 else spec.short_rate
    value = abs(trade.units) * account.market.base_value(trade.instrument, account.currency)
    return money(value * rate * days / DAYS_A_YEAR)
