"""The reader and the judge of stops against the rehearsal broker: a real process over real sockets."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from audits.sources.oanda import BrokerAnswerUnreadable, BrokerRefused, OandaReader
from audits.stop_records import candles_from, fills_from, orders_from
from audits.stop_windows import NOT_EXECUTED, StopsJudgement, judge_stops, needed_from
from audits.transactions import change_of
from audits.verdicts import Verdict
from tests.gates.rehearsal.broker.conftest import TOKEN, Broker, running_broker


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with running_broker("--no-feed") as running:
        yield running


def reader(broker: Broker, account_id: str, token: str = TOKEN) -> OandaReader:
    return OandaReader(f"http://127.0.0.1:{broker.port}", account_id, token)


def order(broker: Broker, account_id: str, **fields: Any) -> None:
    wanted = {"type": "MARKET", "instrument": "EUR_USD", "units": "1000"} | fields
    answer = broker.v3.post(f"/accounts/{account_id}/orders", json={"order": wanted})
    assert answer.status_code == 201, answer.text


def test_more_transactions_than_a_page_holds_are_read_whole(broker: Broker) -> None:
    account_id = broker.fresh_account()
    broker.tick("EUR_USD", "1.10000", "1.10010")
    for number in range(520):
        order(broker, account_id, units="10" if number % 2 else "-10")
    with reader(broker, account_id) as books:
        found = books.transactions()
        account = books.account()
        assert [int(record["id"]) for record in found] == list(range(1, int(account["lastTransactionID"]) + 1))
        assert len(found) > 1000
        assert books.transactions(7) == found[7:]
        balances = [record["accountBalance"] for record in found if change_of(record)]
        assert balances[-1] == account["balance"]
        assert {trade["id"] for trade in books.open_trades()} == {trade["id"] for trade in account["trades"]}
        assert books.pricing(["EUR_USD"])[0]["instrument"] == "EUR_USD"


def test_a_reading_that_stopped_goes_on_where_it_was(broker: Broker) -> None:
    account_id = broker.fresh_account()
    broker.tick("EUR_USD", "1.10000", "1.10010")
    for _ in range(3):
        order(broker, account_id)
    with reader(broker, account_id) as books:
        found = books.transactions()
        for _ in range(3):
            order(broker, account_id, units="-1000")
        rest = books.transactions(int(found[-1]["id"]))
        assert [*found, *rest] == books.transactions()
        assert books.transactions(int(rest[-1]["id"])) == []


def test_an_id_that_the_broker_never_gave_is_named(broker: Broker) -> None:
    with reader(broker, broker.fresh_account()) as books, pytest.raises(BrokerAnswerUnreadable, match="416"):
        books.transactions(1_000_000)


def test_faults_of_the_broker_end_in_their_own_exceptions(broker: Broker) -> None:
    account_id = broker.fresh_account()
    with pytest.raises(BrokerRefused):
        reader(broker, account_id, "another").account()
    broker.control.post("/faults", json={"kind": "html", "times": 1}).raise_for_status()
    with pytest.raises(BrokerAnswerUnreadable, match="no JSON"):
        reader(broker, account_id).account()
    with pytest.raises(BrokerRefused, match="check the token and the account"):
        reader(broker, "101-001-0000001-999").account()


def stops_of(broker: Broker, account_id: str) -> StopsJudgement:
    """Judge everything up to now, with all time limits over."""
    end = datetime.now(UTC) + timedelta(seconds=10)
    start = end - timedelta(minutes=5)
    with reader(broker, account_id) as books:
        records = books.transactions()
        orders = orders_from(records)
        candles = {
            instrument: candles_from(books.candles(instrument, since - timedelta(seconds=5), end))
            for instrument, since in needed_from(orders, start).items()
        }
    seen_until = end + timedelta(minutes=1)
    return judge_stops(orders, candles, fills_from(records), start, end, seen_until=seen_until)


def test_an_executed_stop_of_the_broker_passes(broker: Broker) -> None:
    account_id = broker.fresh_account()
    broker.tick("EUR_USD", "1.10000", "1.10010")
    order(broker, account_id, stopLossOnFill={"price": "1.09900"}, takeProfitOnFill={"price": "1.10500"})
    order(broker, account_id, units="-1000", positionFill="OPEN_ONLY", takeProfitOnFill={"price": "1.09890"})
    broker.tick("EUR_USD", "1.09870", "1.09880")
    judgement = stops_of(broker, account_id)
    assert (judgement.verdict, judgement.reason) == (Verdict.PASSED, "")
    assert sorted(touch.order.kind for touch in judgement.executed) == ["STOP_LOSS_ORDER", "TAKE_PROFIT_ORDER"]
    assert all(latency < 1000 for latency in judgement.latencies_ms)
    assert sorted(judgement.slippages_pips) == [-1, 3]


def test_a_withheld_stop_of_the_broker_is_found(broker: Broker) -> None:
    account_id = broker.fresh_account()
    broker.tick("EUR_USD", "1.10000", "1.10010")
    broker.control.post("/faults", json={"kind": "withhold_stops"}).raise_for_status()
    try:
        order(broker, account_id, stopLossOnFill={"price": "1.09900"})
        next_candle = (time.time() // 5 + 1) * 5
        while time.time() < next_candle:  # the touch must fall into a candle that lies inside the stop's life
            time.sleep(0.02)
        broker.tick("EUR_USD", "1.09800", "1.09810")
        judgement = stops_of(broker, account_id)
    finally:
        broker.control.delete("/faults").raise_for_status()
    assert judgement.verdict is Verdict.FAILED
    assert [finding.rule for finding in judgement.findings] == [NOT_EXECUTED]
