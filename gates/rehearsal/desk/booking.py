"""What one broker transaction means for the books: pure, no database, no clock.

Rule (OANDA v20): accountBalance[n] = accountBalance[n-1] + pl + financing - commission
- guaranteedExecutionFee + dividendAdjustment + amount, where `pl` and `financing` of an ORDER_FILL are the
sums over tradesClosed and tradeReduced.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

Transaction = Mapping[str, Any]

ZERO = Decimal(0)
RATE_STEP = Decimal("0.000000000001")  # of a rate the broker did not name
CASH_TYPES = {"TRANSFER_FUNDS", "DAILY_FINANCING", "DIVIDEND_ADJUSTMENT", "ORDER_FILL"}
MONEY_SIGNS = {
    "pl": 1,
    "financing": 1,
    "commission": -1,
    "guaranteedExecutionFee": -1,
    "dividendAdjustment": 1,
    "amount": 1,
}
CLOSE_REASONS = {
    "STOP_LOSS_ORDER": "STOP_LOSS",
    "TAKE_PROFIT_ORDER": "TAKE_PROFIT",
    "TRAILING_STOP_LOSS_ORDER": "TRAILING_STOP_LOSS",
    "GUARANTEED_STOP_LOSS_ORDER": "GUARANTEED_STOP_LOSS",
    "MARKET_ORDER_MARGIN_CLOSEOUT": "MARGIN_CLOSEOUT",
}


class BookingStoppedError(Exception):
    """The books cannot follow the broker any further without a person; says why."""


@dataclass(frozen=True)
class Opening:
    """A trade opened by a fill; units are signed, margin in account currency."""

    trade_id: str
    units: Decimal
    price: Decimal
    margin: Decimal
    conversion_rate: Decimal


@dataclass(frozen=True)
class Closing:
    """A trade closed or reduced by a fill; units carry no sign, money is in account currency."""

    trade_id: str
    units: Decimal
    price: Decimal
    realized_pnl: Decimal
    financing: Decimal
    conversion_rate: Decimal | None


@dataclass(frozen=True)
class Cash:
    """One change of the balance, signed; `trade_id` names the trade it belongs to, if one."""

    event_type: str
    amount: Decimal
    trade_id: str | None = None


@dataclass(frozen=True)
class Movement:
    """All that one broker transaction does to the books; `balance` is the broker's balance after it."""

    transaction_id: int
    kind: str
    occurred_at: datetime
    balance: Decimal | None
    openings: tuple[Opening, ...] = ()
    closings: tuple[Closing, ...] = ()
    cash: tuple[Cash, ...] = ()
    commission: Decimal = ZERO


def read_transaction(transaction: Transaction, *, currency: str) -> Movement:
    """Reads one OANDA transaction. Raises BookingStoppedError for one that moves money in an unknown way."""
    kind = str(transaction["type"])
    openings: tuple[Opening, ...] = ()
    closings: tuple[Closing, ...] = ()
    if kind == "ORDER_FILL":
        openings = _openings(transaction, currency)
        closings = _closings(transaction, currency)
    movement = Movement(
        transaction_id=int(transaction["id"]),
        kind=kind,
        occurred_at=moment(transaction["time"]),
        balance=money(transaction, "accountBalance") if "accountBalance" in transaction else None,
        openings=openings,
        closings=closings,
        cash=_cash(transaction, closings),
        commission=money(transaction, "commission"),
    )
    _refuse_unexplained(transaction, movement)
    return movement


def cash_effect(transaction: Transaction) -> Decimal:
    """The change of the balance by the money fields of the transaction itself, in account currency."""
    return sum((sign * money(transaction, name) for name, sign in MONEY_SIGNS.items()), ZERO)


def money(fields: Mapping[str, Any], name: str) -> Decimal:
    """The decimal in field `name`, zero when absent. Raises BookingStoppedError when it is no decimal."""
    value = fields.get(name)
    if value is None or value == "":
        return ZERO
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise BookingStoppedError(f"the broker sent {name} = {value!r}, which is not a decimal number")
    return number


