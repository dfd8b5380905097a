"""Broker transactions, read: times, exact amounts, and which of them move money. Pure.

The shape is OANDA v20's: numbers are strings, ids are decimal strings that rise by one.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

Record = Mapping[str, Any]

FILL = "ORDER_FILL"

_FRACTION = re.compile(r"\.(\d+)")
_UNIX = re.compile(r"\d+(\.\d+)?")


class TransactionUnreadable(ValueError):  # noqa: N818  reads as what is wrong
    """A broker's record lacks a field or holds one that cannot be read; the sentence names both."""


def moment_of(text: str) -> datetime:
    """Return the aware UTC time of an RFC 3339 or UNIX text; digits below the microsecond are dropped.

    Raises TransactionUnreadable for anything else, a time without a zone included.
    """
    try:
        if _UNIX.fullmatch(text):
            seconds, _, fraction = text.partition(".")
            whole = datetime.fromtimestamp(int(seconds), UTC)
            return whole.replace(microsecond=int(fraction[:6].ljust(6, "0")))
        moment = datetime.fromisoformat(_FRACTION.sub(lambda part: part.group()[:7], text))
    except (ValueError, OverflowError, TypeError) as error:
        raise TransactionUnreadable(f"{text!r} is no time in RFC 3339 or UNIX form.") from error
    if moment.tzinfo is None:
        raise TransactionUnreadable(f"The time {text!r} has no zone.")
    return moment.astimezone(UTC)


def exact(record: Record, field: str) -> Decimal | None:
    """Return a number of the record exactly, or None where the field is missing or null."""
    value = record.get(field)
    if value is None:
        return None
    if isinstance(value, float | bool):
        raise TransactionUnreadable(f"{field} of {record.get('id', '?')} is {value!r}, which is no exact number.")
    try:
        number = Decimal(value)
    except (InvalidOperation, TypeError, ValueError) as error:
        raise TransactionUnreadable(f"{field} of {record.get('id', '?')} is {value!r}, no number.") from error
    if not number.is_finite():
        raise TransactionUnreadable(f"{field} of {record.get('id', '?')} is {value!r}, no finite number.")
    return number


def required(record: Record, field: str) -> str:
    """Return a text of the record; raises TransactionUnreadable where it is missing."""
    value = record.get(field)
    if value is None:
        raise TransactionUnreadable(f"A broker record {record.get('id', '?')} has no {field}.")
    return str(value)


def whole(record: Record, field: str) -> int:
    """Return a count of the record; raises TransactionUnreadable where it is missing or no whole number."""
    text = required(record, field)
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise TransactionUnreadable(f"{field} of {record.get('id', '?')} is {text!r}, no whole number.")
    return int(text)


def number_of(record: Record) -> int:
    """Return the transaction's id as the number by which transactions are ordered."""
    return whole(record, "id")


def change_of(record: Record) -> Decimal:
    """Return what the transaction adds to the account's balance.

    Rule (OANDA v20, checked on 282 of 282 real pairs): pl + financing − commission − guaranteedExecutionFee +
    dividendAdjustment + amount, where `amount` counts in TRANSFER_FUNDS only. A dividend transaction names the
    same money both as `dividendAdjustment` and per trade, so only the total counts.
    """
    added = ("pl", "financing", "dividendAdjustment")
    taken = ("commission", "guaranteedExecutionFee")
    change = sum((exact(record, field) or Decimal(0) for field in added), Decimal(0))
    change -= sum((exact(record, field) or Decimal(0) for field in taken), Decimal(0))
    if record.get("type") == "TRANSFER_FUNDS":
        change += exact(record, "amount") or Decimal(0)
    return change


def as_text(record: Record) -> str:
    """Return the record as JSON text with its numbers as they were written."""
    return json.dumps(record, default=str, sort_keys=True, ensure_ascii=False)
