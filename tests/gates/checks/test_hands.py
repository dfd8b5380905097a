"""Hands: whoever touches the account besides the target is found, and the target itself is not."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.checks.hands import CLOSE, ORDER, SETTING, STOP, TRANSFER, SentOrders, judge_hands, undecided

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def record(number, kind, reason="CLIENT_ORDER", *, at=NOON, **fields):
    return {"id": str(number), "type": kind, "reason": reason, "time": at.isoformat(), **fields}


def row(*, client=None, broker=None, created=NOON):
    return {"client_order_id": client, "broker_order_id": broker, "created_at": created}


def rules(transactions, *orders):
    return [found.rule for found in judge_hands(transactions, SentOrders.of(orders))]


def test_an_order_with_a_client_id_of_the_books_is_the_targets():
    placed = record(7, "MARKET_ORDER", units="100", instrument="EUR_USD", clientExtensions={"id": "desk-1"})
    assert rules([placed], row(client="desk-1")) == []


def test_an_order_whose_id_is_not_in_the_books_was_placed_by_hand():
    placed = record(7, "MARKET_ORDER", units="100", instrument="EUR_USD")
    assert rules([placed]) == [ORDER]
    assert rules([placed | {"clientExtensions": {"id": "web-1"}}], row(client="desk-1")) == [ORDER]


def test_an_order_that_the_books_took_over_afterwards_is_still_a_hand():
    placed = record(7, "MARKET_ORDER", units="100", instrument="EUR_USD")
    assert rules([placed], row(broker="7", created=NOON)) == [ORDER]
    assert rules([placed], row(broker="7", created=NOON + timedelta(seconds=1))) == [ORDER]


def test_an_order_committed_to_before_it_was_placed_is_the_targets_without_any_client_id():
    placed = record(7, "MARKET_ORDER", "TRADE_CLOSE", tradeClose={"tradeID": "3"})
    assert rules([placed], row(broker="7", created=NOON - timedelta(milliseconds=1))) == []
    assert rules([placed], row(broker="7", client="close-3", created=NOON)) == []


@pytest.mark.parametrize("client", ["adopted-7", "web-1"])  # of the books' own making, and copied from the broker
def test_a_row_written_long_after_its_order_took_it_over_whatever_client_id_it_has(client):
    placed = record(7, "MARKET_ORDER", units="100", instrument="EUR_USD", clientExtensions={"id": "web-1"})
    assert rules([placed], row(client=client, broker="7", created=NOON + timedelta(hours=1))) == [ORDER]
    clocks_apart = row(client=client, broker="7", created=NOON + timedelta(seconds=4))
    assert rules([placed], clocks_apart) == []


def test_of_two_rows_with_one_client_id_the_older_counts():
    placed = record(7, "MARKET_ORDER", units="100", instrument="EUR_USD", clientExtensions={"id": "desk-1"})
    late = row(client="desk-1", broker="7", created=NOON + timedelta(hours=1))
    assert rules([placed], late, row(client="desk-1", created=NOON - timedelta(hours=1))) == []


@pytest.mark.parametrize(
    ("at_us", "created_us", "says"),
    [
        (456_789, 456_788, True),
        (456_789, 456_789, False),
        (456_789, 456_000, None),  # the broker's own time, cut to the millisecond, or an intent as old
        (456_789, 455_000, True),
        (456_789, 0, None),  # cut to the second
        (456_789, -1_000_000, True),
    ],
)
def test_a_time_that_was_cut_proves_neither_a_hand_nor_an_intent(at_us, created_us, says):
    at, created = (NOON + timedelta(microseconds=micros) for micros in (at_us, created_us))
    placed = record(7, "MARKET_ORDER", at=at, units="100", instrument="EUR_USD")
    sent = SentOrders.of([row(broker="7", created=created)])
    assert sent.holds(placed) is says
    assert [found.rule for found in judge_hands([placed], sent)] == ([ORDER] if says is False else [])
    assert ("transaction 7 have no client id" in undecided([placed], sent)) == (says is None)


@pytest.mark.parametrize(
    ("done", "rule"),
    [
        (record(8, "MARKET_ORDER", "TRADE_CLOSE", tradeClose={"tradeID": "3"}), CLOSE),
        (record(8, "MARKET_ORDER", "POSITION_CLOSEOUT", instrument="EUR_USD"), CLOSE),
        (record(8, "TRANSFER_FUNDS", "", amount="50.0000"), TRANSFER),
        (record(8, "TRANSFER_FUNDS", "", amount="-50.0000"), TRANSFER),
        (record(8, "STOP_LOSS_ORDER", "REPLACEMENT", tradeID="3", price="1.1"), STOP),
        (record(8, "TAKE_PROFIT_ORDER", "CLIENT_ORDER", tradeID="3", price="1.1"), STOP),
        (record(8, "CLIENT_CONFIGURE", ""), SETTING),
        (record(8, "LIMIT_ORDER", units="-5", instrument="EUR_USD"), ORDER),
    ],
)
def test_each_kind_of_hand_is_named(done, rule):
    assert rules([done], row(client="desk-1", broker="7")) == [rule]


@pytest.mark.parametrize(
    "done",
    [
        record(8, "STOP_LOSS_ORDER", "ON_FILL", tradeID="3", price="1.1"),
        record(8, "ORDER_FILL", "STOP_LOSS_ORDER"),
        record(8, "DAILY_FINANCING", ""),
        record(8, "MARKET_ORDER", "MARGIN_CLOSEOUT"),
        record(8, "ORDER_CANCEL", "LINKED_TRADE_CLOSED"),
    ],
)
def test_what_the_broker_does_by_itself_is_nobodys_hand(done):
    assert rules([done]) == []


def test_the_sentence_says_what_was_done_and_when():
    (found,) = judge_hands([record(8, "TRANSFER_FUNDS", "", amount="-50.0000")], SentOrders.of([]))
    assert (
        found.sentence
        == "A withdrawal of 50.0000 was booked at the broker: transaction 8 at 2026-03-01T12:00:00+00:00."
    )
    assert found.level == "critical"


@given(st.lists(st.sampled_from(["sent", "foreign", "transfer"]), max_size=40))
def test_as_many_hands_are_found_as_there_were_whatever_surrounds_them(kinds):
    made = {
        "sent": lambda n: record(n, "MARKET_ORDER", units="1", instrument="EUR_USD", clientExtensions={"id": f"c{n}"}),
        "foreign": lambda n: record(n, "MARKET_ORDER", units="1", instrument="EUR_USD"),
        "transfer": lambda n: record(n, "TRANSFER_FUNDS", "", amount="1"),
    }
    transactions = [made[kind](number) for number, kind in enumerate(kinds, start=1)]
    books = [row(client=f"c{number}") for number in range(1, len(kinds) + 1)]
    found = judge_hands(transactions, SentOrders.of(books))
    assert [int(each.where["broker_transaction_id"]) for each in found] == [
        number for number, kind in enumerate(kinds, start=1) if kind != "sent"
    ]
