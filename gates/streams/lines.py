"""One line of a broker's stream: a price, a transaction or a heartbeat. Pure.

The shapes are OANDA v20's: `GET …/pricing/stream` and `GET …/transactions/stream`, one JSON object a line.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from audits.transactions import Record, TransactionUnreadable, exact, moment_of, number_of, required, whole

LONGEST_LINE = 1_000_000  # bytes; a real one has a few thousand
SHOWN = 80


class LineUnreadable(ValueError):  # noqa: N818  reads as what is wrong
    """The line is not what the interface promises; the sentence says what it began with."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The stream lives. `last_id` is the account's last transaction; a price stream says none."""

    at: datetime
    last_id: int | None


@dataclass(frozen=True, slots=True)
class Quote:
    """The best bid and ask of one instrument at a time of the broker's clock."""

    at: datetime
    instrument: str
    bid: Decimal
    ask: Decimal


@dataclass(frozen=True, slots=True)
class Told:
    """One transaction, as the broker told it."""

    at: datetime
    number: int
    record: Record


Line = Heartbeat | Quote | Told


def read_line(raw: bytes) -> Line:
    """Return what the line says. Raises LineUnreadable."""
    if len(raw) > LONGEST_LINE:
        raise LineUnreadable(f"A line of more than {LONGEST_LINE} bytes came.")
    try:
        record = json.loads(raw, parse_float=Decimal)
        if not isinstance(record, dict):
            raise LineUnreadable(f"A line that is no JSON object came: {_shown(raw)}")
        return _line(record)
    except (TransactionUnreadable, RecursionError, ValueError) as error:
        if isinstance(error, LineUnreadable):
            raise
        words = error if isinstance(error, TransactionUnreadable) else "it is no JSON"
        raise LineUnreadable(f"A line could not be read ({words}): {_shown(raw)}") from None


def _line(record: dict[str, Any]) -> Line:
    kind = required(record, "type")
    at = moment_of(required(record, "time"))
    if kind == "HEARTBEAT":
        return Heartbeat(at, whole(record, "lastTransactionID") if "lastTransactionID" in record else None)
    if kind == "PRICE":
        return Quote(at, required(record, "instrument"), bid=_best(record, "bids", max), ask=_best(record, "asks", min))
    return Told(at, number_of(record), record)


def _best(record: dict[str, Any], side: str, best: Callable[[Iterable[Decimal]], Decimal]) -> Decimal:
    levels = record.get(side)
    if not isinstance(levels, list) or not all(isinstance(level, dict) for level in levels):
        raise TransactionUnreadable(f"the price has no {side}")
    prices = [price for level in levels if (price := exact(level, "price")) is not None]
    if not prices:
        raise TransactionUnreadable(f"the price has no {side}")
    return best(prices)


def _shown(raw: bytes) -> str:
    """How the line begins, without anything a terminal or a page could obey."""
    text = raw[:SHOWN].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "·" for letter in text)
