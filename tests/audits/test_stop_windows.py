"""Stops: each touch is found once, in the window of its candle, and must have been executed."""

import itertools
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audits.stop_records import Candle, candles_from, fills_from, orders_from
from audits.stop_windows import CLOSED_BEYOND, LATE, NOT_EXECUTED, StopsJudgement, judge_stops, needed_from
from audits.touches import pip_size
from audits.verdicts import Verdict
from tests.audits.books import at, text_at

Record = dict[str, Any]


def opened(units: str = "1000", seconds: float = 0, trade: str = "10") -> Record:
    return {
        "id": trade,
        "type": "ORDER_FILL",
        "time": text_at(seconds),
        "instrument": "EUR_USD",
        "reason": "MARKET_ORDER",
        "orderID": str(int(trade) - 1),
        "tradeOpened": {"tradeID": trade, "units": units},
    }


def stop(kind: str, price: str, seconds: float = 0, number: str = "11", trade: str = "10", **more: Any) -> Record:
    return {
        "id": number,
        "type": kind,
        "time": text_at(seconds),
        "tradeID": trade,
        "price": price,
        "triggerCondition": "DEFAULT",
        "reason": "ON_FILL",
    } | more


def filled(reason: str, price: str, seconds: float, order: str = "11", **more: Any) -> Record:
    return {
        "id": "20",
        "type": "ORDER_FILL",
        "time": text_at(seconds),
        "instrument": "EUR_USD",
        "reason": reason,
        "orderID": order,
        "tradesClosed": [{"tradeID": "10", "price": price}],
    } | more


def cancelled(seconds: float, order: str = "11", reason: str = "LINKED_TRADE_CLOSED") -> Record:
    return {
        "id": "21",
        "type": "ORDER_CANCEL",
        "time": text_at(seconds),
        "orderID": order,
        "reason": reason,
    }


def candle(seconds: float, bid: str, *, low: str | None = None, high: str | None = None) -> Candle:
    """A candle around one bid; the ask is 0.0002 above."""
    spread = Decimal("0.0002")
    bid_low, bid_high = Decimal(low or bid), Decimal(high or bid)
    return Candle(at(seconds), bid_low, bid_high, bid_low + spread, bid_high + spread)


def judged(
    records: list[Record], candles: list[Candle], start: float = 0, end: float = 60, **more: Any
) -> StopsJudgement:
    more = {"seen_until": at(120)} | more
    return judge_stops(orders_from(records), {"EUR_USD": candles}, fills_from(records), at(start), at(end), **more)


QUIET = [candle(seconds, "1.1000") for seconds in range(0, 60, 5)]
SL, TP = "STOP_LOSS_ORDER", "TAKE_PROFIT_ORDER"


def test_a_touched_and_executed_stop_passes_with_latency_and_slippage() -> None:
    quote = {
        "timestamp": text_at(17.1),
        "bids": [{"price": "1.0989"}, {"price": "1.0988"}],
        "asks": [{"price": "1.0991"}],
    }
    records = [opened(), stop(SL, "1.0990"), filled(SL, "1.0989", 17.15, fullPrice=quote)]
    candles = [*QUIET[:3], candle(15, "1.0995", low="1.0989")]
    judgement = judged(records, candles)
    assert judgement.verdict is Verdict.PASSED
    (touch,) = judgement.executed
    assert (touch.touched_at, touch.touching_price) == (at(15), Decimal("1.0989"))
    assert judgement.latencies_ms == (50.0,)
    assert judgement.slippages == (Decimal("0.0001"),)
    assert judgement.slippages_pips == (Decimal(1),)


def test_without_a_touching_quote_latency_counts_from_the_start_of_the_candle() -> None:
    quote = {"timestamp": text_at(17.1), "bids": [{"price": "1.0995"}], "asks": [{"price": "1.0997"}]}
    records = [opened(), stop(SL, "1.0990"), filled(SL, "1.0990", 17.15, fullPrice=quote)]
    assert judged(records, [candle(15, "1.0995", low="1.0989")]).latencies_ms == (2150.0,)


def test_a_better_fill_than_the_take_profit_is_negative_slippage() -> None:
    records = [opened("-1000"), stop(TP, "1.0990"), filled(TP, "1.0988", 7)]
    assert judged(records, QUIET).slippages_pips == (Decimal(-2),)


@pytest.mark.parametrize(
    ("units", "kind", "price", "touching"),
    [
        ("1000", SL, "1.0990", candle(20, "1.0995", low="1.0990")),
        ("1000", TP, "1.1010", candle(20, "1.1000", high="1.1010")),
        ("-1000", SL, "1.1010", candle(20, "1.1000", high="1.1008")),
        ("-1000", TP, "1.0990", candle(20, "1.0995", low="1.0988")),
    ],
)
def test_a_touch_inside_the_life_of_a_stop_that_nothing_executed_is_critical(
    units: str, kind: str, price: str, touching: Candle
) -> None:
    judgement = judged([opened(units), stop(kind, price)], [*QUIET[:4], touching, *QUIET[5:]])
    assert judgement.verdict is Verdict.FAILED
    (finding,) = judgement.findings
    assert (finding.rule, finding.level.value) == (NOT_EXECUTED, "critical")
    assert finding.where["touched_at"] == at(20).isoformat()
    assert not judgement.executed