def moment(text: str) -> datetime:
    """An RFC 3339 time with up to nine decimals, cut to microseconds."""
    whole, dot, rest = text.removesuffix("Z").removesuffix("+00:00").partition(".")
    fraction = (rest + "000000")[:6] if dot else "000000"
    return datetime.fromisoformat(f"{whole}.{fraction}+00:00")


def _openings(fill: Transaction, currency: str) -> tuple[Opening, ...]:
    opened = fill.get("tradeOpened")
    if not opened:
        return ()
    price = money(opened, "price") or money(fill, "price")
    rate = conversion_rate(fill, currency=currency, price=price, pnl=ZERO)
    if rate is None:
        raise BookingStoppedError(f"fill {fill['id']} names no conversion from {fill['instrument']} to {currency}")
    return (
        Opening(
            trade_id=str(opened["tradeID"]),
            units=money(opened, "units"),
            price=price,
            margin=money(opened, "initialMarginRequired"),
            conversion_rate=rate,
        ),
    )


def _closings(fill: Transaction, currency: str) -> tuple[Closing, ...]:
    parts = list(fill.get("tradesClosed") or ())
    if fill.get("tradeReduced"):
        parts.append(fill["tradeReduced"])
    closings = []
    for part in parts:
        price = money(part, "price") or money(fill, "price")
        pnl = money(part, "realizedPL")
        closings.append(
            Closing(
                trade_id=str(part["tradeID"]),
                units=abs(money(part, "units")),
                price=price,
                realized_pnl=pnl,
                financing=money(part, "financing"),
                conversion_rate=conversion_rate(fill, currency=currency, price=price, pnl=pnl),
            )
        )
    return tuple(closings)


def conversion_rate(fill: Transaction, *, currency: str, price: Decimal, pnl: Decimal) -> Decimal | None:
    """Quote → account currency as the broker used it: the factor for gains or for losses, by the sign of
    `pnl`; without factors 1 or 1/price where the instrument itself tells; else None.
    """
    side = "loss" if pnl < 0 else "gain"
    factors = (fill.get("homeConversionFactors") or {}).get(f"{side}QuoteHome") or {}
    factor = money(factors, "factor") or money(fill, f"{side}QuoteHomeConversionFactor")
    if factor:
        return factor
    base, _, quote = str(fill["instrument"]).partition("_")
    if quote == currency:
        return Decimal(1)
    if base == currency and price:
        return (1 / price).quantize(RATE_STEP)
    return None


def _cash(transaction: Transaction, closings: tuple[Closing, ...]) -> tuple[Cash, ...]:
    amount = money(transaction, "amount")
    parts: list[Cash] = []
    match transaction["type"]:
        case "TRANSFER_FUNDS":
            parts.append(Cash("DEPOSIT" if amount > 0 else "WITHDRAWAL", amount))
        case "DAILY_FINANCING":
            parts.append(Cash("FINANCING", money(transaction, "financing")))
        case "DIVIDEND_ADJUSTMENT":
            parts.append(Cash("DIVIDEND", money(transaction, "dividendAdjustment")))
        case "ORDER_FILL":
            for closing in closings:
                parts.append(Cash("PNL_REALIZED", closing.realized_pnl, closing.trade_id))
                parts.append(Cash("FINANCING", closing.financing, closing.trade_id))
            parts.append(Cash("DIVIDEND", money(transaction, "dividendAdjustment")))
            parts.append(Cash("COMMISSION", -money(transaction, "commission")))
            parts.append(Cash("FEE", -money(transaction, "guaranteedExecutionFee")))
    return tuple(part for part in parts if part.amount)


def _refuse_unexplained(transaction: Transaction, movement: Movement) -> None:
    effect = cash_effect(transaction)
    booked = sum((part.amount for part in movement.cash), ZERO)
    if effect == booked:
        return
    known = "" if movement.kind in CASH_TYPES else ", a type the desk does not know to move money"
    raise BookingStoppedError(
        f"transaction {movement.transaction_id} ({movement.kind}{known}) moves {effect}, "
        f"but its parts explain {booked}; book it by hand"
    )
