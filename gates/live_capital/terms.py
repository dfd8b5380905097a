"""The terms of a capital plan: how much, in what, how fast, and how much may be lost. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, DecimalException
from typing import Any

LEAST, MOST = Decimal(100), Decimal(500)  # US dollars: enough to be real, little enough to lose
MOST_INSTRUMENTS = 20
MOST_ORDERS_A_MINUTE = 600
MOST_UNITS = Decimal(10_000_000)
TOO_MUCH = Decimal(10) ** 12
LONGEST_DAYS = 366
INSTRUMENT = re.compile(r"[A-Z0-9]{2,12}_[A-Z0-9]{2,12}")


class BadTermsError(ValueError):
    """A plan that limits nothing, or that cannot be; the sentence says what to write instead."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The limits of one plan. Money in US dollars, `order_size` in units without sign; the plan holds until the end of
    `ends_on`, UTC."""

    amount: Decimal
    instruments: tuple[str, ...]
    order_size: Decimal
    orders_per_minute: int
    daily_loss: Decimal
    total_loss: Decimal
    ends_on: date


def read_terms(given: Mapping[str, Any], now: datetime) -> Terms:
    """Read a form's texts. Raises BadTermsError for a limit that is missing, negative, or wider than what it guards."""
    amount = _money(given, "amount", "the amount")
    if not LEAST <= amount <= MOST:
        raise BadTermsError(f"The amount is {amount} USD: gate 4 is for {LEAST} to {MOST} USD of real money.")
    daily, total = _money(given, "daily_loss", "the daily loss"), _money(given, "total_loss", "the total loss")
    if not daily <= total <= amount:
        raise BadTermsError(
            f"A daily loss of {daily} USD must not be above the total loss of {total} USD, nor that above the amount."
        )
    return Terms(
        amount=amount,
        instruments=_instruments(given),
        order_size=_units(given),
        orders_per_minute=_orders(given),
        daily_loss=daily,
        total_loss=total,
        ends_on=_end(given, now),
    )


def _text(given: Mapping[str, Any], name: str, words: str) -> str:
    text = str(given.get(name) or "").strip()
    if not text:
        raise BadTermsError(f"The plan lacks {words}: without a limit nothing is limited.")
    return text


def _decimal(given: Mapping[str, Any], name: str, words: str) -> Decimal:
    text = _text(given, name, words)
    try:
        number = Decimal(text)
    except DecimalException:
        number = Decimal("NaN")
    if not number.is_finite():
        raise BadTermsError(f"{words.capitalize()} is {text[:40]!r}: give a number such as 25 or 25.50.")
    if number <= 0:
        raise BadTermsError(f"{words.capitalize()} is {number}: give a number above zero.")
    if number >= TOO_MUCH:
        raise BadTermsError(f"{words.capitalize()} is {text[:40]}: that limits nothing.")
    return number


def _money(given: Mapping[str, Any], name: str, words: str) -> Decimal:
    number = _decimal(given, name, words)
    if number != number.quantize(Decimal("0.01")) or number > MOST:
        raise BadTermsError(
            f"{words.capitalize()} is {number}: give US dollars with at most two decimals, up to {MOST}."
        )
    return number.quantize(Decimal("0.01"))


def _units(given: Mapping[str, Any]) -> Decimal:
    number = _decimal(given, "order_size", "the order size")
    if number != number.quantize(Decimal("0.0001")) or number > MOST_UNITS:
        raise BadTermsError(f"The order size is {number} units: give at most {MOST_UNITS:f}, with up to four decimals.")
    return number


def _orders(given: Mapping[str, Any]) -> int:
    number = _decimal(given, "orders_per_minute", "the orders a minute")
    if number != int(number) or number > MOST_ORDERS_A_MINUTE:
        raise BadTermsError(f"The orders a minute are {number}: give a whole number from 1 to {MOST_ORDERS_A_MINUTE}.")
    return int(number)


def _instruments(given: Mapping[str, Any]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(re.split(r"[\s,]+", _text(given, "instruments", "the instruments").upper())))
    for name in names:
        if not INSTRUMENT.fullmatch(name):
            raise BadTermsError(f"{name[:20]!r} is no instrument: write them as EUR_USD, with commas between.")
    if len(names) > MOST_INSTRUMENTS:
        raise BadTermsError(f"{len(names)} instruments are named: give at most {MOST_INSTRUMENTS}.")
    return names


def _end(given: Mapping[str, Any], now: datetime) -> date:
    text = _text(given, "ends_on", "the end date")
    try:
        end = date.fromisoformat(text)
    except ValueError as error:
        raise BadTermsError(f"The end date is {text[:20]!r}: write it as 2026-12-31.") from error
    if not 0 <= (end - now.date()).days <= LONGEST_DAYS:
        raise BadTermsError(f"The plan would end on {end}: give a day from today on, within {LONGEST_DAYS} days.")
    return end
