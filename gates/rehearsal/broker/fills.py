"""How an order is filled, protected and cancelled: one order against one price."""

from dataclasses import dataclass
from decimal import Decimal

from .account import Account, Batch, Transaction
from .instruments import INSTRUMENTS
from .market import Price, money
from .orders import PROTECTIONS, Body, Order
from .protections import cancel, place_protection
from .trades import ZERO, Trade, margin_of

LIQUIDITY_UNITS = 10_000_000
MILLION = Decimal(1_000_000)


@dataclass(frozen=True)
class Plan:
    """What a fill would do: units to take off each trade (of the trade's sign), and units to open."""

    reductions: tuple[tuple[Trade, Decimal], ...]
    opened: Decimal


def fill(batch: Batch, order: Order, units: Decimal, reason: str) -> Transaction | None:
    """Fill `units` of `order` at the current price, or cancel it with the broker's reason.

    1. Take what the market has; a FOK order wants all of it, a protection always gets all of it.
    2. Plan: opposite trades are reduced oldest first, the rest opens a trade.
    3. Check bound, protections, client id and margin, which cancel the order.
    4. Record the fill and move the balance.
    5. Cancel the protections of closed trades, place those of the new trade.
    6. Cancel what an IOC order did not get.

    Returns the ORDER_FILL transaction; None where the order was cancelled.
    """
    account, price = batch.account, batch.account.market.price(order.instrument)
    got = units if order.type in PROTECTIONS else account.market.dealable(order.instrument, units)
    if got == 0 or (got != units and order.time_in_force == "FOK"):
        cancel(batch, order, "INSUFFICIENT_LIQUIDITY")
        return None
    plan = plan_fill(account, order, got)
    refusal = refusal_of(account, order, plan, price)
    if refusal is not None:
        cancel(batch, order, refusal)
        return None
    transaction = _settle(batch, order, plan, reason)
    for trade, _ in plan.reductions:
        if not trade.is_open:
            _cancel_protections(batch, trade, order)
    if order.opened is not None:
        _protect(batch, order, account.trades[order.opened], transaction.id)
    if got != units:
        _cancel_remainder(batch, order)
    return transaction


def plan_fill(account: Account, order: Order, units: Decimal) -> Plan:
    """Which trades `units` reduce, and how many units are left to open."""
    if order.trade_id is not None:
        trade = account.trades[order.trade_id]
        return Plan(((trade, -units),), Decimal(0))
    if order.position_fill == "OPEN_ONLY":
        return Plan((), units)
    reductions, left = [], units
    for trade in account.open_in(order.instrument):
        if left != 0 and (trade.units > 0) != (left > 0):
            taken = min(abs(trade.units), abs(left)).copy_sign(trade.units)
            reductions.append((trade, taken))
            left += taken
    only = order.position_fill == "REDUCE_ONLY"
    return Plan(tuple(reductions), Decimal(0) if only else left)


def refusal_of(account: Account, order: Order, plan: Plan, price: Price) -> str | None:
    """Why the plan cannot be carried out (an OrderCancelReason), or None."""
    bound = order.price_bound
    units = order.units or Decimal(0)
    if bound is not None and ((units > 0 and price.ask > bound) or (units < 0 and price.bid < bound)):
        return "BOUNDS_VIOLATION"
    if not plan.opened:
        return None
    wanted = (order.trade_extensions or {}).get("id")
    if wanted and any(trade.client_id == wanted for trade in account.open.values()):
        return "CLIENT_TRADE_ID_ALREADY_EXISTS"
    loss = _loss_on_fill(order, plan.opened, price)
    if loss is not None:
        return loss
    return "INSUFFICIENT_MARGIN" if _margin_missing(account, order, plan) else None


def _loss_on_fill(order: Order, opened: Decimal, price: Price) -> str | None:
    """A stop loss on the wrong side of the closing price, a take profit on the wrong side of the opening price."""
    sign = Decimal(1).copy_sign(opened)
    protection = order.on_fill.get("STOP_LOSS", {})
    stop, distance = protection.get("price"), protection.get("distance")
    if distance is not None:
        stop = price.dealt(opened) - sign * distance
    if stop is not None and (price.dealt(-opened) - stop) * sign <= 0:
        return "STOP_LOSS_ON_FILL_LOSS"
    target = order.on_fill.get("TAKE_PROFIT", {}).get("price")
    if target is not None and (target - price.dealt(opened)) * sign <= 0:
        return "TAKE_PROFIT_ON_FILL_LOSS"
    return None


def _margin_missing(account: Account, order: Order, plan: Plan) -> bool:
    freed = sum(
        (margin_of(trade.instrument, units, account.market, account.currency) for trade, units in plan.reductions), ZERO
    )
    needed = margin_of(order.instrument, plan.opened, account.market, account.currency)
    return needed > account.nav - account.margin_used + freed


