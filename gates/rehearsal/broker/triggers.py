"""What a new price does to an account: stops and entries are triggered, trailing stops follow, margin is called."""

from datetime import datetime
from decimal import Decimal

from .account import Account, Batch
from .fills import fill
from .market import Price
from .orders import PROTECTIONS, Order, gtd_at
from .protections import cancel

FILL_REASONS = {
    "MARKET": "MARKET_ORDER",
    "LIMIT": "LIMIT_ORDER",
    "STOP": "STOP_ORDER",
    "MARKET_IF_TOUCHED": "MARKET_IF_TOUCHED_ORDER",
    "TAKE_PROFIT": "TAKE_PROFIT_ORDER",
    "STOP_LOSS": "STOP_LOSS_ORDER",
    "TRAILING_STOP_LOSS": "TRAILING_STOP_LOSS_ORDER",
}


def tick(account: Account, price: Price, *, withhold_stops: bool = False) -> list[Order]:
    """Let `account` react to a price that the market has already taken.

    With `withhold_stops` a touched take profit or stop stays pending (a fault on request); those are returned.
    """
    withheld = []
    for order in [o for o in account.pending.values() if o.instrument == price.instrument]:
        if order.state != "PENDING" or expire(account, order, price.time):
            continue
        follow(account, order, price)
        if not touched(account, order, price):
            continue
        if withhold_stops and order.type in PROTECTIONS:
            withheld.append(order)
        else:
            execute(Batch(account, price.time), order)
    close_out(account, price.time)
    return withheld


def execute(batch: Batch, order: Order) -> None:
    """Fill a triggered order."""
    units = order.units
    if order.trade_id is not None:
        units = -batch.account.trades[order.trade_id].units
    if units is not None:
        fill(batch, order, units, FILL_REASONS[order.type])


def touched(account: Account, order: Order, price: Price) -> bool:
    """Whether the order's side of the market has reached its price.

    Stops and targets are held against the price at which the trade would close: the bid of a long trade, the ask of a
    short one. Entries are held against the price at which they would deal.
    """
    level = order.trailing_value if order.type == "TRAILING_STOP_LOSS" else order.price
    units = dealt_units(account, order)
    if level is None or units == 0:
        return False
    seen = trigger_price(order.trigger, price, units)
    if order.type in ("LIMIT", "TAKE_PROFIT"):
        return seen <= level if units > 0 else seen >= level
    if order.type == "MARKET_IF_TOUCHED":
        falls = order.market_at_start is not None and order.market_at_start > level
        return seen <= level if falls else seen >= level
    return seen >= level if units > 0 else seen <= level


def trigger_price(condition: str, price: Price, units: Decimal) -> Decimal:
    """The price a trigger condition looks at for an order that deals `units`."""
    match condition:
        case "BID":
            return price.bid
        case "ASK":
            return price.ask
        case "MID":
            return price.mid
        case "INVERSE":
            return price.dealt(-units)
        case _:
            return price.dealt(units)


def dealt_units(account: Account, order: Order) -> Decimal:
    """The signed units the order would deal."""
    if order.trade_id is not None:
        return -account.trades[order.trade_id].units
    return order.units or Decimal(0)


def follow(account: Account, order: Order, price: Price) -> None:
    """Move a trailing stop after a price that has become better for its trade."""
    if order.trailing_value is None or order.distance is None:
        return
    units = dealt_units(account, order)
    seen = trigger_price(order.trigger, price, units)
    if units < 0:
        order.trailing_value = max(order.trailing_value, seen - order.distance)
    else:
        order.trailing_value = min(order.trailing_value, seen + order.distance)


def expire(account: Account, order: Order, now: datetime) -> bool:
    """Cancel a GTD order whose time has come; whether it was."""
    if order.time_in_force != "GTD" or not order.gtd_time or gtd_at(order.gtd_time) > now:
        return False
    cancel(Batch(account, now), order, "TIME_IN_FORCE_EXPIRED")
    return True


def close_out(account: Account, now: datetime) -> None:
    """Close every trade once equity is half the margin in use or less, as the broker's rules say."""
    if not account.open or account.nav > account.margin_used / 2:
        return
    batch = Batch(account, now)
    for trade in list(account.open.values()):
        order = Order(
            id=batch.next_id,
            type="MARKET",
            created=now,
            time_in_force="IOC",
            instrument=trade.instrument,
            units=-trade.units,
            trade_id=trade.id,
            closes={"marginCloseout": {"reason": "MARGIN_CHECK_VIOLATION"}},
        )
        account.orders[order.id] = order
        batch.record(
            "MARKET_ORDER",
            {
                "instrument": order.instrument,
                "units": order.units,
                "timeInForce": "IOC",
                "positionFill": "REDUCE_ONLY",
                "reason": "MARGIN_CLOSEOUT",
                "marginCloseout": order.closes["marginCloseout"],
            },
        )
        fill(batch, order, -trade.units, "MARKET_ORDER_MARGIN_CLOSEOUT")