@pytest.mark.parametrize(
    ("units", "kind", "price", "near"),
    [
        ("1000", SL, "1.0990", candle(20, "1.1000", low="1.0991")),
        ("1000", TP, "1.1010", candle(20, "1.1000", high="1.1009")),  # the ask is through, the bid is not
        ("-1000", SL, "1.1010", candle(20, "1.1000", high="1.1007")),
        ("-1000", TP, "1.0990", candle(20, "1.0995", low="1.0989")),  # the bid is through, the ask is not
    ],
)
def test_the_other_side_of_the_market_touches_nothing(units: str, kind: str, price: str, near: Candle) -> None:
    judgement = judged([opened(units), stop(kind, price)], [*QUIET[:4], near, *QUIET[5:]])
    assert (judgement.verdict, judgement.touches) == (Verdict.PASSED, ())
    assert judgement.prices_seen == 12


def test_a_late_execution_is_critical_with_its_latency() -> None:
    records = [opened(), stop(SL, "1.0990"), filled(SL, "1.0989", 31)]
    judgement = judged(records, [*QUIET[:3], candle(15, "1.0980"), *QUIET[4:]])
    (finding,) = judgement.findings
    assert (finding.rule, finding.difference) == (LATE, "16000.0")
    assert (len(judgement.touches), judgement.executed) == (1, ())


def test_a_touch_whose_limit_is_not_over_is_inconclusive_not_failed() -> None:
    records = [opened(), stop(SL, "1.0990")]
    judgement = judged(records, [*QUIET[:4], candle(20, "1.0980")], seen_until=at(29))
    assert (judgement.verdict, judgement.findings) == (Verdict.INCONCLUSIVE, ())
    assert "not over yet" in judgement.reason


@pytest.mark.parametrize("records", [[], [opened(), stop(SL, "1.0990")]])
def test_a_window_that_was_not_over_when_the_broker_was_read_is_no_evidence_whatever_it_shows(
    records: list[Record],
) -> None:
    judgement = judged(records, QUIET, seen_until=at(59.9))
    assert (judgement.verdict, judgement.whole) == (Verdict.INCONCLUSIVE, False)
    assert "the broker was read before the window was over by its own clock" in judgement.reason
    assert judged(records, QUIET, seen_until=at(60)).whole


def test_a_candle_that_overlaps_the_life_in_part_proves_nothing() -> None:
    created_in_it = [opened(seconds=21), stop(SL, "1.0990", seconds=21)]
    ended_in_it = [opened(), stop(SL, "1.0990"), cancelled(23, reason="CLIENT_REQUEST")]
    candles = [*QUIET[:4], candle(20, "1.0980"), *QUIET[5:]]
    assert judged(created_in_it, candles).findings == ()
    assert judged(ended_in_it, candles).findings == ()


def test_a_replaced_stop_is_judged_at_its_own_price_for_its_own_life() -> None:
    records = [
        opened(),
        stop(SL, "1.0990"),
        cancelled(15, reason="CLIENT_REQUEST_REPLACED"),
        stop(SL, "1.0970", seconds=15, number="12", replacesOrderID="11"),
    ]
    judgement = judged(records, [*QUIET[:4], candle(20, "1.0980"), *QUIET[5:]])
    assert (judgement.verdict, judgement.stops_live) == (Verdict.PASSED, 2)


def test_a_trade_closed_beyond_its_stop_by_something_else_is_critical() -> None:
    records = [
        opened(),
        stop(SL, "1.0990"),
        filled("MARKET_ORDER_TRADE_CLOSE", "1.0985", 22, "19"),
        cancelled(22),
    ]
    judgement = judged(records, QUIET)
    (finding,) = judgement.findings
    assert (finding.rule, finding.difference) == (CLOSED_BEYOND, "0.0005")
    at_the_stop = [*records[:2], filled("MARKET_ORDER_TRADE_CLOSE", "1.0990", 22, "19"), cancelled(22)]
    assert judged(at_the_stop, QUIET).findings == ()


def test_no_prices_while_a_stop_was_live_is_inconclusive() -> None:
    judgement = judged([opened(), stop(SL, "1.0990")], [])
    assert (judgement.verdict, judgement.prices_seen) == (Verdict.INCONCLUSIVE, 0)
    assert "no prices of EUR_USD" in judgement.reason


def test_no_stop_at_all_is_inconclusive() -> None:
    assert judged([], QUIET).verdict is Verdict.INCONCLUSIVE


def test_a_trade_of_unknown_side_and_a_mid_trigger_are_inconclusive() -> None:
    assert "long or short" in judged([stop(SL, "1.0990", instrument="EUR_USD")], QUIET).reason
    assert "mid price" in judged([opened(), stop(SL, "1.0990", triggerCondition="MID")], QUIET).reason
    known = orders_from([stop(SL, "1.0990", instrument="EUR_USD")], units_by_trade={"10": Decimal(-1)})
    assert (known[0].unjudged, known[0].is_long) == ("", False)