def _settle(batch: Batch, order: Order, plan: Plan, reason: str) -> Transaction:
    account, fill_id = batch.account, batch.next_id
    price = account.market.price(order.instrument)
    spec = INSTRUMENTS[order.instrument]
    closed, reduced = [], None
    for trade, units in plan.reductions:
        entry = _reduce(batch, trade, units, price)
        if trade.is_open:
            reduced = entry
            order.reduced = trade.id
        else:
            closed.append(entry)
            order.closed.append(trade.id)
    opened = _open(batch, order, plan.opened, price) if plan.opened else None
    dealt = plan.opened - sum((units for _, units in plan.reductions), Decimal(0))
    pl = sum((entry["realizedPL"] for entry in [*closed, *([reduced] if reduced else [])]), ZERO)
    commission = money(abs(dealt) * account.commission_per_million / MILLION)
    account.balance += pl - commission
    account.commission += commission
    account.commissions[order.instrument] = account.commissions.get(order.instrument, ZERO) + commission
    account.last_fill_at = batch.now
    conversion = account.market.conversion(spec.quote, account.currency)
    order.state, order.filling_id, order.filled_at = "FILLED", fill_id, batch.now
    account.pending.pop(order.id, None)
    fields = {
        "orderID": str(order.id),
        "clientOrderID": order.client_id,
        "instrument": order.instrument,
        "units": dealt,
        "requestedUnits": order.units if order.units is not None else dealt,
        "price": price.dealt(dealt),
        "fullVWAP": price.dealt(dealt),
        "fullPrice": full_price(price),
        "gainQuoteHomeConversionFactor": conversion.gain,
        "lossQuoteHomeConversionFactor": conversion.loss,
        "homeConversionFactors": {
            "gainQuoteHome": {"factor": conversion.gain},
            "lossQuoteHome": {"factor": conversion.loss},
        },
        "reason": reason,
        "pl": pl,
        "financing": ZERO,
        "commission": commission,
        "guaranteedExecutionFee": ZERO,
        "accountBalance": account.balance,
        "halfSpreadCost": half_spread(account, price, dealt),
        "tradeOpened": opened,
        "tradesClosed": closed or None,
        "tradeReduced": reduced,
    }
    return batch.record("ORDER_FILL", fields)


def _reduce(batch: Batch, trade: Trade, units: Decimal, price: Price) -> Body:
    account = batch.account
    dealt_at = price.dealt(-units)
    pl = trade.gain(units, dealt_at, account.market, account.currency)
    account.earn(trade, pl=pl)
    trade.units -= units
    trade.closed_value += units * dealt_at
    trade.closing_ids.append(batch.next_id)
    if trade.units == 0:
        trade.closed_at = batch.now
        del account.open[trade.id]
    return {
        "tradeID": str(trade.id),
        "clientTradeID": trade.client_id,
        "units": -units,
        "price": dealt_at,
        "realizedPL": pl,
        "financing": ZERO,
        "guaranteedExecutionFee": ZERO,
        "halfSpreadCost": half_spread(account, price, units),
    }


def _open(batch: Batch, order: Order, units: Decimal, price: Price) -> Body:
    account = batch.account
    trade = Trade(
        id=batch.next_id,
        instrument=order.instrument,
        price=price.dealt(units),
        opened_at=batch.now,
        initial_units=units,
        units=units,
        initial_margin=margin_of(order.instrument, units, account.market, account.currency),
        client_extensions=order.trade_extensions,
    )
    account.trades[trade.id] = account.open[trade.id] = trade
    account.earn(trade)
    order.opened = trade.id
    return {
        "tradeID": str(trade.id),
        "units": units,
        "price": trade.price,
        "guaranteedExecutionFee": ZERO,
        "halfSpreadCost": half_spread(account, price, units),
        "initialMarginRequired": trade.initial_margin,
        "clientExtensions": trade.client_extensions,
    }


def full_price(price: Price) -> Body:
    """The two-sided price of a fill, with the time it was seen."""
    return {
        "closeoutBid": price.bid,
        "closeoutAsk": price.ask,
        "timestamp": price.time,
        "bids": [{"price": price.bid, "liquidity": LIQUIDITY_UNITS}],
        "asks": [{"price": price.ask, "liquidity": LIQUIDITY_UNITS}],
    }


def half_spread(account: Account, price: Price, units: Decimal) -> Decimal:
    """What half the spread costs for `units`, in the home currency."""
    quote = INSTRUMENTS[price.instrument].quote
    return money(abs(units) * (price.ask - price.bid) / 2 * account.market.conversion(quote, account.currency).middle)


def _protect(batch: Batch, order: Order, trade: Trade, fill_id: int) -> None:
    for kind in PROTECTIONS:
        if kind in order.on_fill:
            place_protection(
                batch, trade, kind, order.on_fill[kind], {"reason": "ON_FILL", "orderFillTransactionID": str(fill_id)}
            )


def _cancel_protections(batch: Batch, trade: Trade, by: Order) -> None:
    for order_id in list(trade.protections.values()):
        order = batch.account.pending.get(order_id)
        if order is not None and order.id != by.id:
            cancel(
                batch,
                order,
                "LINKED_TRADE_CLOSED",
                {"closedTradeID": str(trade.id), "tradeCloseTransactionID": str(by.filling_id)},
            )
    trade.protections.clear()


def _cancel_remainder(batch: Batch, order: Order) -> None:
    """The units an IOC order did not get are cancelled; the order itself stays filled."""
    fields = {"orderID": str(order.id), "clientOrderID": order.client_id, "reason": "INSUFFICIENT_LIQUIDITY"}
    batch.record("ORDER_CANCEL", fields)
