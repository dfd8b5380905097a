"""Stops: every touch of a stop loss or take profit in one window, found in the broker's own records."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from audits.sources.oanda import OandaReader
from audits.stop_records import Candle, candles_from, fills_from, orders_from
from audits.stop_windows import StopsJudgement, judge_stops, needed_from
from audits.transactions import number_of
from audits.verdicts import Verdict
from gates.checks.outcome import Outcome
from gates.targets.access import Access

A_SECOND = timedelta(seconds=1)  # a Date is cut to the second


def judge_window(access: Access, *, start: datetime, end: datetime, limit_s: int) -> Outcome:
    """Judge the touches whose candle starts within [start, end): each executed within `limit_s`, or a finding."""
    with OandaReader(access.broker_url, access.broker_account, access.broker_token) as broker:
        transactions, seen_until = _records(broker, start)
        orders = orders_from(transactions)
        candles: dict[str, tuple[Candle, ...]] = {
            instrument: candles_from(broker.candles(instrument, since - timedelta(seconds=10), end))
            for instrument, since in needed_from(orders, start).items()
        }
    judgement = judge_stops(
        orders, candles, fills_from(transactions), start, end, seen_until=seen_until, limit_s=limit_s
    )
    reason = judgement.reason
    if judgement.verdict == Verdict.FAILED and judgement.findings:
        reason = judgement.findings[0].sentence
    return Outcome(judgement.verdict, reason, _measured(judgement), judgement.findings)


def _records(broker: OandaReader, start: datetime) -> tuple[list[dict[str, Any]], datetime]:
    """Return the transactions, and until when they are whole, by the slower of the broker's clock and ours.

    Touches and fills are dated by the broker: by our clock alone, one that runs fast would call a stop missed that is
    still in its time, and a window over that is not. The clocks are read before the last transactions, so that whatever
    came until then is among them. Where no stop lives the Date of its answer will do, which is told while markets are
    closed too.
    """
    records = broker.transactions()
    instruments = needed_from(orders_from(records), start)
    clocks = [datetime.now(UTC)]
    if instruments:
        clocks.append(broker.time(instruments))
    elif broker.answered_at is not None:
        clocks.append(broker.answered_at + A_SECOND)
    if records:
        records += broker.transactions(number_of(records[-1]))
    return records, min(clocks)


def _measured(judgement: StopsJudgement) -> dict[str, Any]:
    latencies = judgement.latencies_ms
    slippages: tuple[Decimal, ...] = judgement.slippages_pips
    return {
        "touches": len(judgement.touches),
        "executed": len(judgement.executed),
        "live": judgement.stops_live,
        "whole": judgement.whole,
        "prices_seen": judgement.prices_seen,
        "latency_max_ms": max(latencies, default=None),
        "latencies_ms": list(latencies)[:200],
        "slippage_worst_pips": str(max(slippages)) if slippages else None,
    }