def test_candles_are_needed_from_the_creation_of_the_oldest_stop_still_alive() -> None:
    records = [opened(), stop(SL, "1.0990", seconds=3), stop(TP, "1.2", seconds=1, number="12"), cancelled(5)]
    assert needed_from(orders_from(records), at(30)) == {"EUR_USD": at(1)}


def test_candles_are_read_from_the_answers_of_the_broker() -> None:
    sides = {"o": "1.1", "h": "1.2", "l": "1.0", "c": "1.1"}
    (read,) = candles_from([{"time": text_at(5), "bid": sides, "ask": sides, "complete": True}])
    assert read == Candle(at(5), Decimal("1.0"), Decimal("1.2"), Decimal("1.0"), Decimal("1.2"))


def test_the_trigger_condition_chooses_the_side_of_the_market() -> None:
    low_bid = [*QUIET[:4], candle(20, "1.1000", low="1.0989"), *QUIET[5:]]  # the ask stays at 1.0991 or above
    for condition, reached in (("DEFAULT", True), ("BID", True), ("ASK", False), ("INVERSE", False)):
        judgement = judged([opened(), stop(SL, "1.0990", triggerCondition=condition)], low_bid)
        assert bool(judgement.touches) is reached, condition


def test_a_touch_in_an_earlier_candle_counts_latency_from_there_whatever_the_fill_quotes() -> None:
    quote = {"timestamp": text_at(26), "bids": [{"price": "1.0980"}], "asks": [{"price": "1.0982"}]}
    records = [opened(), stop(SL, "1.0990"), filled(SL, "1.0980", 26.1, fullPrice=quote)]
    judgement = judged(records, [*QUIET[:4], candle(20, "1.0980"), candle(25, "1.0980")])
    assert judgement.latencies_ms == (6100.0,)
    assert judgement.touches[0].touched_at == at(20)


def test_an_order_filled_for_another_reason_is_not_executed() -> None:
    records = [opened(), stop(SL, "1.0990"), filled("MARKET_ORDER_MARGIN_CLOSEOUT", "1.0990", 26)]
    judgement = judged(records, [*QUIET[:4], candle(20, "1.0980"), *QUIET[5:]])
    assert [finding.rule for finding in judgement.findings] == [NOT_EXECUTED]


def test_a_pip_of_the_yen_is_a_hundredth_and_pip_sizes_can_be_given() -> None:
    assert pip_size("USD_JPY") == Decimal("0.01")
    records = [opened(), stop(SL, "1.0990"), filled(SL, "1.0980", 17)]
    touched = [*QUIET[:3], candle(15, "1.0980")]
    assert judged(records, touched, pip_sizes={"EUR_USD": Decimal("0.001")}).slippages_pips == (1,)


prices = st.integers(-12, 12).map(lambda pips: Decimal("1.1000") + pips * Decimal("0.0001"))
cuts = st.lists(st.integers(1, 119), max_size=6, unique=True)


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """Some trades with stops, some executed at any time, some closed by hand, some still open."""
    records: list[Record] = []
    for index in range(draw(st.integers(1, 4))):
        trade, order = str(100 + 10 * index), str(101 + 10 * index)
        created = draw(st.floats(0, 60))
        kind = draw(st.sampled_from([SL, TP]))
        records += [
            opened(draw(st.sampled_from(["1000", "-1000"])), created, trade),
            stop(kind, str(draw(prices)), created, order, trade),
        ]
        ending = draw(st.sampled_from(["open", "executed", "by hand"]))
        ended = created + draw(st.floats(0, 50))
        closed = {"tradesClosed": [{"tradeID": trade, "price": str(draw(prices))}], "id": str(105 + 10 * index)}
        if ending == "executed":
            records.append(filled(kind, "1", ended, order) | closed)
        elif ending == "by hand":
            records += [filled("MARKET_ORDER_TRADE_CLOSE", "1", ended, "1") | closed, cancelled(ended, order)]
    return records


@given(histories(), st.lists(prices, min_size=24, max_size=24), cuts)
def test_windows_partition_touches_and_findings_exactly_once(
    records: list[Record], bids: list[Decimal], inner: list[int]
) -> None:
    candles = [candle(5 * index, str(bid)) for index, bid in enumerate(bids)]
    bounds = [0, *sorted(inner), 120]
    whole = judged(records, candles, 0, 120, seen_until=at(600))
    parts = [judged(records, candles, start, end, seen_until=at(600)) for start, end in itertools.pairwise(bounds)]

    def keys(judgements: list[StopsJudgement]) -> list[tuple[datetime, str]]:
        return sorted((touch.touched_at, touch.order.order_id) for each in judgements for touch in each.touches)

    def sentences(judgements: list[StopsJudgement]) -> list[str]:
        return sorted(finding.sentence for each in judgements for finding in each.findings)

    assert keys(parts) == keys([whole])
    assert len({order for _, order in keys(parts)}) == len(keys(parts))
    assert sentences(parts) == sentences([whole])
