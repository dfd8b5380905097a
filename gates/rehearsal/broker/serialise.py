"""The broker's JSON: accounts, orders, trades, positions, prices and transactions, all numbers as strings."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from .account import Account, Side, Transaction
from .candles import Bar, Candle
from .fills import LIQUIDITY_UNITS
from .instruments import INSTRUMENTS, MAXIMUM_TRAILING_PIPS, MAXIMUM_UNITS, MINIMUM_TRAILING_PIPS, Instrument
from .market import Market, Price, money
from .orders import ON_FILL, Order
from .trades import ZERO, Trade

Json = dict[str, Any]


def plain(value: Any, *, unix: bool = False) -> Any:
    """Decimals, times and transactions inside `value` as the broker writes them: strings, nine decimals of a second."""
    match value:
        case Decimal():
            return format(value, "f")
        case datetime():
            return instant(value, unix=unix)
        case Transaction():
            return plain(value.shape(), unix=unix)
        case dict():
            return {key: plain(part, unix=unix) for key, part in value.items() if part is not None}
        case list() | tuple():
            return [plain(part, unix=unix) for part in value]
        case _:
            return value


def instant(at: datetime, *, unix: bool = False) -> str:
    """RFC 3339 with nine decimals, or seconds since 1970 with nine decimals."""
    utc = at.astimezone(UTC)
    if unix:
        return f"{int(utc.timestamp())}.{utc.microsecond:06d}000"
    return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond:06d}000Z"


def instrument_json(spec: Instrument) -> Json:
    return {
        "name": spec.name,
        "type": "CURRENCY",
        "displayName": spec.name.replace("_", "/"),
        "pipLocation": spec.pip_location,
        "displayPrecision": spec.display_precision,
        "tradeUnitsPrecision": 0,
        "minimumTradeSize": "1",
        "maximumTrailingStopDistance": spec.price(MAXIMUM_TRAILING_PIPS * spec.pip),
        "minimumTrailingStopDistance": spec.price(MINIMUM_TRAILING_PIPS * spec.pip),
        "maximumPositionSize": "0",
        "maximumOrderUnits": MAXIMUM_UNITS,
        "marginRate": spec.margin_rate,
        "guaranteedStopLossOrderMode": "DISABLED",
        "tags": [{"type": "ASSET_CLASS", "name": "CURRENCY"}],
        "financing": {
            "longRate": spec.long_rate,
            "shortRate": spec.short_rate,
            "financingDaysOfWeek": [
                {"dayOfWeek": day, "daysCharged": 3 if day == "WEDNESDAY" else int(day[0] != "S")}
                for day in ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
            ],
        },
    }


def state_json(account: Account) -> Json:
    """What prices change: equity and margin."""
    unrealized, used = account.unrealized, account.margin_used
    nav, value = account.balance + unrealized, account.position_value
    half = money(used / 2)
    percent = money(half / nav) if nav > 0 else ZERO
    return {
        "unrealizedPL": unrealized,
        "NAV": nav,
        "marginUsed": used,
        "marginAvailable": max(nav - used, ZERO),
        "positionValue": value,
        "marginCloseoutUnrealizedPL": unrealized,
        "marginCloseoutNAV": nav,
        "marginCloseoutMarginUsed": used,
        "marginCloseoutPercent": percent,
        "marginCloseoutPositionValue": value,
        "withdrawalLimit": max(min(nav - used, account.balance), ZERO),
        "marginCallMarginUsed": used,
        "marginCallPercent": money(used / nav) if nav > 0 else ZERO,
    }


def summary_json(account: Account) -> Json:
    return {
        "id": account.id,
        "alias": "Primary",
        "currency": account.currency,
        "balance": account.balance,
        "createdByUserID": 1,
        "createdTime": account.created_at,
        "guaranteedStopLossOrderMode": "DISABLED",
        "pl": account.pl,
        "resettablePL": account.pl,
        "resettablePLTime": account.created_at,
        "financing": account.financing,
        "commission": account.commission,
        "dividendAdjustment": ZERO,
        "guaranteedExecutionFees": ZERO,
        "marginRate": Decimal("0.02"),
        "openTradeCount": len(account.open),
        "openPositionCount": len({trade.instrument for trade in account.open.values()}),
        "pendingOrderCount": len(account.pending),
        "hedgingEnabled": False,
        "lastOrderFillTimestamp": account.last_fill_at,
        **state_json(account),
        "lastTransactionID": str(account.last_id),
    }


def account_json(account: Account) -> Json:
    return summary_json(account) | {
        "trades": [trade_json(account, trade, summary=True) for trade in account.open.values()],
        "positions": [position_json(account, name) for name in account.traded_instruments()],
        "orders": [order_json(order) for order in account.pending.values()],
    }


def trade_json(account: Account, trade: Trade, *, summary: bool = False) -> Json:
    """A trade with its protections in full, or in a `summary` by their ids."""
    shape: Json = {
        "id": str(trade.id),
        "instrument": trade.instrument,
        "price": trade.price,
        "openTime": trade.opened_at,
        "state": "OPEN" if trade.is_open else "CLOSED",
        "initialUnits": trade.initial_units,
        "initialMarginRequired": trade.initial_margin,
        "currentUnits": trade.units,
        "realizedPL": trade.realized,
        "unrealizedPL": trade.unrealized(account.market, account.currency) if trade.is_open else None,
        "marginUsed": trade.margin(account.market, account.currency) if trade.is_open else None,
        "averageClosePrice": trade.average_close,
        "closingTransactionIDs": [str(n) for n in trade.closing_ids] or None,
        "financing": trade.financing,
        "dividendAdjustment": ZERO,
        "closeTime": trade.closed_at,
        "clientExtensions": trade.client_extensions,
    }
    names = {
        "TAKE_PROFIT": "takeProfitOrder",
        "STOP_LOSS": "stopLossOrder",
        "TRAILING_STOP_LOSS": "trailingStopLossOrder",
    }
    for kind, order_id in trade.protections.items():
        if summary:
            shape[f"{names[kind]}ID"] = str(order_id)
        else:
            shape[names[kind]] = order_json(account.orders[order_id])
    return shape


def order_json(order: Order) -> Json:
    shape: Json = {
        "id": str(order.id),
        "createTime": order.created,
        "type": order.type,
        "state": order.state,
        "timeInForce": order.time_in_force,
        "clientExtensions": order.client_extensions,
        "price": order.price,
        "priceBound": order.price_bound,
        "distance": order.distance,
        "gtdTime": order.gtd_time,
        "trailingStopValue": order.trailing_value,
        "fillingTransactionID": _id(order.filling_id),
        "filledTime": order.filled_at,
        "tradeOpenedID": _id(order.opened),
        "tradeReducedID": _id(order.reduced),
        "tradeClosedIDs": [str(n) for n in order.closed] or None,
        "cancellingTransactionID": _id(order.cancelling_id),
        "cancelledTime": order.cancelled_at,
        "replacesOrderID": _id(order.replaces),
        "replacedByOrderID": _id(order.replaced_by),
    }
    if order.type in ON_FILL:
        shape |= {"tradeID": _id(order.trade_id), "clientTradeID": order.client_trade_id}
        shape["guaranteed"] = False if order.type == "STOP_LOSS" else None
    else:
        shape |= {"instrument": order.instrument, "units": order.units, "positionFill": order.position_fill}
        shape |= {"tradeClientExtensions": order.trade_extensions, **order.closes}
        shape |= {ON_FILL[kind]: details for kind, details in order.on_fill.items()}
    if order.type != "MARKET":
        shape["triggerCondition"] = order.trigger
    return shape


def position_json(account: Account, instrument: str) -> Json:
    sides = {name: _side_json(account, instrument, is_long=name == "long") for name in ("long", "short")}
    long_side, short_side = (account.sides.get((instrument, flag), Side()) for flag in (True, False))
    pl = long_side.pl + short_side.pl
    trades = account.open_in(instrument)
    return {
        "instrument": instrument,
        "pl": pl,
        "unrealizedPL": sides["long"]["unrealizedPL"] + sides["short"]["unrealizedPL"],
        "marginUsed": sum((t.margin(account.market, account.currency) for t in trades), ZERO),
        "resettablePL": pl,
        "financing": long_side.financing + short_side.financing,
        "commission": account.commissions.get(instrument, ZERO),
        "dividendAdjustment": ZERO,
        "guaranteedExecutionFees": ZERO,
        **sides,
    }


def _side_json(account: Account, instrument: str, *, is_long: bool) -> Json:
    trades = [trade for trade in account.open_in(instrument) if (trade.units > 0) == is_long]
    side = account.sides.get((instrument, is_long), Side())
    units = sum((trade.units for trade in trades), Decimal(0))
    value = sum((trade.units * trade.price for trade in trades), Decimal(0))
    return {
        "units": units,
        "averagePrice": INSTRUMENTS[instrument].price(value / units) if units else None,
        "tradeIDs": [str(trade.id) for trade in trades] or None,
        "pl": side.pl,
        "unrealizedPL": sum((t.unrealized(account.market, account.currency) for t in trades), ZERO),
        "resettablePL": side.pl,
        "financing": side.financing,
        "dividendAdjustment": ZERO,
        "guaranteedExecutionFees": ZERO,
    }


def price_json(price: Price, market: Market, home: str) -> Json:
    conversion = market.conversion(INSTRUMENTS[price.instrument].quote, home)
    return {
        "type": "PRICE",
        "instrument": price.instrument,
        "time": price.time,
        "status": "tradeable",
        "tradeable": True,
        "bids": [{"price": price.bid, "liquidity": LIQUIDITY_UNITS}],
        "asks": [{"price": price.ask, "liquidity": LIQUIDITY_UNITS}],
        "closeoutBid": price.bid,
        "closeoutAsk": price.ask,
        "quoteHomeConversionFactors": {"positiveUnits": conversion.gain, "negativeUnits": conversion.loss},
    }


def conversions_json(market: Market, home: str) -> list[Json]:
    rows = []
    for currency in ("EUR", "GBP", "JPY", "USD"):
        found = market.conversion(currency, home)
        rows.append(
            {"currency": currency, "accountGain": found.gain, "accountLoss": found.loss, "positionValue": found.middle}
        )
    return rows


def candle_json(candle: Candle, sides: str, spec: Instrument, *, complete: bool) -> Json:
    """One candle; `sides` holds any of M, B and A."""
    shape: Json = {"time": candle.time, "volume": candle.volume, "complete": complete}
    for letter, name, bar in (("B", "bid", candle.bid), ("M", "mid", candle.mid), ("A", "ask", candle.ask)):
        if letter in sides:
            shape[name] = _bar_json(bar, spec)
    return shape


def _bar_json(bar: Bar, spec: Instrument) -> Json:
    return {"o": spec.price(bar.o), "h": spec.price(bar.h), "l": spec.price(bar.l), "c": spec.price(bar.c)}


def _id(number: int | None) -> str | None:
    return None if number is None else str(number)
