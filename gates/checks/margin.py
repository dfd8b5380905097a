"""Margin: what the books hold in reserve, against what the broker does.

Margin used is proportional to the price of the moment, so books that were valued a while ago differ from the broker
without being wrong. What can be compared without a false alarm is a range: the margin of exactly the trades that are
open, at any price that the broker itself saw since each was opened. No open trade leaves exactly zero.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from audits.findings import Finding, Level
from audits.sources.oanda import BrokerAnswerUnreadable, OandaReader
from audits.stop_records import Candle, candles_from
from audits.transactions import exact, moment_of, required

Row = Mapping[str, Any]

ROUNDING = Decimal("0.001")  # the broker rounds to 4 decimals; a margin reduced in parts is rounded each time
MINUTE = timedelta(minutes=1)
# How long a stretch is read in which candles, so that one request holds it; and how long one candle is.
GRANULARITIES = (
    (timedelta(hours=4), "S5", timedelta(seconds=5)),
    (timedelta(days=3), "M1", MINUTE),
    (timedelta(days=200), "H1", timedelta(hours=1)),
)


class PricesUnseenError(Exception):
    """The broker showed no prices for the time that a trade has been open; nothing bounds its margin."""


def price_spans(broker: OandaReader, trades: Sequence[Row], home: str, now: datetime) -> dict[str, Decimal]:
    """Return per trade id how far its value in the account's currency may have moved since it was opened: 0.01 is 1 %.

    Raises PricesUnseenError where the broker has no candles of that time, and the broker's own errors.
    """
    opened: dict[str, datetime] = {}
    for trade in trades:
        at = moment_of(required(trade, "openTime"))
        instrument = required(trade, "instrument")
        opened[instrument] = min(at, opened.get(instrument, at))
    spans = {name: _span(broker, name, home, (since, now)) for name, since in opened.items()}
    return {required(trade, "id"): spans[required(trade, "instrument")] for trade in trades}


def margin_findings(
    books: Row, positions: Iterable[Row], account: Row, spans: Mapping[str, Decimal]
) -> tuple[Finding, ...]:
    """Compare the books' margin with the broker's: the account's, then each open position's that has one.

    `books` is the ledger's account, `account` the broker's with its open `trades`; both of the same transaction.
    """
    used, room = exact(account, "marginUsed") or Decimal(0), max(spans.values(), default=Decimal(0))
    measured = books["margin_used"]
    findings = []
    if measured is not None and not _within(measured, used, room):
        where = {"account_id": str(books["account_id"]), "trades": str(len(spans))}
        findings.append(_finding(("margin used", "The books"), measured, (used, room), where))
    trades = {required(trade, "id"): trade for trade in account["trades"]}
    for position in positions:
        trade, margin = trades.get(str(position["broker_trade_id"])), position["margin_used"]
        if trade is None or margin is None:
            continue
        trade_id = required(trade, "id")
        if not any(_within(margin, base, spans[trade_id]) for base in _margins(trade)):
            where = {"position_id": str(position["position_id"]), "trade_id": trade_id}
            who = f"Position {position['position_id']}"
            broker = (_margins(trade)[0], spans[trade_id])
            findings.append(_finding(("position margin", who), margin, broker, where))
    return tuple(findings)


def _margins(trade: Row) -> list[Decimal]:
    """Return the broker's margins of a trade: in use now, and the share of what was reserved that is still open."""
    found = [exact(trade, "marginUsed") or Decimal(0)]
    reserved, units, initial = (
        exact(trade, name) for name in ("initialMarginRequired", "currentUnits", "initialUnits")
    )
    if reserved is not None and units is not None and initial:
        found.append(reserved * units / initial)
    return found


def _within(measured: Decimal, broker: Decimal, span: Decimal) -> bool:
    room = ROUNDING if broker else Decimal(0)
    return broker / (1 + span) - room <= measured <= broker * (1 + span) + room


def _finding(
    words: tuple[str, str], measured: Decimal, theirs: tuple[Decimal, Decimal], where: dict[str, str]
) -> Finding:
    (rule, who), (broker, span) = words, theirs
    percent = f"{span * 100:.3f} %"
    sentence = (
        f"{who}: margin in use is {_text(measured)}, at the broker {_text(broker)}; prices explain at most {percent}."
    )
    difference = _text(measured - broker)
    return Finding(rule, Level.CRITICAL, sentence, f"{_text(broker)} ± {percent}", _text(measured), difference, where)


def _text(amount: Decimal) -> str:
    return f"{amount.quantize(Decimal('0.0001')):f}"


def _span(broker: OandaReader, instrument: str, home: str, window: tuple[datetime, datetime]) -> Decimal:
    """Margin follows the value of the base currency at home: its price in the quote currency, times quote at home."""
    base, _, quote = instrument.partition("_")
    if base == home:
        return Decimal(0)
    factor = 1 + _moved(broker, (instrument,), window)
    if quote != home:
        factor *= 1 + _moved(broker, (f"{quote}_{home}", f"{home}_{quote}"), window)
    return factor - 1


def _moved(broker: OandaReader, names: Sequence[str], window: tuple[datetime, datetime]) -> Decimal:
    for name in names:
        try:
            candles = _candles(broker, name, window)
        except BrokerAnswerUnreadable:  # a pair is traded under one of its two names only
            continue
        if candles:
            return max(candle.ask_high for candle in candles) / min(candle.bid_low for candle in candles) - 1
    raise PricesUnseenError(f"The broker shows no prices of {' or '.join(names)} since its trade was opened.")


def _candles(broker: OandaReader, name: str, window: tuple[datetime, datetime]) -> tuple[Candle, ...]:
    """Read the window with the whole candle in which it opens, and a minute more on each side for unequal clocks."""
    start, end = window
    choices = (choice for choice in GRANULARITIES if end - start <= choice[0])
    _, granularity, length = next(choices, GRANULARITIES[-1])
    return candles_from(broker.candles(name, start - length - MINUTE, end + MINUTE, granularity))
